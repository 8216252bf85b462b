"""The source's catalogue against the contract, before any row is read. Pure: rows of sys.columns in, findings out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tenantdags.model.contract import Column
from tenantdags.model.draft import SourceColumn, property_lines
from tenantdags.model.drift_policy import Change, Level, level
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType

SHOWN = 12  # columns in a line for people
KEPT = 50  # in a manifest: a table may have 1,024, and the manifest travels in XCom
_INTS = ("tinyint", "smallint", "int", "bigint")
HISTORY = 1  # sys.tables.temporal_type


@dataclass(frozen=True, slots=True)
class Found:
    """One column as the source's catalogue shows it; `type` is None for one no contract can name (CLR, sql_variant)."""

    table: str
    name: str
    type: SqlType | None
    type_text: str
    nullable: bool
    collation: str | None = None
    identity: bool = False
    computed: bool = False
    period: bool = False  # GENERATED ALWAYS, of a temporal table
    temporal_type: int = 0  # of the table: 1 a history table, 2 a system-versioned one
    masked: bool = False  # this login is shown masks instead of the values

    @property
    def look(self) -> Look:
        return Look(nullable=self.nullable, collation=self.collation, computed=self.computed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a contract does not say of a column, and whose change may still matter."""

    nullable: bool
    collation: str | None
    computed: bool


Looks = Mapping[str, Look]  # by the contract's name of the column


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One of them. `column` is the source's name, or the contract's for one that is gone; `text` is for people."""

    change: Change
    level: Level
    column: str
    text: str
    contract: str = ""
    source: str = ""

    @property
    def fingerprint(self) -> str:
        """The same difference has the same one, in every window and whoever meets it."""
        said = json.dumps([self.change, self.column.casefold(), self.contract, self.source])
        return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Everything that differs. What is breaking stops the run; `tenant_type` is the tenant column's declared type."""

    differences: tuple[Difference, ...]
    tenant_type: SqlType | None
    looks: Looks
    to_paste: tuple[str, ...] = ()

    @property
    def breaking(self) -> tuple[Difference, ...]:
        return tuple(d for d in self.differences if d.level == "breaking")

    @property
    def warnings(self) -> tuple[Difference, ...]:
        return tuple(d for d in self.differences if d.level == "warning")


def found_columns(rows: Iterable[Sequence[object]]) -> tuple[Found, ...]:
    """Rows of `tsql.catalogue_columns`, in its column order."""
    return tuple(_found(*row) for row in rows)


def compare(plan: TablePlan, found: Sequence[Found], *, before: Looks | None = None, told_apart: bool = False) -> Drift:
    """Everything that differs, at once.

    `before` is how the columns looked when this version of the contract was first read; `told_apart`, whether the
    database tells names apart that differ in case only.
    """
    ours, contract = _of_table(found, plan.source.table), plan.contract
    differ = partial(_difference, plan)
    if not ours:
        place = f"{plan.source.schema}.{plan.source.table}"
        gone = differ("no_table", place, f"{place}: no such table, or the login may not see it")
        return Drift(differences=(gone,), tenant_type=None, looks={})
    matched = [(column, _named(ours, column.source_name)) for column in contract.columns]
    added = _added(plan, ours)
    renamed = _renamed(contract.columns, [column for column, its in matched if its is None], added, ours)
    differences = [
        *(d for column, its in matched for d in _of_column(plan, column, its, renamed, before or {}, told_apart)),
        *_window(plan, found, before or {}),
        *_tenant(plan, found),
        *_masked(plan, found),
        *([_history(plan)] if ours[0].temporal_type == HISTORY else []),
        *(differ("added", f.name, _added_text(f), source=f.type_text) for f in added if f not in renamed.values()),
    ]
    tenant = _named(ours, plan.source.tenant_column) if plan.source.tenant_column else None
    return Drift(
        differences=tuple(differences),
        tenant_type=tenant.type if tenant else None,
        looks={column.name: its.look for column, its in matched if its},
        to_paste=_to_paste(plan, [f for f in added if f not in renamed.values()]),
    )


def sentences(differences: Sequence[Difference], additive: str) -> tuple[str, ...]:
    """For people, one line each; all that is added in one line, which names the first of them."""
    added = [d for d in differences if d.change == "added"]
    told = [d.text for d in differences if d.change != "added"]
    if not added:
        return tuple(told)
    listed = ", ".join(f"{d.column} {d.source}" for d in added[:SHOWN])
    more = f" and {len(added) - SHOWN:,} more" if len(added) > SHOWN else ""
    line = f"source columns outside the contract, not extracted: {listed}{more}"
    stop = "; the contract allows no additions (schemaEvolution.additive: stop)" if additive == "stop" else ""
    return (*told, line + stop)


def bounded(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """No more than a manifest should carry: behind the first, the rest in one."""
    if len(differences) <= KEPT:
        return tuple(differences)
    rest = differences[KEPT:]
    digest = hashlib.sha256("".join(d.fingerprint for d in rest).encode()).hexdigest()[:16]
    text = f"{len(rest):,} more, from {rest[0].column} to {rest[-1].column}"
    last = Difference(change=rest[0].change, level=rest[0].level, column=rest[0].column, text=text, source=digest)
    return (*differences[:KEPT], last)


def fits(found: SqlType, contract: SqlType) -> bool:
    """True when every value of `found` is a value of `contract` with the same meaning."""
    found, contract = _canonical(found), _canonical(contract)
    if found.name in _INTS and contract.name in _INTS:
        return _INTS.index(found.name) <= _INTS.index(contract.name)
    if found.name != contract.name:
        return (found.name, contract.name) == ("real", "float")
    if contract.name == "decimal":
        return _decimal_fits(found, contract)
    if contract.length is not None:
        return contract.length == -1 or -1 < (found.length or 0) <= contract.length
    return (found.scale or 0) <= (contract.scale or 0)


def _difference(
    plan: TablePlan, change: Change, column: str, text: str, contract: str = "", source: str = ""
) -> Difference:
    how = level(change, plan.contract.additive)
    return Difference(change=change, level=how, column=column, text=text, contract=contract, source=source)


def _of_column(
    plan: TablePlan, column: Column, its: Found | None, renamed: Mapping[str, Found], before: Looks, told_apart: bool
) -> Iterator[Difference]:
    if its is None:
        yield _gone(plan, column, renamed.get(column.name))
    else:
        yield from _changed(plan, column, its, before, told_apart)


def _gone(plan: TablePlan, column: Column, successor: Found | None) -> Difference:
    text = f"{column.source_name}: contract {column.type}, the source has no such column"
    if successor is None:
        return _difference(plan, "dropped", column.source_name, text, str(column.type))
    text = f"{text}; {successor.name} stands in its place and looks renamed"
    return _difference(plan, "renamed", column.source_name, text, str(column.type), successor.name)


def _changed(plan: TablePlan, column: Column, its: Found, before: Looks, told_apart: bool) -> Iterator[Difference]:
    name, differ = column.source_name, partial(_difference, plan)
    types = (str(column.type), its.type_text)
    if told_apart and its.name != name:
        text = f"{name}: the source calls it {its.name}, and its database tells the two apart"
        yield differ("case_told_apart", name, text, name, its.name)
    if its.type is None or not fits(its.type, column.type):
        wider = its.type is not None and fits(column.type, its.type)
        text = f"{name}: contract {types[0]}, source {types[1]}"
        yield differ("widened" if wider else "retyped", name, f"{text}, which is wider" if wider else text, *types)
    elif _canonical(its.type) != _canonical(column.type):
        text = f"{name}: source {types[1]} is narrower than contract {types[0]}; every value fits"
        yield differ("narrowed", name, text, *types)
    if look := before.get(column.name):
        yield from _looks_changed(plan, column, its, look)


def _looks_changed(plan: TablePlan, column: Column, its: Found, before: Look) -> Iterator[Difference]:
    name, differ = column.source_name, partial(_difference, plan)
    window = name == plan.contract.window.column  # told as such
    if column.required and its.nullable and not before.nullable and not window:
        yield differ("nullable", name, f"{name}: required, and the source came to allow NULL in it")
    if its.collation != before.collation and column.type.text:
        text = f"{name}: its collation was {before.collation} and is {its.collation}"
        yield differ("collation", name, text, before.collation or "", its.collation or "")
    if its.computed and not before.computed and not window:
        yield differ("computed", name, f"{name}: the source came to compute it; windows read again may differ")


def _window(plan: TablePlan, found: Sequence[Found], before: Looks) -> Iterator[Difference]:
    rule, differ = plan.contract.window, partial(_difference, plan)
    if rule.column is None or rule.column_type is None:
        return
    table = rule.parent.table if rule.parent else plan.source.table
    columns = _of_table(found, table)
    if not columns:
        place = f"{plan.source.schema}.{table}"
        yield differ("no_parent", place, f"{place}: no such parent table, or the login may not see it")
        return
    for _, theirs in rule.parent.on if rule.parent else ():
        if _named(columns, theirs) is None:
            yield differ("parent_column", theirs, f"{table}.{theirs}: the parent has no such column")
    clock, place = _named(columns, rule.column), f"{table}.{rule.column}"
    if clock is None:
        yield differ("window_missing", rule.column, f"{place}: the window column is missing")
        return
    if clock.type is None or not fits(clock.type, rule.column_type):
        text = f"{place}: window column of {rule.column_type}, source {clock.type_text}"
        yield differ("window_type", rule.column, text, str(rule.column_type), clock.type_text)
    if clock.nullable:
        text = f"{place}: the window column may be NULL at the source, so rows could be missed"
        yield differ("window_nullable", rule.column, text)
    own = next((c.name for c in plan.contract.columns if c.source_name == rule.column), "")
    look = None if rule.parent else before.get(own)
    if clock.computed and look and not look.computed:
        text = f"{place}: the source came to compute the window column, so rows could move between windows"
        yield differ("window_computed", rule.column, text)


def _tenant(plan: TablePlan, found: Sequence[Found]) -> Iterator[Difference]:
    tenant, parent = plan.source.tenant_column, plan.contract.window.parent
    for table in [plan.source.table, *([parent.table] if parent else [])] if tenant else []:
        columns = _of_table(found, table)
        column = _named(columns, tenant or "")
        if columns and (column is None or column.type is None):
            text = f"{table}.{tenant}: the tenant column is missing or of a type that cannot be compared"
            yield _difference(plan, "tenant_column", tenant or "", text, source=table)


def _masked(plan: TablePlan, found: Sequence[Found]) -> Iterator[Difference]:
    """Of the columns that are read: a mask is a value like any other, and nothing downstream could tell."""
    read = {c.source_name.casefold() for c in plan.contract.columns} | {(plan.source.tenant_column or "").casefold()}
    for column in found:
        if column.masked and column.table.casefold() == plan.source.table.casefold() and column.name.casefold() in read:
            text = f"{column.name}: is masked at the source, and the login has no UNMASK: it would read masks"
            yield _difference(plan, "masked", column.name, text)


def _history(plan: TablePlan) -> Difference:
    place = f"{plan.source.schema}.{plan.source.table}"
    text = f"{place}: is the history table of a temporal table; name the table that it belongs to"
    return _difference(plan, "history_table", place, text)


def _added(plan: TablePlan, ours: Sequence[Found]) -> list[Found]:
    known = {c.source_name.casefold() for c in plan.contract.columns} | {(plan.source.tenant_column or "").casefold()}
    return [f for f in ours if f.name.casefold() not in known]


def _added_text(found: Found) -> str:
    kind = "period column " if found.period else "computed column " if found.computed else ""
    return f"{found.name}: {kind}{found.type_text}, which the contract does not have; it is not extracted"


def _renamed(
    columns: Sequence[Column], gone: Sequence[Column], added: Sequence[Found], ours: Sequence[Found]
) -> dict[str, Found]:
    """By the contract's name: the one new column of the same type between the same neighbours.

    Two candidates for one column, or one for two, is a guess, and none is made.
    """
    candidates = {
        column.name: [
            f for f in added if f.type == column.type and _gap(columns, column, ours) == _place(columns, f, ours)
        ]
        for column in gone
    }
    claims = [f for found in candidates.values() for f in found]
    return {name: found[0] for name, found in candidates.items() if len(found) == 1 and claims.count(found[0]) == 1}


def _gap(columns: Sequence[Column], column: Column, ours: Sequence[Found]) -> str | None:
    """The column of the contract before this one that the source still has: behind it this one stood."""
    names = [c.source_name for c in columns[: list(columns).index(column)]]
    return next((name.casefold() for name in reversed(names) if _named(ours, name)), None)


def _place(columns: Sequence[Column], found: Found, ours: Sequence[Found]) -> str | None:
    """The column of the contract behind which this one stands at the source."""
    known = {c.source_name.casefold() for c in columns}
    names = [f.name.casefold() for f in ours[: list(ours).index(found)]]
    return next((name for name in reversed(names) if name in known), None)


def _to_paste(plan: TablePlan, added: Sequence[Found]) -> tuple[str, ...]:
    """Lines for the contract's `properties`, of as many columns as a person would paste."""
    taken = [column.name for column in plan.contract.columns]
    columns = [
        SourceColumn(name=f.name, type=f.type, type_text=f.type_text, required=not f.nullable, note=_note(f))
        for f in added[:KEPT]
    ]
    more = [f"# and {len(added) - KEPT:,} more"] if len(added) > KEPT else []
    return (*property_lines(columns, taken), *more)


def _note(found: Found) -> str:
    return "a period column" if found.period else "computed at the source" if found.computed else ""


def _of_table(found: Sequence[Found], table: str) -> tuple[Found, ...]:
    return tuple(f for f in found if f.table.casefold() == table.casefold())


def _named(found: Sequence[Found], name: str) -> Found | None:
    exact = [f for f in found if f.name == name]
    return next(iter(exact or [f for f in found if f.name.casefold() == name.casefold()]), None)


def _canonical(sql_type: SqlType) -> SqlType:
    if sql_type.name == "rowversion":
        return SqlType("timestamp")
    if sql_type.name == "float":
        return SqlType("real" if (sql_type.precision or 53) <= 24 else "float")
    return sql_type


def _decimal_fits(found: SqlType, contract: SqlType) -> bool:
    places, allowed = found.scale or 0, contract.scale or 0
    return places <= allowed and (found.precision or 0) - places <= (contract.precision or 0) - allowed


def _found(
    table: object, column: object, name: object, length: object, precision: object, scale: object, nullable: object,
    collation: object = None, identity: object = False, computed: object = False, generated: object = 0,
    temporal: object = 0, masked: object = False,
) -> Found:  # fmt: skip
    text = _type_text(str(name or "a CLR type"), int(str(length)), int(str(precision)), int(str(scale)))
    try:
        parsed = SqlType.parse(text)
    except ValueError:
        parsed = None
    return Found(
        str(table), str(column), parsed, text, bool(nullable), None if collation is None else str(collation),
        bool(identity), bool(computed), bool(generated), int(str(temporal or 0)),
        bool(masked),
    )  # fmt: skip


def _type_text(name: str, length: int, precision: int, scale: int) -> str:
    """sys.columns counts max_length in bytes, two per character of nchar and nvarchar; -1 is max."""
    if name in ("nchar", "nvarchar", "char", "varchar", "binary", "varbinary"):
        size = length // 2 if name.startswith("n") and length > 0 else length
        return f"{name}({'max' if length == -1 else size})"
    if name in ("decimal", "numeric"):
        return f"decimal({precision},{scale})"
    return f"{name}({scale})" if name in ("datetime2", "datetimeoffset", "time") else name
