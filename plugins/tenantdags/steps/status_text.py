"""The fleet as on-call sees it: counts by tier, then every window that wants somebody, the most urgent first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tenantdags.model.deadline import due_of
from tenantdags.model.plan import TablePlan
from tenantdags.model.words import counted
from tenantdags.steps.alerts import in_words
from tenantdags.steps.watch import Standing

WORDS = ("late", "missing", "red", "stuck", "running")  # in the order of their urgency
SHOWN = 40  # lines
MANY, NAMED = 5, 4  # so many windows with one cause are one line that names some


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`beat` is when a watchdog last completed a look; `muted` and `undelivered` are lines about alerts."""

    now: datetime
    plans: Sequence[TablePlan]
    standings: Sequence[Standing]
    beat: datetime | None = None
    muted: Sequence[str] = ()
    undelivered: Sequence[str] = ()
    troubles: Sequence[str] = ()


def word(standing: Standing) -> str:
    """`red`: its run failed before it is due; `stuck`: it will not go on by itself."""
    if standing.overdue:
        return standing.reason.kind
    if standing.reason.failed:
        return "red"
    return "stuck" if standing.reason.hopeless else "running"


def to_lines(status: Status, *, every: bool = False) -> Iterator[str]:
    """`every` window; without it, those that run in time are only counted."""
    tables = counted(len(status.plans), "table")
    tenants = counted(len({plan.tenant for plan in status.plans}), "tenant")
    yield f"{status.now:%Y-%m-%d %H:%M:%S}Z  {tables} of {tenants}; {_beat(status)}"
    yield ""
    yield from _tiers(status)
    shown = [each for each in status.standings if every or word(each) != "running"]
    shown.sort(key=lambda each: WORDS.index(word(each)))  # stable: within a word the most urgent stays first
    rows = list(_rows(shown, status.now))
    if rows:
        yield ""
    yield from _aligned(rows[:SHOWN])
    if len(rows) > SHOWN:
        yield f"… and {len(rows) - SHOWN} more"
    yield from (f"muted    {line}" for line in status.muted)
    yield from (f"unsent   {line}" for line in status.undelivered)
    yield from (f"unknown  {line}" for line in status.troubles)


def _beat(status: Status) -> str:
    if status.beat is None:
        return "no watchdog has ever looked"
    age = int(max(timedelta(), status.now - status.beat).total_seconds())
    return f"a watchdog looked {age} s ago"


def _tiers(status: Status) -> Iterator[str]:
    priorities = {plan.tier: plan.schedule.priority for plan in status.plans}
    counted = Counter((each.plan.tier, word(each)) for each in status.standings)
    tables = Counter(plan.tier for plan in status.plans)
    rows: list[tuple[str, ...]] = [("tier", "tables", *WORDS)]
    for tier in sorted(priorities, key=lambda name: (-priorities[name], name)):
        rows.append((tier, str(tables[tier]), *(str(counted[tier, each] or "-") for each in WORDS)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for name, *numbers in rows:
        cells = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *cells])


def _rows(standings: Sequence[Standing], now: datetime) -> Iterator[tuple[str, ...]]:
    """One line per window; many with one cause are one line, where the first of them would stand."""
    alike: dict[tuple[str, str, str], list[Standing]] = {}
    for each in standings:
        alike.setdefault((word(each), each.plan.tier, each.reason.text), []).append(each)
    for (what, tier, text), same in alike.items():
        if len(same) < MANY:
            yield from ((what, tier, each.plan.at(each.window), _left(each, now), text) for each in same)
        else:
            named = ", ".join(each.plan.at(each.window) for each in same[:NAMED])
            more = f" and {len(same) - NAMED} more"
            yield what, tier, f"{len(same)} windows", _left(same[0], now), f"{text}: {named}{more}"


def _left(standing: Standing, now: datetime) -> str:
    due = due_of(standing.plan, standing.window)
    if due is None:
        return "no deadline"
    over = now - due
    return f"{in_words(abs(over))} {'over' if over >= timedelta() else 'left'}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as they need to be, the last one as it is."""
    if not rows:
        return
    widths = [max(7, *(len(row[i]) for row in rows)) for i in range(len(rows[0]) - 1)]
    for *cells, last in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), last])
