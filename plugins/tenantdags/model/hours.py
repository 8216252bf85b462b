"""A part of every day by a tenant's clock, such as the night: when something may begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Hours:
    """`[start, end)`, over midnight where the end is not behind the start."""

    start: time
    end: time

    def opens(self, now: datetime, zone: str) -> datetime | None:
        """None while it is open in `zone`; else the next instant, in UTC, at which it opens. `now` is aware."""
        clock = now.astimezone(ZoneInfo(zone))
        if self._holds(clock.time()):
            return None
        day = clock.date() if clock.time() < self.start else clock.date() + timedelta(days=1)
        return datetime.combine(day, self.start, ZoneInfo(zone)).astimezone(UTC)

    def _holds(self, at: time) -> bool:
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"
