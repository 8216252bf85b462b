"""From a driver's Arrow batch to the contract's columns: exact casts, value rules before hashing, hashes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tenantdags.model.contract import Check, Column
from tenantdags.model.errors import BadValue
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType
from tenantdags.steps.manifest import LoadColumn, StreamCheck
from tenantdags.steps.pii import PiiKey, hashed, text_array
from tenantdags.steps.tsql import SOURCE_TENANT, selected_columns

_INSTANT = pa.timestamp("us", tz="UTC")
_ARROW = {
    "bit": pa.bool_(), "tinyint": pa.int16(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(),
    "real": pa.float32(), "money": pa.decimal128(19, 4), "smallmoney": pa.decimal128(10, 4), "date": pa.date32(),
    "datetime": _INSTANT, "smalldatetime": _INSTANT, "datetime2": _INSTANT, "datetimeoffset": _INSTANT,
    "binary": pa.binary(), "varbinary": pa.binary(), "image": pa.binary(),
    "rowversion": pa.binary(), "timestamp": pa.binary(),
}  # fmt: skip


def arrow_type(sql_type: SqlType) -> pa.DataType:
    """The staged type: exact decimals, instants in UTC microseconds, everything textual as string."""
    if sql_type.name == "decimal":
        return pa.decimal128(sql_type.precision, sql_type.scale)
    if sql_type.name == "float":
        return pa.float32() if (sql_type.precision or 53) <= 24 else pa.float64()
    return _ARROW.get(sql_type.name, pa.string())


def staged_schema(plan: TablePlan) -> pa.Schema:
    """The strict schema of every staged part: loaded contract columns in order, then `_source_tenant`; all nullable."""
    fields = [pa.field(c.name, pa.string() if c.hashed else arrow_type(c.type)) for c in plan.contract.loaded_columns]
    return pa.schema([*fields, pa.field(SOURCE_TENANT, pa.string())])


def load_columns(plan: TablePlan) -> tuple[LoadColumn, ...]:
    return tuple(LoadColumn(name=c.name, type=c.delta_type) for c in plan.contract.loaded_columns)


class Conform:
    """Turns source batches into staged ones and counts, on the way, what only the plain values can show."""

    def __init__(self, plan: TablePlan, where: str, key: PiiKey | None) -> None:
        self._plan, self._where, self._key = plan, where, key
        self._schema = staged_schema(plan)
        self._columns = selected_columns(plan)
        self._rules = [(check, name) for check in plan.checks if check.before_hashing for name in check.columns]
        self._failing = {check.id: 0 for check, _ in self._rules}
        self._rows = 0
        # An unknown zone or a machine without a zone database must not look like a bad value later.
        _instants(text_array(["2026-01-01 12:00"]).cast(pa.timestamp("us")), plan.source.time_zone)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises BadValue, naming column and type and never the value."""
        plain = {c.name: self._exact(c, batch.column(i)) for i, c in enumerate(self._columns)}
        for check, name in self._rules:
            self._failing[check.id] += failing_rows(check, plain[name])
        self._rows += batch.num_rows
        staged = [self._staged(c, plain[c.name]) for c in self._columns if c.loaded]
        tenants = pc.utf8_rtrim(batch.column(len(self._columns)).cast(pa.string()), " ")  # char(n) comes padded
        return pa.RecordBatch.from_arrays([*staged, tenants], schema=self._schema)

    def stream_checks(self) -> tuple[StreamCheck, ...]:
        return tuple(StreamCheck(rule=rule, failing=n, rows=self._rows) for rule, n in self._failing.items())

    def _staged(self, column: Column, values: pa.Array) -> pa.Array:
        return hashed(values, self._key) if column.hashed and self._key else values

    def _exact(self, column: Column, values: pa.Array) -> pa.Array:
        try:
            return exact(values, column.type, self._plan.source.time_zone)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # its text quotes the value
            what = f"a value of {column.name} cannot become {column.type} without loss."
            if column.type.naive_clock:
                what = f"a value of {column.name} ({column.type}) is no time in {self._plan.source.time_zone}."
            remedy = "Correct it at the source, or change the type in a new contract version."
            raise BadValue(self._where, what, remedy) from None


def exact(values: pa.Array, sql_type: SqlType, zone: str) -> pa.Array:
    """The contract's type or pa.ArrowInvalid; nothing is rounded, cut or wrapped."""
    if sql_type.naive_clock:
        return _instants(values.cast(pa.timestamp("us")), zone)
    if sql_type.name == "time":
        digits = sql_type.scale or 0
        text = values.cast(pa.time64("ns")).cast(pa.string())  # 10:11:12.000000000
        return pc.utf8_slice_codeunits(text, 0, 9 + digits if digits else 8)
    return values.cast(arrow_type(sql_type), safe=True)


def _instants(naive: pa.Array, zone: str) -> pa.Array:
    """An hour that a clock shows twice means its first pass; one that it skips is no time at all."""
    if zone == "UTC":
        return naive.cast(_INSTANT)
    return pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="raise").cast(_INSTANT)


def failing_rows(check: Check, values: pa.Array) -> int:
    """How many rows break a rule about one column's plain values. NULL breaks only the rules about missing values."""
    if check.kind in ("required", "null_count", "null_percent"):
        return int(values.null_count) + (_count(_member(values, check.arguments)) if check.arguments else 0)
    return _count(pc.invert(_passing(check, values)))


def _count(flags: pa.Array) -> int:
    return int(pc.sum(flags, min_count=0).as_py())


def _passing(check: Check, values: pa.Array) -> pa.Array:
    """True, False or NULL per value, after the argument shapes that `Check` documents."""
    kind, arguments = check.kind, check.arguments
    if kind in ("invalid_count", "invalid_percent"):
        kind, arguments = ("enum" if arguments[0] == "values" else "pattern"), arguments[1:]
    if kind == "pattern":
        return pc.match_substring_regex(values, str(arguments[0]))
    if kind == "enum":
        return _member(values, arguments)
    if kind in ("length", "range"):
        return _between(pc.utf8_length(values) if kind == "length" else values, arguments)
    raise ValueError(f"rule {check.id}: a {check.kind} rule cannot be evaluated on a stream")


def _member(values: pa.Array, listed: Sequence[object]) -> pa.Array:
    known = text_array([str(value) for value in listed]).cast(values.type)
    return pc.if_else(pc.is_valid(values), pc.is_in(values, known), pa.nulls(len(values), pa.bool_()))


def _between(values: pa.Array, bounds: Sequence[object]) -> pa.Array:
    low, high = (None if b is None else text_array([str(b)]).cast(values.type)[0] for b in bounds)
    above = None if low is None else pc.greater_equal(values, low)
    below = None if high is None else pc.less_equal(values, high)
    return above if below is None else below if above is None else pc.and_(above, below)
