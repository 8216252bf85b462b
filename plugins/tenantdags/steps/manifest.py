"""What one extract attempt produced: the manifest, written once into staging and copied as it is into landing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file; `sha256` is of the file's bytes, in hex."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadColumn:
    """One column to load, with its Databricks SQL type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SumTotal:
    """An exact control sum at the source; `group` holds the values of the `by` columns (None for NULL)."""

    column: str
    by: tuple[str, ...]
    group: tuple[str | None, ...]
    sum: str | None  # decimal text; None for no or only NULL values


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest value of the column that moves when a row changes, as ISO text; None where no row has one."""

    column: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the source said about the window in the same transaction as the rows."""

    rows: int
    sums: tuple[SumTotal, ...] = ()
    newest: Newest | None = None  # where the contract declares `changed`


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCheck:
    """A rule only the stream could evaluate (its column is hashed or dropped): how many of `rows` rows broke it."""

    rule: str
    failing: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """An earlier window whose rows at the source are not those that are published, as generation `generation`.

    `source` is a digest of what the source said. `settled`: it said so already when the window was rolled back by hand.
    """

    window: str
    window_start: datetime
    generation: int
    differs: tuple[str, ...]  # 'rows 200 → 201'
    source: str
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """The published windows that the lookback counted anew at the source, and those that differ."""

    windows: int
    differing: tuple[Differing, ...] = ()
    troubles: tuple[str, ...] = ()  # windows that could not be compared, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftLine:
    """One way in which the source differs from the contract and does not break it.

    `change` is a word of model/drift_policy.py, `column` the source's name; the same difference has the same
    `fingerprint` in every window. `new` is True in the run that met it first (and its retries): alerts tell it then.
    """

    change: str
    column: str
    text: str
    fingerprint: str
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDrift:
    """`to_paste` is YAML for the contract's `properties`: the columns it lacks."""

    lines: tuple[DriftLine, ...] = ()
    to_paste: str | None = None

    @property
    def new(self) -> tuple[DriftLine, ...]:
        return tuple(line for line in self.lines if line.new)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> SourceDrift:
        return cls(lines=tuple(DriftLine(**line) for line in raw["lines"]), to_paste=raw["to_paste"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Times are aware UTC. `reconciled` is False when the source could not isolate totals from rows.

    `base_generation` is the window's published generation when this load was extracted (0: none yet): publish refuses
    when another load was published in between. `warnings` are additive drift and the like, one line each; `drift` is
    the same drift as a value.
    """

    tenant: str
    table: str
    contract: str
    contract_version: str
    window_start: datetime
    window_end: datetime
    as_of_date: date
    load_id: str
    extracted_at: datetime
    base_generation: int
    rows: int
    parts: tuple[Part, ...]
    columns: tuple[LoadColumn, ...]
    totals: Totals
    reconciled: bool
    pii_key_id: str | None
    run_id: str
    warnings: tuple[str, ...] = ()
    stream_checks: tuple[StreamCheck, ...] = ()
    recount: Recount | None = None  # None: this run does not look back
    drift: SourceDrift = SourceDrift()
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=_plain, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Raises ValueError when the text is not a manifest of this format."""
        raw: dict[str, Any] = json.loads(text)
        if raw.get("format") != FORMAT:
            raise ValueError(f"manifest format {raw.get('format')!r}, this version reads {FORMAT}")
        return cls(
            **{
                **raw,
                "window_start": _instant(raw["window_start"]),
                "window_end": _instant(raw["window_end"]),
                "extracted_at": _instant(raw["extracted_at"]),
                "as_of_date": date.fromisoformat(raw["as_of_date"]),
                "parts": tuple(Part(**p) for p in raw["parts"]),
                "columns": tuple(LoadColumn(**c) for c in raw["columns"]),
                "totals": _totals(raw["totals"]),
                "warnings": tuple(raw["warnings"]),
                "stream_checks": tuple(StreamCheck(**c) for c in raw["stream_checks"]),
                "recount": _recount(raw["recount"]) if raw.get("recount") else None,
                # a load of before may still be published or rolled back to
                "drift": SourceDrift.from_dict(raw["drift"]) if "drift" in raw else SourceDrift(),
            }
        )


def _totals(raw: dict[str, Any]) -> Totals:
    sums = tuple(SumTotal(**{**s, "by": tuple(s["by"]), "group": tuple(s["group"])}) for s in raw["sums"])
    newest = raw.get("newest")  # not in manifests of earlier versions
    return Totals(rows=raw["rows"], sums=sums, newest=Newest(**newest) if newest else None)


def _recount(raw: dict[str, Any]) -> Recount:
    differing = tuple(
        Differing(**{**d, "window_start": _instant(d["window_start"]), "differs": tuple(d["differs"])})
        for d in raw["differing"]
    )
    return Recount(windows=raw["windows"], differing=differing, troubles=tuple(raw["troubles"]))


def utc_text(instant: datetime) -> str:
    """`2026-11-21T23:00:00.123456Z`; the fraction only where there is one."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _plain(value: object) -> str:
    return utc_text(value) if isinstance(value, datetime) else str(value)
