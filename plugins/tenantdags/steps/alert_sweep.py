"""Looks after what nobody told yet: failed and forgotten alerts, ended mutes, digests of storms and of warnings.

The watchdog calls it every minute. Two at once share the work: each piece is taken by a compare-and-swap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tenantdags.steps import alert_digest, alert_mutes, alert_records, alert_storms
from tenantdags.steps.alert_delivery import Post, settled
from tenantdags.steps.alert_records import Record, Route
from tenantdags.steps.alert_storms import Place, Storm
from tenantdags.steps.alerts import Message, storm_digest, storm_over
from tenantdags.steps.blobs import Blobs

FEW = 2  # so many held incidents are still told by their own pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """`told` messages went out; `failed` could not be delivered; `open` windows have an incident now."""

    told: int
    failed: int
    open: int


def sweep(post: Post, now: datetime) -> Swept:
    """Raises LandingUnreachable and the like: without its memory there is nothing it could look after."""
    blobs = post.blobs()
    alert_storms.mark_swept(blobs, now)
    sending = _Sending(post)
    for storm in alert_storms.storms(blobs):
        _tell_storm(blobs, storm, sending, now)
    records = list(alert_records.records(blobs))
    for record in records:
        _resume(blobs, record, sending, now)
    alert_digest.tell_warned(blobs, now, lambda route, message: sending.one(route, message) is None)
    opened = sum(record.closed_at is None for record in records)
    return Swept(told=sending.told, failed=sending.failed, open=opened)


class _Sending:
    """One message after the other; a route that failed once is not tried again in this sweep."""

    def __init__(self, post: Post) -> None:
        self.post, self.told, self.failed = post, 0, 0
        self._dead: dict[Route, str] = {}

    def one(self, route: Route, message: Message) -> str | None:
        """Why it was not delivered, or None: it was."""
        why = self._dead.get(route)
        if why is None:
            state, why = self.post.sent({route: message})[route]
            if state == "sent":
                self.told += 1
                return None
            self._dead[route] = why = why or state
        self.failed += 1
        return why


def _resume(blobs: Blobs, record: Record, sending: _Sending, now: datetime) -> None:
    silent = alert_mutes.muted(blobs, record.tenant, record.table, now) is not None
    for entry, routes in alert_records.resume(blobs, record, now, muted=silent):
        found = {route: sending.one(route, entry.message) for route in routes}
        outcomes = {route: ("failed" if why else "sent", why) for route, why in found.items()}
        settled(sending.post, record.cell, entry.fingerprint, outcomes, now)  # type: ignore[arg-type]  # states
    after = alert_records.record_of(blobs, record.cell)
    if after and after.closed_at and not any(entry.pending for entry in after.live):
        alert_records.shelve(blobs, after)


def _tell_storm(blobs: Blobs, storm: Storm, sending: _Sending, now: datetime) -> None:
    places = alert_storms.take(blobs, storm, now)
    if not places:
        return
    began = {place: record for place in places if not place.ended and (record := _still_held(blobs, storm, place))}
    ended = [place for place in places if place.ended]
    undelivered: list[Place] = []
    if len(began) <= FEW:
        undelivered += [p for p, record in began.items() if not _page(storm, p, record, sending, now)]
    elif sending.one(storm.route, _digest(storm, list(began))) is None:
        for place in began:
            settled(sending.post, place.cell, place.fingerprint, {storm.route: ("digested", None)}, now)
    else:
        undelivered += began
    if ended and sending.one(storm.route, _over(storm, ended)) is None:
        for place in ended:
            _settle_end(blobs, storm, place, sending, now)
    else:
        undelivered += ended
    alert_storms.settle(blobs, storm, [p for p in places if p not in undelivered], "told")
    alert_storms.settle(blobs, storm, undelivered, "held")


def _still_held(blobs: Blobs, storm: Storm, place: Place) -> Record | None:
    """The record of a place that still has to be told of: not that of a window published meanwhile."""
    record = alert_records.record_of(blobs, place.cell)
    entry = record.entry(place.fingerprint) if record else None
    held = entry and any(told.route == storm.route and told.state == "held" for told in entry.told)
    return record if held else None


def _page(storm: Storm, place: Place, record: Record, sending: _Sending, now: datetime) -> bool:
    entry = record.entry(place.fingerprint)
    delivered = entry is not None and sending.one(storm.route, entry.message) is None
    if delivered:
        settled(sending.post, place.cell, place.fingerprint, {storm.route: ("sent", None)}, now)
    return delivered


def _digest(storm: Storm, began: Sequence[Place]) -> Message:
    first = next((p for p in storm.places if p.state is None and not p.ended), None)
    paged = f"{first.cell} at {first.at:%H:%M} UTC" if first else "nothing of these"
    return storm_digest(storm.kind, storm.severity, [str(p.cell) for p in began], paged, storm.fingerprint)


def _over(storm: Storm, ended: Sequence[Place]) -> Message:
    over = {p.fingerprint for p in storm.places if p.ended}
    left = [p for p in storm.places if not p.ended and p.state == "told" and p.fingerprint not in over]
    return storm_over(storm.kind, storm.severity, [str(p.cell) for p in ended], len(left), storm.fingerprint)


def _settle_end(blobs: Blobs, storm: Storm, place: Place, sending: _Sending, now: datetime) -> None:
    record = alert_records.record_of(blobs, place.cell)
    if record and record.recovery:
        settled(sending.post, place.cell, record.recovery.fingerprint, {storm.route: ("digested", None)}, now)
