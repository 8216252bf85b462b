"""What `quality:` adds: library metrics, SQL, rules of our own. A rule that can never fail is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tenantdags.model.column_rules import pattern_works
from tenantdags.model.contract import Check, CheckKind, Column, Threshold
from tenantdags.model.contract_file import Quality, SchemaObject
from tenantdags.model.custom_rules import custom_check
from tenantdags.model.document import Path, Problems
from tenantdags.model.fields import suggestion
from tenantdags.model.sql_rules import one_line, refusals, text_refusals
from tenantdags.model.thresholds import described, verdict

TABLE: Path = ("schema", 0)
_NOTHING = Threshold(operator="=", values=(0,))
_RULE_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DIMENSIONS: dict[CheckKind, str] = {
    "unique": "uniqueness", "row_count": "completeness", "null_count": "completeness", "null_percent": "completeness",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rule:
    """One `quality:` entry, where it stands, and its column (None: the table's)."""

    entry: Quality
    path: Path
    column: Column | None


def declared_checks(
    table: SchemaObject, columns: tuple[Column, ...], taken: Iterable[str], problems: Problems
) -> Iterator[Check]:
    """The checks of every `quality:` entry, columns first; `taken` are rule ids they may not have."""
    seen = set(taken)
    for rule in _rules(table, columns):
        if rule.entry.type == "text":
            continue  # the standard's word for prose: nothing to check
        before = len(problems.found)
        _check_id(rule, seen, problems)
        check = _compile(rule, columns, problems)
        if check and len(problems.found) == before:
            yield check


def query_problems(table: SchemaObject, columns: tuple[Column, ...], problems: Problems) -> None:
    """Adds what a parser finds in the SQL rules. Apart from the rest: a run must not pay for importing one."""
    loaded = [column.name for column in columns if column.loaded]
    for rule in _rules(table, columns):
        if rule.entry.type == "sql":
            for broken, text in refusals(one_line(rule.entry.query or ""), loaded):
                problems.add(broken, (*rule.path, "query"), text)


def rule_id_problem(rule_id: str) -> str | None:
    """Why this is no rule id, if so."""
    if _RULE_ID.fullmatch(rule_id):
        return None
    return f"{rule_id!r} is not a rule id: small letters, digits and _, at most 63"


def _rules(table: SchemaObject, columns: tuple[Column, ...]) -> Iterator[_Rule]:
    for i, shape in enumerate(table.properties):
        for j, entry in enumerate(shape.quality):
            yield _Rule(entry, (*TABLE, "properties", i, "quality", j), columns[i])
    for j, entry in enumerate(table.quality):
        yield _Rule(entry, (*TABLE, "quality", j), None)


def _check_id(rule: _Rule, seen: set[str], problems: Problems) -> None:
    rule_id = rule.entry.id
    if rule_id is None:
        problems.add("CFG140", (*rule.path, "id"), "is missing: the rule's id, by which reports and tenants name it")
        return
    if text := rule_id_problem(rule_id):
        problems.add("CFG140", (*rule.path, "id"), text)
    if rule_id in seen:
        problems.add("CFG141", (*rule.path, "id"), f"{rule_id!r} is taken by another rule; choose another id")
    seen.add(rule_id)


def _compile(rule: _Rule, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    if rule.entry.type == "custom":
        return custom_check(rule.entry, rule.path, columns, rule.column, problems)
    if rule.entry.type == "sql":
        return _sql(rule, columns, problems)
    if rule.entry.metric is None:
        problems.add("CFG148", (*rule.path, "metric"), "is missing: the number to compare, like nullValues or rowCount")
        return None
    return _library(rule, columns, problems)


def _library(rule: _Rule, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    metric, percent = rule.entry.metric, rule.entry.unit == "percent"
    threshold = _threshold(rule, percent, problems)
    if percent and metric in ("rowCount", "duplicateValues"):
        problems.add("CFG149", (*rule.path, "unit"), f"{metric} is counted in rows; delete the unit")
        return None
    if metric == "duplicateValues":
        return _duplicates(rule, threshold, columns, problems)
    if metric == "rowCount":
        return _row_count(rule, threshold, problems)
    if rule.column is None:
        problems.add("CFG146", (*rule.path, "metric"), f"{metric} is about one column; put the rule under that column")
        return None
    of_a_column = {"nullValues": _nulls, "missingValues": _missing, "invalidValues": _invalid}
    return of_a_column[metric or ""](rule, threshold, rule.column, problems)


def _row_count(rule: _Rule, threshold: Threshold, problems: Problems) -> Check | None:
    if rule.column is not None:
        problems.add(
            "CFG146", (*rule.path, "metric"), "rowCount is about the table; put the rule under the table's quality"
        )
        return None
    _no_arguments(rule, (), problems)
    return _check(rule, "row_count", (), threshold)


def _duplicates(rule: _Rule, threshold: Threshold, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    _no_arguments(rule, () if rule.column else ("properties",), problems)
    names = (rule.column.name,) if rule.column else (rule.entry.arguments or {}).get("properties", ())
    path = (*rule.path, "arguments", "properties")
    if not isinstance(names, tuple) or not names:
        problems.add("CFG147", path, "is missing: the columns that must be unique together, like [order_id]")
        return None
    for i, name in enumerate(names):
        column = _known_column(name, columns, (*path, i) if rule.column is None else rule.path, problems)
        if column and not column.loaded:
            problems.add(
                "CFG145", rule.path, f"{column.name} is dropped in the stream, where duplicates cannot be seen"
            )
    return _check(rule, "unique", tuple(map(str, names)), threshold)


def _nulls(rule: _Rule, threshold: Threshold, column: Column, problems: Problems) -> Check | None:
    _no_arguments(rule, (), problems)
    return _check(rule, _null_kind(rule), (column.name,), threshold)


def _missing(rule: _Rule, threshold: Threshold, column: Column, problems: Problems) -> Check | None:
    _no_arguments(rule, ("missingValues",), problems)
    missing = (rule.entry.arguments or {}).get("missingValues", ())
    path = (*rule.path, "arguments", "missingValues")
    if not isinstance(missing, tuple) or not missing:
        problems.add("CFG147", path, "is missing: the values that count as missing, like ['', 'n/a']")
        return None
    return _check(rule, _null_kind(rule), (column.name,), threshold, _texts(missing, column, path, problems))


def _null_kind(rule: _Rule) -> CheckKind:
    return "null_percent" if rule.entry.unit == "percent" else "null_count"


def _invalid(rule: _Rule, threshold: Threshold, column: Column, problems: Problems) -> Check | None:
    _no_arguments(rule, ("validValues", "pattern"), problems)
    kind: CheckKind = "invalid_percent" if rule.entry.unit == "percent" else "invalid_count"
    arguments, path = rule.entry.arguments or {}, (*rule.path, "arguments")
    values, pattern = arguments.get("validValues"), arguments.get("pattern")
    if isinstance(values, tuple) and values and pattern is None:
        valid = _texts(values, column, (*path, "validValues"), problems)
        return _check(rule, kind, (column.name,), threshold, ("values", *valid))
    if isinstance(pattern, str) and values is None:
        pattern_works(pattern, column, (*path, "pattern"), problems)
        return _check(rule, kind, (column.name,), threshold, ("pattern", pattern))
    problems.add("CFG147", path, "needs exactly one of validValues (a list) and pattern (a regular expression)")
    return None


def _texts(values: tuple[Any, ...], column: Column, path: Path, problems: Problems) -> tuple[str, ...]:
    if not column.type.text:
        problems.add("CFG147", path, f"needs a text column, not {column.type}")
    for i, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            problems.add("CFG147", (*path, i), f"{value!r} must be text in quotes")
    return tuple(v for v in values if isinstance(v, str))


def _no_arguments(rule: _Rule, known: Iterable[str], problems: Problems) -> None:
    for name in sorted(set(rule.entry.arguments or {}) - set(known)):
        hint = suggestion(name, known) if known else f"; {rule.entry.metric} takes no arguments here"
        problems.add("CFG147", (*rule.path, "arguments", name), f"unknown argument{hint}", at_key=True)


def _sql(rule: _Rule, columns: tuple[Column, ...], problems: Problems) -> Check | None:
    query = one_line(rule.entry.query or "")
    refused = text_refusals(query)
    for broken, text in refused:
        problems.add(broken, (*rule.path, "query"), text)
    if refused:
        return None
    for column in columns:
        if not column.loaded and re.search(rf"(?i)\b{column.name}\b", query):
            problems.add(
                "CFG145", (*rule.path, "query"), f"{column.name} is dropped in the stream, so no table holds it"
            )
    threshold = _one_threshold(rule, problems)
    return _check(rule, "sql", (), threshold, (query,)) if threshold else None


def _threshold(rule: _Rule, percent: bool, problems: Problems) -> Threshold:
    threshold = _one_threshold(rule, problems)
    why = verdict(threshold, percent=percent) if threshold else None
    if threshold and why:
        broken, what = why
        problems.add(broken, rule.path, f"{described(threshold)} {what}; change the threshold or delete the rule")
    return threshold or _NOTHING


def _one_threshold(rule: _Rule, problems: Problems) -> Threshold | None:
    bounds = rule.entry.bounds()
    if not bounds:
        problems.add("CFG142", rule.path, "has no threshold, so it could never fail; add one, like mustBe: 0")
        return None
    return bounds[0]


def _known_column(name: Any, columns: tuple[Column, ...], path: Path, problems: Problems) -> Column | None:
    found = next((c for c in columns if c.name == name), None)
    if found is None:
        problems.add(
            "CFG144", path, f"{name!r} is not a column of this contract{suggestion(name, [c.name for c in columns])}"
        )
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
        severity=entry.severity or "error", columns=columns, threshold=threshold, arguments=arguments,
    )  # fmt: skip
