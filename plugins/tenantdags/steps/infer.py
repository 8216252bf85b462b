"""Asks a source's catalogue what a table is, for a contract to be drafted from. Reads no row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tenantdags.model.draft import SourceColumn
from tenantdags.model.errors import SourcePermission
from tenantdags.model.fields import suggestion
from tenantdags.model.infer import ForeignKey, SourceTable
from tenantdags.model.tenant import Tenant
from tenantdags.steps import source, tsql
from tenantdags.steps.drift import HISTORY, Found, found_columns

Catalogue = Callable[[tsql.Statement], Sequence[Sequence[Any]]]
_VISIBLE = (
    "the server shows a login only what it has a right on, by SELECT or, to look without reading, VIEW DEFINITION"
)


@dataclass(frozen=True, slots=True)
class _Index:
    name: str
    primary: bool
    unique: bool
    columns: tuple[str, ...]


def source_table(tenant: Tenant, table: str, catalogue: Catalogue) -> SourceTable:
    """What the catalogue says of `table` in the tenant's schema. Raises SourcePermission when it shows none."""
    said, where = tenant.source, f"{tenant.tenant} {table} infer"
    with source.typed_errors(where, said.connection):
        kinds = {str(name): str(kind).strip() for name, kind in catalogue(tsql.tables_of(said.schema_))}
        name = next((n for n in kinds if n == table), None) or _folded(kinds, table)
        if name is None:
            raise _unseen(where, said.schema_, table, kinds)
        found = found_columns(catalogue(tsql.columns_of(said.schema_, name)))
        indexes = _indexes(catalogue(tsql.keys_of(said.schema_, name)))
        foreign = catalogue(tsql.foreign_keys_of(said.schema_, name))
        stored = {str(column): bool(kept) for column, kept in catalogue(tsql.computed_of(said.schema_, name))}
    if not found:
        raise _unseen(where, said.schema_, table, kinds)
    if found[0].temporal_type == HISTORY:
        what = f"{said.schema_}.{name} is the history table of a temporal table: its rows are old versions."
        raise SourcePermission(where, what, "Name the table that it belongs to.")
    ours = [f for f in found if f.name.casefold() != (said.tenant_column or "").casefold()]
    key = _key(ours, indexes, said.tenant_column)
    return SourceTable(
        tenant=tenant.tenant, database=said.database, schema=said.schema_, name=name,
        kind="view" if kinds[name] == "V" else "table",
        columns=tuple(_column(f, key.columns if key else (), stored) for f in ours if not f.period),
        periods=tuple(_column(f, (), stored) for f in ours if f.period),
        key=key.columns if key else (), key_is_primary=key.primary if key else True,
        leading=tuple(sorted(_leading(indexes, said.tenant_column))),
        foreign_keys=_foreign_keys(foreign),
    )  # fmt: skip


def _folded(names: Iterable[str], wanted: str) -> str | None:
    return next((name for name in names if name.casefold() == wanted.casefold()), None)


def _unseen(where: str, schema: str, table: str, known: Iterable[str]) -> SourcePermission:
    what = f"{schema} has no table or view {table!r} that the login sees{suggestion(table, known)}"
    return SourcePermission(where, what if what.endswith("?") else f"{what}.", f"Correct the name; {_VISIBLE}.")


def _indexes(rows: Iterable[Sequence[Any]]) -> list[_Index]:
    """In the server's order, each with its key columns in theirs."""
    found: dict[str, _Index] = {}
    for name, primary, unique, column in rows:
        before = found.get(str(name))
        columns = (*(before.columns if before else ()), str(column))
        found[str(name)] = _Index(str(name), bool(primary), bool(unique), columns)
    return list(found.values())


def _key(columns: Sequence[Found], indexes: Iterable[_Index], tenant_column: str | None) -> _Index | None:
    """The primary key, or the narrowest unique index without NULLs; the tenant's column is in no contract."""
    known = {f.name.casefold(): f for f in columns}
    candidates = []
    for index in indexes:
        kept = [name for name in index.columns if name.casefold() != (tenant_column or "").casefold()]
        usable = [known[name.casefold()] for name in kept if name.casefold() in known]
        whole = len(usable) == len(kept) > 0 and all(f.type and not f.nullable for f in usable)
        if whole and (index.primary or index.unique):
            candidates.append(_Index(index.name, index.primary, index.unique, tuple(f.name for f in usable)))
    return min(candidates, key=lambda index: (not index.primary, len(index.columns)), default=None)


def _leading(indexes: Iterable[_Index], tenant_column: str | None) -> set[str]:
    """The columns by which a window is found without reading the whole table."""
    found = set()
    for index in indexes:
        names = [name.casefold() for name in index.columns]
        found |= {*names[:1]} if names[:1] != [(tenant_column or "").casefold()] else {*names[1:2]}
    return found


def _column(found: Found, key: Sequence[str], stored: dict[str, bool]) -> SourceColumn:
    note = ""
    if found.computed:
        note = f"computed at the source{'' if stored.get(found.name) else ' each time it is read'}"
    if found.masked:
        note = "masked at the source: personal? The login has no UNMASK, so runs would stop"
    return SourceColumn(
        name=found.name, type=found.type, type_text=found.type_text, required=not found.nullable, note=note,
        key_position=list(key).index(found.name) + 1 if found.name in key else None, identity=found.identity,
    )  # fmt: skip


def _foreign_keys(rows: Iterable[Sequence[Any]]) -> tuple[ForeignKey, ...]:
    found: dict[str, list[Sequence[Any]]] = {}
    for row in rows:
        found.setdefault(str(row[0]), []).append(row)
    return tuple(
        ForeignKey(
            name=name, columns=tuple(str(row[1]) for row in its), schema=its[0][2], table=its[0][3],
            to_columns=tuple(str(row[4]) for row in its), trusted=not its[0][5],
        )
        for name, its in found.items()
    )  # fmt: skip
