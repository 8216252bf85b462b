"""The metrics there are, and what one attempt at a window says in them. Labels are bounded: no run, no row, no rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tenantdags.model.qa import QaDocument
from tenantdags.model.taxonomy import label

PREFIX = "tenantdags"
LABELS = ("tenant", "table", "tier", "kind")
Type = Literal["gauge", "count"]

METRICS: dict[str, tuple[Type, str]] = {
    "rows": ("gauge", "Rows that the last published window brought."),
    "freshness_minutes": ("gauge", "From the window's end until readers saw it."),
    "minutes_to_deadline": ("gauge", "Left when the attempt ended; below 0: over."),
    "gates": ("count", "Judgements of gates; kind is pass, warn, fail or error."),
    "attempts": ("count", "Attempts at a window; kind is green, or the kind of failure."),
    "pool_wait_minutes": ("gauge", "The longest wait for a slot, by the watch; kind is source, curated or backfill."),
    "overdue": ("gauge", "Windows of a tier that are overdue and not published, by the watch."),
    "looks": ("count", "Looks that the watch completed; kind is ok or trouble."),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement. `labels` are those of LABELS that apply."""

    name: str
    value: float
    labels: tuple[tuple[str, str], ...]


def of_attempt(document: QaDocument, due: datetime | None) -> Iterator[Point]:
    """What the QA document of an attempt says."""
    whose = (("tenant", document.tenant), ("table", document.table), ("tier", document.tier))
    yield Point("attempts", 1, (*whose, ("kind", label(document.kind) if document.kind else "green")))
    for gate in document.gates:
        yield Point("gates", 1, (*whose, ("kind", gate.outcome)))
    if due is not None:
        yield Point("minutes_to_deadline", (due - document.summarised_at).total_seconds() / 60, whose)
    if document.outcome == "green" and document.rows.published is not None:
        yield Point("rows", document.rows.published, whose)
        fresh = document.summarised_at - document.window_end
        yield Point("freshness_minutes", fresh.total_seconds() / 60, whose)


def of_look(
    overdue: Mapping[str, int], trouble: bool, waits: Mapping[tuple[str, str], timedelta]
) -> Iterator[Point]:
    """What one look of the watch says: overdue windows by tier, waits for a slot by tier and kind, both with the 0s."""
    for tier, number in sorted(overdue.items()):
        yield Point("overdue", number, (("tier", tier),))
    for (tier, kind), wait in sorted(waits.items()):
        yield Point("pool_wait_minutes", wait.total_seconds() / 60, (("tier", tier), ("kind", kind)))
    yield Point("looks", 1, (("kind", "trouble" if trouble else "ok"),))
