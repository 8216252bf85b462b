"""Storms: incidents of one kind that come close together reach a route as one page and one digest that names them all.

    _ops/alerts/storms/<kind>.<severity>.<notifier>.<connection>.json

The first of a kind pages at once. Those that follow within QUIET are held for the sweep, which tells them together when
no more come. Without a sweep nothing waits: each pages, the CROWD-th by a page about the storm, and no more after it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tenantdags.model.taxonomy import Severity
from tenantdags.steps import agreed
from tenantdags.steps.alert_records import STUCK, Cell, Route
from tenantdags.steps.alerts import Incident, fingerprint_of
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.manifest import utc_text

STORMS, SWEEP = "_ops/alerts/storms", "_ops/alerts/sweep.json"
QUIET = timedelta(minutes=10)  # after so long without one of its kind, an incident pages at once again
CALM = timedelta(minutes=1)  # the digest waits until no incident came for so long
PATIENCE = timedelta(minutes=3)  # but nothing waits longer for it
SWEPT = timedelta(minutes=5)  # a sweep this recent will come again
CROWD = 5

Decision = Literal["page", "hold", "storm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One incident of a storm, or with `ended` its end. `state` None: a page of its own told it."""

    tenant: str
    table: str
    window: str
    fingerprint: str
    at: datetime
    state: Literal["held", "telling", "told"] | None = None
    taken_at: datetime | None = None
    ended: bool = False

    @property
    def cell(self) -> Cell:
        return Cell(self.tenant, self.table, self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What came together for one route; a lone incident is a storm of one."""

    kind: str
    severity: Severity
    route: Route
    by: str
    last_at: datetime
    places: tuple[Place, ...]

    @property
    def path(self) -> str:
        return _path(self.kind, self.severity, self.route)

    @property
    def fingerprint(self) -> str:
        """The same from its first place to its last."""
        first = self.places[0]
        return fingerprint_of(*first.cell, self.kind, first.at.isoformat())

    def due(self, now: datetime) -> tuple[Place, ...]:
        """What is to be told now: everything held, once it is calm or one has waited long enough."""
        held = [p for p in self.places if p.state == "held"]
        left = [p for p in self.places if p.state == "telling" and p.taken_at and abs(now - p.taken_at) > STUCK]
        ready = held and (abs(now - self.last_at) >= CALM or max(abs(now - p.at) for p in held) >= PATIENCE)
        return (*left, *(held if ready else ()))

    def to_json(self) -> bytes:
        return agreed.dump(self)

    @classmethod
    def from_json(cls, data: bytes) -> Storm:
        raw = agreed.load(data)
        return cls(
            **{
                **raw, "route": tuple(raw["route"]), "last_at": datetime.fromisoformat(raw["last_at"]),
                "places": tuple(map(_place, raw["places"])),
            }
        )  # fmt: skip


def join(blobs: Blobs, incident: Incident, route: Route, now: datetime) -> tuple[Decision, Storm]:
    """Adds the incident to its storm, and decides how this route hears of it."""
    swept = _swept(blobs, now)
    cell = Cell(incident.subject.tenant, incident.subject.table, incident.window)
    decision: Decision = "page"

    def decide(found: Storm | None) -> Storm:
        nonlocal decision
        before = _lasting(found, now)
        # a window that is red again is no crowd: whoever was told that it is mended hears at once
        decision = _decision(len({cell, *(p.cell for p in before if not p.ended)}), swept)
        place = Place(
            **cell._asdict(), fingerprint=incident.fingerprint, at=now, state="held" if decision == "hold" else None
        )
        return Storm(
            kind=incident.kind, severity=incident.severity, route=route, by=uuid.uuid4().hex, last_at=now,
            places=(*before, place),
        )  # fmt: skip

    storm = agreed.change(blobs, _path(incident.kind, incident.severity, route), Storm, decide)
    assert storm is not None
    return decision, storm


def end(blobs: Blobs, kind: str, severity: Severity, route: Route, cell: Cell, fingerprint: str, now: datetime) -> None:
    """What a digest told of is over: the next one tells that too."""
    place = Place(**cell._asdict(), fingerprint=fingerprint, at=now, state="held", ended=True)

    def decide(found: Storm | None) -> Storm:
        places = (*(found.places if found else ()), place)
        return Storm(kind=kind, severity=severity, route=route, by=uuid.uuid4().hex, last_at=now, places=places)

    agreed.change(blobs, _path(kind, severity, route), Storm, decide)


def storms(blobs: Blobs) -> Iterator[Storm]:
    return agreed.read_all(blobs, f"{STORMS}/", Storm)


def take(blobs: Blobs, storm: Storm, now: datetime) -> tuple[Place, ...]:
    """What of the storm is due, as this process's to tell: of two sweeps one gets it."""
    taken: tuple[Place, ...] = ()

    def decide(found: Storm | None) -> Storm | None:
        nonlocal taken
        taken = found.due(now) if found else ()
        if found is None or not taken:
            return None
        places = tuple(replace(p, state="telling", taken_at=now) if p in taken else p for p in found.places)
        return replace(found, by=uuid.uuid4().hex, places=places)

    return taken if agreed.change(blobs, storm.path, Storm, decide) else ()


def settle(blobs: Blobs, storm: Storm, told: Collection[Place], state: Literal["held", "told"]) -> None:
    """Told, or held as before because it could not be delivered."""
    mine = {(p.fingerprint, p.ended) for p in told}

    def decide(found: Storm | None) -> Storm | None:
        if found is None:
            return None
        places = tuple(replace(p, state=state) if (p.fingerprint, p.ended) in mine else p for p in found.places)
        return replace(found, by=uuid.uuid4().hex, places=places)

    agreed.change(blobs, storm.path, Storm, decide)


def mark_swept(blobs: Blobs, now: datetime) -> None:
    """From now on incidents may wait for the next sweep."""
    blobs.write(SWEEP, SWEEP, json.dumps({"at": utc_text(now)}).encode())


def swept_at(blobs: Blobs) -> datetime | None:
    found = blobs.read(SWEEP, SWEEP)
    return datetime.fromisoformat(json.loads(found[0])["at"]) if found else None


def _swept(blobs: Blobs, now: datetime) -> bool:
    at = swept_at(blobs)
    return at is not None and abs(now - at) < SWEPT


def _lasting(found: Storm | None, now: datetime) -> tuple[Place, ...]:
    """The places of the storm that is still on; of an old one only what nobody told yet."""
    if found is None or abs(now - found.last_at) < QUIET:
        return found.places if found else ()
    return tuple(p for p in found.places if p.state in ("held", "telling"))


def _decision(number: int, swept: bool) -> Decision:
    if number == 1:
        return "page"
    if swept or number > CROWD:
        return "hold"
    return "storm" if number == CROWD else "page"


def _path(kind: str, severity: Severity, route: Route) -> str:
    return f"{STORMS}/{kind}.{severity}.{'.'.join(route)}.json"


def _place(raw: dict[str, Any]) -> Place:
    taken_at = datetime.fromisoformat(raw["taken_at"]) if raw["taken_at"] else None
    return Place(**{**raw, "at": datetime.fromisoformat(raw["at"]), "taken_at": taken_at})
