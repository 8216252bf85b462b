"""Telling people: once each, in bounded time, whatever is down. The notifiers come in as a function.

An incident is claimed in landing, then sent, then what became of it is written down. Without landing it is sent all the
same, possibly by two processes: twice rather than never. What was not delivered, the sweep sends again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

from tenantdags.model.plan import AlertPlan
from tenantdags.model.taxonomy import SEVERITIES, Severity
from tenantdags.steps import alert_digest, alert_mutes, alert_records, alert_storms
from tenantdags.steps.alert_digest import Warned
from tenantdags.steps.alert_records import TOLD, Cell, Claim, Record, Route, State
from tenantdags.steps.alerts import Incident, Message, Subject, page, recovery, routes_for, storm_page
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.redact import redact

T = TypeVar("T")
Send = Callable[[Route, Message], None]  # raises when the message was not delivered
Outcome = tuple[State, str | None]


@dataclass(frozen=True, slots=True)
class Post:
    """How messages leave. `send_seconds` is what all routes of a message may take together, `memory_seconds` one talk
    with landing; what takes longer is left behind and counts as failed. `say` logs."""

    blobs: Callable[[], Blobs]
    send: Send
    say: Callable[[str], None]
    send_seconds: float = 15.0
    memory_seconds: float = 10.0

    def remembered(self, what: str, call: Callable[[Blobs], T]) -> T | None:
        """The answer of landing; None, and said why, when it does not come."""
        try:
            return within(self.memory_seconds, lambda: call(self.blobs()))
        except Exception as error:  # noqa: BLE001 - alerting goes on without its memory
            self.say(f"{what}: {reason(error)}")
            return None

    def sent(self, messages: Mapping[Route, Message]) -> dict[Route, Outcome]:
        """Sends all at once, and waits for them no longer than `send_seconds`."""
        calls = {route: _Call(partial(self.send, route, message)) for route, message in messages.items()}
        until = time.monotonic() + self.send_seconds
        found: dict[Route, Outcome] = {}
        for route, call in calls.items():
            try:
                call.result(until - time.monotonic())
                found[route] = ("sent", None)
            except Exception as error:  # noqa: BLE001 - whatever a notifier may raise: it is written down and tried again
                found[route] = ("failed", reason(error))
                self.say(f"not delivered by {route[0]} over connection {route[1]!r}: {reason(error)}")
        return found


def deliver(incident: Incident, post: Post) -> dict[Route, State]:
    """Tells every route that wants to hear of the incident, unless somebody did already. Never raises.

    What became of the routes; empty when all was told before or nobody is to be told.
    """
    message, now = page(incident), incident.at
    routes = tuple(map(_route, routes_for(incident)))
    claim = post.remembered(
        "an alert cannot be remembered and may be told twice", lambda blobs: _claim(blobs, incident, message, routes)
    )
    if claim is None:
        return _states(post.sent(dict.fromkeys(routes, message)))
    messages = dict.fromkeys(claim.routes, message)
    if claim.new:
        messages = {route: found for route in claim.routes if (found := _in_storm(incident, message, route, post))}
    outcomes: dict[Route, Outcome] = {route: ("held", None) for route in claim.routes if route not in messages}
    outcomes |= post.sent(messages)
    settled(post, alert_records.cell_of(incident), incident.fingerprint, outcomes, now)
    return _states(outcomes)


def recover(subject: Subject, window: str, readers: str, now: datetime, post: Post) -> dict[Route, State]:
    """The window is published: who was told that it was not, hears so once. Never raises."""
    cell = Cell(subject.tenant, subject.table, window)
    wanting = {_route(route) for route in subject.routes if "recovery" in route.events}

    def close(blobs: Blobs) -> tuple[Record, Claim] | None:
        if alert_records.record_of(blobs, cell) is None:
            return None
        silent = alert_mutes.muted(blobs, subject.tenant, subject.table, now) is not None
        found = alert_records.close(
            blobs, cell, wanting.__contains__, lambda record: _recovery(record, readers, now), now, muted=silent
        )
        if found:
            _end_in_storms(blobs, found[0], now)
        return found

    closed = post.remembered("whether somebody waits for this window is not known", close)
    if closed is None or closed[0].recovery is None:
        return {}
    end = closed[0].recovery
    outcomes = post.sent(dict.fromkeys(closed[1].routes, end.message))
    settled(post, cell, end.fingerprint, outcomes, now)
    return _states(outcomes)


def warn(subject: Subject, window: str, lines: Sequence[str], now: datetime, post: Post) -> None:
    """Keeps warnings for the digest of the day, if any route wants it. Never raises."""
    routes = tuple(_route(route) for route in subject.routes if "warn" in route.events)
    if routes:
        warned = Warned(tenant=subject.tenant, table=subject.table, window=window, routes=routes, lines=tuple(lines))
        post.remembered("warnings will be in no digest", lambda blobs: alert_digest.warn(blobs, warned, now))


def settled(post: Post, cell: Cell, fingerprint: str, outcomes: Mapping[Route, Outcome], now: datetime) -> None:
    if outcomes:
        post.remembered(
            f"{cell}: what became of an alert could not be written down",
            lambda blobs: alert_records.settle(blobs, cell, fingerprint, outcomes, now),
        )


def within(seconds: float, call: Callable[[], T]) -> T:
    """What the call returns or raises; TimeoutError when it does not come in time, and nobody waits for it any more."""
    return _Call(call).result(seconds)


def reason(error: BaseException) -> str:
    """One line without what a service quoted back at us."""
    return f"{type(error).__name__}: {redact(error, 300)}".rstrip(": ")


class _Call(Generic[T]):
    """A call in a daemon thread: a process that ends, and a caller that is tired of waiting, leave it behind."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._found: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True, name="alert")
        self._thread.start()

    def result(self, seconds: float) -> T:
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            raise TimeoutError("no answer in time")
        if self._error is not None:
            raise self._error
        return self._found  # type: ignore[return-value]  # set by _run, which raised nothing

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._found = call()
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error


def _claim(blobs: Blobs, incident: Incident, message: Message, routes: tuple[Route, ...]) -> Claim:
    subject = incident.subject
    silent = alert_mutes.muted(blobs, subject.tenant, subject.table, incident.at) is not None
    return alert_records.claim(blobs, incident, message, routes, incident.at, muted=silent)


def _in_storm(incident: Incident, message: Message, route: Route, post: Post) -> Message | None:
    """The page itself, one about the storm it is part of, or None: it waits for the storm's digest."""
    joined = post.remembered(
        "whether others have the same is not known",
        lambda blobs: alert_storms.join(blobs, incident, route, incident.at),
    )
    if joined is None or joined[0] == "page":
        return message
    decision, storm = joined
    return None if decision == "hold" else storm_page(incident, [str(p.cell) for p in storm.places], storm.fingerprint)


def _recovery(record: Record, readers: str, now: datetime) -> Message:
    told = [(e.kind, e.fingerprint, e.first_at) for e in record.entries if any(t.state in TOLD for t in e.told)]
    loud: Severity = max((e.message.severity for e in record.entries), key=SEVERITIES.index, default="info")
    return recovery(str(record.cell), told, readers, loud, now)


def _end_in_storms(blobs: Blobs, record: Record, now: datetime) -> None:
    """Routes that heard of an incident by a digest hear of its end by one."""
    held = {told.route for told in record.recovery.told if told.state == "held"} if record.recovery else set()
    for entry in record.entries:
        for route in (told.route for told in entry.told if told.state == "digested" and told.route in held):
            alert_storms.end(blobs, entry.kind, entry.message.severity, route, record.cell, entry.fingerprint, now)


def _route(plan: AlertPlan) -> Route:
    return plan.notifier, plan.connection


def _states(outcomes: Mapping[Route, Outcome]) -> dict[Route, State]:
    return {route: state for route, (state, _) in outcomes.items()}
