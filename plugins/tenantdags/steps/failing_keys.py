"""Which rows break a rule: the keys of some of them, from the staged files. Never a value of another column."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tenantdags.model.contract import Check, Column
from tenantdags.model.plan import TablePlan
from tenantdags.steps.report import CheckResult
from tenantdags.steps.staged_checks import RELATION

SHOWN = 20
_DIGITS = 12  # of a hash: enough to tell rows apart, too few to be worth collecting
Condition = tuple[str, list[object]]


def with_failing_keys(
    plan: TablePlan, load_id: str, connection: Any, results: Sequence[CheckResult]
) -> list[CheckResult]:
    """The results, each broken one with up to SHOWN keys of rows that break it. Helps people and decides nothing."""
    checks = {check.id: check for check in plan.checks if not check.before_hashing}
    return [
        replace(r, failing_keys=_keys(plan, load_id, connection, checks[r.rule]))
        if r.outcome in ("fail", "warn") and r.rule in checks
        else r
        for r in results
    ]


def _keys(plan: TablePlan, load_id: str, connection: Any, check: Check) -> tuple[str, ...]:
    import duckdb

    keys, condition = plan.contract.keys, _condition(check)
    if not keys or condition is None:
        return ()
    names = ", ".join(map(_quote, keys))
    where, parameters = condition
    sql = f"SELECT DISTINCT {names} FROM {RELATION} WHERE {where} ORDER BY {names} LIMIT {SHOWN}"
    try:
        rows = connection.execute(sql, parameters).fetchall()
    except duckdb.Error:
        return ()  # the gate has its verdict; a rule that only counts need not point
    columns = [next(c for c in plan.contract.columns if c.name == key) for key in keys]
    return tuple(", ".join(_shown(c, v, load_id) for c, v in zip(columns, row, strict=True)) for row in rows)


def _condition(check: Check) -> Condition | None:
    """What is true of a row that breaks the rule; None for rules that are not about single rows."""
    if check.kind == "unique":
        names = ", ".join(map(_quote, check.columns))
        return f"({names}) IN (SELECT ({names}) FROM {RELATION} GROUP BY {names} HAVING count(*) > 1)", []
    if len(check.columns) != 1:
        return None
    column = _quote(check.columns[0])
    if check.kind in ("required", "null_count", "null_percent"):
        texts: list[object] = list(check.arguments) if check.kind != "required" else []
        return f"{column} IS NULL{f' OR {_text(column)} IN ({_marks(texts)})' if texts else ''}", texts
    return _invalid(check, column)


def _invalid(check: Check, column: str) -> Condition | None:
    kind: str = check.kind
    arguments: list[object] = list(check.arguments)
    if kind in ("invalid_count", "invalid_percent"):
        kind, arguments = ("enum" if arguments[0] == "values" else "pattern"), arguments[1:]
    if kind == "enum":
        return f"{_text(column)} NOT IN ({_marks(arguments)})", [str(value) for value in arguments]
    if kind == "pattern":
        return f"NOT regexp_matches({_text(column)}, ?)", [arguments[0]]
    if kind in ("range", "length"):
        measured = column if kind == "range" else f"length({column})"
        low, high = arguments
        sides = [(f"{measured} < ?", low), (f"{measured} > ?", high)]
        told = [(text, bound) for text, bound in sides if bound is not None]
        return " OR ".join(text for text, _ in told), [bound for _, bound in told]
    return None


def _shown(column: Column, value: object, load_id: str) -> str:
    """A key as people look it up at the source; of a personal one a hash, which differs from load to load."""
    if column.hashed:
        return f"#{str(value)[:_DIGITS]}"
    if column.pii:
        return f"#{hashlib.sha256(f'{load_id} {value}'.encode()).hexdigest()[:_DIGITS]}"
    return str(value)[:100]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(column: str) -> str:
    return f"CAST({column} AS VARCHAR)"


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)
