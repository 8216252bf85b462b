"""The `load` task: one Databricks run per extract and per clear, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.databricks.hooks.databricks import RunState
from airflow.providers.databricks.operators.databricks import (
    XCOM_RUN_ID_KEY,
    XCOM_RUN_PAGE_URL_KEY,
    DatabricksSubmitRunOperator,
)
from airflow.sdk.exceptions import AirflowException, TaskDeferralError, TaskDeferralTimeout

from tenantdags.dag import run, world
from tenantdags.dag.operators import StepOperator
from tenantdags.dag.trigger import LoadTrigger
from tenantdags.model.errors import DatabricksRun, DatabricksSubmit, DatabricksTimeout
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.redact import redact

At = Window | str

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from tenantdags.steps.load import NotebookRun


class NotebookOperator(DatabricksSubmitRunOperator):
    """Runs the notebook on exactly the manifests' files. What it is about, and what its answer means, subclasses say.

    The submit carries a token that is the same after a crash and another one after a clear. A retry goes up a ladder
    of tokens: a run that is alive or succeeded is taken, a run that ended otherwise leads to the next token.
    """

    template_fields: Sequence[str] = ()
    template_ext: Sequence[str] = ()
    ui_color, ui_fgcolor = StepOperator.ui_color, StepOperator.ui_fgcolor  # like the other steps
    plan: TablePlan

    def __init__(self, **kwargs: Any) -> None:
        # Durable operators submit nothing when a task that succeeded is cleared.
        super().__init__(deferrable=True, durable=False, **kwargs)

    def use(self, plan: TablePlan) -> None:
        """Before Databricks is asked for anything."""
        self.plan = plan
        self.databricks_conn_id = plan.databricks.connection
        self.polling_period_seconds = plan.databricks.poll_seconds

    def place(self, context: Context) -> At:
        """What the errors name; makes the plan known first."""
        raise NotImplementedError

    def job(self, at: At, context: Context) -> tuple[dict[str, Any], str] | None:
        """(what is submitted, what its token is about); None when there is nothing to load."""
        raise NotImplementedError

    def told(self, at: At, notebook: NotebookRun, context: Context) -> None:
        """The notebook has ended well and says this."""
        raise NotImplementedError

    def execute(self, context: Context) -> None:
        with run.failing(context):
            at = self.place(context)
            run.require_same_plan(self.plan, at, context)
            job = self.job(at, context)
            if job is None:
                return
            found = self._take_run(*job, at, context)
            if RunState(**found["state"]).is_terminal:
                self._finish(found, at, context)
            else:
                self._wait_in_triggerer(found)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:
        """The triggerer saw the run end, or could not see it."""
        with run.failing(context):
            at = self.place(context)
            self.run_id = event["run_id"]
            if "unanswered" in event:
                self._let_go(event["unanswered"], at, context)
            run.require_same_plan(self.plan, at, context)
            self._finish(self._ask(at, self._hook.get_run, self.run_id), at, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralTimeout, TaskDeferralError) as error:
            with run.failing(context):
                at = self.place(context)
                self.run_id = run.told(context, self.task_id, "run_id")
                if isinstance(error, TaskDeferralTimeout):
                    self._time_out(at)
                self._let_go(str(error), at, context)

    def _take_run(self, body: dict[str, Any], about: str, at: At, context: Context) -> dict[str, Any]:
        """The run under the first token of the ladder whose run did not fail. Each try may climb one rung further."""
        from tenantdags.steps.load import idempotency_token

        ti, dag_run = context["ti"], context["dag_run"]
        key = (ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index, about)
        for rung in range(ti.try_number):
            token = idempotency_token(*key, dag_run.clear_number or 0, rung)
            self.run_id = self._ask(at, self._hook.submit_run, {**body, "idempotency_token": token})
            found: dict[str, Any] = self._ask(at, self._hook.get_run, self.run_id)
            state = RunState(**found["state"])
            if not state.is_terminal or state.is_successful:
                break
            self.log.info("run %s ended %s", self.run_id, state.result_state or state.life_cycle_state)
        ti.xcom_push(XCOM_RUN_ID_KEY, self.run_id)
        ti.xcom_push(XCOM_RUN_PAGE_URL_KEY, found["run_page_url"])
        self.log.info("Databricks run %s: %s", self.run_id, found["run_page_url"])
        return found

    def _wait_in_triggerer(self, found: dict[str, Any]) -> NoReturn:
        trigger = LoadTrigger(
            run_id=found["run_id"],
            databricks_conn_id=self.databricks_conn_id,
            polling_period_seconds=self.polling_period_seconds,
            retry_limit=self.databricks_retry_limit,
            retry_delay=self.databricks_retry_delay,
            run_page_url=found["run_page_url"],
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=self.plan.databricks.timeout)

    def _finish(self, found: dict[str, Any], at: At, context: Context) -> None:
        """Tells what the notebook loaded. Raises DatabricksRun, DatabricksTimeout or ReconcileMismatch."""
        from tenantdags.steps.load import NotebookRun

        output = self._ask(at, self._hook.get_run_output, found["tasks"][-1]["run_id"])
        state = RunState(**found["state"])
        if not state.is_successful:
            raise self._ended_badly(state, output, found, at)
        notebook = NotebookRun(
            run_id=found["run_id"],
            run_page_url=found["run_page_url"],
            output=output.get("notebook_output", {}).get("result"),
        )
        self.told(at, notebook, context)

    def _ended_badly(
        self, state: RunState, output: dict[str, Any], found: dict[str, Any], at: At
    ) -> DatabricksRun | DatabricksTimeout:
        ended = state.result_state or state.life_cycle_state
        said = redact(output.get("error") or state.state_message or "it gave no reason").rstrip(".")
        what = f"run {found['run_id']} of {self.plan.databricks.notebook} ended {ended}: {said}."
        remedy = f"Look at {found['run_page_url']}; clear `load` when the cause is gone."
        if said.startswith("Unable to access the notebook"):  # the path or a right is missing
            remedy = "Run `databricks bundle deploy` in include/notebooks or correct databricks.notebook; clear `load`."
        kind = DatabricksTimeout if ended == "TIMEDOUT" else DatabricksRun
        return kind(self.plan.at(at), what, remedy)

    def _let_go(self, why: str, at: At, context: Context) -> NoReturn:
        """A run that cannot be watched goes on for the retry to find; behind the last try it is cancelled."""
        what = f"run {self.run_id} could not be watched to its end: {redact(why)}."
        if context["ti"].try_number <= context["ti"].max_tries:
            raise DatabricksSubmit(self.plan.at(at), what, "The retry takes up the same run.")
        self._cancel()
        remedy = f"Correct the token of connection {self.databricks_conn_id}, then clear `load`."
        raise DatabricksSubmit(self.plan.at(at), what, remedy)

    def _time_out(self, at: At) -> NoReturn:
        self._cancel()
        what = f"run {self.run_id} did not end within {self.plan.databricks.timeout} and was cancelled."
        raise DatabricksTimeout(
            self.plan.at(at), what, "Look at the run's log; raise databricks.timeout if it was fit."
        )

    def _cancel(self) -> None:
        try:
            self._hook.cancel_run(self.run_id)
        except AirflowException:
            # What it appends stays invisible: only an audited append is ever published.
            self.log.exception("run %s could not be cancelled and may still be running", self.run_id)

    def _ask(self, at: At, call: Callable[[Any], Any], argument: object) -> Any:
        try:
            return call(argument)
        except AirflowException as error:
            what = f"Databricks refused or did not answer: {redact(error)}."
            remedy = f"Check host and token of connection {self.databricks_conn_id} and the workspace."
            raise DatabricksSubmit(self.plan.at(at), what, remedy) from None


class LoadOperator(NotebookOperator):
    """One window's load."""

    def __init__(self, *, plan: TablePlan | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if plan:
            self.use(plan)

    def place(self, context: Context) -> At:
        return run.run_window(self.plan, context)

    def job(self, at: At, context: Context) -> tuple[dict[str, Any], str]:
        from tenantdags.steps.load import require_table, submit_json

        require_table(self.plan, at, world.statements(self.plan, at))
        load_id, url = run.the_manifest(context).load_id, run.told(context, run.UPLOAD, run.MANIFEST_URL)
        return submit_json(self.plan, at, load_id, url), load_id

    def told(self, at: At, notebook: NotebookRun, context: Context) -> None:
        from tenantdags.steps.load import loaded_of

        loaded = loaded_of(self.plan, at, run.the_manifest(context), notebook)
        context["ti"].xcom_push(run.LOADED, asdict(loaded))

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage[Any, Any]:
        from tenantdags.dag.lineage import lineage

        return lineage(self.plan, self.task_id)
