"""Every rule of a contract as a Check: what the columns promise, then what `quality:` adds. A rule that cannot be
checked, or cannot fail, is a problem of the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tenantdags.model.contract import Check, CheckKind, Column, Number, Threshold
from tenantdags.model.contract_file import Property, Quality, SchemaObject
from tenantdags.model.document import Document, Path
from tenantdags.model.errors import Problem
from tenantdags.model.fields import suggestion
from tenantdags.model.thresholds import verdict

# the gates always check these, whatever a contract says; they need no threshold and so are no Check
ALWAYS = ("schema", "tenant_purity", "rows_reconcile", "not_empty")
TABLE: Path = ("schema", 0)

# constructs on which Python, DuckDB (RE2) and Spark (Java) would disagree
_UNPORTABLE = re.compile(r"\\[1-9dDwWsSbBAZzpP]|\(\?[^:]|[*+?}]\+")
_RULE_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DIMENSIONS: dict[CheckKind, str] = {
    "unique": "uniqueness", "row_count": "completeness", "null_count": "completeness", "null_percent": "completeness",
    "reconcile": "accuracy",
}  # fmt: skip
_PER_COLUMN = ("nullValues", "missingValues", "invalidValues")


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one document, so that everything is told at once."""

    document: Document
    found: list[Problem] = field(default_factory=list)

    def add(self, path: Path, text: str, *, at_key: bool = False) -> None:
        self.found.append(self.document.problem(path, text, at_key=at_key))


@dataclass(frozen=True, slots=True)
class _Rule:
    """One `quality:` entry, where it stands, and its column (None: the table's)."""

    entry: Quality
    path: Path
    column: Column | None


def compile_checks(table: SchemaObject, columns: tuple[Column, ...], problems: Problems) -> tuple[Check, ...]:
    """All checks, columns first, in the contract's order. Built-in ids are `<column>_<rule>` and `key_unique`."""
    built_in = [check for i, c in enumerate(columns) for check in _column_checks(table.properties[i], c, i, problems)]
    declared = list(_declared(table, columns, problems))
    key = _key_check(columns, declared)
    checks = [*built_in, *([key] if key else []), *declared]
    return tuple(_seen_before_hashing(c, columns) for c in checks)


def guards_the_key(check: Check, keys: tuple[str, ...]) -> bool:
    """Whether this check promises that the key is unique, with nothing let through."""
    whole = Threshold(operator="=", values=(0,))
    same = sorted(check.columns) == sorted(keys)
    return check.kind == "unique" and same and check.threshold == whole and check.severity == "error"


def _key_check(columns: tuple[Column, ...], declared: list[Check]) -> Check | None:
    keyed = sorted((c for c in columns if c.key_position is not None), key=lambda c: c.key_position or 0)
    keys = tuple(c.name for c in keyed)
    if not keys or any(guards_the_key(c, keys) for c in declared):
        return None
    return Check(
        id="key_unique", kind="unique", name=f"{', '.join(keys)} is unique", dimension="uniqueness", columns=keys
    )


def _column_checks(shape: Property, column: Column, index: int, problems: Problems) -> Iterator[Check]:
    path: Path = (*TABLE, "properties", index)

    def rule(kind: CheckKind, name: str, dimension: str, *arguments: str | int | None) -> Check:
        return Check(
            id=f"{column.name}_{kind}", kind=kind, name=f"{column.name} {name}", dimension=dimension,
            columns=(column.name,), arguments=arguments,
        )  # fmt: skip

    if column.required:
        yield rule("required", "is present", "completeness")
    if shape.unique:
        yield rule("unique", "is unique", "uniqueness")
    if shape.enum is not None:
        yield rule("enum", "is one of the listed values", "conformity", *_enum_values(shape, column, path, problems))
    if shape.logical_type_options is None:
        return
    options, path = shape.logical_type_options, (*path, "logicalTypeOptions")
    if options.pattern is not None and _pattern_works(options.pattern, column, (*path, "pattern"), problems):
        yield rule("pattern", "matches its pattern", "conformity", options.pattern)
    if (options.minimum, options.maximum) != (None, None) and _range_works(options, column, path, problems):
        bounds = (None if v is None else str(v) for v in (options.minimum, options.maximum))
        yield rule("range", "is in range", "conformity", *bounds)
    if (options.min_length, options.max_length) != (None, None) and _length_works(options, column, path, problems):
        yield rule("length", "has a legal length", "conformity", options.min_length, options.max_length)
    if options.format is not None and column.type.text:
        problems.add((*path, "format"), "is not checked by the gates; write a pattern")


def _enum_values(shape: Property, column: Column, path: Path, problems: Problems) -> tuple[str | int, ...]:
    values = tuple(entry.value for entry in shape.enum or ())
    wanted: type = str if column.type.text else int
    if not values:
        problems.add((*path, "enum"), "lists no values, so every row would fail; list them or delete it")
    if wanted is int and column.type.name not in ("tinyint", "smallint", "int", "bigint"):
        problems.add((*path, "enum"), f"needs a text or whole number column, not {column.type}")
        return ()
    for i, value in enumerate(values):
        if type(value) is not wanted:
            kind = "text in quotes" if wanted is str else "a whole number"
            problems.add((*path, "enum", i, "value"), f"must be {kind} for a {column.type} column")
        elif value in values[:i]:
            problems.add((*path, "enum", i, "value"), f"{value!r} is listed twice")
    return values


def _pattern_works(pattern: str, column: Column, path: Path, problems: Problems) -> bool:
    text = _pattern_problem(pattern) or (None if column.type.text else f"needs a text column, not {column.type}")
    if text:
        problems.add(path, text)
    return text is None


def _pattern_problem(pattern: str) -> str | None:
    odd = _UNPORTABLE.search(pattern)
    if odd:
        return f"'{odd[0]}' differs between the engines that check it; write classes out, like [0-9]"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is not a regular expression: {error}"
    if not (pattern.startswith("^") and pattern.endswith("$")) or _splits_at_the_top(pattern):
        return "must match the whole value: begin with ^, end with $, and put alternatives in ( )"
    return None


def _splits_at_the_top(pattern: str) -> bool:
    """`^a|b$` is two patterns, each bound at one end only."""
    bare = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "", pattern)
    while bare != (inner := re.sub(r"\([^()]*\)", "", bare)):
        bare = inner
    return "|" in bare


def _range_works(options: Any, column: Column, path: Path, problems: Problems) -> bool:
    before = len(problems.found)
    for name in ("minimum", "maximum"):
        value = getattr(options, name)
        if value is not None and not _is_number(value):
            problems.add((*path, name), f"must be a number, not {value!r}")
    if not column.type.numeric:
        problems.add(path, f"minimum and maximum need a numeric column, not {column.type}")
    if _is_number(options.minimum) and _is_number(options.maximum) and options.minimum > options.maximum:
        problems.add(path, "minimum is above maximum, so every row would fail")
    return len(problems.found) == before


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def _length_works(options: Any, column: Column, path: Path, problems: Problems) -> bool:
    low, high = options.min_length, options.max_length
    if not column.type.text:
        problems.add(path, f"minLength and maxLength need a text column, not {column.type}")
    elif (low is not None and high is not None and low > high) or min(low or 0, high or 0) < 0:
        problems.add(path, "minLength and maxLength must be 0 or more, the smaller first")
    else:
        return True
    return False


def _declared(table: SchemaObject, columns: tuple[Column, ...], problems: Problems) -> Iterator[Check]:
    seen = set(ALWAYS) | {"key_unique"} | {f"{c.name}_{kind}" for c in columns for kind in _BUILT_IN_KINDS}
    for rule in _rules(table, columns):
        if rule.entry.type == "text":
            continue
        before = len(problems.found)
        _check_id(rule, seen, problems)
        check = _compile(rule, columns, problems)
        if check and len(problems.found) == before:
            yield check


_BUILT_IN_KINDS: tuple[CheckKind, ...] = ("required", "unique", "enum", "pattern", "range", "length")


def _rules(table: SchemaObject, columns: tuple[Column, ...]) -> Iterator[_Rule]:
    for i, shape in enumerate(table.properties):
        for j, entry in enumerate(shape.quality):
            yield _Rule(entry, (*TABLE, "properties", i, "quality", j), columns[i])
    for j, entry in enumerate(table.quality):
        yield _Rule(entry, (*TABLE, "quality", j), None)


def _check_id(rule: _Rule, seen: set[str], problems: Problems) -> None:
    rule_id = rule.entry.id
    if rule_id is None:
        problems.add((*rule.path, "id"), "is missing: the rule's id, by which reports and tenants name it")
        return
    if not _RULE_ID.fullmatch(rule_id):
        problems.add((*rule.path, "id"), f"{rule_id!r} is not a rule id: small letters, digits and _, at most 63")
    if rule_id in seen:
        problems.add((*rule.path, "id"), f"{rule_id!r} is taken by another rule; choose another id")
    seen.add(rule_id)


def _compile(rule: _Rule, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    if rule.entry.type == "custom":
        return _reconcile(rule, columns, problems)
    if rule.entry.type == "sql":
        return _sql(rule, problems)
    if rule.entry.metric is None:
        problems.add((*rule.path, "metric"), "is missing: the number to compare, like nullValues or rowCount")
        return None
    return _library(rule, columns, problems)


def _library(rule: _Rule, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    metric, percent = rule.entry.metric or "", rule.entry.unit == "percent"
    threshold = _threshold(rule, percent, problems)
    if metric in _PER_COLUMN and rule.column is None:
        problems.add((*rule.path, "metric"), f"{metric} is about one column; put the rule under that column")
        return None
    if metric == "rowCount" and rule.column is not None:
        problems.add((*rule.path, "metric"), "rowCount is about the table; put the rule under the table's quality")
        return None
    if percent and metric in ("rowCount", "duplicateValues"):
        problems.add((*rule.path, "unit"), f"{metric} is counted in rows; delete the unit")
        return None
    makers = {"rowCount": _row_count, "duplicateValues": _duplicates, "invalidValues": _invalid}
    return makers.get(metric, _nulls)(rule, threshold, columns, problems)


def _row_count(rule: _Rule, threshold: Threshold, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    _no_arguments(rule, (), problems)
    return _check(rule, "row_count", (), threshold)


def _duplicates(rule: _Rule, threshold: Threshold, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    _no_arguments(rule, () if rule.column else ("properties",), problems)
    names = (rule.column.name,) if rule.column else (rule.entry.arguments or {}).get("properties", ())
    path = (*rule.path, "arguments", "properties")
    if not isinstance(names, tuple) or not names:
        problems.add(path, "is missing: the columns that must be unique together, like [order_id]")
        return None
    for i, name in enumerate(names):
        column = _known_column(name, columns, (*path, i) if rule.column is None else rule.path, problems)
        if column and not column.loaded:
            problems.add(rule.path, f"{column.name} is dropped in the stream, where duplicates cannot be seen")
    return _check(rule, "unique", tuple(map(str, names)), threshold)


def _nulls(rule: _Rule, threshold: Threshold, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    assert rule.column is not None
    kind: CheckKind = "null_percent" if rule.entry.unit == "percent" else "null_count"
    if rule.entry.metric == "nullValues":
        _no_arguments(rule, (), problems)
        return _check(rule, kind, (rule.column.name,), threshold)
    _no_arguments(rule, ("missingValues",), problems)
    missing = (rule.entry.arguments or {}).get("missingValues", ())
    path = (*rule.path, "arguments", "missingValues")
    if not isinstance(missing, tuple) or not missing:
        problems.add(path, "is missing: the values that count as missing, like ['', 'n/a']")
        return None
    return _check(rule, kind, (rule.column.name,), threshold, _texts(missing, rule.column, path, problems))


def _invalid(rule: _Rule, threshold: Threshold, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    assert rule.column is not None
    _no_arguments(rule, ("validValues", "pattern"), problems)
    kind: CheckKind = "invalid_percent" if rule.entry.unit == "percent" else "invalid_count"
    arguments, path = rule.entry.arguments or {}, (*rule.path, "arguments")
    values, pattern = arguments.get("validValues"), arguments.get("pattern")
    if isinstance(values, tuple) and values and pattern is None:
        valid = _texts(values, rule.column, (*path, "validValues"), problems)
        return _check(rule, kind, (rule.column.name,), threshold, ("values", *valid))
    if isinstance(pattern, str) and values is None:
        _pattern_works(pattern, rule.column, (*path, "pattern"), problems)
        return _check(rule, kind, (rule.column.name,), threshold, ("pattern", pattern))
    problems.add(path, "needs exactly one of validValues (a list) and pattern (a regular expression)")
    return None


def _texts(values: tuple[Any, ...], column: Column, path: Path, problems: Problems) -> tuple[str, ...]:
    if not column.type.text:
        problems.add(path, f"needs a text column, not {column.type}")
    for i, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            problems.add((*path, i), f"{value!r} must be text in quotes")
    return tuple(v for v in values if isinstance(v, str))


def _no_arguments(rule: _Rule, known: Iterable[str], problems: Problems) -> None:
    for name in sorted(set(rule.entry.arguments or {}) - set(known)):
        hint = suggestion(name, known) if known else f"; {rule.entry.metric} takes no arguments here"
        problems.add((*rule.path, "arguments", name), f"unknown argument{hint}", at_key=True)


def _reconcile(rule: _Rule, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    entry = rule.entry
    if entry.engine is None or entry.implementation is None:
        problems.add(rule.path, "a custom rule needs 'engine: tenantdags' and an implementation")
        return None
    if entry.bounds():
        problems.add(rule.path, "reconciliation is exact and takes no threshold; delete it")
    path = (*rule.path, "implementation")
    summed = _known_column(entry.implementation.column, columns, (*path, "column"), problems)
    if summed and not summed.measure:
        remedy = "give it the custom property measure: {aggregation: [sum]}"
        problems.add((*path, "column"), f"{summed.name} is not a measure; {remedy}")
    for i, name in enumerate(entry.implementation.by):
        grouped = _known_column(name, columns, (*path, "by", i), problems)
        if grouped and (grouped.hashed or not grouped.loaded):
            problems.add((*path, "by", i), f"{name} is hashed or dropped, so groups cannot be compared with the source")
    return _check(
        rule, "reconcile", (), Threshold(operator="=", values=(0,)),
        (entry.implementation.metric, entry.implementation.column, *entry.implementation.by),
    )  # fmt: skip


def _sql(rule: _Rule, problems: Problems) -> Check | None:
    query = " ".join((rule.entry.query or "").split())
    if not re.match(r"(?i)(select|with)\b", query) or ";" in query:
        problems.add((*rule.path, "query"), "must be one SELECT that returns one number, without a semicolon")
        return None
    if "${table}" not in query:
        problems.add((*rule.path, "query"), "must read from ${table}, which stands for the rows under check")
        return None
    threshold = _one_threshold(rule, problems)
    return _check(rule, "sql", (), threshold, (query,)) if threshold else None


def _threshold(rule: _Rule, percent: bool, problems: Problems) -> Threshold:
    threshold = _one_threshold(rule, problems)
    why = verdict(threshold, percent=percent) if threshold else None
    if threshold and why:
        problems.add(rule.path, f"{described(threshold)} {why}; change the threshold or delete the rule")
    return threshold or Threshold(operator="=", values=(0,))


def _one_threshold(rule: _Rule, problems: Problems) -> Threshold | None:
    bounds = rule.entry.bounds()
    if not bounds:
        problems.add(rule.path, "has no threshold, so it could never fail; add one, like mustBe: 0")
        return None
    return bounds[0]


def described(threshold: Threshold) -> str:
    """`= 0`, `between 1 and 9`: how a threshold reads in plans and messages."""
    return f"{threshold.operator} {' and '.join(map(str, threshold.values))}"


def _known_column(name: Any, columns: tuple[Column, ...], path: Path, problems: Problems) -> Column | None:
    found = next((c for c in columns if c.name == name), None)
    if found is None:
        problems.add(path, f"{name!r} is not a column of this contract{suggestion(name, [c.name for c in columns])}")
    return found


def _check(
    rule: _Rule,
    kind: CheckKind,
    columns: tuple[str, ...],
    threshold: Threshold,
    arguments: tuple[str | int | None, ...] = (),
) -> Check:
    entry, rule_id = rule.entry, rule.entry.id or ""
    return Check(
        id=rule_id, kind=kind, name=entry.name or rule_id.replace("_", " "),
        dimension=entry.dimension or _DIMENSIONS.get(kind, "conformity"),
        severity=entry.severity, columns=columns, threshold=threshold, arguments=arguments,
    )  # fmt: skip


def _seen_before_hashing(check: Check, columns: tuple[Column, ...]) -> Check:
    """Of a hashed column files hold no value, of a dropped one nothing: such rules are counted in the stream."""
    about_values = check.kind in ("enum", "pattern", "range", "length", "invalid_count", "invalid_percent")
    about_values = about_values or (check.kind in ("null_count", "null_percent") and bool(check.arguments))
    named = [c for c in columns if c.name in check.columns]
    in_stream = any(not c.loaded or (c.hashed and about_values) for c in named)
    return replace(check, before_hashing=True) if in_stream else check
