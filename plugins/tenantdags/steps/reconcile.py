"""Exact control sums: what has to be compared, and the comparison. Sums and groups are texts, never floats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tenantdags.model.plan import TablePlan
from tenantdags.steps.manifest import Manifest, SumTotal
from tenantdags.steps.report import CheckResult, strict

Key = tuple[str, tuple[str, ...]]  # summed column, the columns it is grouped by


@dataclass(frozen=True, slots=True)
class Family:
    """One statement's worth of sums: `columns` summed per group of `by` (none: one sum over everything)."""

    by: tuple[str, ...]
    columns: tuple[str, ...]

    def totals(self, row: Sequence[object]) -> list[SumTotal]:
        """A result row: the group's texts, then the sums in the order of `columns`."""
        group = tuple(None if value is None else str(value) for value in row[: len(self.by)])
        sums = row[len(self.by) :]
        return [
            SumTotal(column=column, by=self.by, group=group, sum=None if value is None else str(value))
            for column, value in zip(self.columns, sums, strict=True)
        ]


def rules(plan: TablePlan) -> dict[str, Key]:
    """Rule id → what it sums: the contract's reconcile rules, and one per measure that no rule sums as a whole."""
    named: dict[str, Key] = {}
    for check in plan.checks:
        if check.kind == "reconcile":
            _, column, *by = map(str, check.arguments)
            named[check.id] = (column, tuple(by))
    whole = {column for column, by in named.values() if not by}
    return {f"{column}_sum": (column, ()) for column in plan.contract.measures if column not in whole} | named


def families(plan: TablePlan) -> tuple[Family, ...]:
    wanted = sorted(set(rules(plan).values()))
    bys = sorted({by for _, by in wanted})
    return tuple(Family(by, tuple(column for column, found in wanted if found == by)) for by in bys)


def reconcile_rules(plan: TablePlan) -> frozenset[str]:
    return frozenset({"rows_reconcile", *rules(plan)})


def compare_sums(plan: TablePlan, manifest: Manifest, found: Iterable[SumTotal], place: str) -> tuple[CheckResult, ...]:
    """One result per rule. A sum the source was not asked for is an error, not a pass."""
    source, ours = list(manifest.totals.sums), list(found)
    severities = {check.id: check.severity for check in plan.checks}
    results = []
    for rule, key in rules(plan).items():
        theirs, mine = _of(source, key), _of(ours, key)
        severity = severities.get(rule, "error") if manifest.reconciled else "warning"
        if not theirs and manifest.totals.rows:
            results.append(_unasked(rule, key))
            continue
        differing = sum(theirs.get(group) != mine.get(group) for group in theirs.keys() | mine.keys())
        value = f"{differing} of {len(theirs.keys() | mine.keys())} sums of {key[0]} {place} differ from the source"
        results.append(strict(rule, not differing, value, "0", severity=severity))
    return tuple(results)


def _unasked(rule: str, key: Key) -> CheckResult:
    value = f"the manifest holds no sum of {key[0]} by {', '.join(key[1]) or 'nothing'}"
    return CheckResult(rule=rule, outcome="error", value=value, expected="0")


def _of(totals: Iterable[SumTotal], key: Key) -> dict[tuple[str | None, ...], Decimal | None]:
    """Group → its sum; None where all its values are NULL, at the source and downstream alike."""
    mine = [total for total in totals if (total.column, total.by) == key]
    return {total.group: None if total.sum is None else Decimal(total.sum) for total in mine}
