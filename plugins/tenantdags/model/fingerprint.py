"""What must not change between the steps of one run: the parts of a plan that say what was extracted, and where to."""

from __future__ import annotations

import hashlib

from tenantdags.model.contract import Check, Column
from tenantdags.model.plan import TablePlan


def fingerprints(plan: TablePlan) -> dict[str, str]:
    """A digest of each such part, by the name a person knows it by.

    Thresholds, severities, alerts, timeouts, compute and texts are not among them: every step takes them as they are.
    """
    contract = plan.contract
    parts: dict[str, object] = {
        "source": (plan.source, contract.source_table),
        "window": (contract.mode, contract.window.column, contract.window.column_type, contract.window.parent),
        "columns": tuple(map(_column, contract.columns)),
        "rules counted by extract": tuple(filter(None, map(_counted, plan.checks))),
        "pii_key": plan.pii_connection,
        "staging.url": plan.staging.url,
        "landing": plan.landing,
        "databricks.catalog": plan.databricks.catalog,
    }
    return {name: hashlib.sha256(repr(part).encode()).hexdigest()[:16] for name, part in parts.items()}


def changed(before: dict[str, str], plan: TablePlan) -> list[str]:
    """The parts of the plan that are not what they were."""
    return [name for name, digest in fingerprints(plan).items() if before.get(name) != digest]


def _column(column: Column) -> tuple[object, ...]:
    return (
        column.name, column.source_name, column.type, column.required, column.key_position, column.pii, column.measure,
    )  # fmt: skip


def _counted(check: Check) -> tuple[object, ...] | None:
    """Totals by group, and rules on values that only the stream sees, are taken while rows are read."""
    if check.kind != "reconcile" and not check.before_hashing:
        return None
    return check.id, check.kind, check.columns, check.arguments
