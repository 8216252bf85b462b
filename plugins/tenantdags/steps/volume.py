"""Volume bands: are these as many rows as this weekday usually has? Median and spread of what was published before.

Medians, not means: a holiday among eight Mondays moves neither the middle nor the spread. The spread is the median
distance from the median (MAD), times 1.4826 as a normal distribution has it, and at least 2.5 % of the median, which a
day of 23 or 25 hours needs, and its square root, by which counts of rare things differ anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from statistics import median
from zoneinfo import ZoneInfo

from tenantdags.model.contract import Check
from tenantdags.model.window import Every, Window
from tenantdags.steps.report import CheckResult, Outcome
from tenantdags.steps.threshold import holds

_NORMAL = 1.4826  # MAD of a normal distribution → its standard deviation
_LEAST = 0.025
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Past:
    """A published window and the rows readers see of it."""

    window_start: datetime
    as_of_date: date
    rows: int


@dataclass(frozen=True, slots=True)
class Band:
    """`middle` and `spread` in rows, from so many windows."""

    middle: float
    spread: float
    windows: int

    def distance(self, rows: int) -> Decimal:
        """In spreads from the middle: what the rule's threshold is about."""
        return Decimal(str(round(abs(rows - self.middle) / self.spread, 6)))

    def bounds(self, check: Check) -> tuple[int, int]:
        """The fewest and the most rows that pass."""
        reach = float(check.threshold.values[0]) * self.spread
        low, high = max(0, math.ceil(self.middle - reach)), math.floor(self.middle + reach)
        low += not holds(check.threshold, self.distance(low))
        high -= not holds(check.threshold, self.distance(high))
        return low, high


def band_of(counts: Sequence[int]) -> Band:
    """At least one count."""
    middle = median(counts)
    distance = median(abs(count - middle) for count in counts)
    return Band(middle, max(_NORMAL * distance, _LEAST * middle, math.sqrt(middle), 1.0), len(counts))


def alike(window: Window, past: Iterable[Past], every: Every, zone: str, weeks: int) -> tuple[int, ...]:
    """Rows of the newest `weeks` windows of the same weekday (and, of hours, the same hour) by the tenant's clock."""
    slot = _slot(window.as_of_date, window.start, every, zone)
    same = [p for p in past if _slot(p.as_of_date, p.window_start, every, zone) == slot]
    newest = sorted(same, key=lambda p: p.window_start, reverse=True)
    return tuple(p.rows for p in newest[:weeks])


def judge_volume(check: Check, window: Window, rows: int, past: Iterable[Past], every: Every, zone: str) -> CheckResult:
    """`18,204 rows; expected 9,800–11,300 from 8 Mondays`. With too little history it says so, and passes."""
    weeks, at_least = (int(argument or 0) for argument in check.arguments)
    counts = alike(window, past, every, zone, weeks)
    if len(counts) < at_least:
        wanted = _named(at_least, window, every, zone)
        return _result(check, "pass", f"{rows:,} rows; no band yet, {len(counts)} of {wanted} are published", wanted)
    band = band_of(counts)
    low, high = band.bounds(check)
    expected = f"{low:,}–{high:,} from {_named(len(counts), window, every, zone)}"
    good = holds(check.threshold, band.distance(rows))
    outcome: Outcome = "pass" if good else "warn" if check.severity == "warning" else "fail"
    return _result(check, outcome, f"{rows:,} rows; expected {expected}", expected)


def _slot(day: date, start: datetime, every: Every, zone: str) -> tuple[int, int]:
    return day.weekday(), start.astimezone(ZoneInfo(zone)).hour if every == "hour" else 0


def _named(count: int, window: Window, every: Every, zone: str) -> str:
    """`8 Mondays`, `1 Monday`, `8 Mondays at 14:00`."""
    hour = f" at {window.start.astimezone(ZoneInfo(zone)):%H:%M}" if every == "hour" else ""
    return f"{count} {_DAYS[window.as_of_date.weekday()]}{'' if count == 1 else 's'}{hour}"


def _result(check: Check, outcome: Outcome, value: str, expected: str) -> CheckResult:
    return CheckResult(rule=check.id, outcome=outcome, value=value, expected=expected, severity=check.severity)
