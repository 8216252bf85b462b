"""The daily digest: what only warned during a day (UTC) is told the next morning, one message per route.

_ops/alerts/warned/<date>/<tenant>.<table>.<window>.<what>.json    until it is told
_ops/alerts/digests/<date>.json                                    who tells it
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from tenantdags.steps import agreed
from tenantdags.steps.alert_records import STUCK, Route
from tenantdags.steps.alerts import Message, digest
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.manifest import utc_text

WARNED, DIGESTS = "_ops/alerts/warned", "_ops/alerts/digests"
MORNING = 7  # o'clock UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """What one attempt at a window warned of, and which routes hear of warnings."""

    tenant: str
    table: str
    window: str
    routes: tuple[Route, ...]
    lines: tuple[str, ...]

    def to_json(self) -> bytes:
        return agreed.dump(self)

    @classmethod
    def from_json(cls, data: bytes) -> Warned:
        raw = agreed.load(data)
        return cls(**{**raw, "routes": tuple(map(tuple, raw["routes"])), "lines": tuple(raw["lines"])})


def warn(blobs: Blobs, warned: Warned, now: datetime) -> None:
    """The same warnings of a window again are the same file, so a rerun is told once."""
    what = hashlib.sha256("\n".join(warned.lines).encode()).hexdigest()[:12]
    name = f"{warned.tenant}.{warned.table}.{warned.window}.{what}.json"
    blobs.write(name, f"{WARNED}/{now:%Y-%m-%d}/{name}", warned.to_json())


def tell_warned(blobs: Blobs, now: datetime, tell: Callable[[Route, Message], bool]) -> int:
    """Sends the digests of past days, from MORNING on. What a route did not take stays for the next time.

    The number of messages that were delivered. Of two sweeps at once one sends.
    """
    days = _days(blobs, now)
    return sum(_tell_day(blobs, day, tell) for day in days if _taken(blobs, day, now))


def _days(blobs: Blobs, now: datetime) -> list[date]:
    before = now.date() if now.hour >= MORNING else now.date() - timedelta(days=1)
    found = {date.fromisoformat(path.split("/")[3]) for path in blobs.names(WARNED, f"{WARNED}/")}
    return sorted(day for day in found if day < before)


def _taken(blobs: Blobs, day: date, now: datetime) -> bool:
    path = f"{DIGESTS}/{day.isoformat()}.json"
    found = blobs.read(path, path)
    if found and abs(now - datetime.fromisoformat(json.loads(found[0])["at"])) < STUCK:
        return False
    mine = json.dumps({"at": utc_text(now), "by": uuid.uuid4().hex}).encode()
    return blobs.swap(path, path, mine, found[1] if found else None) is not None


def _tell_day(blobs: Blobs, day: date, tell: Callable[[Route, Message], bool]) -> int:
    prefix = f"{WARNED}/{day.isoformat()}/"
    found = {path: agreed.read(blobs, path, Warned) for path in blobs.names(prefix, prefix)}
    warned = {path: each for path, each in found.items() if each}
    routes = _routes(warned.values())
    delivered = {route for route in routes if tell(route, _message(day, route, warned.values()))}
    for path, each in warned.items():
        left = tuple(route for route in each.routes if route not in delivered)
        if not left:
            blobs.delete(path, path)
        elif left != each.routes:
            blobs.write(path, path, replace(each, routes=left).to_json())
    return len(delivered)


def _routes(warned: Iterable[Warned]) -> tuple[Route, ...]:
    return tuple(dict.fromkeys(route for each in warned for route in each.routes))


def _message(day: date, route: Route, warned: Iterable[Warned]) -> Message:
    """A route hears of its own tenants alone."""
    mine = [(f"{w.tenant} {w.table} {w.window}", w.lines) for w in warned if route in w.routes]
    return digest(day, mine)
