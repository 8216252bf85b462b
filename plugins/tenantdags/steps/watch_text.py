"""What a look of the watchdog says, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from tenantdags.model.words import counted
from tenantdags.steps.watch import Look, Miss


def look_lines(look: Look) -> Iterator[str]:
    """A summary first, then one line for each window that was told, that came back, and for what is not known."""
    tables, windows = counted(look.tables, "table"), counted(look.waiting, "window")
    counts = f"{tables}, {windows} waited for, {look.overdue} overdue"
    yield f"{look.at:%Y-%m-%d %H:%M:%S}Z {counts}"
    yield from (miss_line(miss) for miss in look.told)
    yield from (f"{'back':<8} {where} is published" for where in look.recovered)
    yield from (f"{'unknown':<8} {trouble}" for trouble in look.troubles)
    if not look.kept:
        yield f"{'note':<8} another watchdog was faster; what it remembers counts"


def miss_line(miss: Miss) -> str:
    """`told     acme orders 2026-11-22 missing: its run never started: paused by jane at 22:14 Sun 22 Nov`."""
    more = len(miss.call.behind)
    behind = f" (and {more} later)" if more else ""
    word = "warned" if miss.call.stage == "ahead" else "told"
    return f"{word:<8} {miss.plan.at(miss.call.window)}{behind} {miss.reason.kind}: {miss.reason.text}"
