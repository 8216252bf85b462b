"""Foreign keys: what `relationships:` say, held against the contracts they name. Each is a Check, or a problem.

Notation: https://bitol-io.github.io/open-data-contract-standard/v3.2.0/references/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tenantdags.model.contract import Check, Column
from tenantdags.model.contract_file import (
    FILE_NAME,
    ColumnRelationship,
    ContractFile,
    SchemaObject,
    SeverityProperty,
)
from tenantdags.model.document import Path, Problems
from tenantdags.model.fields import suggestion
from tenantdags.model.quality_rules import TABLE, rule_id_problem

_SHORT = re.compile(r"(?P<table>[A-Za-z_][\w-]*)\.(?P<column>[A-Za-z_][\w-]*)")
_FULL = re.compile(r"(?:(?P<file>[^#]*)#)?/?schema/(?P<table>[\w-]+)/properties/(?P<column>[\w-]+)")
_WHOLE = ("tinyint", "smallint", "int", "bigint")


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference can point at: the columns of one contract, by the ids and names its file gives them."""

    ref: str
    table: str
    table_id: str | None
    columns: tuple[Column, ...]
    ids: tuple[str | None, ...]  # of the columns, in their order

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.key_position is not None)

    def column(self, word: str, *, by_id: bool) -> Column | None:
        words = self.ids if by_id else tuple(c.name for c in self.columns)
        return next((c for c, known in zip(self.columns, words, strict=True) if known == word), None)


@dataclass(frozen=True, slots=True)
class _Pointer:
    """One parsed reference; `file` None means this contract."""

    file: str | None
    table: str
    column: str
    by_id: bool


@dataclass(frozen=True, slots=True)
class _Said:
    """One relationship, where it stands, and the columns it goes out from (None: one was not found)."""

    entry: ColumnRelationship
    path: Path
    columns: tuple[Column, ...] | None


def named_contracts(shape: ContractFile) -> dict[str, Path]:
    """The refs of the contracts that relationships name, each with the first place that does; without this one's."""
    found: dict[str, Path] = {}
    table = shape.schema_[0]
    places = [(p.relationships, (*TABLE, "properties", i)) for i, p in enumerate(table.properties)]
    for entries, above in [*places, (table.relationships, TABLE)]:
        for j, entry in enumerate(entries):
            for word in entry.to:
                pointer = _parsed(word)
                match = FILE_NAME.fullmatch(pointer.file.removeprefix("./")) if pointer and pointer.file else None
                if match:
                    found.setdefault(f"{match['table']}@{match['major']}", (*above, "relationships", j, "to"))
    return found


def reference_checks(
    table: SchemaObject, own: Target, targets: Sequence[Target], taken: set[str], problems: Problems
) -> Iterator[Check]:
    """The checks of every relationship, columns first; `taken` are rule ids they may not have."""
    known = {target.ref: target for target in (*targets, own)}
    for said in _relationships(table, own, problems):
        before = len(problems.found)
        rule = _rule_id(said, taken, problems)
        parents = _parents(said, own, known, problems)
        if said.columns and parents and len(problems.found) == before:
            target, theirs = parents
            yield _check(rule, said, target, theirs)


def why_not_comparable(ours: Column, theirs: Column) -> str | None:
    """Why the loaded values of two columns cannot be compared, if so."""
    for column in (ours, theirs):
        if not column.loaded:
            return f"{column.name} is dropped in the stream, so no table holds it"
    if ours.hashed != theirs.hashed:
        hashed, clear = (ours, theirs) if ours.hashed else (theirs, ours)
        return f"{hashed.name} is hashed and {clear.name} is not"
    same = ours.type.name == theirs.type.name and (ours.type.name != "decimal" or ours.type.scale == theirs.type.scale)
    if not same and not {ours.type.name, theirs.type.name} <= {*_WHOLE}:
        return f"{ours.name} is {ours.type} and {theirs.name} is {theirs.type}"
    return None


def _relationships(table: SchemaObject, own: Target, problems: Problems) -> Iterator[_Said]:
    for i, shape in enumerate(table.properties):
        for j, entry in enumerate(shape.relationships):
            yield _Said(entry, (*TABLE, "properties", i, "relationships", j), (own.columns[i],))
    for j, listed in enumerate(table.relationships):
        path: Path = (*TABLE, "relationships", j)
        found = [_own_column(word, own, (*path, "from"), problems) for word in listed.from_]
        yield _Said(listed, path, tuple(c for c in found if c) if all(found) else None)


def _own_column(word: str, own: Target, path: Path, problems: Problems) -> Column | None:
    pointer = _parsed(word)
    if pointer is None or pointer.file is not None or not _names_table(pointer, own):
        problems.add(
            "CFG133", path, f"{word!r} must name a column of this table, like {own.table}.{own.columns[0].name}"
        )
        return None
    return _column_of(own, pointer, path, problems)


def _rule_id(said: _Said, taken: set[str], problems: Problems) -> str:
    if said.entry.id is None:
        # two references of one column need names of their own
        rule, path = f"{'_'.join(c.name for c in said.columns or ())}_reference", said.path
    else:
        rule, path = said.entry.id, (*said.path, "id")
        if text := rule_id_problem(rule):
            problems.add("CFG140", path, text)
    if rule in taken:
        problems.add("CFG141", path, f"the rule id {rule!r} is taken by another rule; give this one an id of its own")
    taken.add(rule)
    return rule


def _parents(
    said: _Said, own: Target, known: Mapping[str, Target], problems: Problems
) -> tuple[Target, tuple[Column, ...]] | None:
    """The contract meant and its columns, in the order of the referring ones; None with a problem told somewhere."""
    path = (*said.path, "to")
    pointers = [_pointer(word, own, path, problems) for word in said.entry.to]
    refs = {_ref(pointer, own, path, problems) for pointer in pointers if pointer}
    if None in refs or None in pointers:
        return None
    if len(refs) > 1:
        problems.add("CFG133", path, "names columns of several contracts; a key stands in one")
        return None
    target = known.get(str(*refs))
    if target is None:
        return None  # whoever reads the files has told that it does not exist
    theirs = [_target_column(p, target, path, problems) for p in pointers if p]
    found = tuple(column for column in theirs if column)
    if len(found) == len(pointers) and said.columns is not None:
        _check_pair(said, own, target, found, problems)
    return target, found


def _check_pair(said: _Said, own: Target, target: Target, theirs: tuple[Column, ...], problems: Problems) -> None:
    ours, path = said.columns or (), (*said.path, "to")
    if len(ours) != len(theirs):
        counts = f"{len(ours)} here and {len(theirs)} there"
        problems.add("CFG133", path, f"a key has as many columns on both sides, not {counts}")
        return
    names = tuple(c.name for c in theirs)
    if sorted(names) != sorted(target.keys):
        text = f"{', '.join(names)} is not the key of {target.ref}, which is {', '.join(target.keys) or 'none'}"
        problems.add("CFG136", path, f"{text}; name all of it")
        return
    if target is own and [c.name for c in ours] == list(names):
        problems.add("CFG133", path, "names itself, so it could never fail; delete it")
    for mine, yours in zip(ours, theirs, strict=True):
        if why := why_not_comparable(mine, yours):
            remedy = "both sides need one type and one handling"
            problems.add("CFG137", path, f"cannot be compared with {target.ref}: {why}; {remedy}")


def _pointer(word: str, own: Target, path: Path, problems: Problems) -> _Pointer | None:
    pointer = _parsed(word)
    if pointer is None:
        example = "orders.v1.odcs.yaml#/schema/orders/properties/order_id"
        problems.add("CFG133", path, f"{word!r} is not a reference; write it like {example}")
    return pointer


def _ref(pointer: _Pointer, own: Target, path: Path, problems: Problems) -> str | None:
    if pointer.file is None:
        if _names_table(pointer, own):
            return own.ref
        full = f"{pointer.table}.v1.odcs.yaml#/schema/{pointer.table}/properties/{pointer.column}"
        problems.add("CFG133", path, f"does not say which version of {pointer.table} it means; write it like {full}")
        return None
    match = FILE_NAME.fullmatch(pointer.file.removeprefix("./"))
    if match is None:
        text = f"{pointer.file!r} is no contract beside this one; name its file, like orders.v1.odcs.yaml"
        problems.add("CFG133", path, text)
        return None
    return f"{match['table']}@{match['major']}"


def _target_column(pointer: _Pointer, target: Target, path: Path, problems: Problems) -> Column | None:
    if not _names_table(pointer, target):
        said, name = ("id", target.table_id) if pointer.by_id else ("name", target.table)
        text = f"{target.ref} has no table with the {said} {pointer.table!r}; its {said} is {name}"
        problems.add("CFG135", path, text)
        return None
    return _column_of(target, pointer, path, problems)


def _column_of(target: Target, pointer: _Pointer, path: Path, problems: Problems) -> Column | None:
    found = target.column(pointer.column, by_id=pointer.by_id)
    if found is None:
        names = [i for i in target.ids if i] if pointer.by_id else [c.name for c in target.columns]
        what = "column with the id" if pointer.by_id else "column"
        text = f"{target.ref} has no {what} {pointer.column!r}{suggestion(pointer.column, names)}"
        problems.add("CFG135", path, text)
    return found


def _names_table(pointer: _Pointer, target: Target) -> bool:
    return pointer.table == (target.table_id if pointer.by_id else target.table)


def _parsed(word: str) -> _Pointer | None:
    if full := _FULL.fullmatch(word):
        return _Pointer(full["file"], full["table"], full["column"], by_id=True)
    short = _SHORT.fullmatch(word)
    return _Pointer(None, short["table"], short["column"], by_id=False) if short else None


def _check(rule: str, said: _Said, target: Target, theirs: tuple[Column, ...]) -> Check:
    ours = tuple(c.name for c in said.columns or ())
    severities = [p.value for p in said.entry.custom_properties if isinstance(p, SeverityProperty)]
    table = target.ref.partition("@")[0]
    return Check(
        id=rule, kind="reference", name=f"{', '.join(ours)} stands in {table}", dimension="consistency",
        severity=severities[0] if severities else "error", columns=ours,
        arguments=(target.ref, *(c.name for c in theirs)),
    )  # fmt: skip
