"""`airflow dags backfill`: a range of dates as one Airflow backfill per DAG, decided and refused before any is made.

Works on Airflow's metadata database, as `airflow backfill create` does.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow.models.backfill import (
    AlreadyRunningBackfill,
    BackfillDagRun,
    NoBackfillRunsToCreate,
    ReprocessBehavior,
    _create_backfill,
)
from airflow.models.backfill import Backfill as AirflowBackfill
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.xcom import XComModel
from airflow.sdk.exceptions import AirflowException
from airflow.utils.cli import action_cli
from airflow.utils.platform import getuser
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import is_lock_not_available_error
from sqlalchemy import and_, select
from sqlalchemy.exc import OperationalError

from tenantdags.dag.run import SUMMARISE, SUMMARY
from tenantdags.dag.timetable import TenantTimetable
from tenantdags.model.backfill import (
    Again,
    Backfill,
    Bound,
    Request,
    Target,
    bounds,
    decide,
    refusals,
    to_lines,
    usable_reason,
)
from tenantdags.model.errors import WindowRefused
from tenantdags.model.fields import suggestion
from tenantdags.steps.backfill import make_patiently, wait_for_closing

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LOOK_AGAIN = 2.0  # seconds
ENDED = ("success", "failed")


@action_cli  # type: ignore[untyped-decorator]  # core types it not
@providers_configuration_loaded
def backfill(args: Namespace) -> None:
    """Exits with 0 when every window succeeded, with 1 when one failed or nothing was done."""
    _quieten()
    first, last = _bounds(args)
    request = Request(by=getuser(), reason=_reason(args))
    with create_session() as session:
        targets = _targets(args, session, _selected(args, session))
    decided = _decided(args, targets, first, last)
    for each in decided:
        print("\n".join(to_lines(each, args.max_active_runs, args.run_backwards, args.listed)))
    if args.dry_run:
        print("dry run: nothing was made")
        return
    _confirm(args, decided)
    made = _make_all(args, decided, request)
    if args.no_wait:
        print("not waiting; `tenantdags backfill status` shows how far they are")
    elif not _wait(made):
        raise SystemExit(1)


def _quieten() -> None:
    """Airflow logs two lines per run it makes, between what is printed here."""
    with suppress(ImportError):  # a convenience is no reason to fail in a later core
        from airflow._shared.logging.structlog import PER_LOGGER_LEVELS

        PER_LOGGER_LEVELS["airflow"] = logging.WARNING
        PER_LOGGER_LEVELS["py.warnings"] = logging.ERROR


def _bounds(args: Namespace) -> tuple[Bound, Bound]:
    try:
        return bounds(args.start_date, args.end_date)
    except ValueError as error:
        raise SystemExit(str(error)) from None


def _reason(args: Namespace) -> str | None:
    try:
        return usable_reason(args.reason) if args.reason is not None else None
    except ValueError as error:
        raise SystemExit(str(error)) from None


def _again(args: Namespace) -> Again:
    if args.reset_dagruns:
        return "completed"
    return "failed" if args.rerun_failed_tasks else "none"


def _selected(args: Namespace, session: Session) -> list[str]:
    """The ids of the DAGs that are meant, all of them known and not stale."""
    if (args.dag_id is None) == (args.tenant is None) or (args.table and not args.tenant):
        raise SystemExit("name one DAG, such as acme__orders, or --tenant acme, with --table or without")
    known = session.scalars(select(DagModel.dag_id).where(DagModel.is_stale.is_(False)).order_by(DagModel.dag_id)).all()
    if args.treat_dag_id_as_regex and args.dag_id:
        return _matching(args.dag_id, known)
    if args.dag_id or args.table:
        dag_id = args.dag_id or f"{args.tenant}__{args.table}"
        if dag_id not in known:
            raise SystemExit(_unknown(dag_id, known, session))
        return [dag_id]
    tenants = {dag_id.partition("__")[0] for dag_id in known if "__" in dag_id}
    if args.tenant not in tenants:
        raise SystemExit(f"no tenant {args.tenant!r} has DAGs{suggestion(args.tenant, tenants)}")
    return [dag_id for dag_id in known if dag_id.partition("__")[0] == args.tenant]


def _matching(pattern: str, known: Sequence[str]) -> list[str]:
    try:
        found = [dag_id for dag_id in known if re.match(pattern, dag_id)]
    except re.error as error:
        raise SystemExit(f"{pattern!r} is no regular expression: {error}") from None
    if not found:
        raise SystemExit(f"{pattern!r} matches none of {len(known)} DAGs")
    return found


def _unknown(dag_id: str, known: Sequence[str], session: Session) -> str:
    if session.get(DagModel, dag_id):
        return f"DAG {dag_id!r} is stale: its tenant's file is gone or has an error; `tenantdags check` tells"
    return f"no DAG {dag_id!r}{suggestion(dag_id, known)}"


def _targets(args: Namespace, session: Session, dag_ids: Sequence[str]) -> list[Target]:
    """Of a DAG named by itself everything is told; of many, those that are none of ours, or snapshots, are left out."""
    alone = bool(args.table or not (args.tenant or args.treat_dag_id_as_regex))
    found = {dag_id: _target(session, dag_id) for dag_id in dag_ids}
    if alone:
        (target,) = found.values()
        if target is None:
            raise SystemExit(f"{dag_ids[0]} is no tenant's table; use `airflow backfill create --dag-id {dag_ids[0]}`")
        return [target]
    for dag_id, target in found.items():
        if target is None or target.snapshot:
            print(f"{dag_id}: left out, {'a snapshot table' if target else 'no table of a tenant'}")
    kept = [target for target in found.values() if target and not target.snapshot]
    if not kept:
        raise SystemExit("none of them can be backfilled")
    return kept


def _target(session: Session, dag_id: str) -> Target | None:
    """None for a DAG that is not one of ours."""
    stored, model = SerializedDagModel.get_dag(dag_id, session=session), session.get(DagModel, dag_id)
    timetable = stored.timetable if stored else None
    if not stored or not model or not isinstance(timetable, TenantTimetable) or stored.start_date is None:
        return None
    unfinished = session.scalar(
        select(AirflowBackfill.id)
        .where(AirflowBackfill.dag_id == dag_id, AirflowBackfill.completed_at.is_(None))
        .limit(1)
    )
    ended = unfinished is not None and _has_ended(session, unfinished)
    columns = select(DagRun.logical_date, DagRun.data_interval_start, DagRun.state).where(DagRun.dag_id == dag_id)
    runs = session.execute(columns).all()
    return Target(
        dag_id=dag_id,
        every=timetable.every,
        zone=timetable.zone,
        first_window=stored.start_date.astimezone(ZoneInfo(timetable.zone)).date(),
        snapshot=timetable.observe_within is not None,
        paused=bool(model.is_paused),
        next_start=_utc(model.next_dagrun),
        running=None if ended else unfinished,
        closing=unfinished if ended else None,
        runs={at: str(state) for logical_date, _, state in runs if (at := _utc(logical_date))},
        live=frozenset(at for _, start, state in runs if state not in ENDED and (at := _utc(start))),
    )


def _has_ended(session: Session, backfill_id: int) -> bool:
    """As the scheduler judges before it closes one. One without runs is still being made."""
    states = session.scalars(select(DagRun.state).where(DagRun.backfill_id == backfill_id)).all()
    return bool(states) and all(state in ENDED for state in states)


def _utc(instant: datetime | None) -> datetime | None:
    """Pendulum's datetimes print differently; windows are standard ones."""
    return datetime.fromisoformat(instant.isoformat()).astimezone(UTC) if instant else None


def _decided(args: Namespace, targets: Sequence[Target], first: Bound, last: Bound) -> list[Backfill]:
    """All or none: with one reason against one of them, all reasons are told and nothing is made."""
    now, decided, errors = datetime.now(UTC), [], list[WindowRefused]()
    for target in targets:
        try:
            decided.append(decide(target, first, last, _again(args)))
            errors += refusals(decided[-1], now, while_paused=args.while_paused)
        except WindowRefused as error:
            errors.append(error)
    if errors:
        raise SystemExit("\n".join([*map(str, errors), "nothing was made"]))
    if not any(each.made for each in decided):
        for each in decided:
            print("\n".join(to_lines(each, args.max_active_runs, args.run_backwards, args.listed)))
        raise SystemExit("nothing to do; --rerun-failed-tasks and --reset-dagruns run windows again")
    return [each for each in decided if each.made]


def _confirm(args: Namespace, decided: Sequence[Backfill]) -> None:
    """As Airflow 2 asked, and only where windows that succeeded are run again."""
    again = sum(each.target.runs.get(window.start) == "success" for each in decided for window in each.made)
    if not again or args.yes:
        return
    if not sys.stdin.isatty():
        raise SystemExit(f"{again} windows that succeeded are to be loaded again; say --yes")
    if input(f"{again} windows that succeeded are to be loaded again. Go on? [y/N] ").strip().lower() not in (
        "y",
        "yes",
    ):
        raise SystemExit("nothing was made")


def _make_all(args: Namespace, decided: Sequence[Backfill], request: Request) -> dict[int, Backfill]:
    """The backfills by Airflow's id of each."""
    made: dict[int, Backfill] = {}
    for each in decided:
        try:
            made[_make(args, each, request)] = each
        except (AirflowException, NoBackfillRunsToCreate, OperationalError) as error:
            said = error.orig if isinstance(error, OperationalError) else error  # without the statement
            done = f"; made before it: {', '.join(map(str, made))}" if made else ""
            raise SystemExit(f"{each.target.dag_id}: Airflow refused the backfill: {said}{done}") from None
        except WindowRefused as error:
            raise SystemExit(str(error)) from None
        except KeyboardInterrupt:
            raise SystemExit(f"\n{each.target.dag_id}: stopped waiting; it is not made") from None
        print(f"{each.target.dag_id}: backfill {list(made)[-1]} made")
    return made


def _is_closed(target: Target) -> bool:
    with create_session() as session:
        found = session.get(AirflowBackfill, target.closing)
        return found is None or found.completed_at is not None


def _make(args: Namespace, each: Backfill, request: Request) -> int:
    wait_for_closing(each.target, lambda: _is_closed(each.target), lambda: time.sleep(LOOK_AGAIN), LOOK_AGAIN)

    def create() -> int:
        found = _create_backfill(
            dag_id=each.target.dag_id,
            from_date=each.first,
            to_date=each.last,
            max_active_runs=args.max_active_runs,
            reverse=args.run_backwards,
            dag_run_conf=request.to_conf(),
            triggering_user_name=request.by,
            reprocess_behavior=ReprocessBehavior(each.again),
            run_on_latest_version=True,
        )
        return int(found.id)

    return make_patiently(
        each.target, create, lambda: _left(each, request), _is_locked, AlreadyRunningBackfill,
        lambda: time.sleep(LOOK_AGAIN),
    )  # fmt: skip


def _is_locked(error: Exception) -> bool:
    return isinstance(error, OperationalError) and is_lock_not_available_error(error)


def _left(each: Backfill, request: Request) -> int | None:
    unfinished = select(AirflowBackfill).where(
        AirflowBackfill.dag_id == each.target.dag_id, AirflowBackfill.completed_at.is_(None)
    )  # fmt: skip
    with suppress(OperationalError), create_session() as session:
        for found in session.scalars(unfinished):
            if found.dag_run_conf != request.to_conf():
                continue
            runs = session.scalars(select(DagRun.id).where(DagRun.backfill_id == found.id)).all()
            if len(runs) == len(each.made):
                return int(found.id)
            if not runs:
                found.completed_at = datetime.now(UTC)
    return None


def _wait(made: Mapping[int, Backfill]) -> bool:
    """Prints each window's end; whether all succeeded. An interrupt ends the waiting and nothing else."""
    windows = {(each.target.dag_id, window.start): window for each in made.values() for window in each.made}
    joined = and_(BackfillDagRun.dag_run_id == DagRun.id, BackfillDagRun.backfill_id.in_(made))
    runs_of = select(DagRun).join(BackfillDagRun, joined).order_by(DagRun.end_date, DagRun.id)
    told: dict[int, str] = {}
    try:
        while True:
            with create_session() as session:
                runs = session.scalars(runs_of).all()
                for run in runs:
                    if run.state in ENDED and run.id not in told:
                        told[run.id] = str(run.state)
                        window = windows.get((run.dag_id, start)) if (start := _utc(run.logical_date)) else None
                        print(f"{len(told)}/{len(runs)} {run.dag_id} {window} {_ended(session, run)}", flush=True)
            if len(told) >= len(runs):
                break
            time.sleep(LOOK_AGAIN)
    except KeyboardInterrupt:
        print("\nstopped waiting; the backfill goes on")
        return False
    failed = sum(state != "success" for state in told.values())
    print(f"{len(told) - failed} succeeded, {failed} failed")
    return not failed


def _ended(session: Session, run: DagRun) -> str:
    """`failed in 12 s: acme orders 2026-11-03 RED …`: the QA summary's line where it is not green."""
    seconds = (run.end_date - run.start_date).total_seconds() if run.end_date and run.start_date else 0
    said = f"{run.state} in {seconds:.0f} s"
    if run.state == "success":
        return said
    pushed = select(XComModel).where(
        XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id,
        XComModel.task_id == SUMMARISE, XComModel.key == SUMMARY,
    )  # fmt: skip
    summary = session.scalar(pushed.limit(1))
    line = (XComModel.deserialize_value(summary) or {}).get("line") if summary else None
    return f"{said}: {line}" if line else said
