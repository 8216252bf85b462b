"""From a contract file to a Contract: what the standard's shapes mean here, and every way they can contradict us."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from tenantdags.model.checks import compile_checks, taken_ids
from tenantdags.model.contract import Column, Contract, ParentJoin, Pii, WindowRule
from tenantdags.model.contract_file import (
    FILE_NAME,
    ContractFile,
    EvolutionProperty,
    MeasureProperty,
    ModeProperty,
    PiiProperty,
    Property,
    RightsProperty,
    RunbookProperty,
    SchemaObject,
    WindowProperty,
    WindowValue,
)
from tenantdags.model.document import Document, Path, Problems, parse
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.fields import suggestion
from tenantdags.model.promises import check_promises, freshness_checks, retention_days
from tenantdags.model.quality_rules import TABLE, query_problems
from tenantdags.model.references import Target, reference_checks
from tenantdags.model.sqltype import SqlType
from tenantdags.model.validate import validate

RESERVED = ("tenant_id", "as_of_date", "window_start")
_VERSION = re.compile(r"(?P<major>\d+)\.\d+\.\d+")
_COLUMN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,126}")
_EXACT = ("tinyint", "smallint", "int", "bigint", "decimal", "money", "smallmoney")
_BINARY = ("binary", "varbinary", "image", "rowversion", "timestamp")  # the standard has no word for bytes
LOGICAL = {
    "integer": ("tinyint", "smallint", "int", "bigint", "decimal"),
    "number": (*_EXACT, "real", "float"),
    "boolean": ("bit",),
    "date": ("date",),
    "time": ("time",),
    "timestamp": ("datetime", "smalldatetime", "datetime2", "datetimeoffset"),
    "string": ("char", "varchar", "nchar", "nvarchar", "text", "ntext", "xml", "uniqueidentifier", *_BINARY),
}


# cached by text: tenants share contracts, and an edited file is another text
@lru_cache(maxsize=512)
def shape_of(file: str, text: str) -> tuple[Document, ContractFile]:
    """The file's mappings, checked one by one. Raises ConfigError."""
    document = parse(file, text)
    return document, validate(document, ContractFile)


def parent_ref(shape: ContractFile) -> str | None:
    """The contract whose window this one takes, when it has none of its own."""
    window = _window_value(shape.schema_[0])
    return window.through.contract if window and window.through else None


@lru_cache(maxsize=512)
def target_of(file: str, text: str) -> Target:
    """The columns alone, for others to refer to: contracts may refer to each other. Raises ConfigError."""
    document, shape = shape_of(file, text)
    problems, table = Problems(document), shape.schema_[0]
    name, major = _identity(file, shape, problems)
    columns = tuple(_column(p, i, problems) for i, p in enumerate(table.properties))
    if problems.found:
        # on half-read columns the rest would only guess
        raise ConfigError(problems.found)
    return Target(f"{name}@{major}", table.name, table.id, columns, tuple(p.id for p in table.properties))


@lru_cache(maxsize=512)
def read_contract(file: str, text: str, parent: Contract | None, targets: tuple[Target, ...] = ()) -> Contract:
    """One contract. `parent` is the one that `parent_ref` names, `targets` are those that its relationships name.

    Raises ConfigError with all problems of the file.
    """
    document, shape = shape_of(file, text)
    own = target_of(file, text)
    problems, table, columns = Problems(document), shape.schema_[0], own.columns
    name, major = own.ref.partition("@")[0], int(own.ref.partition("@")[2])
    _check_columns(columns, problems)
    window = _window(table, columns, parent, problems)
    checks = compile_checks(table, columns, problems)
    taken = taken_ids(columns, checks)
    fresh = tuple(freshness_checks(shape, columns, taken, problems))
    references = tuple(reference_checks(table, own, targets, taken, problems))
    check_promises(shape, problems)
    rights, retention = _rights(table, columns, problems), retention_days(shape, problems)
    if problems.found:
        raise ConfigError(problems.found)
    return Contract(
        table=name, major=major, version=shape.version, file=file, name=shape.name, purpose=shape.description.purpose,
        grain=table.data_granularity_description, source_table=table.physical_name, mode=_mode(table, problems),
        columns=columns, window=window, checks=(*checks, *fresh, *references), additive=_additive(table),
        owner=_owner(shape), runbook=_runbook(shape), retention_days=retention, rights=rights, status=shape.status,
        text=text,
    )  # fmt: skip


def query_problems_of(file: str, text: str, contract: Contract) -> list[Problem]:
    """What is wrong with the SQL rules of a contract that was read without a problem, for `tenantdags check`."""
    document, shape = shape_of(file, text)
    problems = Problems(document)
    query_problems(shape.schema_[0], contract.columns, problems)
    return problems.found


def _identity(file: str, shape: ContractFile, problems: Problems) -> tuple[str, int]:
    match = FILE_NAME.fullmatch(file.rsplit("/", 1)[-1])
    if not match:
        problems.add("CFG100", (), "the file's name must be <table>.v<major>.odcs.yaml, in small letters")
        return shape.schema_[0].name, 0
    if shape.schema_[0].name != match["table"]:
        problems.add("CFG102", (*TABLE, "name"), f"must be {match['table']!r}, as in the file's name")
    version = _VERSION.fullmatch(shape.version)
    if version is None or version["major"] != match["major"]:
        problems.add(
            "CFG103", ("version",), f"{shape.version!r} must be {match['major']}.<minor>.<patch>, as in the file's name"
        )
    return match["table"], int(match["major"])


def _column(shape: Property, index: int, problems: Problems) -> Column:
    path: Path = (*TABLE, "properties", index)
    pii = next((p.value for p in shape.custom_properties if isinstance(p, PiiProperty)), None)
    return Column(
        name=_column_name(shape.name, (*path, "name"), problems),
        source_name=shape.physical_name or shape.name,
        type=_column_type(shape, path, problems),
        required=shape.required,
        key_position=_key_position(shape, path, problems),
        pii=Pii(category=pii.category, handling=pii.handling) if pii else None,
        measure=any(isinstance(p, MeasureProperty) for p in shape.custom_properties),
        classification=shape.classification,
        description=shape.description,
    )


def _column_name(name: str, path: Path, problems: Problems) -> str:
    if name.lower() in RESERVED or name.startswith("_"):
        reserved = ", ".join(RESERVED)
        problems.add(
            "CFG105", path, f"{name!r} is reserved ({reserved} and names that start with _); choose another name"
        )
    elif not _COLUMN_NAME.fullmatch(name):
        problems.add("CFG106", path, f"{name!r} is not a column name: a letter, then letters, digits and _")
    return name


def _column_type(shape: Property, path: Path, problems: Problems) -> SqlType:
    try:
        found = SqlType.parse(shape.physical_type)
    except ValueError as error:
        problems.add("CFG108", (*path, "physicalType"), str(error))
        return SqlType("int")
    if found.name not in LOGICAL[shape.logical_type]:
        problems.add("CFG109", (*path, "logicalType"), f"{shape.logical_type} does not go with physicalType {found}")
    return found


def _key_position(shape: Property, path: Path, problems: Problems) -> int | None:
    if not shape.primary_key:
        if shape.primary_key_position not in (None, -1):
            problems.add("CFG111", (*path, "primaryKeyPosition"), "goes with primaryKey: true only")
        return None
    if not shape.required:
        problems.add("CFG110", (*path, "primaryKey"), "a key column must be required: true")
    if shape.primary_key_position is None or shape.primary_key_position < 1:
        problems.add("CFG111", (*path, "primaryKeyPosition"), "is missing: the column's place in the key, from 1")
    return shape.primary_key_position or 1


def _check_columns(columns: tuple[Column, ...], problems: Problems) -> None:
    positions = sorted(c.key_position for c in columns if c.key_position is not None)
    if not positions:
        problems.add(
            "CFG112",
            (*TABLE, "properties"),
            "no column is primaryKey: true; without a key no row can be told from another",
        )
    elif positions != list(range(1, len(positions) + 1)):
        problems.add("CFG111", (*TABLE, "properties"), f"primaryKeyPosition must count 1, 2, 3 …, not {positions}")
    seen: dict[tuple[str, str], str] = {}
    for i, column in enumerate(columns):
        path: Path = (*TABLE, "properties", i)
        for kind, name in (("name", column.name), ("physicalName", column.source_name)):
            twin = seen.setdefault((kind, name.lower()), f"{i}")
            if twin != f"{i}":
                problems.add(
                    "CFG107", (*path, kind), f"{name!r} is taken by column {int(twin) + 1} (case does not matter)"
                )
                break
        _check_column(column, path, problems)


def _check_column(column: Column, path: Path, problems: Problems) -> None:
    # sums of floats depend on the order of rows, so source and load could differ without any row being wrong
    if column.measure and column.type.name not in _EXACT:
        problems.add(
            "CFG114", (*path, "physicalType"), f"a measure needs an exact number, {column.type} is not; use decimal"
        )
    if column.measure and column.pii and column.pii.handling != "keep":
        problems.add(
            "CFG115",
            (*path, "customProperties"),
            "a measure cannot be hashed or dropped; its sum could not be compared",
        )
    if column.hashed and not column.type.text:
        problems.add(
            "CFG116", (*path, "customProperties"), f"only text can be hashed, not {column.type}; use handling: drop"
        )
    if column.key_position is not None and not column.loaded:
        problems.add("CFG113", (*path, "customProperties"), "a key column cannot be dropped; use handling: hash")
    if column.key_position is not None and column.type.length == -1:
        problems.add("CFG113", (*path, "physicalType"), "a key column needs a bounded length, not max")


def _window_value(table: SchemaObject) -> WindowValue | None:
    return next((p.value for p in table.custom_properties if isinstance(p, WindowProperty)), None)


def _mode(table: SchemaObject, problems: Problems) -> Any:
    return next((p.value for p in table.custom_properties if isinstance(p, ModeProperty)), None)


def _property_path(table: SchemaObject, kind: type) -> Path:
    """Where a custom property's value stands, or the list when it is not there."""
    place = next((i for i, p in enumerate(table.custom_properties) if isinstance(p, kind)), None)
    base: Path = (*TABLE, "customProperties")
    return base if place is None else (*base, place, "value")


def _window(
    table: SchemaObject, columns: tuple[Column, ...], parent: Contract | None, problems: Problems
) -> WindowRule:
    for i, item in enumerate(table.custom_properties):
        if item.property in [p.property for p in table.custom_properties[:i] if type(p) is type(item)]:
            problems.add("CFG118", (*TABLE, "customProperties", i), f"{item.property} stands more than once; keep one")
    value, path, mode = (
        _window_value(table) or WindowValue(),
        _property_path(table, WindowProperty),
        _mode(table, problems),
    )
    changed = _source_name(value.changed, columns, (*path, "changed"), problems)
    if mode == "snapshot":
        return _snapshot_window(value, changed, path, problems)
    if mode is None:
        problems.add(
            "CFG119", (*TABLE, "customProperties"), "mode is missing: {property: mode, value: event} or snapshot"
        )
        return WindowRule(column=None, column_type=None)
    return _event_window(value, changed, columns, parent, path, problems)


def _source_name(name: str | None, columns: tuple[Column, ...], path: Path, problems: Problems) -> str | None:
    found = next((c for c in columns if c.name == name), None)
    if name is not None and (found is None or not found.type.clock):
        known = suggestion(name, [c.name for c in columns if c.type.clock])
        problems.add("CFG130", path, f"{name!r} is not a date or time column of this contract{known}")
    return found.source_name if found else None


def _snapshot_window(value: WindowValue, changed: str | None, path: Path, problems: Problems) -> WindowRule:
    for name in ("column", "through"):
        if getattr(value, name) is not None:
            problems.add(
                "CFG125", (*path, name), "a snapshot has no window column; delete it, or use mode event", at_key=True
            )
    return WindowRule(
        column=None,
        column_type=None,
        changed=changed,
        allow_empty=value.allow_empty,
        observe_within=value.observe_within,
    )


def _event_window(
    value: WindowValue, changed: str | None, columns: tuple[Column, ...], parent: Contract | None, path: Path,
    problems: Problems,
) -> WindowRule:  # fmt: skip
    if value.observe_within is not None:
        problems.add("CFG126", (*path, "observe_within"), "is for snapshots only; delete it", at_key=True)
    if value.column is None:
        problems.add(
            "CFG120",
            path,
            "an event table needs a window column: the required date or time by which rows belong to a day",
        )
        return WindowRule(column=None, column_type=None)
    owner = columns if value.through is None else parent.columns if parent else ()
    column = _window_column(value.column, owner, parent, (*path, "column"), problems)
    join = _parent_join(value, columns, parent, path, problems)
    return WindowRule(
        column=column.source_name if column else None, column_type=column.type if column else None, parent=join,
        changed=changed, allow_empty=value.allow_empty,
    )  # fmt: skip


def _window_column(
    name: str, columns: tuple[Column, ...], parent: Contract | None, path: Path, problems: Problems
) -> Column | None:
    found = next((c for c in columns if c.name == name), None)
    where = f"contract {parent.ref}" if parent else "this contract"
    if found is None:
        problems.add(
            "CFG121", path, f"{name!r} is not a column of {where}{suggestion(name, [c.name for c in columns])}"
        )
    elif not found.type.clock:
        problems.add("CFG122", path, f"{name} is {found.type}; a window column must be a date or time")
    elif not found.required:
        problems.add(
            "CFG123", path, f"{name} may be NULL, and such rows would belong to no window; it must be required: true"
        )
    elif found.pii and found.pii.handling != "keep":
        problems.add("CFG124", path, f"{name} is hashed or dropped; a window column must be kept")
    return found


def _parent_join(
    value: WindowValue, columns: tuple[Column, ...], parent: Contract | None, path: Path, problems: Problems
) -> ParentJoin | None:
    if value.through is None or parent is None:
        return None
    path = (*path, "through")
    if parent.mode != "event" or parent.window.parent:
        problems.add(
            "CFG127", (*path, "contract"), f"{parent.ref} has no window column of its own; name a parent that has"
        )
    pairs = []
    for i, name in enumerate(value.through.on):
        mine, theirs = (next((c for c in cs if c.name == name), None) for cs in (columns, parent.columns))
        if mine is None or theirs is None:
            lacking = "this contract" if mine is None else f"contract {parent.ref}"
            problems.add("CFG128", (*path, "on", i), f"{name!r} is not a column of {lacking}")
        elif mine.type != theirs.type:
            types = f"{mine.type} here and {theirs.type} in {parent.ref}"
            problems.add("CFG129", (*path, "on", i), f"{name} is {types}; joined columns must have one type")
        else:
            pairs.append((mine.source_name, theirs.source_name))
    return ParentJoin(contract=parent.ref, table=parent.source_table, on=tuple(pairs))


def _additive(table: SchemaObject) -> Any:
    return next((p.value.additive for p in table.custom_properties if isinstance(p, EvolutionProperty)), "allow")


def _rights(
    table: SchemaObject, columns: tuple[Column, ...], problems: Problems
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rights = next((p.value for p in table.custom_properties if isinstance(p, RightsProperty)), ())
    path, names = _property_path(table, RightsProperty), [c.name for c in columns]
    for i, right in enumerate(rights):
        for j, name in enumerate(right.exclude):
            if name not in names:
                text = f"{name!r} is not a column of this contract{suggestion(name, names)}"
                problems.add("CFG131", (*path, i, "exclude", j), text)
    return tuple((right.scope, right.exclude) for right in rights)


def _owner(shape: ContractFile) -> str | None:
    members = shape.team.members if shape.team else ()
    owner = next((m.username for m in members if m.role == "owner"), None)
    return owner or (shape.team.name if shape.team else None)


def _runbook(shape: ContractFile) -> str | None:
    return next((p.value for p in shape.custom_properties if isinstance(p, RunbookProperty)), None)
