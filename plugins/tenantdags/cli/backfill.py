"""`tenantdags backfill`: windows of a date range through Airflow's API, with brakes; and what became of it."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tenantdags.cli.choice import TenantOption, chosen
from tenantdags.cli.options import ProjectOption, refuse, root_of
from tenantdags.model.backfill import (
    Again,
    Backfill,
    Bound,
    Request,
    bounds,
    bulk_refusals,
    chunks,
    decide,
    refusals,
    to_lines,
    usable_reason,
)
from tenantdags.model.errors import AirflowError, RunError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.model.words import counted

if TYPE_CHECKING:
    from tenantdags.steps.airflow_answers import DagRun
    from tenantdags.steps.airflow_api import AirflowApi
    from tenantdags.steps.backfill import Active
    from tenantdags.steps.bulk import Notebook
    from tenantdags.steps.statements import Statements

LOOK_AGAIN = 5.0  # seconds

backfill = typer.Typer(
    help="Load the windows of a date range again, or for the first time: tells what it would take; with --yes, does it."
)

Whose = Annotated[str | None, typer.Option("--tenant", help="Whose windows.")]
TableOfIt = Annotated[str | None, typer.Option("--table", help="One table of the tenant. Default: its event tables.")]
Start = Annotated[str | None, typer.Option("-s", "--start-date", help="The first day, in the tenant's time zone.")]
End = Annotated[str | None, typer.Option("-e", "--end-date", help="The last day, included.")]
Reason = Annotated[str | None, typer.Option(help="Why, in words; it stands in every run and its QA summary.")]
Failed = Annotated[bool, typer.Option("--rerun-failed-tasks", help="Also the windows whose run failed.")]
Reset = Annotated[bool, typer.Option("--reset-dagruns", help="Also the windows whose run succeeded.")]
Backwards = Annotated[bool, typer.Option("-B", "--run-backwards", help="The newest window first.")]
AtOnce = Annotated[int | None, typer.Option("--max-active-runs", help="Windows at once. Default: what the tenant may.")]
AnyTime = Annotated[bool, typer.Option("--outside-hours", help="Begin at once, whatever the tenant's backfill.hours.")]
Paused = Annotated[bool, typer.Option("--while-paused", help="Queue the runs of a paused DAG until it is unpaused.")]
Bulk = Annotated[bool, typer.Option("--bulk", help="Many windows with one source pass and one notebook run per chunk.")]
Chunk = Annotated[int, typer.Option("--chunk", min=1, max=366, help="With --bulk: windows per chunk.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without it, nothing is changed.")]
Id = Annotated[int, typer.Argument(help="The backfill's number, as `tenantdags backfill status` tells it.")]
IdOrNone = Annotated[int | None, typer.Argument(help="The backfill's number; of a bulk load --tenant instead.")]
BulkOf = Annotated[str | None, typer.Option("--tenant", help="Whose bulk load.")]
TableOfBulk = Annotated[str | None, typer.Option("--table", help="Of this table alone.")]


@backfill.callback(invoke_without_command=True)
def create(
    context: typer.Context,
    start: Start = None,
    end: End = None,
    tenant: Whose = None,
    table: TableOfIt = None,
    reason: Reason = None,
    rerun_failed: Failed = False,
    reset: Reset = False,
    backwards: Backwards = False,
    at_once: AtOnce = None,
    outside_hours: AnyTime = False,
    while_paused: Paused = False,
    bulk: Bulk = False,
    chunk: Chunk = 31,
    no_wait: NoWait = False,
    yes: Yes = False,
    project: ProjectOption = None,
) -> None:
    """Load the windows of a date range again, or for the first time, with brakes: tells first, acts with --yes."""
    if context.invoked_subcommand:
        return
    first, last = _bounds(start, end)
    plans = _plans(chosen(root_of(project), _named(tenant), table), table)
    request = Request(by=getpass.getuser(), reason=_reason(reason), outside_hours=outside_hours)
    again: Again = "completed" if reset else "failed" if rerun_failed else "none"
    if bulk:
        with _errors_shown():
            _bulk(plans, first, last, request, chunk, reset, no_wait, yes, _airflow())
        return
    if no_wait and len(plans) > 1:
        raise refuse("several tables go one after the other, so somebody has to wait; name one with --table")
    with _errors_shown():
        api = _airflow()
        decided = _decided(plans, first, last, again, at_once, backwards, while_paused, outside_hours, api)
        if not yes:
            typer.echo("nothing was made; --yes does it")
            return
        failed = sum(_run(each, plan, request, at_once, backwards, no_wait, api) for plan, each in decided)
    if failed:
        raise typer.Exit(1)


@backfill.command()
def status(tenant: TenantOption = None) -> None:
    """Tell every backfill that has not ended, and how far it is."""
    from tenantdags.steps.backfill import active, bulk_runs

    with _errors_shown():
        api = _airflow()
        found = [_told(each) for each in active(api) if tenant in (None, each.tenant)]
        found += [_chunk_told(run) for run in bulk_runs(api) if tenant in (None, run.conf.get("tenant"))]
    for line in found:
        typer.echo(line)
    if not found:
        typer.echo("no backfill is running")


@backfill.command()
def pause(number: Id) -> None:
    """Let a backfill start no further window; the windows that have begun are finished."""
    with _errors_shown():
        found = _airflow().pause_backfill(number)
    typer.echo(f"backfill {number} of {found.dag_id} is paused; `tenantdags backfill resume {number}` lets it go on")


@backfill.command()
def resume(number: Id) -> None:
    """Let a paused backfill go on."""
    with _errors_shown():
        found = _airflow().pause_backfill(number, paused=False)
    typer.echo(f"backfill {number} of {found.dag_id} goes on")


@backfill.command()
def cancel(
    number: IdOrNone = None, tenant: BulkOf = None, table: TableOfBulk = None, yes: Yes = False,
    project: ProjectOption = None,
) -> None:  # fmt: skip
    """End a backfill: the windows that wait fail and keep what readers see, those that have begun are finished.

    Of a bulk load (--tenant) all chunks that are not finished: published windows stay, no other one is published.
    """
    if (number is None) == (tenant is None) or (table and not tenant):
        raise refuse("say which: the number of a backfill, or --tenant of a bulk load; `tenantdags backfill status`")
    with _errors_shown():
        if number is not None:
            _cancel(number, yes, _airflow())
        else:
            _cancel_bulk(chosen(root_of(project), _named(tenant), table), yes, _airflow())


def _cancel(number: int, yes: bool, api: AirflowApi) -> None:
    from tenantdags.steps.backfill import Active, runs_of

    found = api.backfill(number)
    typer.echo(_told(Active(found, runs_of(api, found))))
    if not yes:
        typer.echo(f"nothing was changed; `tenantdags backfill cancel {number} --yes` ends it")
        return
    api.cancel_backfill(number)
    typer.echo(f"backfill {number} is ended; the same dates with --rerun-failed-tasks take up what is left")


def _cancel_bulk(plans: Sequence[TablePlan], yes: bool, api: AirflowApi) -> None:
    from tenantdags.steps.backfill import bulk_runs, cancel_chunk

    known = {(plan.tenant, plan.table): plan for plan in plans}
    found = [(known.get((str(run.conf.get("tenant")), str(run.conf.get("table")))), run) for run in bulk_runs(api)]
    mine = [(plan, run) for plan, run in found if plan]
    if not mine:
        raise refuse(f"no bulk load of {plans[0].tenant} is running")
    for _, run in mine:
        typer.echo(_chunk_told(run))
    if not yes:
        typer.echo("nothing was changed; --yes ends it")
        return
    for plan, run in reversed(mine):  # the one that runs last, or the next would begin meanwhile
        end_notebook = partial(_end_notebook, plan)
        how = cancel_chunk(run, _notebook(plan, run), getpass.getuser(), datetime.now(UTC), api, end_notebook)
        typer.echo(f"{run.conf.get('first')} to {run.conf.get('last')}: {how}")
    typer.echo("published windows stay; the command of the load takes up the others")


def _bulk(
    plans: Sequence[TablePlan], first: Bound, last: Bound, request: Request, size: int, again: bool, no_wait: bool,
    yes: bool, api: AirflowApi,
) -> None:  # fmt: skip
    """The chunks of all tables, parents first; windows that readers see already are left, unless they are meant too."""
    from tenantdags.steps.backfill import follow_chunks, make_chunk

    now = datetime.now(UTC)
    planned = [(plan, part) for plan in plans for part in _chunks(plan, first, last, size, again, now, api)]
    if not planned:
        raise refuse("nothing to do: readers see all of it; --reset-dagruns loads it again")
    if not yes:
        typer.echo("nothing was made; --yes does it")
        return
    made = [make_chunk(plan, part, request, now, api, again=again) for plan, part in planned]
    typer.echo(f"{counted(len(made), 'chunk')} queued as runs of tenantdags_bulk")
    if no_wait:
        typer.echo("not waiting; `tenantdags backfill status` tells how far they are")
        return
    try:
        failed = follow_chunks(made, api, typer.echo, lambda: time.sleep(LOOK_AGAIN))
    except KeyboardInterrupt:
        typer.echo("\nstopped waiting; the load goes on, and the same command takes up what it leaves")
        raise typer.Exit(1) from None
    if failed:
        typer.echo("the same command again takes up the windows that are not published")
        raise typer.Exit(1)


def _chunks(
    plan: TablePlan, first: Bound, last: Bound, size: int, again: bool, now: datetime, api: AirflowApi
) -> tuple[tuple[Window, ...], ...]:
    """Of one table, told; exits with 1 where it may not be loaded."""
    from tenantdags.steps.backfill import active, over_caps, target_of

    each = decide(target_of(plan, first, last, api), first, last, "completed")
    errors = [*bulk_refusals(each, now), *over_caps(plan, 1, active(api), api.pools())]
    if errors:
        raise refuse("\n".join([*map(str, errors), "nothing was made"]))
    seen = _published(plan, while_paused=True)
    wanted = [window for window in each.windows if again or window.start not in seen]
    found = chunks(wanted, size)
    said = f"{counted(len(wanted), 'window')} in {counted(len(found), 'chunk')} of at most {size}"
    left = len(each.windows) - len(wanted)
    typer.echo(f"{plan.dag_id}: {said}, each one source pass and one Databricks run")
    if left:
        typer.echo(f"  {counted(left, 'window')} left as they are, for readers see them")
    return found


def _decided(
    plans: Sequence[TablePlan], first: Bound, last: Bound, again: Again, at_once: int | None, backwards: bool,
    while_paused: bool, outside_hours: bool, api: AirflowApi,
) -> list[tuple[TablePlan, Backfill]]:  # fmt: skip
    """What will be made, told; all or nothing: with one reason against one of them, all reasons are told."""
    from tenantdags.steps.backfill import active, over_caps, target_of

    now, others, pools = datetime.now(UTC), active(api), api.pools()
    decided: list[tuple[TablePlan, Backfill]] = []
    errors: list[RunError] = []
    for plan in plans:
        try:
            each = decide(target_of(plan, first, last, api), first, last, again)
            errors += refusals(each, now, while_paused=while_paused, published=_published(plan, while_paused))
            errors += over_caps(plan, at_once or plan.backfill.max_active_runs, others, pools)
            decided.append((plan, each))
        except RunError as error:
            errors.append(error)
    if errors:
        raise refuse("\n".join([*map(str, errors), "nothing was made"]))
    for plan, each in decided:
        _tell(plan, each, at_once or plan.backfill.max_active_runs, backwards, outside_hours, now, api)
    if not any(each.made for _, each in decided):
        raise refuse("nothing to do; --rerun-failed-tasks and --reset-dagruns run windows again")
    return [(plan, each) for plan, each in decided if each.made]


def _published(plan: TablePlan, while_paused: bool) -> frozenset[datetime]:
    """Only who hands a paused DAG on to behind what was loaded already has to know it."""
    if not while_paused:
        return frozenset()
    from tenantdags.steps import publish_log

    found = publish_log.read(plan, _statements(plan))
    return frozenset(row.fact.window_start for row in found)


def _tell(
    plan: TablePlan, each: Backfill, at_once: int, backwards: bool, outside_hours: bool, now: datetime, api: AirflowApi
) -> None:
    from tenantdags.steps.backfill import Past, expected, expected_lines, past_of

    try:
        past = past_of(plan, api, _statements(plan))
    except (RunError, AirflowError) as error:
        typer.echo(f"what it will take is not known: {error}", err=True)
        past = Past()
    will = expected_lines(expected(each, past, at_once), plan, now, outside_hours=outside_hours)
    lines = [*to_lines(each, at_once, backwards), *will]
    typer.echo("\n".join(lines))


def _run(
    each: Backfill, plan: TablePlan, request: Request, at_once: int | None, backwards: bool, no_wait: bool,
    api: AirflowApi,
) -> int:  # fmt: skip
    """The number of windows that failed."""
    from tenantdags.steps.backfill import follow, hand_on, make, wait_for_closing

    def closed() -> bool:
        number = each.target.closing
        return number is None or api.backfill(number).completed_at is not None

    def pause() -> None:
        time.sleep(LOOK_AGAIN)

    wait_for_closing(each.target, closed, pause, LOOK_AGAIN)
    made = make(each, request, at_once or plan.backfill.max_active_runs, backwards, api, pause)
    typer.echo(f"{plan.dag_id}: backfill {made.id} made")
    if each.is_ahead:
        typer.echo(hand_on(each, api, pause))
    if no_wait:
        typer.echo("not waiting; `tenantdags backfill status` tells how far it is")
        return 0
    try:
        failed = follow(made, each, api, typer.echo, pause)
    except KeyboardInterrupt:
        typer.echo("\nstopped waiting; the backfill goes on, and the same command takes up what it has not made yet")
        raise typer.Exit(1) from None
    typer.echo(f"{plan.dag_id}: {len(each.made) - failed} succeeded, {failed} failed")
    return failed


def _told(each: Active) -> str:
    """`backfill 7  acme__orders  2026-10-31 23:00Z to …  7 windows: 3 succeeded, 4 queued; anna: rates were wrong`."""
    found = each.backfill
    request = Request.from_conf(found.conf)
    span = f"{found.first:%Y-%m-%dT%HZ} to {found.last:%Y-%m-%dT%HZ}"
    why = f"; {request.by or 'somebody'}: {request.reason}" if request.reason else ""
    state = " (ended)" if found.completed_at else " (paused)" if found.paused else ""
    return f"backfill {found.id}{state}  {found.dag_id}  {span}  {each.counted()}{why}"


def _chunk_told(run: DagRun) -> str:
    """`bulk acme orders 2026-11-01 to 2026-11-30  running; anna: first load`."""
    request, conf = Request.from_conf(run.conf), run.conf
    why = f"; {request.by or 'somebody'}: {request.reason}" if request.reason else ""
    return f"bulk {conf.get('tenant')} {conf.get('table')} {conf.get('first')} to {conf.get('last')}  {run.state}{why}"


def _bounds(start: str | None, end: str | None) -> tuple[Bound, Bound]:
    if not start or not end:
        raise refuse("say from when to when: -s 2026-11-01 -e 2026-11-07")
    try:
        return bounds(start, end)
    except ValueError as error:
        raise refuse(str(error)) from None


def _named(tenant: str | None) -> str:
    if tenant is None:
        raise refuse("say whose windows: --tenant acme, and --table orders for one table")
    return tenant


def _reason(reason: str | None) -> str:
    if reason is None:
        raise refuse('say why: --reason "…" stands in every run and its QA summary')
    try:
        return usable_reason(reason)
    except ValueError as error:
        raise refuse(str(error)) from None


def _plans(plans: Sequence[TablePlan], table: str | None) -> Sequence[TablePlan]:
    """Of a tenant's tables the snapshots are left out; one that is named is told why it cannot be."""
    if table is not None:
        return plans
    for plan in plans:
        if plan.contract.mode != "event":
            typer.echo(f"{plan.dag_id}: left out, a snapshot table")
    found = [plan for plan in plans if plan.contract.mode == "event"]
    if not found:
        raise refuse("none of them can be backfilled")
    return found


def _airflow() -> AirflowApi:
    # Airflow reads it at import; what its clients log of a failure, our errors say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag import world

    return world.airflow_api("backfill")


def _notebook(plan: TablePlan, run: DagRun) -> Notebook:
    from tenantdags.dag import world
    from tenantdags.steps.bulk import Notebook

    return Notebook(plan, run.run_id, world.landing(plan, "backfill").blobs)


def _end_notebook(plan: TablePlan, run_id: int) -> None:
    from tenantdags.dag import world

    try:
        world.cancel_notebook(plan, run_id, "backfill")
    except RunError as error:
        typer.echo(str(error), err=True)


def _statements(plan: TablePlan) -> Statements:
    from tenantdags.dag import world

    return world.statements(plan, "backfill")


@contextmanager
def _errors_shown() -> Iterator[None]:
    try:
        yield
    except (RunError, AirflowError) as error:
        raise refuse(str(error)) from None
