"""A contract drafted from what a source's catalogue says of a table: whole, valid, and marked where it is a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tenantdags.model.contract import Column, Contract, Pii
from tenantdags.model.draft import SourceColumn, column_name, property_lines, quoted, why_not
from tenantdags.model.references import Target, why_not_comparable

_CHANGED = re.compile(r"(.*_)?(updated|modified|changed|last_change|last_update|last_modified)(_.*)?")
_CREATED = re.compile(r"(.*_)?(created|inserted|imported|loaded|valid_from)(_.*)?")
_HAPPENED = re.compile(r"(.*_)?(date|day|at|on|time|timestamp|datetime)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """`table` None: the login may not see what it refers to. `trusted`: the server has checked every row."""

    name: str
    columns: tuple[str, ...]
    schema: str | None
    table: str | None
    to_columns: tuple[str, ...]
    trusted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """What the catalogue says. `leading` are columns an index begins with, behind the tenant's column if it has one."""

    tenant: str
    database: str
    schema: str
    name: str
    kind: str  # table or view
    columns: tuple[SourceColumn, ...]
    periods: tuple[SourceColumn, ...] = ()  # of a temporal table
    key: tuple[str, ...] = ()
    key_is_primary: bool = True
    leading: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Drafted:
    """A contract file's text, and what its reader has to decide."""

    table: str
    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Window:
    mode: str
    text: str  # the value of the property window
    note: str


def contract_name(table: str) -> str:
    """`OrderLines` → `order_lines`, as a contract's table may be called."""
    return re.sub(r"_+", "_", column_name(table, ()))[:31].strip("_")


def drafted(
    source: SourceTable, known: Sequence[Contract], targets: Mapping[str, Target], name: str | None = None
) -> Drafted:
    """`known` are the project's contracts and `targets` their ids, by ref, to which foreign keys may refer.

    `name` is what the contract's table shall be called.
    """
    table = name or contract_name(source.name)
    names = _names(source.columns)
    relations = [_relation(key, source, known) for key in source.foreign_keys]
    window = _window(source, names, relations)
    keys = [names[column] for column in source.key]
    grain = f"one row per {' and '.join(keys)}" if keys else "one row per …"
    lines = [
        f"# Drafted from {source.schema}.{source.name} of {source.tenant}, database {source.database}.",
        '# Every line that says "review" holds a guess.',
        "apiVersion: v3.2.0",
        "kind: DataContract",
        f"id: {quoted(table)}",
        f"name: {quoted(table.replace('_', ' ').capitalize())}",
        "version: 1.0.0",
        "status: draft  # review: set it to active when nothing is left to review",
        "description:",
        f"  purpose: {grain[0].upper()}{grain[1:]}.  # review: what the table is for, in one sentence",
        "schema:",
        f"  - id: {quoted(table)}",
        f"    name: {quoted(table)}",
        f"    physicalName: {quoted(source.name)}",
        f"    physicalType: {source.kind}",
        "    logicalType: object",
        f"    dataGranularityDescription: {grain}{_key_note(source)}",
        "    properties:",
        *(f"      {line}" for line in _properties(source, relations)),
        *_relationships(table, relations, names, targets),
        "    customProperties:",
        f"      - {{property: mode, value: {window.mode}}}  # review: {window.note}",
        *([f"      - {{property: window, value: {window.text}}}"] if window.text else []),
        "      - {property: schemaEvolution, value: {additive: allow, breaking: stop}}",
        "      - {property: aggregationRights, value: [{scope: tenant}]}  # review: who else may aggregate it",
        "# review: add team (who answers for it), slaProperties (retention, freshness) and the property runbook",
        *_measures(source, names),
    ]
    return Drafted(table, "\n".join(lines) + "\n", tuple(_notes(source, lines)))


@dataclass(frozen=True, slots=True)
class _Relation:
    """A foreign key, pairs of its columns and those of the contract `to`, and why it cannot be written, if so."""

    key: ForeignKey
    to: Contract | None = None
    pairs: tuple[tuple[SourceColumn, Column], ...] = ()
    why: str | None = None


def _relation(key: ForeignKey, source: SourceTable, known: Iterable[Contract]) -> _Relation:
    if key.table is None or key.schema is None:
        return _Relation(key, why="refers to a table that the login may not see")
    there = f"{key.schema}.{key.table} ({', '.join(key.to_columns)})"
    here = key.schema.casefold() == source.schema.casefold()
    contracts = [c for c in known if here and c.source_table.casefold() == key.table.casefold()]
    if not contracts:
        return _Relation(key, why=f"refers to {there}, of which there is no contract")
    to = max(contracts, key=lambda contract: contract.major)
    pairs = tuple(_pairs(key, source, to))
    if sorted(theirs.name for _, theirs in pairs) != sorted(to.keys):
        return _Relation(key, to, pairs, f"refers to {there}, which is not the key of {to.ref}")
    why = next((why for ours, theirs in pairs if (why := _unlike(ours, theirs))), None)
    return _Relation(key, to, pairs, f"refers to {to.ref}, but {why}" if why else None)


def _pairs(key: ForeignKey, source: SourceTable, to: Contract) -> Iterator[tuple[SourceColumn, Column]]:
    """Without the tenant's column, which is in no contract."""
    ours = {column.name.casefold(): column for column in source.columns}
    theirs = {column.source_name.casefold(): column for column in to.columns}
    for mine, yours in zip(key.columns, key.to_columns, strict=True):
        if mine.casefold() in ours and yours.casefold() in theirs:
            yield ours[mine.casefold()], theirs[yours.casefold()]


def _unlike(ours: SourceColumn, theirs: Column) -> str | None:
    """Why the two could not be compared, once ours is handled as theirs is."""
    if ours.type is None or why_not(ours):
        return f"{ours.name} is left out"
    return why_not_comparable(
        Column(name=ours.name, source_name=ours.name, type=ours.type, pii=theirs.pii), theirs
    )  # fmt: skip


def _names(columns: Sequence[SourceColumn]) -> dict[str, str]:
    """The contract's name of each column that can be in it, by the source's."""
    found: dict[str, str] = {}
    for column in columns:
        if why_not(column) is None:
            found[column.name] = column_name(column.name, found.values())
    return found


def _properties(source: SourceTable, relations: Sequence[_Relation]) -> list[str]:
    lines = property_lines(source.columns, handled=dict(_handled(relations)))
    left_out = [f"# {c.name} {c.type_text}: left out, a period column of the temporal table" for c in source.periods]
    return [*lines, *left_out]


def _handled(relations: Iterable[_Relation]) -> Iterator[tuple[str, Pii]]:
    """A column that refers to a hashed key must be hashed alike, or no row would be found."""
    for relation in relations:
        for ours, theirs in relation.pairs if relation.why is None else ():
            if theirs.pii:
                yield ours.name, theirs.pii


def _relationships(
    table: str, relations: Sequence[_Relation], names: Mapping[str, str], targets: Mapping[str, Target]
) -> Iterator[str]:
    told = [(relation, _places(relation, targets)) for relation in relations]
    if relations:
        yield "    relationships:" if any(places for _, places in told) else "    # foreign keys at the source"
    for relation, theirs in told:
        if not theirs:
            why = relation.why or "refers to columns that have no id in their contract"
            yield f"      # {relation.key.name} ({', '.join(relation.key.columns)}) {why}"
            continue
        ours = [f"{table}.{names[column.name]}" for column, _ in relation.pairs]
        said = (ours[0], theirs[0]) if len(ours) == 1 else (f"[{', '.join(ours)}]", f"[{', '.join(theirs)}]")
        note = "" if relation.key.trusted else "  # review: the server has not checked every row of it"
        yield f"      - {{id: {column_name(relation.key.name, ())}, from: {said[0]}, to: {said[1]}}}{note}"


def _places(relation: _Relation, targets: Mapping[str, Target]) -> list[str]:
    """The references to the other table's key; none where the relation cannot be written."""
    if relation.why or relation.to is None:
        return []
    target = targets[relation.to.ref]
    ids = {column.name: its for column, its in zip(target.columns, target.ids, strict=True)}
    found = [ids[theirs.name] for _, theirs in relation.pairs]
    file = f"{relation.to.table}.v{relation.to.major}.odcs.yaml"
    return (
        [f"{file}#/schema/{target.table_id}/properties/{its}" for its in found]
        if target.table_id and all(found)
        else []
    )


def _window(source: SourceTable, names: Mapping[str, str], relations: Sequence[_Relation]) -> _Window:
    clocks = [c for c in source.columns if c.type and c.type.clock and c.name in names]
    changed = next((names[c.name] for c in clocks if _CHANGED.fullmatch(names[c.name])), None)
    possible = [c for c in clocks if c.required and names[c.name] != changed]
    telling = sorted(possible, key=lambda c: (c.name.casefold() not in source.leading, _rank(names[c.name])))
    also = f", changed: {changed}" if changed else ""
    others = [names[c.name] for c in telling[1:]]
    told = f"; also possible: {', '.join(others)}" if others else ""
    if telling and (telling[0].name.casefold() in source.leading or _rank(names[telling[0].name]) == 0):
        text = f"{{column: {names[telling[0].name]}{also}}}"
        return _Window("event", text, f"event, if the window's column never changes in a row; else snapshot{told}")
    if through := next(filter(None, (_through(relation, names) for relation in relations)), None):
        return _Window("event", f"{{{through}{also}}}", f"event, by the date of its parent; else snapshot{told}")
    hint = f"event by {names[telling[0].name]}, if rows never change" if telling else "no column could be its date"
    text = f"{{changed: {changed}}}" if changed else ""
    return _Window("snapshot", text, f"snapshot, the whole table each time; {hint}{told}")


def _rank(name: str) -> int:
    """0 for a name that tells when it happened, 1 for when the row came, 2 for any other clock."""
    return 1 if _CREATED.fullmatch(name) else 0 if _HAPPENED.fullmatch(name) else 2


def _through(relation: _Relation, names: Mapping[str, str]) -> str | None:
    """The window of a parent with a window column of its own; the join is by columns of one name on both sides."""
    to = relation.to
    if to is None or relation.why or to.mode != "event" or to.window.parent:
        return None
    joined = [names[ours.name] for ours, _ in relation.pairs]
    if joined != [theirs.name for _, theirs in relation.pairs] or any(o.type != t.type for o, t in relation.pairs):
        return None
    column = next(c.name for c in to.columns if c.source_name == to.window.column)
    return f'column: {column}, through: {{contract: {to.ref}, "on": [{", ".join(joined)}]}}'


def _measures(source: SourceTable, names: Mapping[str, str]) -> Iterator[str]:
    """Sums of them survive a load to the last digit, if someone says that they mean something."""
    exact = ("decimal", "money", "smallmoney")
    found = [names[c.name] for c in source.columns if c.type and c.type.name in exact and c.name in names]
    if found:
        yield f"# review: of {', '.join(found)}, mark as measure what is to be summed: {{aggregation: [sum]}}"


def _key_note(source: SourceTable) -> str:
    if not source.key:
        return "  # review: no key was found; mark the columns that tell rows apart with primaryKey, primaryKeyPosition"
    return "" if source.key_is_primary else "  # review: the source has no primary key; this is a unique index"


def _notes(source: SourceTable, lines: Sequence[str]) -> Iterator[str]:
    reviews = sum("# review:" in line for line in lines)
    yield f"{reviews} lines to review"
    if not source.key:
        found = "no primary key and no unique index was found"
        yield f"{found}, so `tenantdags contract check` refuses it until a key is named"
