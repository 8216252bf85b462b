"""Windows on the calendar grid of a tenant's time zone: half-open, keyed by their start in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Every = Literal["day", "hour"]


@dataclass(frozen=True, order=True, slots=True)
class Window:
    """`[start, end)`, both aware and in UTC; `as_of_date` is the local date of the start."""

    start: datetime
    end: datetime
    as_of_date: date
    every: Every = "day"

    @property
    def key(self) -> str:
        """`2026-11-21` for a day, `2026-11-21T14Z` (UTC hour of the start) for an hour."""
        return self.as_of_date.isoformat() if self.every == "day" else self.start.strftime("%Y-%m-%dT%HZ")

    def bounds_in(self, zone: str) -> tuple[datetime, datetime]:
        """Naive `(start, end)` as a clock in `zone` shows them: what naive source columns are compared with."""
        at = ZoneInfo(zone)
        return self.start.astimezone(at).replace(tzinfo=None), self.end.astimezone(at).replace(tzinfo=None)

    def __str__(self) -> str:
        return self.key


def day_window(as_of_date: date, zone: str) -> Window:
    """The local calendar day (23, 24 or 25 hours) of `zone` that is `as_of_date`."""
    start, end = (_local_midnight(d, zone) for d in (as_of_date, as_of_date + timedelta(days=1)))
    return Window(start=start, end=end, as_of_date=as_of_date, every="day")


def window_at(instant: datetime, every: Every, zone: str) -> Window:
    """The cell of the tenant's calendar grid in which an aware instant lies."""
    if every == "day":
        return day_window(instant.astimezone(ZoneInfo(zone)).date(), zone)
    start = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    as_of_date = start.astimezone(ZoneInfo(zone)).date()
    return Window(start=start, end=start + timedelta(hours=1), as_of_date=as_of_date, every="hour")


def windows_before(window: Window, count: int, zone: str) -> tuple[Window, ...]:
    """The `count` cells of the grid in front of a window, the nearest first."""
    found: list[Window] = []
    for _ in range(count):
        window = window_at(window.start - timedelta(microseconds=1), window.every, zone)
        found.append(window)
    return tuple(found)


def window_of(start: datetime, end: datetime, every: Every, zone: str) -> Window:
    """The window a data interval stands for: the one place where `data_interval_*` becomes a window.

    Raises ValueError when the interval is not exactly one cell of the tenant's calendar grid.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    expected = window_at(start, every, zone)
    if (expected.start, expected.end) != (start, end):
        raise ValueError(
            f"[{start:%Y-%m-%dT%H:%M:%SZ}, {end:%Y-%m-%dT%H:%M:%SZ}) is not one {every} of {zone}; "
            f"the nearest is [{expected.start:%Y-%m-%dT%H:%M:%SZ}, {expected.end:%Y-%m-%dT%H:%M:%SZ})"
        )
    return expected


def window_named(key: str, every: Every, zone: str) -> Window:
    """The window whose `key` this is. Raises ValueError, saying how a key is written."""
    wanted = "%Y-%m-%d" if every == "day" else "%Y-%m-%dT%HZ"
    try:
        at = datetime.strptime(key, wanted).replace(tzinfo=UTC)
        found = day_window(at.date(), zone) if every == "day" else window_at(at, every, zone)
        if found.key != key:
            raise ValueError(key)
        return found
    except ValueError:
        shape = "2026-11-21" if every == "day" else "2026-11-21T14Z, the UTC hour it starts"
        raise ValueError(f"{key!r} names no {every} of {zone}; write it like {shape}") from None


def hour_window(as_of_date: date, clock: str, zone: str) -> Window | None:
    """The hour of the local date that starts at `HHMM` UTC; None when there is no such hour."""
    for days in (-1, 0, 1):  # a local date touches up to three dates of UTC
        start = datetime.combine(as_of_date + timedelta(days=days), time(int(clock[:2]), int(clock[2:])), tzinfo=UTC)
        found = window_at(start, "hour", zone)
        if (found.as_of_date, found.start) == (as_of_date, start):
            return found
    return None


def _local_midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)
