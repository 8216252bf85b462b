"""The DAG `tenantdags_bulk`: one run loads one chunk of a table's history, with one source pass and one notebook run.

It is no tenant's: its params say whose windows a run is about, and each task reads that tenant's files when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tenantdags.dag import run, world
from tenantdags.dag.load_operator import NotebookOperator
from tenantdags.model.backfill import BULK, bounds, windows_between
from tenantdags.model.errors import ConfigError, LandingConflict, RunError, WindowRefused
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant
from tenantdags.model.window import Window

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tenantdags.steps.bulk import Note, Notebook
    from tenantdags.steps.load import NotebookRun
    from tenantdags.steps.manifest import Manifest

AT_ONCE = 1  # chunk, on the whole platform: a child's is judged against its parent's, which is published before it
_LOWEST = 1  # below every tier: whatever else waits goes first
_TIMEOUT = timedelta(hours=12)
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RESULT, MOST_WINDOWS = "result", 366


def bulk_dag(root: Path) -> DAG:
    with DAG(
        dag_id=BULK,
        schedule=None,
        start_date=_BEGIN,
        catchup=False,
        max_active_runs=AT_ONCE,
        is_paused_upon_creation=False,
        params={
            "tenant": Param(type="string", minLength=1, description="Whose windows."),
            "table": Param(type="string", minLength=1, description="One of its event tables."),
            "first": Param(type="string", minLength=10, description="The first window: 2026-11-01, or 2026-11-01T00Z."),
            "last": Param(type="string", minLength=10, description="The last window, included."),
            "again": Param(False, type="boolean", description="Load windows again that readers see already."),
        },
        default_args={
            "owner": "tenantdags", "retries": 2, "priority_weight": _LOWEST, "weight_rule": "absolute",
            "execution_timeout": _TIMEOUT,
        },
        description="Loads many windows of a table's history at once. Started by `tenantdags backfill --bulk`.",
        doc_md=_DOC,
        tags={"tenantdags"},
        auto_register=False,
    ) as dag:  # fmt: skip
        extract = BulkExtract(root=str(root), task_id=run.EXTRACT)
        check_extract = BulkCheckExtract(root=str(root), task_id=run.CHECK_EXTRACT)
        upload = BulkUpload(root=str(root), task_id=run.UPLOAD)
        load = BulkLoad(root=str(root), task_id=run.LOAD)
        check_load = BulkCheckLoad(root=str(root), task_id=run.CHECK_LOAD)
        publish = BulkPublish(root=str(root), task_id=run.PUBLISH)
        summarise = BulkSummarise(root=str(root), task_id=run.SUMMARISE)
        extract >> check_extract >> upload >> load >> check_load >> publish
        publish >> summarise.as_teardown(on_failure_fail_dagrun=False)
    return dag


def chunk_of(root: str, context: Context) -> tuple[TablePlan, tuple[Window, ...]]:
    """Whose windows, and which. Raises WindowRefused for params that name none of them."""
    params = context["params"]
    tenant, table = str(params["tenant"]), str(params["table"])
    where = f"{tenant} {table} {params['first']} to {params['last']}"
    try:
        plans = {plan.table: plan for plan in load_tenant(Path(root), tenant)}
        plan = plans[table]
        windows = windows_between(
            *bounds(str(params["first"]), str(params["last"])), plan.schedule.every, plan.schedule.time_zone
        )
    except KeyError:
        raise WindowRefused(where, f"{tenant} has no table {table!r}.", "Correct the run's params.") from None
    except (ConfigError, ValueError) as error:
        raise WindowRefused(where, f"{error}.", "Correct the run's params.") from None
    if plan.contract.mode != "event":
        raise WindowRefused(where, "a snapshot table has no past to load.", "Leave it out.")
    if windows[0].as_of_date < plan.schedule.first_window:
        what = f"{windows[0]} lies before first_window {plan.schedule.first_window}."
        raise WindowRefused(where, what, f"Set first_window in {plan.file} to an earlier date.")
    if len(windows) > MOST_WINDOWS:
        raise WindowRefused(where, f"{len(windows)} windows are too many for one chunk.", "Say --chunk 366 or less.")
    return plan, windows


def span_of(windows: Sequence[Window]) -> str:
    return f"{windows[0]} to {windows[-1]}"


class BulkOperator(BaseOperator):
    """One step of a whole chunk."""

    template_fields: Sequence[str] = ()

    def __init__(self, *, root: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = root

    def execute(self, context: Context) -> None:
        with run.failing(context):
            plan, windows = chunk_of(self.root, context)
            self.begin(plan, windows, context)
            self.step(plan, windows, context)

    def begin(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        run.require_same_plan(plan, span_of(windows), context)
        self.notebook(plan, context).require_wanted()

    def step(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        raise NotImplementedError

    def notebook(self, plan: TablePlan, context: Context) -> Notebook:
        from tenantdags.steps.bulk import Notebook

        return Notebook(plan, context["run_id"], world.landing(plan).blobs)

    def each(self, plan: TablePlan, work: Callable[[Window, Note], Note], context: Context) -> dict[Window, Note]:
        """The step done on every window; a failure that may pass is tried again together, while tries are left."""
        from tenantdags.steps.bulk import each

        notebook = self.notebook(plan, context)
        notes = each(notebook.read(), self.task_id, work)
        self.settle(plan, notebook, notes, context)
        return notes

    def settle(self, plan: TablePlan, notebook: Notebook, notes: dict[Window, Note], context: Context) -> None:
        notebook.write(notes)
        here = [n.failure for n in notes.values() if n.failure and n.failure.step == self.task_id]
        for failure in here:
            self.log.warning("%s", failure.text)
        ti: Any = context["ti"]
        if any(failure.retryable for failure in here) and ti.try_number <= ti.max_tries:
            raise AirflowException(f"{len(here)} windows are tried again: {here[0].text}")


class BulkExtract(BulkOperator):
    def execute(self, context: Context) -> None:
        with run.failing(context):
            plan, _ = chunk_of(self.root, context)
        hours, zone = plan.backfill.hours, plan.schedule.time_zone
        begin = hours.opens(datetime.now(UTC), zone) if hours and not run.request_of(context).outside_hours else None
        if begin:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            self.log.info("backfills begin in %s %s: waiting until %s, without a slot", hours, zone, begin)
            self.defer(trigger=DateTimeTrigger(moment=begin), method_name="execute_in_hours")
        super().execute(context)

    def execute_in_hours(self, context: Context, event: Any) -> None:
        self.execute(context)

    def begin(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        run.tell_plan(context, plan)
        self.notebook(plan, context).require_wanted()

    def step(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        from tenantdags.steps.bulk import noted, wanted

        generations, left = wanted(plan, windows, world.landing(plan), again=bool(context["params"]["again"]))
        if left:
            self.log.info("%d windows are published already and are left as they are", len(left))
        taken: Mapping[Window, Manifest | RunError] = {}
        if generations:
            try:
                taken = self._extract(plan, generations, span_of(windows), context)
            except RunError as error:  # of all windows alike: each one's summary says it, and on-call hears of it
                taken = dict.fromkeys(generations, error)
        self.settle(plan, self.notebook(plan, context), noted(taken), context)

    def _extract(
        self, plan: TablePlan, generations: Mapping[Window, int], at: str, context: Context
    ) -> Mapping[Window, Manifest | RunError]:
        from tenantdags.steps.bulk import bulk_run_id
        from tenantdags.steps.extract_range import extract_range
        from tenantdags.steps.source import connect

        return extract_range(
            plan,
            tuple(generations),
            connect=partial(connect, world.source_login(plan, at)),
            catalogue=world.source_records(plan, at),
            files=world.landing(plan).blobs,
            staging=world.staging(plan),
            key=world.pii_key(plan, at),
            base_generations=generations,
            run_id=bulk_run_id(context["run_id"]),
            now=partial(datetime.now, UTC),
        )


class BulkCheckExtract(BulkOperator):
    def step(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        from tenantdags.steps.bulk import check_extract

        self.each(plan, partial(check_extract, plan, world.staging(plan)), context)


class BulkUpload(BulkOperator):
    def step(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        from tenantdags.steps.bulk import upload

        self.each(plan, partial(upload, plan, world.staging(plan), world.landing(plan)), context)


class BulkLoad(NotebookOperator):
    """One notebook run for all manifests of the chunk, an append for each."""

    def __init__(self, *, root: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = root

    def place(self, context: Context) -> str:
        plan, windows = chunk_of(self.root, context)
        self.use(plan)
        return span_of(windows)

    def job(self, at: Window | str, context: Context) -> tuple[dict[str, Any], str] | None:
        from tenantdags.steps.bulk import manifest_urls
        from tenantdags.steps.load import require_table, submit_json

        landing, notebook = world.landing(self.plan, at), self._notebook(context)
        notebook.require_wanted()
        urls = manifest_urls(self.plan, landing, notebook.read())
        if not urls:
            return None
        require_table(self.plan, at, world.statements(self.plan, at))
        listed = f"{landing.abfss_root}/{notebook.list_manifests(sorted(urls))}"
        return submit_json(self.plan, at, f"{len(urls)} loads", listed), "\n".join(sorted(urls))

    def told(self, at: Window | str, notebook: NotebookRun, context: Context) -> None:
        from tenantdags.steps.bulk import each, loaded, loads_of, manifest_urls

        landing, book = world.landing(self.plan, at), self._notebook(context)
        notes = book.read()
        urls, said = manifest_urls(self.plan, landing, notes), loads_of(self.plan, str(at), notebook)
        by_window = {window: said[url] for url, window in urls.items() if url in said}
        notes = each(notes, run.LOAD, partial(loaded, self.plan, landing, notebook, by_window))
        book.write(notes)
        for note in notes.values():
            if note.failure and note.failure.step == run.LOAD:
                self.log.warning("%s", note.failure.text)

    def _notebook(self, context: Context) -> Notebook:
        from tenantdags.steps.bulk import Notebook

        return Notebook(self.plan, context["run_id"], world.landing(self.plan).blobs)


class BulkCheckLoad(BulkOperator):
    def step(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        from tenantdags.steps.bulk import check_load

        clients = world.landing(plan), world.statements(plan, span_of(windows))
        self.each(plan, partial(check_load, plan, *clients), context)


class BulkPublish(BulkOperator):
    """Publishes what passed. Fails when something of the chunk did not, so that the run is red and names it.

    Cancelled meanwhile, it finishes the window at hand and begins no other.
    """

    def step(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        from tenantdags.steps.bulk import bulk_run_id, failures, publish_one, told

        clients = world.landing(plan), world.statements(plan, span_of(windows))
        run_id, now, notebook = bulk_run_id(context["run_id"]), partial(datetime.now, UTC), self.notebook(plan, context)

        def publish(window: Window, note: Note) -> Note:
            return note if notebook.cancelled() else publish_one(plan, *clients, run_id, now, window, note)

        notes = self.each(plan, publish, context)
        said = told(notes)
        context["ti"].xcom_push(RESULT, said)
        self.log.info("%s", said)
        if failures(notes) or not all(note.published for note in notes.values()):
            raise AirflowFailException(f"{plan.at(span_of(windows))}: {said}")


class BulkSummarise(BulkOperator):
    """A QA summary for every window that the chunk worked on; then, of a chunk that is whole, the notes go."""

    def begin(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        """Whatever the files say by now, or whoever cancelled it: what happened is told."""

    def step(self, plan: TablePlan, windows: Sequence[Window], context: Context) -> None:
        from tenantdags.dag.alerts import tell
        from tenantdags.steps.bulk import facts_of, failures
        from tenantdags.steps.summarise import World, summarise

        notebook = self.notebook(plan, context)
        notes, request, paged = self._ended(notebook), run.request_of(context), False
        attempt = f"{context['run_id']}.{context['dag_run'].clear_number or 0}"
        for window, note in notes.items():
            clients = World(
                landing=partial(world.landing, plan, window),
                staging=partial(world.staging, plan),
                statements=partial(world.statements, plan, window),
                now=partial(datetime.now, UTC),
                say=self.log.warning,
            )
            facts = facts_of(
                note, self._manifest(plan, window, note), run_id=context["run_id"], attempt=attempt,
                reason=request.reason, by=request.by,
                databricks_run=note.loaded.run_page_url if note.loaded else None,
            )  # fmt: skip
            summary = summarise(plan, window, facts, clients)
            self.log.info("%s", summary.document.line)
            # one page for a chunk: whoever is paged by its first bad window finds the others in the run
            if summary.document.outcome == "green" or not paged:
                tell(plan, window, summary, "backfill")
            paged = paged or summary.document.outcome != "green"
        if notes and not failures(notes) and all(note.published for note in notes.values()):
            notebook.delete()

    def _ended(self, notebook: Notebook) -> dict[Window, Note]:
        """Of a cancelled chunk only the windows that came to an end: nobody waits for the others, so nobody is told."""
        if not notebook.cancelled():
            return notebook.read()
        with suppress(LandingConflict):  # cancelled before extract was done
            return {window: note for window, note in notebook.read().items() if note.published or note.failure}
        return {}

    def _manifest(self, plan: TablePlan, window: Window, note: Note) -> Any:
        """From landing, or from staging where it has not come that far; None when it is nowhere."""
        from tenantdags.model.errors import TenantDagsError

        if note.load_id is None:
            return None
        with suppress(TenantDagsError):
            return world.landing(plan, window).read_manifest(plan, window, note.load_id)
        with suppress(TenantDagsError):
            return world.staging(plan).read_manifest(plan, note.load_id, window)
        return None


_DOC = """\
One run loads one chunk of a table's history: one pass over the source, one notebook run, and each window judged and
published by itself. A window that fails stops no other; the run is red then and names it.

Start it with `tenantdags backfill --bulk`, which cuts the dates into chunks and tells first what it would do; the same
command again takes up what is left. See `docs/backfill.md`.
"""
