"""Which windows the scheduler has to catch up on: the last two that are due, in every tenant's own time zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sandbox.project import first_window_of
from sandbox.recount import Cell, days
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_project
from tenantdags.model.window import day_window

WINDOWS = 2
OLDEST_KEPT = timedelta(days=5)  # an earlier demo's windows are kept in the plan for so long
MARGIN = timedelta(minutes=15)  # a snapshot must stay observable while the demo runs


@dataclass(frozen=True)
class Schedule:
    """The DAGs and the windows that the scheduler is expected to run by itself."""

    dag_ids: tuple[str, ...]
    cells: tuple[Cell, ...]


def schedule_of(project: Path, now: datetime) -> Schedule:
    """What Airflow must make of the project at `now` (aware)."""
    plans = load_project(project).plans
    cells = [Cell(plan.tenant, plan.table, day) for plan in plans for day in due_days(plan, now)]
    return Schedule(tuple(plan.dag_id for plan in plans), tuple(sorted(cells)))


def due_days(plan: TablePlan, now: datetime) -> list[date]:
    """The as_of_dates from first_window on whose run is due, and for a snapshot still may be taken."""
    return [day for day in days(plan.schedule.first_window, now.date()) if _is_due(plan, day, now)]


def first_windows(root: Path, earlier: Path, now: datetime) -> dict[str, date]:
    """Per tenant the first window that leaves the last two due ones; the one of an `earlier` copy if it is not old."""
    last: dict[str, date] = {}
    for plan in load_project(root).plans:
        last[plan.tenant] = min(last.get(plan.tenant, date.max), _last_due(plan, now))
    first = {tenant: day - timedelta(days=WINDOWS - 1) for tenant, day in last.items()}
    kept = {tenant: first_window_of(earlier, tenant) for tenant in first}
    return {t: k if (k := kept[t]) and day - OLDEST_KEPT <= k <= day else day for t, day in first.items()}


def _last_due(plan: TablePlan, now: datetime) -> date:
    today = now.date()
    return next(day for back in range(4) if _ended(plan, day := today - timedelta(days=back), now))


def _is_due(plan: TablePlan, day: date, now: datetime) -> bool:
    within = plan.contract.window.observe_within
    end = day_window(day, plan.schedule.time_zone).end
    observable = within is None or now + MARGIN < end + within
    return observable and _ended(plan, day, now)


def _ended(plan: TablePlan, day: date, now: datetime) -> bool:
    end = day_window(day, plan.schedule.time_zone).end
    return end + plan.schedule.settle + plan.schedule.jitter <= now
