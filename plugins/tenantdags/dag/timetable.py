"""When runs start: at a window's end + settle + jitter, the window itself unmoved, on the tenant's calendar grid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable

from tenantdags.model.window import Every, window_at

_CRON: dict[Every, str] = {"day": "0 0 * * *", "hour": "0 * * * *"}


class TenantTimetable(CronDataIntervalTimetable):
    """Calendar days of `zone` (23, 24 or 25 hours), or hours of UTC; runs start `delay` after their window's end.

    With `observe_within` (snapshot tables) a window that ended longer ago is not scheduled and not backfilled: today's
    state would be filed under yesterday's date.
    """

    def __init__(self, every: Every, zone: str, delay: timedelta, observe_within: timedelta | None = None) -> None:
        # Hours are cut in UTC, as windows are: in a zone like Asia/Kolkata a local hour starts at half past.
        super().__init__(_CRON[every], zone if every == "day" else "UTC")
        self.every, self.zone, self.delay, self.observe_within = every, zone, delay, observe_within

    def serialize(self) -> dict[str, Any]:
        """Durations in seconds."""
        data = {"every": self.every, "zone": self.zone, "delay": self.delay.total_seconds()}
        within = self.observe_within
        return data if within is None else {**data, "observe_within": within.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> TenantTimetable:
        seconds = data.get("observe_within")
        observe_within = None if seconds is None else timedelta(seconds=seconds)
        return cls(data["every"], data["zone"], timedelta(seconds=data["delay"]), observe_within)

    def validate(self) -> None:
        """Nothing to find: the cron expression is one of two of our own, and was read when this was made."""

    @property
    def summary(self) -> str:
        return f"{self.every} of {self.zone}, {self.delay} after its end"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=self._observable(restriction)
        )
        if info is None or info.data_interval is None:
            return None
        return DagRunInfo(run_after=info.data_interval.end + self.delay, data_interval=info.data_interval)

    def _observable(self, restriction: TimeRestriction) -> TimeRestriction:
        if self.observe_within is None:
            return restriction
        oldest_end = datetime.now(UTC) - self.observe_within
        # The first window that ends at oldest_end or later is the one that holds the instant just before it.
        first = pendulum.instance(window_at(oldest_end - timedelta(microseconds=1), self.every, self.zone).start)
        return restriction._replace(earliest=max(first, restriction.earliest) if restriction.earliest else first)

    def _get_next(self, current: pendulum.DateTime) -> pendulum.DateTime:
        return pendulum.instance(window_at(current, self.every, self.zone).end)

    def _get_prev(self, current: pendulum.DateTime) -> pendulum.DateTime:
        before = current - timedelta(microseconds=1)
        return pendulum.instance(window_at(before, self.every, self.zone).start)

    def _describe_with_dom_dow_fix(self, expression: str) -> str:
        # Two fixed texts: building cron descriptions was half the cost of writing a DAG to the database.
        return "Once for every day of the tenant" if expression == _CRON["day"] else "Once for every hour"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TenantTimetable) and self.serialize() == other.serialize()

    def __hash__(self) -> int:
        return hash(tuple(self.serialize().items()))
