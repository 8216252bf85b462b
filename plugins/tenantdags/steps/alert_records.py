"""What alerting remembers of a window: its incidents, and how far each route is with each. One file, changed by swaps.

_ops/alerts/open/<tenant>/<table>/<window>.json
_ops/alerts/closed/<date>/<tenant>.<table>.<window>.json    the same, once it was published after all
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from tenantdags.steps import agreed
from tenantdags.steps.alerts import Incident, Message, fingerprint_of
from tenantdags.steps.blobs import Blobs

OPEN, CLOSED = "_ops/alerts/open", "_ops/alerts/closed"
STUCK = timedelta(minutes=2)  # whoever has been sending for longer than this died over it
LONGEST = timedelta(hours=1)  # between two tries of a route that does not work

Route = tuple[str, str]  # notifier, connection id
# held: waits for its storm's digest; digested: told by one; failed: to be sent again by the sweep
State = Literal["sending", "sent", "held", "digested", "failed", "muted"]
TOLD: tuple[State, ...] = ("sent", "digested")


class Cell(NamedTuple):
    """What a record is about; `window` is a window's key or alerts.NO_WINDOW."""

    tenant: str
    table: str
    window: str

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far one route is with one incident. `by` is a new id for every writer, `tries` counts what was sent."""

    route: Route
    state: State
    at: datetime
    by: str
    tries: int = 0
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One incident of a window, or its recovery; noticed `times` times, by whomever."""

    fingerprint: str
    kind: str
    first_at: datetime
    last_at: datetime
    message: Message
    told: tuple[Told, ...]
    times: int = 1

    def of(self, writer: str) -> tuple[Route, ...]:
        """The routes that this writer has to tell."""
        return tuple(told.route for told in self.told if told.by == writer and told.state == "sending")

    @property
    def pending(self) -> bool:
        return any(told.state in ("sending", "failed", "held") for told in self.told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything about one window. Closed when it is published after all; the next incident begins it anew."""

    tenant: str
    table: str
    window: str
    entries: tuple[Entry, ...] = ()
    closed_at: datetime | None = None
    recovery: Entry | None = None

    @property
    def cell(self) -> Cell:
        return Cell(self.tenant, self.table, self.window)

    @property
    def live(self) -> tuple[Entry, ...]:
        """What still wants telling: the incidents, and once they are over, that they are over."""
        return ((self.recovery,) if self.recovery else ()) if self.closed_at else self.entries

    def entry(self, fingerprint: str) -> Entry | None:
        return next((entry for entry in self.live if entry.fingerprint == fingerprint), None)

    def with_entry(self, new: Entry) -> Record:
        """`new` in the place of its fingerprint's entry, or behind all."""
        if self.recovery and self.recovery.fingerprint == new.fingerprint:
            return replace(self, recovery=new)
        if all(entry.fingerprint != new.fingerprint for entry in self.entries):
            return replace(self, entries=(*self.entries, new))
        return replace(self, entries=tuple(new if e.fingerprint == new.fingerprint else e for e in self.entries))

    def to_json(self) -> bytes:
        return agreed.dump(self)

    @classmethod
    def from_json(cls, data: bytes) -> Record:
        raw = agreed.load(data)
        closed_at = datetime.fromisoformat(raw["closed_at"]) if raw["closed_at"] else None
        recovery = _entry(raw["recovery"]) if raw["recovery"] else None
        entries = tuple(map(_entry, raw["entries"]))
        return cls(**{**raw, "entries": entries, "closed_at": closed_at, "recovery": recovery})


class Claim(NamedTuple):
    """`routes` are for this process to tell; what another one told or is telling is not among them."""

    routes: tuple[Route, ...]
    new: bool


def claim(
    blobs: Blobs, incident: Incident, message: Message, routes: Sequence[Route], now: datetime, *, muted: bool
) -> Claim:
    """Records an incident. Whoever comes first tells; those behind only count, unless it was not delivered."""
    me, cell, new = uuid.uuid4().hex, cell_of(incident), False

    def decide(found: Record | None) -> Record:
        nonlocal new
        lasts = found is not None and found.closed_at is None
        record = found if found is not None and lasts else Record(**cell._asdict())
        known = record.entry(incident.fingerprint)
        new = known is None
        if known is None:
            told = tuple(Told(route=r, state="muted" if muted else "sending", at=now, by=me) for r in routes)
            return record.with_entry(
                Entry(
                    fingerprint=incident.fingerprint, kind=incident.kind, first_at=now, last_at=now, message=message,
                    told=told,
                )
            )  # fmt: skip
        again = tuple(_taken(t, me, now, muted=muted) for t in known.told)
        return record.with_entry(replace(known, told=again, last_at=now, times=known.times + 1))

    record = agreed.change(blobs, path_of(cell), Record, decide)
    entry = record.entry(incident.fingerprint) if record else None
    return Claim(entry.of(me) if entry else (), new)


def settle(
    blobs: Blobs, cell: Cell, fingerprint: str, found: Mapping[Route, tuple[State, str | None]], now: datetime
) -> None:
    """Writes what became of routes: `{route: (state, why)}`."""
    me = uuid.uuid4().hex

    def decide(record: Record | None) -> Record | None:
        entry = record.entry(fingerprint) if record else None
        if record is None or entry is None:
            return None  # over meanwhile, and nobody has to know any more
        told = tuple(_settled(t, *found[t.route], me, now) if t.route in found else t for t in entry.told)
        return record.with_entry(replace(entry, told=told))

    agreed.change(blobs, path_of(cell), Record, decide)


def close(
    blobs: Blobs, cell: Cell, wanted: Callable[[Route], bool], said: Callable[[Record], Message], now: datetime,
    *, muted: bool,
) -> tuple[Record, Claim] | None:  # fmt: skip
    """The window is published. What this process has to tell of it, of all racing ones at most one; None: nothing.

    `wanted`: whether a route hears of recoveries; `said`: the message. Only who was told of an incident hears of its
    end; who heard by a storm's digest waits for the next one.
    """
    me = uuid.uuid4().hex

    def decide(record: Record | None) -> Record | None:
        if record is None or record.closed_at:
            return None
        heard = {t.route: t.state for e in record.entries for t in e.told if t.state in TOLD and wanted(t.route)}
        told = tuple(Told(route=r, state=_ending(s, muted=muted), at=now, by=me) for r, s in heard.items())
        end = Entry(
            fingerprint=fingerprint_of(*cell, "recovery", now.isoformat()), kind="recovery", first_at=now, last_at=now,
            message=said(record), told=told,
        )  # fmt: skip
        return replace(record, closed_at=now, recovery=end)

    record = agreed.change(blobs, path_of(cell), Record, decide)
    if record is None or record.recovery is None:
        return None
    return record, Claim(record.recovery.of(me), new=True)


def resume(blobs: Blobs, record: Record, now: datetime, *, muted: bool) -> tuple[tuple[Entry, tuple[Route, ...]], ...]:
    """What of a record is for this process to tell: what failed, whose sender died, whose mute is over."""
    me = uuid.uuid4().hex

    def decide(found: Record | None) -> Record | None:
        after = found
        for entry in found.live if found else ():
            told = tuple(_taken(t, me, now, muted=muted) for t in entry.told)
            after = after.with_entry(replace(entry, told=told)) if after and told != entry.told else after
        return after if after != found else None

    after = agreed.change(blobs, path_of(record.cell), Record, decide)
    mine = [(entry, entry.of(me)) for entry in after.live] if after else []
    return tuple((entry, routes) for entry, routes in mine if routes)


def records(blobs: Blobs) -> Iterator[Record]:
    """Every window with an incident, and those that are over since the last sweep."""
    return agreed.read_all(blobs, f"{OPEN}/", Record)


def record_of(blobs: Blobs, cell: Cell) -> Record | None:
    return agreed.read(blobs, path_of(cell), Record)


def shelve(blobs: Blobs, record: Record) -> None:
    """A record that is over and told goes out of the way, unless it was begun anew meanwhile."""
    path = path_of(record.cell)
    found = blobs.read(path, path)
    if found and record.closed_at and Record.from_json(found[0]) == record:
        name = f"{record.tenant}.{record.table}.{record.window}.json"
        blobs.write(path, f"{CLOSED}/{record.closed_at:%Y-%m-%d}/{name}", found[0])
        blobs.delete(path, path, etag=found[1])


def cell_of(incident: Incident) -> Cell:
    return Cell(incident.subject.tenant, incident.subject.table, incident.window)


def path_of(cell: Cell) -> str:
    return f"{OPEN}/{cell.tenant}/{cell.table}/{cell.window}.json"


def _taken(told: Told, me: str, now: datetime, *, muted: bool) -> Told:
    """As this writer leaves it: its own to send, if nobody has it in hand and its time has come."""
    waited = abs(now - told.at)
    again = told.state == "failed" and waited >= min(LONGEST, timedelta(minutes=2 ** (told.tries - 1)))
    stuck = told.state == "sending" and waited > STUCK
    if not again and not stuck and not (told.state == "muted" and not muted):
        return told
    return replace(told, state="muted" if muted else "sending", at=now, by=me)


def _ending(state: State, *, muted: bool) -> State:
    """How a route that was told of an incident comes to hear of its end."""
    return "muted" if muted else "held" if state == "digested" else "sending"


def _settled(told: Told, state: State, why: str | None, me: str, now: datetime) -> Told:
    sent = state in ("sent", "failed")
    return replace(told, state=state, at=now, by=me, why=why, tries=told.tries + sent)


def _entry(raw: dict[str, Any]) -> Entry:
    told = (Told(**{**t, "route": tuple(t["route"]), "at": datetime.fromisoformat(t["at"])}) for t in raw["told"])
    first_at, last_at = datetime.fromisoformat(raw["first_at"]), datetime.fromisoformat(raw["last_at"])
    message = Message(**{**raw["message"], "resolves": tuple(raw["message"]["resolves"])})
    return Entry(**{**raw, "message": message, "told": tuple(told), "first_at": first_at, "last_at": last_at})
