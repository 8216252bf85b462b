"""The plan's checks as one Soda 4 contract, for either engine.

Check types and keys: https://docs.soda.io/reference/contract-language-reference
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tenantdags.model.contract import Check, Column, Contract, Number, Threshold
from tenantdags.steps.dbsql import quote as backticks

_KEYS = {
    "=": "must_be",
    "!=": "must_not_be",
    "<": "must_be_less_than",
    "<=": "must_be_less_than_or_equal",
    ">": "must_be_greater_than",
    ">=": "must_be_greater_than_or_equal",
}
_OURS = ("unique", "reconcile", "reference", "volume_band")
_DATASET_KINDS = ("row_count", "range", "sql", "freshness")


def in_stream(contract: Contract, check: Check) -> bool:
    """True for a rule about values that no file holds: hashed or dropped before they were written."""
    dropped = {column.name for column in contract.columns if not column.loaded}
    return check.before_hashing or bool(dropped & set(check.columns))


def soda_checks(contract: Contract, checks: Sequence[Check]) -> tuple[Check, ...]:
    """The rules Soda has to evaluate: all but those of the stream and those of our own strict checks."""
    return tuple(c for c in checks if c.kind not in _OURS and not in_stream(contract, c))


def unique_checks(contract: Contract, checks: Sequence[Check]) -> tuple[Check, ...]:
    """The rules about duplicate keys, which we count ourselves; of dropped columns nothing can be asked."""
    return tuple(c for c in checks if c.kind == "unique" and not in_stream(contract, c))


def to_yaml(
    contract: Contract, checks: Sequence[Check], dataset: str, relation: str, row_filter: str | None, quote: str
) -> str:
    """Rule ids travel as qualifiers; `relation` stands for `${table}` in SQL rules, `quote` is the engine's own."""
    types = {column.name: column for column in contract.columns}
    text: dict[str, Any] = {"dataset": dataset}
    if row_filter:
        text["filter"] = row_filter
    text["checks"] = [_dataset_check(c, types, relation, quote) for c in checks if c.kind in _DATASET_KINDS]
    text["columns"] = _columns(contract, [c for c in checks if c.kind not in _DATASET_KINDS])
    # JSON, every text in quotes: Soda reads YAML 1.2, where a bare 1e3 or 0o7 is a number
    compiled = json.dumps({k: v for k, v in text.items() if v}, ensure_ascii=False, indent=1)
    if "${" in compiled:
        # Soda would put in the value of an environment variable, and those hold connections
        raise ValueError(f"{contract.file}: a rule holds '${{', which only ${{table}} of a SQL rule may")
    return compiled


def threshold_yaml(check: Check) -> dict[str, Any]:
    """Soda's threshold with its level; a range of one number is written as that number, which Soda wants."""
    level = {"level": "warn"} if check.severity == "warning" else {}
    metric = {"metric": "percent"} if check.kind in ("null_percent", "invalid_percent") else {}
    return {**metric, **_bounds(check.threshold), **level}


def _bounds(threshold: Threshold) -> dict[str, Any]:
    values = [_number(value) for value in threshold.values]
    if threshold.operator in _KEYS:
        return {_KEYS[threshold.operator]: values[0]}
    low, high = values
    if low == high:
        return {"must_be" if threshold.operator == "between" else "must_not_be": low}
    if threshold.operator == "between":
        return {"must_be_between": {"greater_than_or_equal": low, "less_than_or_equal": high}}
    return {"must_be_not_between": {"less_than": low, "greater_than": high}}


def _columns(contract: Contract, checks: Sequence[Check]) -> list[dict[str, Any]]:
    """All of them, as Soda wants the list even when no rule is about one column."""
    listed = []
    for column in contract.loaded_columns:
        found = [_column_check(check, column) for check in checks if check.columns[0] == column.name]
        listed.append({"name": column.name} | ({"checks": found} if found else {}))
    return listed


def _column_check(check: Check, column: Column) -> dict[str, Any]:
    body: dict[str, Any] = {"qualifier": check.id, "threshold": threshold_yaml(check)}
    if check.kind in ("required", "null_count", "null_percent"):
        also = {"missing_values": list(check.arguments)} if check.arguments else {}
        return {"missing": {**body, **also}}
    return {"invalid": {**body, **_validity(check, column)}}


def _validity(check: Check, column: Column) -> dict[str, Any]:
    form, *arguments = ("values", *check.arguments) if check.kind == "enum" else (check.kind, *check.arguments)
    if form in ("invalid_count", "invalid_percent"):
        form, *arguments = arguments  # ('values', …) or ('pattern', regex)
    if form == "values":
        return {"valid_values": [_value(column, value) for value in arguments]}
    if form == "pattern":
        return {"valid_format": {"regex": arguments[0], "name": check.id}}
    if form == "length":
        bounds = zip(("valid_min_length", "valid_max_length"), arguments, strict=True)
        return {key: value for key, value in bounds if value is not None}
    raise ValueError(f"rule {check.id!r}: kind {check.kind!r} has no validity in Soda")


def _dataset_check(check: Check, types: dict[str, Column], relation: str, quote: str) -> dict[str, Any]:
    body: dict[str, Any] = {"qualifier": check.id, "threshold": threshold_yaml(check)}
    if check.kind == "row_count":
        return {"row_count": body}
    if check.kind == "range":
        return {"failed_rows": {**body, "expression": _outside(check, types[check.columns[0]], quote)}}
    if check.kind == "freshness":
        return {"freshness": {**body, "column": check.columns[0], "unit": check.arguments[0]}}
    return {"metric": {**body, "query": str(check.arguments[0]).replace("${table}", relation)}}


def _outside(check: Check, column: Column, quote: str) -> str:
    """Rows beyond the bounds, by exact literals: Soda's own `valid_min` would read a decimal as a float."""
    name = backticks(column.name) if quote == "`" else '"' + column.name.replace('"', '""') + '"'
    pairs = zip(("<", ">"), check.arguments, strict=True)
    return " OR ".join(f"{name} {sign} {_literal(column, str(b))}" for sign, b in pairs if b is not None)


def _literal(column: Column, text: str) -> str:
    if column.type.numeric:
        return f"{Decimal(text):f}"
    return f"{'DATE' if column.type.name == 'date' else 'TIMESTAMP'} '{text}'"


def _value(column: Column, value: object) -> object:
    return _number(Decimal(str(value))) if column.type.numeric else str(value)


def _number(value: Number) -> int | float:
    return int(value) if value == int(value) else float(value)
