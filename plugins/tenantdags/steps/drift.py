"""The source's catalogue against the contract, before any row is read. Pure: rows of sys.columns in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenantdags.model.contract import Column
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType

_INTS = ("tinyint", "smallint", "int", "bigint")


@dataclass(frozen=True, slots=True)
class Found:
    """One column as the source's catalogue shows it; `type` is None for one no contract can name (CLR, sql_variant)."""

    table: str
    name: str
    type: SqlType | None
    type_text: str
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """`breaking` stops the run, `warnings` go on; `tenant_type` is the tenant column's declared type."""

    breaking: tuple[str, ...]
    warnings: tuple[str, ...]
    tenant_type: SqlType | None


def found_columns(rows: Iterable[Sequence[object]]) -> tuple[Found, ...]:
    """Rows of `tsql.catalogue_columns`, in its column order."""
    return tuple(_found(*row) for row in rows)


def compare(plan: TablePlan, found: Sequence[Found]) -> Drift:
    """Everything that differs, at once."""
    ours = _of_table(found, plan.source.table)
    if not ours:
        missing = f"{plan.source.schema}.{plan.source.table}: no such table, or the login may not see it"
        return Drift(breaking=(missing,), warnings=(), tenant_type=None)
    breaking = [line for column in plan.contract.columns for line in _column_drift(column, ours)]
    breaking += _window_drift(plan, found) + _tenant_drift(plan, found)
    extra = _extra(plan, ours)
    if extra and plan.contract.additive == "stop":
        breaking.append(f"{extra}; the contract allows no additions (schemaEvolution.additive: stop)")
    tenant = _named(ours, plan.source.tenant_column) if plan.source.tenant_column else None
    warnings = [*([extra] if extra else []), *(line for c in plan.contract.columns for line in _narrower(c, ours))]
    return Drift(breaking=tuple(breaking), warnings=tuple(warnings), tenant_type=tenant.type if tenant else None)


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


def _column_drift(column: Column, ours: Sequence[Found]) -> list[str]:
    found = _named(ours, column.source_name)
    if found is None:
        return [f"{column.source_name}: contract {column.type}, the source has no such column"]
    if found.type is None or not fits(found.type, column.type):
        return [f"{column.source_name}: contract {column.type}, source {found.type_text}"]
    return []


def _narrower(column: Column, ours: Sequence[Found]) -> list[str]:
    found = _named(ours, column.source_name)
    if found is None or found.type is None or _canonical(found.type) == _canonical(column.type):
        return []
    return [f"{column.source_name}: source {found.type_text} is narrower than contract {column.type}; every value fits"]


def _window_drift(plan: TablePlan, found: Sequence[Found]) -> list[str]:
    rule = plan.contract.window
    if rule.column is None or rule.column_type is None:
        return []
    table = rule.parent.table if rule.parent else plan.source.table
    columns = _of_table(found, table)
    if not columns:
        return [f"{plan.source.schema}.{table}: no such parent table, or the login may not see it"]
    lines = [f"{table}.{name}: the parent has no such column" for name in _missing_links(plan, columns)]
    clock = _named(columns, rule.column)
    if clock is None:
        return [*lines, f"{table}.{rule.column}: the window column is missing"]
    if clock.type is None or not fits(clock.type, rule.column_type):
        lines.append(f"{table}.{rule.column}: window column of {rule.column_type}, source {clock.type_text}")
    if clock.nullable:
        lines.append(f"{table}.{rule.column}: the window column may be NULL at the source, so rows could be missed")
    return lines


def _missing_links(plan: TablePlan, columns: Sequence[Found]) -> list[str]:
    parent = plan.contract.window.parent
    wanted = [theirs for _, theirs in parent.on] if parent else []
    return [name for name in wanted if _named(columns, name) is None]


def _tenant_drift(plan: TablePlan, found: Sequence[Found]) -> list[str]:
    tenant, parent = plan.source.tenant_column, plan.contract.window.parent
    if tenant is None:
        return []
    tables = [plan.source.table, *([parent.table] if parent else [])]
    columns = {table: _named(_of_table(found, table), tenant) for table in tables}
    return [
        f"{table}.{tenant}: the tenant column is missing or of a type that cannot be compared"
        for table, column in columns.items()
        if column is None or column.type is None
    ]


def _extra(plan: TablePlan, ours: Sequence[Found]) -> str:
    known = {c.source_name.casefold() for c in plan.contract.columns} | {(plan.source.tenant_column or "").casefold()}
    listed = [f"{f.name} {f.type_text}" for f in ours if f.name.casefold() not in known]
    return f"source columns outside the contract, not extracted: {', '.join(listed)}" if listed else ""


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
    table: object, column: object, name: object, length: object, precision: object, scale: object, nullable: object
) -> Found:
    text = _type_text(str(name or "a CLR type"), int(str(length)), int(str(precision)), int(str(scale)))
    try:
        parsed = SqlType.parse(text)
    except ValueError:
        parsed = None
    return Found(str(table), str(column), parsed, text, bool(nullable))


def _type_text(name: str, length: int, precision: int, scale: int) -> str:
    """sys.columns counts max_length in bytes, two per character of nchar and nvarchar; -1 is max."""
    if name in ("nchar", "nvarchar", "char", "varchar", "binary", "varbinary"):
        size = length // 2 if name.startswith("n") and length > 0 else length
        return f"{name}({'max' if length == -1 else size})"
    if name in ("decimal", "numeric"):
        return f"decimal({precision},{scale})"
    return f"{name}({scale})" if name in ("datetime2", "datetimeoffset", "time") else name
