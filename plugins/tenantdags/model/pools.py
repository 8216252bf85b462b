"""The Airflow pools that plans take slots of: what bounds the tasks at one source and at one curated table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tenantdags.model.plan import TablePlan

SLOTS = ("source", "curated", "backfill")
_SOURCE, _CURATED, _BACKFILL = "source_", "curated_", "backfill_"  # no source or table makes the last one's names


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


def is_shared(pool: str) -> bool:
    """Whether it is one of ours that scheduled runs take slots of."""
    return pool.startswith((_SOURCE, _CURATED))


def is_of_backfills(pool: str) -> bool:
    return pool.startswith(_BACKFILL)


def slots_of(pool: str) -> str | None:
    """What a slot of this pool is for, one of SLOTS; None for a pool that is not ours."""
    return next((word for word in SLOTS if pool.startswith(f"{word}_")), None)


def of_backfills(pool: str) -> str:
    """The pool from which a backfill's tasks take their slot instead."""
    return f"{_BACKFILL}{pool}"


def _pools(plan: TablePlan) -> Iterator[Pool]:
    pools, source, curated = plan.pools, plan.source.connection, plan.curated_name
    reads, loads = f"tenantdags: extracts through {source}", f"tenantdags: loads into {curated}"
    yield Pool(pools.source, pools.source_slots, f"{reads} at once", False)
    yield Pool(of_backfills(pools.source), pools.source_backfill_slots, f"{reads} at once, of backfills", False)
    # A load waits for Databricks in the triggerer; without its slot all loads would be at the table at once.
    yield Pool(pools.curated, pools.curated_slots, f"{loads} at once", True)
    yield Pool(of_backfills(pools.curated), pools.curated_backfill_slots, f"{loads} at once, of backfills", True)
