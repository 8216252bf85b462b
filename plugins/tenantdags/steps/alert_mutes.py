"""Mutes: for a while, for a stated reason, nobody is told about a tenant or a table. Incidents are recorded all along.

_ops/mutes/<tenant>[.<table>].json
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tenantdags.steps import agreed
from tenantdags.steps.blobs import Blobs

MUTES = "_ops/mutes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """`table` None: all tables of the tenant. Instants are aware; `by` is who asked for it."""

    tenant: str
    table: str | None
    until: datetime
    reason: str
    by: str
    at: datetime

    def holds(self, now: datetime) -> bool:
        """An expired mute is no mute."""
        return now < self.until

    @property
    def where(self) -> str:
        return f"{self.tenant} {self.table}" if self.table else f"{self.tenant} (all tables)"

    def to_json(self) -> bytes:
        return agreed.dump(self)

    @classmethod
    def from_json(cls, data: bytes) -> Mute:
        raw = agreed.load(data)
        at, until = datetime.fromisoformat(raw["at"]), datetime.fromisoformat(raw["until"])
        return cls(**{**raw, "at": at, "until": until})


def mute(blobs: Blobs, new: Mute) -> None:
    """In the place of an earlier one of the same tenant and table."""
    blobs.write(new.where, _path(new.tenant, new.table), new.to_json())


def unmute(blobs: Blobs, tenant: str, table: str | None) -> bool:
    """False when there was none."""
    return blobs.delete(tenant, _path(tenant, table))


def mutes(blobs: Blobs) -> tuple[Mute, ...]:
    """All there are, also expired ones, by tenant and table."""
    return tuple(agreed.read_all(blobs, f"{MUTES}/", Mute))


def muted(blobs: Blobs, tenant: str, table: str, now: datetime) -> Mute | None:
    """The mute that holds now."""
    found = (agreed.read(blobs, _path(tenant, of), Mute) for of in (None, table))
    return next((each for each in found if each and each.holds(now)), None)


def _path(tenant: str, table: str | None) -> str:
    return f"{MUTES}/{tenant}.{table}.json" if table else f"{MUTES}/{tenant}.json"
