"""Whose task goes first where slots are short: windows in time before late ones, among both the better tier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.task.priority_strategy import PriorityWeightStrategy

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

IN_TIME = 1000  # above every tier's priority, so that no backlog goes before a window that is due now
_TIER_STEP = 100  # between the tiers' priorities as they are set up; how far behind a run is weighs less
_WINDOW = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


class InTimeFirst(PriorityWeightStrategy):
    """The task's own weight, its tier's priority; IN_TIME more in time, and one less for each window it is behind.

    So of two backlogs of a tier the shorter is done first, and the longer one cannot starve it. Airflow asks when it
    makes a run's task instances, which for a scheduled run is when it starts the run. Then only the run's id is known
    of it: `scheduled__` and the time at which it was due.
    """

    def get_weight(self, ti: TaskInstance) -> int:
        weight = int(ti.task.priority_weight)  # type: ignore[union-attr]  # an instance being weighed has its task
        every = getattr(ti.task.dag.timetable, "every", "day")  # type: ignore[union-attr]  # the same
        late = windows_behind(ti.run_id, _WINDOW[every], datetime.now(UTC))
        return weight - min(late, _TIER_STEP - 1) if late else weight + IN_TIME


def windows_behind(run_id: str | None, window: timedelta, now: datetime) -> int:
    """How many later windows are due as well; 0 is in time. Backfills and recounts count as one behind."""
    kind, _, due = (run_id or "").partition("__")
    if kind != "scheduled":
        return int(kind in ("backfill", "recount"))
    return max(0, (now - datetime.fromisoformat(due)) // window)
