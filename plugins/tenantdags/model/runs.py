"""When the runs of a plan start, worked out without Airflow: what the timetable will do, told before it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window, day_window, window_at

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Run:
    """One scheduled run. `start` is aware and in UTC, and may lie in the past: then the run starts at once."""

    window: Window
    start: datetime
    time_zone: str

    @property
    def local_start(self) -> str:
        """`2026-11-24 03:04 Europe/Berlin`, as a clock in the tenant's zone shows it, to the minute begun."""
        return f"{self.start.astimezone(ZoneInfo(self.time_zone)):%Y-%m-%d %H:%M} {self.time_zone}"


def delay(plan: TablePlan) -> timedelta:
    """How long after its window's end a run starts."""
    return plan.schedule.settle + plan.schedule.jitter


def run_of(plan: TablePlan, window: Window) -> Run:
    return Run(window, window.end + delay(plan), plan.schedule.time_zone)


def first_run(plan: TablePlan, now: datetime) -> Run:
    """The run a DAG that never ran starts with, seen at `now` (aware)."""
    return run_of(plan, _first_window(plan, now))


def next_run(plan: TablePlan, now: datetime) -> Run:
    """The first run that starts after `now`, of a DAG that has caught up."""
    first = _first_window(plan, now)
    open_window = _cell(plan, now - delay(plan))
    return run_of(plan, max(first, open_window))


def newest_due(plan: TablePlan, now: datetime) -> Window | None:
    """The newest window whose run has been due by `now`; None before the first."""
    first, still_open = _first_window(plan, now), _cell(plan, now - delay(plan))
    return _cell(plan, still_open.start - _INSTANT) if still_open.start > first.start else None


def catch_up(plan: TablePlan, now: datetime) -> int:
    """How many runs of a DAG that never ran are due at `now` already. Airflow starts them one after the other."""
    first, still_open = _first_window(plan, now), _cell(plan, now - delay(plan))
    if plan.schedule.every == "hour":
        return max(0, int((still_open.start - first.start) / timedelta(hours=1)))
    return max(0, (still_open.as_of_date - first.as_of_date).days)


def windows_from(plan: TablePlan, instant: datetime) -> Iterator[Window]:
    """The tenant's windows, without an end: from the one that holds `instant` on, none before `first_window`."""
    start = max(instant, first_start(plan))
    window = _cell(plan, start)
    while True:
        if window.start >= first_start(plan):
            yield window
        window = _cell(plan, window.end)


def first_start(plan: TablePlan) -> datetime:
    """Where the first window may begin."""
    return day_window(plan.schedule.first_window, plan.schedule.time_zone).start


def observe_within(plan: TablePlan) -> timedelta | None:
    """Snapshots only: how long after its end a window may still be observed; without a word, one window."""
    if plan.contract.mode != "snapshot":
        return None
    return plan.contract.window.observe_within or timedelta(hours=1 if plan.schedule.every == "hour" else 24)


def runs_a_day(plan: TablePlan) -> int:
    return 24 if plan.schedule.every == "hour" else 1


def starts_in_day(plan: TablePlan, now: datetime) -> tuple[datetime, ...]:
    """The instants in the 24 hours from the next full UTC hour at which a DAG that has caught up starts a run."""
    begin = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    window, found = _cell(plan, begin - delay(plan)), []
    while (start := window.end + delay(plan)) < begin + timedelta(days=1):
        found.append(start)
        window = _cell(plan, window.end)
    return tuple(found)


def _first_window(plan: TablePlan, now: datetime) -> Window:
    start = first_start(plan)
    within = observe_within(plan)
    if within is not None:
        # the first window that ends at now - within or later holds the instant just before it
        start = max(start, _cell(plan, now - within - _INSTANT).start)
    at = _cell(plan, start)
    return at if at.start == start else _cell(plan, at.end)  # a local midnight at half past is no full hour of UTC


def _cell(plan: TablePlan, instant: datetime) -> Window:
    return window_at(instant, plan.schedule.every, plan.schedule.time_zone)
