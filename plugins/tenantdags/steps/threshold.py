"""A measured number against a plan's threshold, and both as words. Decides apart from the engine that measured."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne

from tenantdags.model.contract import Check, Number, Threshold
from tenantdags.steps.report import CheckResult

_SINGLE: dict[str, Callable[[Number, Number], bool]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_WORDS = {"=": "", "!=": "not ", "<": "less than ", "<=": "at most ", ">": "more than ", ">=": "at least "}
_PERCENT = ("null_percent", "invalid_percent")
_NOUNS = {
    "required": "missing {columns}",
    "null_count": "missing {columns}",
    "null_percent": "% missing {columns}",
    "unique": "duplicate key{s}",
    "enum": "unknown value{s} of {columns}",
    "pattern": "malformed value{s} of {columns}",
    "range": "value{s} of {columns} out of range",
    "length": "value{s} of {columns} of a wrong length",
    "invalid_count": "invalid value{s} of {columns}",
    "invalid_percent": "% invalid values of {columns}",
    "row_count": "row{s}",
    "freshness": "{unit}{s} from the newest {columns} to the window's end",
    "reference": "row{s} whose {columns} is of no published row",
}


def holds(threshold: Threshold, value: Number) -> bool:
    """The between forms include their bounds."""
    if threshold.operator in _SINGLE:
        return _SINGLE[threshold.operator](value, threshold.values[0])
    low, high = threshold.values
    return (low <= value <= high) == (threshold.operator == "between")


def judge(check: Check, value: Number) -> CheckResult:
    """The check's result for a measured value; a broken rule of severity warning only warns."""
    outcome = "pass" if holds(check.threshold, value) else "warn" if check.severity == "warning" else "fail"
    return CheckResult(
        rule=check.id,
        outcome=outcome,  # type: ignore[arg-type]  # a conditional of literals is inferred as str
        value=measured(check, value),
        expected=expected(check),
        severity=check.severity,
    )


def unevaluated(check: Check, why: str) -> CheckResult:
    return CheckResult(rule=check.id, outcome="error", value=why, expected=expected(check), severity=check.severity)


def measured(check: Check, value: Number) -> str:
    """`3 duplicate keys`, `1.25 % missing customer_email`."""
    unit = check.arguments[0] if check.kind == "freshness" else ""
    noun = _NOUNS.get(check.kind, "").format(columns=", ".join(check.columns), s="" if value == 1 else "s", unit=unit)
    return f"{_plain(value)} {noun}".strip()


def expected(check: Check) -> str:
    """`0`, `more than 100`, `less than 2 %`, `between 1 and 5`."""
    unit = " %" if check.kind in _PERCENT else ""
    words = [_plain(value) + unit for value in check.threshold.values]
    if check.threshold.operator in _WORDS:
        return _WORDS[check.threshold.operator] + words[0]
    return f"{check.threshold.operator} {' and '.join(words)}"


def _plain(value: Number) -> str:
    return f"{round(value, 4).normalize():f}" if isinstance(value, Decimal) else str(value)
