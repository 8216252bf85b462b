"""Fifty tenants on one source, one of them 200 windows behind: Airflow's own scheduler decides whose task goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from airflow.utils.db import add_default_pool_if_not_exists, synchronize_log_template

from tenantdags.dag.pools import make_pool
from tenantdags.dag.priority import IN_TIME, windows_behind
from tenantdags.model.pools import Pool
from tests.dag.fleet import CHAIN, DAY, Chosen, Fleet, of_tenant
from tests.metadata import metadata_database

pytestmark = pytest.mark.airflow
SLOTS = 8  # of the source that all share
LATE = 67  # windows of each of the late tenant's three tables


@pytest.fixture
def database(tmp_path) -> Iterator[None]:
    with metadata_database(tmp_path):
        synchronize_log_template()
        add_default_pool_if_not_exists()
        yield


def tenants_of(chosen: list[Chosen]) -> Counter[str]:
    return Counter(task.dag_id.partition("__")[0] for task in chosen)


def test_a_backlog_of_200_windows_waits_for_whoever_is_due_now(database):
    late = [of_tenant("late", table) for table in ("customers", "orders", "order_lines")]
    others = [of_tenant(f"tenant{n:02}", "orders") for n in range(49)]
    fleet = Fleet([*late, *others])
    for plan in late:
        fleet.queue(plan.dag_id, LATE)
    for _ in range(2):  # the backlog has the fleet for itself before the others' windows fall due
        assert set(tenants_of(fleet.step())) == {"late"}
    for plan in others:
        fleet.queue(plan.dag_id, 1)

    rounds = [fleet.step() for _ in range(16)]

    extracts = [[task for task in chosen if task.task_id == "extract"] for chosen in rounds]
    # at one source: never more than its slots, and none of the late tenant's while others wait
    assert max(map(len, extracts)) == SLOTS
    assert all(tenants_of(chosen)["late"] == 0 for chosen in extracts[:6])
    assert len({task.dag_id for chosen in extracts for task in chosen} & {plan.dag_id for plan in others}) == 49
    # of the workers: one slot per table, however many windows wait
    assert max(tenants_of(chosen)["late"] for chosen in rounds) <= len(late)
    # in the curated tables: one load of each at once
    loads = [Counter(task.dag_id for task in chosen if task.task_id == "load") for chosen in rounds]
    assert max(max(counted.values(), default=0) for counted in loads) == 1


def test_of_two_backlogs_the_shorter_is_done_first(database):
    """Airflow alone would take the older windows first, and who is two behind would wait for all the others."""
    long = [of_tenant(f"long{n}", "orders") for n in range(9)]
    short = of_tenant("short", "orders")
    fleet = Fleet([*long, short])
    make_pool(Pool("source_mssql_shared1", 1, "one slot for all", include_deferred=False))
    for plan in long:
        fleet.queue(plan.dag_id, 8)
    fleet.queue(short.dag_id, 2)

    rounds = [fleet.step() for _ in range(2 * (len(CHAIN) + 1))]

    done = [task.dag_id for chosen in rounds for task in chosen if task.task_id == CHAIN[-1]]
    assert done.count("short__orders") == 2


def test_among_windows_in_time_the_better_tier_goes_first_and_lateness_beats_tier(database):
    plans = [
        of_tenant("bronze", "orders", "bronze", 100), of_tenant("gold", "orders", "gold", 300),
        of_tenant("silver", "orders", "silver", 200), of_tenant("late", "orders", "gold", 300),
    ]  # fmt: skip
    fleet = Fleet(plans)
    for plan in plans:
        fleet.queue(plan.dag_id, 3 if plan.tenant == "late" else 1)

    assert [(task.dag_id, task.weight) for task in fleet.step()] == [
        ("gold__orders", IN_TIME + 300), ("silver__orders", IN_TIME + 200), ("bronze__orders", IN_TIME + 100),
        ("late__orders", 300 - 2),
    ]  # fmt: skip


def test_a_task_whose_pool_is_missing_waits_and_the_scheduler_says_for_what(database, capfd):
    plan = of_tenant("acme", "orders")
    fleet = Fleet([plan], pools=False)
    fleet.queue(plan.dag_id, 1)

    assert fleet.step() == []
    assert "Tasks using non-existent pool 'source_mssql_shared1' will not be scheduled" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("run_id", "late"),
    [
        ("scheduled__2026-11-22T04:00:00+00:00", 0),
        ("scheduled__2026-11-21T12:00:01+00:00", 0),
        ("scheduled__2026-11-21T12:00:00+00:00", 1),
        ("scheduled__2026-11-12T12:00:00+00:00", 10),
        ("backfill__2026-11-22T04:00:00+00:00", 1),
        ("recount__2026-11-22T04:00:00+00:00", 1),
        ("manual__2026-11-01T04:00:00+00:00_x7Ru2d", 0),
        (None, 0),
    ],
)
def test_a_run_is_behind_by_the_later_windows_that_are_due_as_well(run_id, late):
    assert windows_behind(run_id, DAY, datetime(2026, 11, 22, 12, tzinfo=UTC)) == late
