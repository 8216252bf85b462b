"""Asking Airflow for a run of a window, from inside a task: the one place that speaks to its supervisor about runs.

The task's own token is enough, as for TriggerDagRunOperator; no login of a user stands in any connection.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tenantdags.dag.run import WINDOW
from tenantdags.model.plan import TablePlan
from tenantdags.model.runs import newest_due
from tenantdags.steps.redact import redact

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tenantdags.steps.recount import Ask


def asking(plan: TablePlan) -> Ask:
    """`ask(run_id, window, note)`: None when Airflow has that run now, or had it before; else why it has not."""

    def ask(run_id: str, window: str, note: str) -> str | None:
        from airflow.sdk.exceptions import AirflowRuntimeError
        from airflow.sdk.execution_time.comms import TriggerDagRun
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        # A run without a logical date never stands in the way of the window's scheduled one; `now` as its time lets
        # every run that is due already go first.
        now = datetime.now(UTC)
        message = TriggerDagRun(dag_id=plan.dag_id, run_id=run_id, conf={WINDOW: window}, run_after=now, note=note)
        try:
            answer: Any = SUPERVISOR_COMMS.send(message)
        except AirflowRuntimeError as error:
            return redact(error)
        refused = getattr(answer, "error", None)
        if refused is None or refused.value == "DAGRUN_ALREADY_EXISTS":
            return None
        return redact(f"{refused.value}: {answer.detail}")

    return ask


def waiting(plan: TablePlan, context: Context) -> Callable[[], str | None]:
    """The newest due window when the scheduler has made no run for it yet: it waits for this DAG's one running slot."""

    def due() -> str | None:
        from airflow.sdk.exceptions import AirflowRuntimeError

        window = newest_due(plan, datetime.now(UTC))
        if window is None:
            return None
        ti: Any = context["ti"]
        try:
            return None if ti.get_dr_count(plan.dag_id, logical_dates=[window.start]) else str(window)
        except AirflowRuntimeError:
            return f"{window} (Airflow did not say whether it has a run)"

    return due
