"""Whose task goes first where slots are short: windows in time before late ones, among both the better tier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.task.priority_strategy import PriorityWeightStrategy

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

IN_TIME = 1000  # above every tier's priority, so that no backlog goes before a window that is due now
_LATE_AFTER = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


class InTimeFirst(PriorityWeightStrategy):
    """The task's own weight, its tier's priority; IN_TIME more unless its run is a window or more behind.

    Airflow asks when it makes a run's task instances, which for a scheduled run is when it starts the run. Then only
    the run's id is known of it: `scheduled__` and the time at which it was due.
    """

    def get_weight(self, ti: TaskInstance) -> int:
        weight = int(ti.task.priority_weight)  # type: ignore[union-attr]  # an instance being weighed has its task
        every = getattr(ti.task.dag.timetable, "every", "day")  # type: ignore[union-attr]  # the same
        return weight if behind(ti.run_id, _LATE_AFTER[every], datetime.now(UTC)) else weight + IN_TIME


def behind(run_id: str | None, window: timedelta, now: datetime) -> bool:
    """Whether the run was due so long ago that the next one is due as well. Backfills and recounts are."""
    kind, _, due = (run_id or "").partition("__")
    if kind != "scheduled":
        return kind in ("backfill", "recount")
    return now - datetime.fromisoformat(due) >= window
