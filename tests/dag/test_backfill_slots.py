"""Backfills made as Airflow's own form makes them: the scheduler gives their tasks slots and weights of their own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.models.backfill import ReprocessBehavior, _create_backfill
from airflow.models.taskinstance import TaskInstance
from airflow.utils.db import add_default_pool_if_not_exists, synchronize_log_template
from airflow.utils.session import create_session
from sqlalchemy import select

from tenantdags.dag import backfill_slots
from tenantdags.dag.priority import IN_TIME
from tenantdags.model.backfill import BULK, Request
from tenantdags.model.window import window_at
from tests.dag.fleet import Chosen, Fleet, of_tenant
from tests.metadata import metadata_database

pytestmark = pytest.mark.airflow
WINDOWS = 5
TENANTS = ("alpha", "beta", "gamma")


@pytest.fixture
def fleet(tmp_path) -> Iterator[Fleet]:
    """Four tables of one source, which has two slots, and one for backfills."""
    plans = [of_tenant(tenant, "orders") for tenant in (*TENANTS, "delta")]
    narrow = [dataclasses.replace(plan, pools=dataclasses.replace(plan.pools, source_slots=2)) for plan in plans]
    with metadata_database(tmp_path):
        synchronize_log_template()
        add_default_pool_if_not_exists()
        yield Fleet(narrow)


def backfill(tenant: str, again: str = "none", first: datetime | None = None, last: datetime | None = None) -> None:
    """As the form in Airflow's UI: all windows at once."""
    last = last or datetime.now(UTC) - timedelta(days=2)
    first = first or last - timedelta(days=WINDOWS)
    _create_backfill(
        dag_id=f"{tenant}__orders", from_date=first, to_date=last, max_active_runs=WINDOWS,
        reverse=False, dag_run_conf=None, triggering_user_name="me", reprocess_behavior=ReprocessBehavior(again),
        run_on_latest_version=True,
    )  # fmt: skip


def extracts(chosen: list[Chosen]) -> Counter[str]:
    return Counter(task.dag_id.partition("__")[0] for task in chosen if task.task_id == "extract")


def slots(tenant: str) -> set[tuple[str, str, bool]]:
    """(task, pool, whether it goes before late windows) of all runs of a tenant."""
    with create_session() as session:
        tasks = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == f"{tenant}__orders"))
        return {(task.task_id, task.pool, (task.priority_weight or 0) > IN_TIME) for task in tasks}


def test_backfills_of_one_source_have_one_slot_and_take_none_of_the_scheduled_runs(fleet):
    for tenant in TENANTS:
        backfill(tenant)
    alone = [extracts(fleet.step()) for _ in range(4)]
    fleet.queue("delta__orders", 1)
    with_one_in_time = extracts(fleet.step())

    assert [found.total() for found in alone] == [1, 1, 1, 1]
    assert with_one_in_time["delta"] == 1
    assert with_one_in_time.total() == 2  # and the backfills' slot is used on


def test_extract_and_load_of_a_backfill_have_pools_of_their_own(fleet):
    backfill("alpha")
    fleet.step()

    assert {(task, pool) for task, pool, _ in slots("alpha") if pool != "default_pool"} == {
        ("extract", "backfill_source_mssql_shared1"),
        ("load", "backfill_curated_orders_v1"),
    }


def test_a_scheduled_run_that_a_backfill_runs_again_counts_as_a_backfill(fleet):
    window = window_at(datetime.now(UTC) - timedelta(days=2), "day", "Europe/Berlin")
    a_minute_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    fleet.queue_run("alpha__orders", window.start, window.end, a_minute_ago)  # its id says that it is in time
    while fleet.step():
        pass
    assert ("extract", "source_mssql_shared1", True) in slots("alpha")

    backfill("alpha", again="completed", first=window.start, last=window.start)
    fleet.step()

    assert {slot for slot in slots("alpha") if slot[0] == "extract"} == {
        ("extract", "backfill_source_mssql_shared1", False)
    }


def test_a_chunk_of_a_bulk_load_takes_the_slots_its_command_names_and_no_others():
    slots = {"extract": "backfill_source_mssql_shared1", "load": "curated_orders_v1", "publish": "default_pool"}
    tasks = [SimpleNamespace(task_id=name, pool="default_pool") for name in ("extract", "load", "publish")]
    conf = Request(by="me", slots=slots).to_conf()

    backfill_slots.on_dag_run_running(SimpleNamespace(dag_id=BULK, conf=conf, task_instances=tasks), "")  # type: ignore[arg-type]

    assert [task.pool for task in tasks] == ["backfill_source_mssql_shared1", "default_pool", "default_pool"]


def test_scheduled_runs_keep_their_slots(fleet):
    fleet.queue("alpha__orders", 1)
    fleet.step()

    assert ("extract", "source_mssql_shared1", True) in slots("alpha")
