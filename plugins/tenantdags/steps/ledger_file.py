"""The ledger in landing, one small file for the fleet, and the heartbeat that a monitor outside looks at.

Two watchdogs may keep it: who writes last over an old version loses, and learns the same again at its next look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from tenantdags.model.ledger import TableLedger
from tenantdags.steps.airflow_view import Roll
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.manifest import utc_text

FORMAT = 1
LEDGER = "_ops/watch/ledger.json"
HEARTBEAT = "_ops/heartbeat/watch.json"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the watch knows: per DAG id its table, the roll of Airflow's DAGs, per tenant a digest of its kept files."""

    tables: Mapping[str, TableLedger] = field(default_factory=dict)
    roll: Roll = field(default_factory=Roll)
    digests: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        tables = {dag_id: table.to_json() for dag_id, table in sorted(self.tables.items())}
        raw = {
            "format": FORMAT,
            "roll": asdict(self.roll),
            "digests": dict(sorted(self.digests.items())),
            "tables": tables,
        }
        return json.dumps(raw, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: bytes) -> Ledger:
        """Raises ValueError for what is no ledger of this format."""
        raw: Any = json.loads(text)
        try:
            if raw["format"] != FORMAT:
                raise ValueError(f"ledger format {raw['format']!r}, this version reads {FORMAT}")
            return cls(
                {dag_id: TableLedger.from_json(table) for dag_id, table in raw["tables"].items()},
                Roll(**{**raw["roll"], "absent": tuple(raw["roll"]["absent"])}),
                raw["digests"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no ledger: {type(error).__name__} {error}") from None


@dataclass(frozen=True, slots=True)
class Kept:
    """A ledger as it was read; `trouble` says why an older one could not be used."""

    ledger: Ledger
    etag: str | None
    trouble: str | None = None


def read_ledger(blobs: Blobs, where: str) -> Kept:
    """An empty one where there is none yet. One that is damaged is begun anew: what was told is remembered elsewhere.

    Raises LandingUnreachable or TableBehind.
    """
    found = blobs.read(where, LEDGER)
    if found is None:
        return Kept(Ledger(), None)
    try:
        return Kept(Ledger.from_json(found[0]), found[1])
    except ValueError as error:
        return Kept(Ledger(), found[1], f"{LEDGER} was not readable and is begun anew: {error}")


def write_ledger(blobs: Blobs, where: str, kept: Kept, ledger: Ledger) -> bool:
    """False when another watchdog wrote since it was read: then its knowledge stays."""
    if ledger == kept.ledger and kept.etag and not kept.trouble:
        return True
    return blobs.swap(where, LEDGER, ledger.to_json().encode(), kept.etag) is not None


def beat(blobs: Blobs, where: str, at: datetime, said: Mapping[str, Any]) -> None:
    """Tells a monitor outside that a look was completed."""
    blobs.write(where, HEARTBEAT, json.dumps({"at": utc_text(at), **said}).encode())


def last_beat(blobs: Blobs, where: str) -> tuple[datetime, dict[str, Any]] | None:
    """When a look was last completed, and what it said; None when none ever was or the file is no heartbeat."""
    found = blobs.read(where, HEARTBEAT)
    if found is None:
        return None
    try:
        raw = json.loads(found[0])
        return datetime.fromisoformat(raw["at"]), raw
    except (ValueError, KeyError, TypeError):
        return None
