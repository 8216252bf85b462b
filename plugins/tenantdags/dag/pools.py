"""Pools in Airflow's metadata database, as `airflow pools` keeps them. Needs the host or image Airflow runs on."""

from __future__ import annotations

from collections.abc import Sequence

from tenantdags.model.errors import ConnectionMissing
from tenantdags.model.pools import Pool


def pools_behind(wanted: Sequence[Pool], at: str) -> tuple[Pool, ...]:
    """Those that Airflow lacks or has otherwise. Raises ConnectionMissing without a migrated database."""
    from airflow.models.pool import Pool as AirflowPool
    from sqlalchemy.exc import SQLAlchemyError

    try:
        found = {pool.pool: (pool.slots, pool.include_deferred) for pool in AirflowPool.get_pools()}
    except SQLAlchemyError as error:
        what = f"Airflow's metadata database cannot be read: {type(error).__name__}."
        remedy = "Run this where Airflow's configuration is, after `airflow db migrate`."
        raise ConnectionMissing(at, what, remedy) from None  # the text may quote the database's URL
    return tuple(pool for pool in wanted if found.get(pool.name) != (pool.slots, pool.include_deferred))


def make_pool(pool: Pool) -> None:
    """Makes it, or brings it to its size."""
    from airflow.models.pool import Pool as AirflowPool

    AirflowPool.create_or_update_pool(pool.name, pool.slots, pool.description, pool.include_deferred)
