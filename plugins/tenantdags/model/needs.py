"""What plans rely on that no file of the project makes: connections, keys, warehouses, tables, pools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tenantdags.model.plan import TablePlan

_KEY = 'password: base64 of 32 bytes, extra: {"key_id": …}'


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One thing the platform must have. `who` makes it: `platform` by hand, or `apply` (tenantdags apply)."""

    kind: str
    name: str
    what: str
    who: str
    dags: tuple[str, ...] = ()


def needs_of(plans: Iterable[TablePlan]) -> tuple[Need, ...]:
    """Every need once, sorted, with the DAGs that have it."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for plan in plans:
        for need in _needs(plan):
            found.setdefault(need, []).append(plan.dag_id)
    return tuple(Need(*need, tuple(sorted(set(dags)))) for need, dags in sorted(found.items()))


def _needs(plan: TablePlan) -> Iterator[tuple[str, str, str, str]]:
    yield "connection", plan.source.connection, f"mssql: reads database {plan.source.database}", "platform"
    yield "connection", plan.landing.connection, "wasb: the landing zone", "platform"
    yield "connection", plan.databricks.connection, "databricks: loads and asks", "platform"
    for alert in plan.alerts:
        yield "connection", alert.connection, f"{alert.notifier}: alerts", "platform"
    if plan.pii_connection and any(column.hashed for column in plan.contract.columns):
        yield "key", plan.pii_connection, f"generic: hashes personal columns ({_KEY})", "platform"
    yield from _databricks(plan)
    yield "pool", plan.pools.source, f"{plan.pools.source_slots} slots: extracts at once", "apply"
    yield "pool", plan.pools.curated, f"{plan.pools.curated_slots} slots: loads at once", "apply"
    yield "container", plan.landing.container, "the landing zone's", "apply"


def _databricks(plan: TablePlan) -> Iterator[tuple[str, str, str, str]]:
    databricks = plan.databricks
    yield "catalog", databricks.catalog, "with the right to create schemas in it", "platform"
    yield "warehouse", databricks.warehouse_id, "answers checks and publishes", "platform"
    yield "notebook", databricks.notebook, "include/notebooks/load.py", "platform"
    if databricks.compute != "serverless":
        yield "cluster", databricks.compute, "runs the notebook", "platform"
    yield "table", plan.curated, f"holds {plan.contract.ref}", "apply"
    for column in plan.contract.loaded_columns:
        yield "column", f"{plan.curated}.{column.name}", column.delta_type, "apply"
    yield "view", plan.serving, f"shows {plan.curated_name}", "apply"
