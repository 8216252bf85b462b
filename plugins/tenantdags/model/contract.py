"""What a contract promises about one table: grain, columns, keys, mode, window, checks. Read from ODCS 3.2 YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from tenantdags.model.sqltype import SqlType

Mode = Literal["event", "snapshot"]
Severity = Literal["error", "warning"]
Handling = Literal["hash", "drop", "keep"]
CheckKind = Literal[
    "required", "unique", "enum", "pattern", "range", "length", "row_count", "null_count", "null_percent",
    "invalid_count", "invalid_percent", "freshness", "sql", "reconcile", "reference", "volume_band",
]  # fmt: skip
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "between", "not between"]
Number = int | Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The measured value must stand in this relation to `values` (two of them for the between forms, inclusive)."""

    operator: Operator
    values: tuple[Number, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule. `columns` are contract column names; `threshold` bounds the measured number (0 failing rows if unsaid).

    `arguments` by kind: enum → the values; pattern → (regex,); range → (minimum|None, maximum|None) as text;
    length → (min|None, max|None); sql → (query,); reconcile → (metric, column, *by); null_count, null_percent →
    texts that are missing beside NULL; invalid_count, invalid_percent → ("values", *allowed) or ("pattern", regex);
    freshness → (minute, hour or day,): how long before the window's end the newest value of the column lies;
    reference → (ref of the parent's contract, *its key): `columns` in the same order name a row the parent has
    published for this tenant. A row with NULL in one of them names none (SQL's MATCH SIMPLE), the others are counted;
    volume_band → (weeks of history, windows without which there is no band): the threshold is in spreads.
    """

    id: str
    kind: CheckKind
    name: str
    dimension: str
    severity: Severity = "error"
    columns: tuple[str, ...] = ()
    threshold: Threshold = field(default_factory=lambda: Threshold(operator="=", values=(0,)))
    arguments: tuple[str | int | None, ...] = ()
    before_hashing: bool = False  # a value rule on a hashed column: only the stream can see the value
    of_newest: bool = False  # a reference to a snapshot table: its newest window is its state


@dataclass(frozen=True, slots=True, kw_only=True)
class Pii:
    """What a personal column is, and what happens to it in the stream."""

    category: str
    handling: Handling


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the contract; `name` downstream, `source_name` at the source."""

    name: str
    source_name: str
    type: SqlType
    required: bool = False
    key_position: int | None = None  # from 1
    pii: Pii | None = None
    measure: bool = False
    classification: str | None = None
    description: str | None = None

    @property
    def loaded(self) -> bool:
        """False for a column that is dropped in the stream and so reaches no file and no table."""
        return not (self.pii and self.pii.handling == "drop")

    @property
    def hashed(self) -> bool:
        return bool(self.pii and self.pii.handling == "hash")

    @property
    def delta_type(self) -> str:
        """The Databricks SQL type of the curated column; a hash is a STRING of 64 hex digits."""
        return "STRING" if self.hashed else self.type.delta


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentJoin:
    """A child table without a date of its own takes its parent's: rows whose parent lies in the window."""

    contract: str  # 'orders@1'
    table: str  # the parent's source table
    on: tuple[tuple[str, str], ...]  # (child source column, parent source column)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRule:
    """How rows are found. `column`/`column_type` are the source's (the parent's with `parent`); None for snapshots."""

    column: str | None
    column_type: SqlType | None
    parent: ParentJoin | None = None
    changed: str | None = None
    allow_empty: bool = False
    observe_within: timedelta | None = None  # snapshots: how long after its end a window may still be observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One major version of one table's contract; `ref` is `orders@1`."""

    table: str
    major: int
    version: str
    file: str  # relative to the project, for messages
    name: str
    purpose: str
    grain: str
    source_table: str
    mode: Mode
    columns: tuple[Column, ...]
    window: WindowRule
    checks: tuple[Check, ...]
    additive: Literal["allow", "stop"] = "allow"
    owner: str | None = None
    runbook: str | None = None
    retention_days: int | None = None
    rights: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (scope, excluded columns)
    status: str = "active"
    text: str = field(default="", repr=False, compare=False)  # the file's, to draft the next version from

    @property
    def ref(self) -> str:
        return f"{self.table}@{self.major}"

    @property
    def keys(self) -> tuple[str, ...]:
        keyed = [c for c in self.columns if c.key_position is not None]
        return tuple(c.name for c in sorted(keyed, key=lambda c: c.key_position or 0))

    @property
    def loaded_columns(self) -> tuple[Column, ...]:
        return tuple(c for c in self.columns if c.loaded)

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.measure)
