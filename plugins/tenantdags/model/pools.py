"""The Airflow pools that plans take slots of: what bounds the tasks at one source and at one curated table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenantdags.model.plan import TablePlan


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """One pool as Airflow keeps it. `include_deferred`: a task that waits in the triggerer keeps its slot."""

    name: str
    slots: int
    description: str
    include_deferred: bool

    def __str__(self) -> str:
        return f"pool {self.name}: {self.slots} slots"


def pools_of(plans: Iterable[TablePlan]) -> tuple[Pool, ...]:
    """Every pool the plans need once, sorted by name."""
    return tuple(sorted({pool for plan in plans for pool in _pools(plan)}))


def _pools(plan: TablePlan) -> tuple[Pool, Pool]:
    source, curated = plan.source.connection, plan.curated_name
    return (
        Pool(plan.pools.source, plan.pools.source_slots, f"tenantdags: extracts through {source} at once", False),
        # A load waits for Databricks in the triggerer; without its slot all loads would be at the table at once.
        Pool(plan.pools.curated, plan.pools.curated_slots, f"tenantdags: loads into {curated} at once", True),
    )
