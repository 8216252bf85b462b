"""A backfill with brakes, through Airflow's REST API: what is known of a table, what it costs, making and following it.

The windows and most refusals are model/backfill.py's; here are those that depend on others: caps and pools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import TypeVar

from tenantdags.model.backfill import (
    BULK,
    CLOSES_WITHIN,
    Backfill,
    Bound,
    Request,
    Target,
    bounds,
    half_made,
    not_closed,
    windows_between,
)
from tenantdags.model.errors import AirflowBusy, AirflowConflict, AirflowNotFound, AirflowUnreachable, WindowRefused
from tenantdags.model.plan import TablePlan
from tenantdags.model.pools import of_backfills
from tenantdags.model.window import Window, window_at, window_named
from tenantdags.model.words import counted
from tenantdags.steps import airflow_answers as answers
from tenantdags.steps import publish_log
from tenantdags.steps.airflow_api import ANY, BACKFILL, AirflowApi
from tenantdags.steps.bulk import Notebook
from tenantdags.steps.qa_summary import STEPS
from tenantdags.steps.statements import Statements

T = TypeVar("T")

LIVE = ("queued", "running")
PARSED_WITHIN = 24  # looks
TRIES = 5  # of making one, while Airflow's database is locked
LOOKED_AT = 100  # the newest tasks that say how long an extract takes
EXTRACT, LOAD, PUBLISH, SUMMARISE, SUMMARY = "extract", "load", "publish", "summarise", "summary"
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")  # of a task


@dataclass(frozen=True, slots=True)
class Active:
    """A backfill that has not ended, and the runs it made."""

    backfill: answers.Backfill
    runs: tuple[answers.DagRun, ...]

    @property
    def tenant(self) -> str:
        return self.backfill.dag_id.partition("__")[0]

    def counted(self) -> str:
        """`7 windows: 3 succeeded, 1 failed, 1 running, 2 queued`."""
        states = [run.state for run in self.runs]
        words = (("success", "succeeded"), ("failed", "failed"), ("running", "running"), ("queued", "queued"))
        found = ", ".join(f"{states.count(state)} {word}" for state, word in words if state in states)
        return f"{counted(len(states), 'window')}: {found or 'none made yet'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier runs of the table tell: rows readers see by window, and seconds of an extract and of a whole run."""

    rows: Mapping[datetime, int] = field(default_factory=dict)
    extract_seconds: float | None = None
    run_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a backfill will take, as far as the past tells; None where it does not."""

    windows: int
    rows: int | None
    source: timedelta | None
    databricks_runs: int
    duration: timedelta | None


def target_of(plan: TablePlan, first: Bound, last: Bound, api: AirflowApi) -> Target:
    """The table's DAG as Airflow has it. Raises WindowRefused for one it does not have, or not as a whole."""
    try:
        dag = api.dag(plan.dag_id)
    except AirflowNotFound:
        what = "Airflow has no such DAG."
        raise WindowRefused(plan.dag_id, what, "Wait until it is parsed; `airflow dags list-import-errors`.") from None
    if dag.stale:
        raise WindowRefused(plan.dag_id, "the DAG is stale: its loader fails.", "`tenantdags check` tells why.")
    schedule = plan.schedule
    try:
        windows = windows_between(first, last, schedule.every, schedule.time_zone)
    except ValueError:
        windows = ()  # whoever decides says it
    unfinished = next((each for each in api.backfills(plan.dag_id) if each.completed_at is None), None)
    ended = unfinished is not None and _has_ended(api, unfinished)
    return Target(
        dag_id=plan.dag_id,
        every=schedule.every,
        zone=schedule.time_zone,
        first_window=schedule.first_window,
        snapshot=plan.contract.mode != "event",
        paused=dag.paused,
        next_start=dag.next_start,
        running=unfinished.id if unfinished and not ended else None,
        closing=unfinished.id if unfinished and ended else None,
        runs=_states(api, plan.dag_id, windows),
        live=_live(api, plan),
    )


def _has_ended(api: AirflowApi, backfill: answers.Backfill) -> bool:
    """One without runs is still being made."""
    runs = runs_of(api, backfill)
    return bool(runs) and all(run.finished for run in runs)


def _states(api: AirflowApi, dag_id: str, windows: Sequence[Window]) -> dict[datetime, str]:
    if not windows:
        return {}
    span = {"logical_date_gte": windows[0].start.isoformat(), "logical_date_lte": windows[-1].start.isoformat()}
    return {run.logical_date: run.state for run in api.runs(dag_id, **span) if run.logical_date}


def _live(api: AirflowApi, plan: TablePlan) -> frozenset[datetime]:
    """The windows that unfinished runs are at: by their interval, or by the window a run by hand names."""
    found = {_window_start(run, plan) for run in api.runs(plan.dag_id, state=list(LIVE))}
    mine = (
        run for run in bulk_runs(api) if (run.conf.get("tenant"), run.conf.get("table")) == (plan.tenant, plan.table)
    )
    return frozenset(start for start in found if start).union(*(_chunk_starts(run, plan) for run in mine))


def _chunk_starts(run: answers.DagRun, plan: TablePlan) -> set[datetime]:
    try:
        span = bounds(str(run.conf.get("first")), str(run.conf.get("last")))
        return {w.start for w in windows_between(*span, plan.schedule.every, plan.schedule.time_zone)}
    except ValueError:
        return set()  # the run will say so itself


def _window_start(run: answers.DagRun, plan: TablePlan) -> datetime | None:
    every, zone = plan.schedule.every, plan.schedule.time_zone
    named = run.conf.get("window")
    if isinstance(named, str):
        try:
            return window_named(named, every, zone).start
        except ValueError:
            return None  # the run will say so itself
    return window_at(run.start, every, zone).start if run.start else None


def active(api: AirflowApi) -> tuple[Active, ...]:
    """Every backfill that has an unfinished run, of any DAG, the oldest first."""
    dags = sorted({run.dag_id for run in api.runs(ANY, run_type=[BACKFILL], state=list(LIVE))})
    found = [each for dag_id in dags for each in api.backfills(dag_id) if each.completed_at is None]
    return tuple(Active(each, runs_of(api, each)) for each in sorted(found, key=lambda each: each.id))


def runs_of(api: AirflowApi, backfill: answers.Backfill) -> tuple[answers.DagRun, ...]:
    """The runs this backfill made or runs again; a run that it left as it was is older than it."""
    span = {"logical_date_gte": backfill.first.isoformat(), "logical_date_lte": backfill.last.isoformat()}
    runs = api.runs(backfill.dag_id, run_type=[BACKFILL], **span)
    return tuple(run for run in runs if run.queued_at and run.queued_at >= backfill.created_at)


def over_caps(
    plan: TablePlan, wanted: int, others: Iterable[Active], pools: Iterable[answers.PoolUse]
) -> Iterator[WindowRefused]:
    """Why the tenant may not run `wanted` more backfilled windows at once, and which pool of ours Airflow lacks."""
    cap, of_tenant = plan.backfill.max_active_runs, [each for each in others if each.tenant == plan.tenant]
    used = sum(each.backfill.max_active_runs for each in of_tenant)
    if wanted > cap:
        what = f"{wanted} at once are more than backfill.max_active_runs of {plan.tenant} allows, {cap}."
        yield WindowRefused(plan.dag_id, what, f"Say --max-active-runs {cap}, or raise it in {plan.file}.")
    elif used + wanted > cap:
        held = " and ".join(f"backfill {each.backfill.id} of {each.backfill.dag_id}" for each in of_tenant)
        what = f"{held} may run {used} of the {cap} windows that backfills of {plan.tenant} run at once."
        remedy = "Wait for its end"
        remedy += f", or say --max-active-runs {cap - used}." if used < cap else "."
        yield WindowRefused(plan.dag_id, what, remedy)
    known = {pool.name for pool in pools}
    missing = [name for name in map(of_backfills, (plan.pools.source, plan.pools.curated)) if name not in known]
    if missing:
        what = f"Airflow lacks the pool {' and '.join(missing)}, so no task of it would start."
        yield WindowRefused(plan.dag_id, what, "Run `tenantdags apply`.")


def past_of(plan: TablePlan, api: AirflowApi, statements: Statements) -> Past:
    """Raises Databricks… and Airflow… errors."""
    rows: dict[datetime, tuple[int, int]] = {}
    for found in publish_log.read(plan, statements):
        fact = found.fact
        rows[fact.window_start] = max(rows.get(fact.window_start, (0, 0)), (fact.generation, fact.rows))
    tasks = api.newest_tasks(plan.dag_id, LOOKED_AT, state=["success"])
    extracts = [task.seconds for task in tasks if task.task_id == EXTRACT and task.seconds is not None]
    begun, ended = _spans(tasks)
    spans = [(ended[run] - begun[run]).total_seconds() for run in begun.keys() & ended.keys()]
    return Past(
        rows={start: count for start, (_, count) in rows.items()},
        extract_seconds=fmean(extracts) if extracts else None,
        run_seconds=fmean(spans) if spans else None,
    )


def _spans(tasks: Iterable[answers.TaskInstance]) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """Per run when its extract began and when its summary ended."""
    found = list(tasks)
    begun = {task.run_id: task.started_at for task in found if task.task_id == EXTRACT and task.started_at}
    ended = {task.run_id: task.ended_at for task in found if task.task_id == SUMMARISE and task.ended_at}
    return begun, ended


def expected(backfill: Backfill, past: Past, at_once: int) -> Expected:
    """A window that is published has its rows again; of another the mean of those that are."""
    made, mean = backfill.made, fmean(past.rows.values()) if past.rows else None
    counts = [past.rows.get(window.start, mean) for window in made]
    known = [count for count in counts if count is not None]
    return Expected(
        windows=len(made),
        rows=round(sum(known)) if len(known) == len(counts) else None,
        source=timedelta(seconds=past.extract_seconds * len(made)) if past.extract_seconds is not None else None,
        databricks_runs=len(made),
        # extracts go one by one through the backfills' slot, whatever else runs at once
        duration=_duration(past, len(made), at_once),
    )


def _duration(past: Past, windows: int, at_once: int) -> timedelta | None:
    if past.run_seconds is None:
        return None
    return timedelta(seconds=max(past.run_seconds * windows / at_once, (past.extract_seconds or 0.0) * windows))


def bulk_runs(api: AirflowApi) -> tuple[answers.DagRun, ...]:
    """The chunks of bulk loads that are not finished; none in an Airflow without that DAG."""
    try:
        return api.runs(BULK, state=list(LIVE))
    except AirflowNotFound:
        return ()


def make_chunk(
    plan: TablePlan, windows: Sequence[Window], request: Request, now: datetime, api: AirflowApi, *, again: bool
) -> answers.DagRun:
    """Queues one run of the bulk DAG. Raises AirflowNotFound without it."""
    span, stamp = f"{windows[0]}__{windows[-1]}", f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    slots = {"extract": of_backfills(plan.pools.source), "load": of_backfills(plan.pools.curated)}
    conf = {
        "tenant": plan.tenant, "table": plan.table, "first": windows[0].key, "last": windows[-1].key, "again": again,
        **replace(request, slots=slots).to_conf(),
    }  # fmt: skip
    run_id = f"bulk__{plan.tenant}__{plan.table}__{span}__{stamp}"
    return api.trigger(BULK, dag_run_id=run_id, conf=conf, note=request.reason)


def follow_chunks(
    made: Sequence[answers.DagRun], api: AirflowApi, say: Callable[[str], None], pause: Callable[[], None]
) -> int:
    """Tells each chunk when it has ended; the number of those that failed."""
    waiting, failed, away = {run.run_id: run for run in made}, 0, False
    while waiting:
        for run_id in list(waiting):
            try:
                run = api.run(BULK, run_id)
                away = False
            except (AirflowUnreachable, AirflowBusy) as error:
                if not away:
                    say(f"{error.what} Asking again; the load does not depend on it.")
                away = True
                break
            if run.finished:
                del waiting[run_id]
                failed += run.state == "failed"
                say(f"{len(made) - len(waiting)}/{len(made)} {_chunk_ended(run, api)}")
        if waiting:
            pause()
    return failed


def cancel_chunk(
    run: answers.DagRun,
    notebook: Notebook,
    by: str,
    now: datetime,
    api: AirflowApi,
    end_notebook: Callable[[int], None],
) -> str:
    """Ends an unfinished chunk and says how.

    The mark comes first: a step that begins behind it ends by itself. One that publishes is never ended from here.
    """
    notebook.cancel(by, now)
    if run.state == "queued":
        return "it ends when its turn comes, before it reads anything"
    states = {task.task_id: task.state for task in api.tasks(BULK, run.run_id)}
    at = next((step for step in STEPS if states.get(step) not in ENDED), None)
    if at in (None, PUBLISH):
        return "it finishes the window that it publishes, and begins no other"
    api.fail_task(BULK, run.run_id, str(at))
    started = api.xcom(BULK, run.run_id, LOAD, "run_id") if at == LOAD else None
    if started is not None:
        end_notebook(int(started))
    return f"its {at} is ended; nothing of it was published"


def _chunk_ended(run: answers.DagRun, api: AirflowApi) -> str:
    conf, said = run.conf, api.xcom(BULK, run.run_id, "publish", "result") or "nothing was published; see the run"
    spent = run.ended_at - run.started_at if run.ended_at and run.started_at else timedelta()
    span = f"{conf.get('tenant')} {conf.get('table')} {conf.get('first')} to {conf.get('last')}"
    return f"{span} {run.state} in {spent.total_seconds():.0f} s: {said}"


def wait_for_closing(target: Target, closed: Callable[[], bool], pause: Callable[[], None], seconds: float) -> None:
    """Airflow takes a next backfill of the DAG only then. `seconds` lasts a pause. Raises WindowRefused."""
    if target.closing is None:
        return
    for _ in range(int(CLOSES_WITHIN / seconds)):
        if closed():
            return
        pause()
    raise not_closed(target)


def make(
    backfill: Backfill, request: Request, at_once: int, backwards: bool, api: AirflowApi, pause: Callable[[], None]
) -> answers.Backfill:
    """Asks a busy Airflow again: it takes one backfill per DAG, so never two. Raises AirflowConflict when somebody was
    faster, AirflowBusy when it stays so, WindowRefused when it broke off half-way."""

    def create() -> answers.Backfill:
        return api.create_backfill(
            backfill.target.dag_id, backfill.first, backfill.last, max_active_runs=at_once, run_backwards=backwards,
            reprocess_behavior=backfill.again, dag_run_conf=request.to_conf(),
        )  # fmt: skip

    def left() -> answers.Backfill | None:
        with suppress(AirflowBusy, AirflowConflict):
            for each in api.backfills(backfill.target.dag_id):
                if each.completed_at is None and each.conf == request.to_conf():
                    runs = runs_of(api, each)
                    if len(runs) == len(backfill.made):
                        return each
                    if not runs:
                        api.cancel_backfill(each.id)
        return None

    return make_patiently(
        backfill.target, create, left, lambda error: isinstance(error, AirflowBusy), AirflowConflict, pause
    )


def make_patiently(
    target: Target, create: Callable[[], T], left: Callable[[], T | None], is_busy: Callable[[Exception], bool],
    conflict: type[Exception], pause: Callable[[], None],
) -> T:  # fmt: skip
    """Asks up to TRIES times while Airflow's database is locked, which may leave an open backfill of ours.

    That one stands in the way of the next try: `left` returns it when every window has its run, and ends it when none
    has. Raises `conflict` of somebody else's, the last busy error, or WindowRefused when it broke off half-way.
    """
    for number in range(1, TRIES + 1):
        try:
            return create()
        except conflict:
            if number == 1:
                raise
        except Exception as error:
            if number == TRIES or not is_busy(error):
                raise
        pause()
        whole = left()
        if whole is not None:
            return whole
    raise half_made(target)


def hand_on(backfill: Backfill, api: AirflowApi, pause: Callable[[], None]) -> str:
    """Of a paused DAG that the scheduler is to take up behind this backfill: where it goes on, seen in Airflow."""
    target = backfill.target
    api.reparse(target.dag_id)
    for _ in range(PARSED_WITHIN):
        start = api.dag(target.dag_id).next_start
        if start is not None and start > backfill.last:
            goes_on = window_at(start, target.every, target.zone)
            return f"the scheduler goes on with {goes_on} when the DAG is unpaused"
        pause()
    behind = "Airflow has not parsed the DAG's file again; unpause it only then, or the scheduler begins at "
    return f"{behind}{window_at(target.next_start or backfill.first, target.every, target.zone)}"


def follow(
    made: answers.Backfill, backfill: Backfill, api: AirflowApi, say: Callable[[str], None], pause: Callable[[], None]
) -> int:
    """Tells each window when it has ended; the number of those that failed. An Airflow that is away is waited for."""
    windows = {window.start: window for window in backfill.windows}
    told: dict[str, str] = {}
    away = False
    while True:
        try:
            runs = runs_of(api, made)
            away = False
        except (AirflowUnreachable, AirflowBusy) as error:
            if not away:
                say(f"{error.what} Asking again; the backfill does not depend on it.")
            away, runs = True, ()
        for run in sorted(runs, key=lambda run: (run.ended_at or run.run_after, run.run_id)):
            if run.finished and run.run_id not in told:
                told[run.run_id] = run.state
                window = windows.get(run.logical_date) if run.logical_date else None
                say(f"{len(told)}/{len(runs)} {run.dag_id} {window} {_ended(run, api)}")
        if not away and len(told) >= len(runs):
            return sum(state == "failed" for state in told.values())
        pause()


def _ended(run: answers.DagRun, api: AirflowApi) -> str:
    """`failed in 12 s: acme orders 2026-11-03 RED …`: the QA summary's line where it is not green."""
    spent = run.ended_at - run.started_at if run.ended_at and run.started_at else timedelta()
    said = f"{run.state} in {spent.total_seconds():.0f} s"
    if run.state == "success":
        return said
    summary = api.xcom(run.dag_id, run.run_id, SUMMARISE, SUMMARY)
    line = summary.get("line") if isinstance(summary, dict) else None
    return f"{said}: {line}" if line else said


def expected_lines(expect: Expected, plan: TablePlan, now: datetime, *, outside_hours: bool) -> list[str]:
    """What it will take, and when it may begin, for people."""
    rows = f"{expect.rows:,} rows" if expect.rows is not None else "rows not known (nothing is published yet)"
    source = f"{_minutes(expect.source)} of the source" if expect.source is not None else "time at the source not known"
    lines = [f"  expected: {rows}, {source}, {expect.databricks_runs} Databricks run"]
    if expect.databricks_runs != 1:
        lines[0] += "s"
    if expect.duration is not None:
        lines[0] += f"; about {_minutes(expect.duration)}"
    hours, zone = plan.backfill.hours, plan.schedule.time_zone
    opens = hours.opens(now, zone) if hours and not outside_hours else None
    if opens:
        lines.append(f"  begins at {opens.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}: backfill.hours are {hours} {zone}")
    slots = f"{counted(plan.pools.source_backfill_slots, 'extract')} at once"
    lines.append(f"  brakes: {slots} of all backfills through {plan.source.connection}; scheduled runs go first")
    return lines


def _minutes(span: timedelta) -> str:
    minutes = span.total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.1f} minutes" if minutes < 10 else f"{minutes:.0f} minutes"
    return f"{minutes / 60:.1f} hours"
