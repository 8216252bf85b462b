"""By when a window must be published: the tenant's `sla:` as an instant. Right on the nights when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tenantdags.model.plan import SlaPlan, TablePlan
from tenantdags.model.window import Window


def due(sla: SlaPlan, window: Window, zone: str) -> datetime:
    """The instant (UTC) by which the window must be published.

    `within` counts from the window's end; `ready_by` is a wall clock of `zone` on the day after the as_of_date. A clock
    that is shown twice in that night means the first time; one that is skipped, the instant it would have been.
    """
    if sla.ready_by is None:
        return window.end + (sla.within or timedelta())
    return datetime.combine(window.as_of_date + timedelta(days=1), sla.ready_by, ZoneInfo(zone)).astimezone(UTC)


def due_of(plan: TablePlan, window: Window) -> datetime | None:
    """The same of a plan; None for a table that promises nothing."""
    return due(plan.sla, window, plan.schedule.time_zone) if plan.sla else None
