"""What the alerts' memory says, in lines for on-call: who was told what, what is muted, what nobody got yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import alert_mutes, alert_records
from tenantdags.steps.alert_records import TOLD, Cell, Entry
from tenantdags.steps.blobs import Blobs


def muted(blobs: Blobs, now: datetime) -> Iterator[str]:
    """`acme orders until 2026-11-23 08:00Z by jane: the server moves`, without mutes that are over."""
    for mute in alert_mutes.mutes(blobs):
        if mute.holds(now):
            what = f"{mute.tenant} {mute.table}" if mute.table else f"all of {mute.tenant}"
            yield f"{what} until {mute.until:%Y-%m-%d %H:%MZ} by {mute.by}: {mute.reason}"


def undelivered(blobs: Blobs) -> Iterator[str]:
    """`acme orders 2026-11-22 late: http over oncall, 3 tries: ConnectError`."""
    for record in alert_records.records(blobs):
        for entry in record.live:
            for told in entry.told:
                if told.state == "failed":
                    route = f"{told.route[0]} over {told.route[1]}"
                    yield f"{record.cell} {entry.kind}: {route}, {told.tries} tries: {told.why}"


def told(blobs: Blobs, plan: TablePlan, window: Window) -> Iterator[tuple[datetime, str]]:
    """What on-call heard of the window and when, as far as it is not over."""
    record = alert_records.record_of(blobs, Cell(plan.tenant, plan.table, window.key))
    for entry in (*record.entries, *([record.recovery] if record.recovery else [])) if record else ():
        yield from ((told.at, f"{_headline(entry)}: {told.state} by {told.route[0]} over {told.route[1]}")
                    for told in entry.told if told.state in (*TOLD, "failed", "muted"))  # fmt: skip


def _headline(entry: Entry) -> str:
    return f"{entry.message.severity.upper()} {entry.kind}"
