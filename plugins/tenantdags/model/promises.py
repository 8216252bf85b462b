"""`slaProperties`: what is kept (retention), what is checked (freshness), and that nothing else is promised in vain.

https://bitol-io.github.io/open-data-contract-standard/v3.2.0/service-level-agreement/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tenantdags.model.contract import Check, Column, Threshold
from tenantdags.model.contract_file import ContractFile, OtherProperty, SeverityProperty, SlaProperty
from tenantdags.model.document import Path, Problems
from tenantdags.model.fields import suggestion
from tenantdags.model.quality_rules import rule_id_problem

KNOWN = ("freshness", "retention")
_DAYS = {"d": 1, "day": 1, "days": 1, "y": 365, "yr": 365, "year": 365, "years": 365}
_UNITS = {
    "min": "minute", "minute": "minute", "minutes": "minute", "h": "hour", "hour": "hour", "hours": "hour",
    "d": "day", "day": "day", "days": "day",
}  # fmt: skip


def check_promises(shape: ContractFile, problems: Problems) -> None:
    """Refuses a promise that nobody keeps, and one that is made twice. Another tool's names its vendor."""
    seen: set[tuple[str, str | None]] = set()
    for i, promise in enumerate(shape.sla_properties):
        path: Path = ("slaProperties", i)
        about = (promise.property, promise.element if promise.property == "freshness" else None)
        if _foreign(promise):
            continue
        if promise.property not in KNOWN:
            text = f"{promise.property!r} is kept by nobody here{suggestion(promise.property, KNOWN)}"
            remedy = "deadlines are `sla` in tenant files; a promise that another tool keeps names its vendor"
            problems.add("CFG138", (*path, "property"), f"{text} ({remedy})")
        elif about in seen:
            problems.add("CFG138", (*path, "property"), f"{promise.property} is promised twice; keep one")
        seen.add(about)


def retention_days(shape: ContractFile, problems: Problems) -> int | None:
    """How long readers may count on a window; None when it is not said."""
    for i, promise in enumerate(shape.sla_properties):
        if promise.property == "retention" and not _foreign(promise):
            if type(promise.value) is int and promise.value > 0 and promise.unit in _DAYS:
                return promise.value * _DAYS[promise.unit]
            problems.add("CFG132", ("slaProperties", i), "retention needs a whole number as value and d or y as unit")
    return None


def freshness_checks(
    shape: ContractFile, columns: Sequence[Column], taken: set[str], problems: Problems
) -> Iterator[Check]:
    """The newest value of `element` may lie at most `value` units before the window's end."""
    for i, promise in enumerate(shape.sla_properties):
        if promise.property != "freshness" or _foreign(promise):
            continue
        before = len(problems.found)
        rule = _rule_id(promise, i, taken, problems)
        column = _element(promise, shape.schema_[0].name, i, columns, problems)
        limit = _limit(promise, i, problems)
        if column and limit and len(problems.found) == before:
            severity = [p.value for p in promise.custom_properties if isinstance(p, SeverityProperty)]
            yield Check(
                id=rule, kind="freshness", name=promise.description or f"{column.name} is fresh",
                dimension="timeliness", severity=severity[0] if severity else "error", columns=(column.name,),
                threshold=limit[0], arguments=(limit[1],),
            )  # fmt: skip


def _foreign(promise: SlaProperty) -> bool:
    """Whether another tool keeps it."""
    return any(isinstance(p, OtherProperty) for p in promise.custom_properties)


def _rule_id(promise: SlaProperty, index: int, taken: set[str], problems: Problems) -> str:
    rule, path = promise.id or "freshness", ("slaProperties", index, "id")
    if text := rule_id_problem(rule):
        problems.add("CFG140", path, text)
    if rule in taken:
        problems.add("CFG141", path, f"the rule id {rule!r} is taken by another rule; give this one an id of its own")
    taken.add(rule)
    return rule


def _element(
    promise: SlaProperty, table: str, index: int, columns: Sequence[Column], problems: Problems
) -> Column | None:
    path: Path = ("slaProperties", index, "element")
    said = promise.element or ""
    place, _, name = said.rpartition(".")
    column = next((c for c in columns if c.name == name), None)
    if column is None or place not in ("", table):
        example = f"{table}.{columns[0].name}"
        text = (
            f"{said!r} is no column of this contract"
            if said
            else "is missing: the column that tells how fresh a row is"
        )
        problems.add("CFG144", path, f"{text}; write it like {example}")
        return None
    if not column.type.clock or column.type.name == "date" or not column.loaded or column.hashed:
        problems.add("CFG162", path, f"{name} ({column.type}) must be a loaded column with date and time")
    return column


def _limit(promise: SlaProperty, index: int, problems: Problems) -> tuple[Threshold, str] | None:
    value, unit = promise.value, _UNITS.get(promise.unit or "")
    number = isinstance(value, int | Decimal) and not isinstance(value, bool) and value > 0
    if not number or unit is None:
        text = "freshness needs a number above 0 as value and min, h or d as unit"
        problems.add("CFG139", ("slaProperties", index), text)
        return None
    return Threshold(operator="<=", values=(value,)), unit
