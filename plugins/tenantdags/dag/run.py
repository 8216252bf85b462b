"""What the tasks of a run share: its window, what they tell each other by XCom, our errors as Airflow's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from tenantdags.dag import traces
from tenantdags.model.backfill import Request
from tenantdags.model.errors import (
    DatabricksTimeout,
    GateError,
    LandingUnreachable,
    PlanChanged,
    RunError,
    SourceBusy,
    WindowRefused,
)
from tenantdags.model.fingerprint import changed, fingerprints
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window, window_named, window_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tenantdags.steps.manifest import Manifest
    from tenantdags.steps.qa_summary import RunFacts, TaskFact
    from tenantdags.steps.report import GateReport, Loaded

EXTRACT, CHECK_EXTRACT, UPLOAD, LOAD = "extract", "check_extract", "upload", "load"
CHECK_LOAD, PUBLISH, SUMMARISE = "check_load", "publish", "summarise"
STEPS = (EXTRACT, CHECK_EXTRACT, UPLOAD, LOAD, CHECK_LOAD, PUBLISH)

WINDOW = "window"  # the key of a run's conf that names its window
# what a step that runs out of time was waiting for
_WAITS_FOR: dict[str, type[RunError]] = {
    EXTRACT: SourceBusy, CHECK_EXTRACT: GateError, UPLOAD: LandingUnreachable, LOAD: DatabricksTimeout,
    CHECK_LOAD: DatabricksTimeout, PUBLISH: DatabricksTimeout,
}  # fmt: skip

# XCom keys
PLAN, MANIFEST, REPORT, MANIFEST_URL = "plan", "manifest", "report", "manifest_url"
LANDED, LOADED, PUBLISHED = "landed", "loaded", "published"
TRY, ERROR, SUMMARY = "try_number", "error", "summary"


def run_window(plan: TablePlan, context: Context) -> Window:
    """The window this run may work on. Raises WindowRefused for an interval off the tenant's grid or too early."""
    window = interval_window(plan, context)
    if window.as_of_date < plan.schedule.first_window:
        what = f"the window lies before first_window {plan.schedule.first_window}."
        raise WindowRefused(plan.at(window), what, f"Set first_window in {plan.file} to an earlier date.")
    traces.say(window=window.key)
    return window


def interval_window(plan: TablePlan, context: Context) -> Window:
    """The window its conf names, or that of its data interval; a run with neither has the last complete one."""
    schedule = plan.schedule
    named = _named_window(context)
    if named is not None:
        try:
            return window_named(named, schedule.every, schedule.time_zone)
        except ValueError as error:
            remedy = "Trigger it with that window in its conf, or with none for the last complete one."
            raise WindowRefused(plan.at("?"), f"the window of the run's conf: {error}.", remedy) from None
    start, end = _interval(context)
    try:
        return window_of(start, end, schedule.every, schedule.time_zone)
    except ValueError as error:
        remedy = f"Trigger with a logical date and no data interval, or back-fill with dates of {schedule.time_zone}."
        raise WindowRefused(plan.at("?"), f"the run's data interval {error}.", remedy) from None


def _named_window(context: Context) -> str | None:
    """Only a run that somebody asked for may be of another window than its dates."""
    run: Any = context["dag_run"]
    if run.run_type not in ("manual", "operator_triggered"):
        return None
    named = (run.conf or {}).get(WINDOW)
    return None if named is None else str(named)


def first_of_schedule(context: Context) -> bool:
    """Whether the scheduler made the run and nobody has cleared it: then nobody asks for a load of its own."""
    dag_run: Any = context["dag_run"]
    return dag_run.run_type == "scheduled" and not dag_run.clear_number


def looks_back(run_id: str) -> bool:
    """Backfills and recounts are of old windows, and other runs look at what lies before those."""
    return run_id.partition("__")[0] not in ("backfill", "recount")


def _interval(context: Context) -> tuple[datetime, datetime]:
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or end is None:
        import pendulum

        timetable: Any = context["dag"].timetable
        start, end = timetable.infer_manual_data_interval(run_after=pendulum.instance(context["dag_run"].run_after))
    return _plain(start), _plain(end)


def _plain(instant: datetime) -> datetime:
    """Pendulum's datetimes print differently; windows are compared and printed as standard ones."""
    return datetime.fromisoformat(instant.isoformat()).astimezone(UTC)


class Forgotten(AirflowFailException):
    """What an earlier task of the run told is gone from Airflow's database. The text is ours: on-call may read it."""


@contextmanager
def failing(context: Context) -> Iterator[None]:
    """Our errors as Airflow's: worth a retry or not. What went wrong is in XCom before the task fails."""
    context["ti"].xcom_push(TRY, context["ti"].try_number)
    traces.say_whose(context)
    try:
        yield
    except (AirflowRescheduleException, AirflowSkipException):
        raise  # it waits, or has nothing to do, and nothing went wrong
    except RunError as error:
        _tell_error(context, error.kind, str(error))
        raise (AirflowException if error.retryable else AirflowFailException)(str(error)) from error
    except AirflowTaskTimeout:
        late = _timed_out(context)
        _tell_error(context, late.kind if late else "internal", str(late) if late else "the task took too long.")
        # its own class: Airflow then calls on_kill, which stops what still runs elsewhere
        raise AirflowTaskTimeout(str(late)) from late
    except Forgotten as error:
        _tell_error(context, "internal", str(error))
        raise
    except Exception as error:
        # The text of an error we do not know may quote a row's value.
        _tell_error(context, "internal", f"{type(error).__name__}; see the log of the task.")
        raise


def may_wait(context: Context, limit: timedelta) -> bool:
    """Whether the task has put itself off for less than `limit`."""
    ti: Any = context["ti"]
    since = ti.get_first_reschedule_date(context)
    return since is None or datetime.now(UTC) - since < limit


def _timed_out(context: Context) -> RunError | None:
    """A step over its time as the kind of what it was waiting for."""
    task: Any = context["task"]
    kind = _WAITS_FOR.get(task.task_id)
    if kind is None:
        return None
    where = task.plan.at("?")
    with suppress(RunError):  # a window off the grid
        where = task.plan.at(interval_window(task.plan, context))
    what = f"{task.task_id} did not end within {task.execution_timeout}."
    return kind(where, what, f"Look at what it waited for in its log, then clear `{task.task_id}`.")


def _tell_error(context: Context, kind: str, text: str) -> None:
    context["ti"].xcom_push(ERROR, {"kind": kind, "text": text})
    traces.say(kind=kind)


def told(context: Context, task_id: str, key: str) -> Any:
    """What another task of this run pushed, or None."""
    return context["ti"].xcom_pull(task_ids=task_id, key=key)


def tell_plan(context: Context, plan: TablePlan) -> None:
    """Extract remembers what it worked by, for `require_same_plan`."""
    context["ti"].xcom_push(PLAN, fingerprints(plan))


def require_same_plan(plan: TablePlan, window: Window | str, context: Context) -> None:
    """Each task reads the files anew. Raises PlanChanged when they came to say something else about this run's data."""
    before = told(context, EXTRACT, PLAN)
    # An extract that told nothing left no manifest either, and whoever needs one says so.
    parts = changed(before, plan) if before else []
    if parts:
        what = f"{', '.join(parts)} changed since extract of this run, so what it staged is not what {plan.file} and "
        what += f"{plan.contract.file} ask for now."
        raise PlanChanged(plan.at(window), what, "Clear `extract` with its downstream to run by the files as they are.")


def tell_manifest(context: Context, manifest: Manifest) -> None:
    context["ti"].xcom_push(MANIFEST, json.loads(manifest.to_json()))


def the_manifest(context: Context) -> Manifest:
    found = manifest_if_any(context)
    if found is None:
        raise Forgotten("extract left no manifest in this run. Remedy: clear extract with its downstream.")
    return found


def manifest_if_any(context: Context) -> Manifest | None:
    from tenantdags.steps.manifest import Manifest

    raw = told(context, EXTRACT, MANIFEST)
    return Manifest.from_json(json.dumps(raw)) if raw else None


def tell_report(context: Context, report: GateReport) -> None:
    context["ti"].xcom_push(REPORT, report.to_dict())


def gate_reports(context: Context) -> tuple[GateReport, ...]:
    """The reports of the gates that have judged so far, in their order."""
    from tenantdags.steps.report import GateReport

    found = (told(context, gate, REPORT) for gate in (CHECK_EXTRACT, CHECK_LOAD))
    return tuple(GateReport.from_dict(raw) for raw in found if raw)


def loaded_if_any(context: Context) -> Loaded | None:
    from tenantdags.steps.report import Loaded

    raw = told(context, LOAD, LOADED)
    return Loaded(**raw) if raw else None


def the_loaded(context: Context) -> Loaded:
    found = loaded_if_any(context)
    if found is None:
        raise Forgotten("load left no result in this run. Remedy: clear load with its downstream.")
    return found


def run_facts(context: Context) -> RunFacts:
    """Everything the steps of this run left behind, as far as they came."""
    from tenantdags.steps.qa_summary import RunFacts
    from tenantdags.steps.report import Published

    published = told(context, PUBLISH, PUBLISHED)
    ti: Any = context["ti"]
    ended = {found["task_id"]: found for found in ti.get_task_breadcrumbs(ti.dag_id, ti.run_id)}
    request = request_of(context)
    return RunFacts(
        run_id=ti.run_id,
        # Clearing a task makes another attempt of the run, with a summary of its own.
        attempt=f"{ti.run_id}.{context['dag_run'].clear_number or 0}",
        tasks=tuple(_task_fact(context, step, ended.get(step, {})) for step in STEPS),
        manifest=manifest_if_any(context),
        gates=gate_reports(context),
        landed=told(context, UPLOAD, LANDED),
        loaded=loaded_if_any(context),
        published=Published(**published) if published else None,
        databricks_run=told(context, LOAD, "run_page_url"),
        reason=request.reason,
        by=request.by,
    )


def request_of(context: Context) -> Request:
    """What whoever made the run has said with it."""
    return Request.from_conf(context["dag_run"].conf)


def may_begin(plan: TablePlan, context: Context) -> datetime | None:
    """When a backfilled window may begin, by the tenant's hours for backfills; None for at once, as all others may."""
    hours = plan.backfill.hours
    if hours is None or context["dag_run"].run_type != "backfill" or request_of(context).outside_hours:
        return None
    return hours.opens(datetime.now(UTC), plan.schedule.time_zone)


def _task_fact(context: Context, step: str, ended: Mapping[str, Any]) -> TaskFact:
    from tenantdags.steps.qa_summary import TaskFact

    error = told(context, step, ERROR) or {}
    return TaskFact(
        task_id=step,
        state=ended.get("state"),
        try_number=told(context, step, TRY) or 0,
        seconds=ended.get("duration"),
        error_kind=error.get("kind"),
        error_text=error.get("text"),
    )
