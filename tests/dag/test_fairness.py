"""Fifty tenants on one source, one of them 200 windows behind: Airflow's own scheduler decides whose task goes first.

Runs are started and tasks are chosen by the scheduler's own code on a metadata database; the test only lets what was
chosen end, one round later, and the next task of its run wait.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest
from airflow.dag_processing.collection import update_dag_parsing_results_in_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
from airflow.utils.db import add_default_pool_if_not_exists, synchronize_log_template
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantdags.dag.factory import build_dag
from tenantdags.dag.pools import make_pool
from tenantdags.dag.priority import IN_TIME, behind
from tenantdags.dag.run import STEPS, SUMMARISE
from tenantdags.model.plan import TablePlan
from tenantdags.model.pools import pools_of
from tests.dag.plans import plan_of
from tests.metadata import metadata_database

pytestmark = pytest.mark.airflow
CHAIN = (*STEPS, SUMMARISE)
SLOTS = 8  # of the source that all share
LATE = 67  # windows of each of the late tenant's three tables
DAY = timedelta(days=1)


@pytest.fixture
def database(tmp_path) -> Iterator[None]:
    with metadata_database(tmp_path):
        synchronize_log_template()
        add_default_pool_if_not_exists()
        yield


def of_tenant(tenant: str, table: str, tier: str = "silver", priority: int = 200) -> TablePlan:
    plan = plan_of("acme", table)
    schedule = dataclasses.replace(plan.schedule, priority=priority, first_window=date(2026, 1, 1))
    return dataclasses.replace(plan, tenant=tenant, tier=tier, schedule=schedule, sla=None)


class Chosen(NamedTuple):
    """A task the scheduler would start now."""

    dag_id: str
    task_id: str
    weight: int


class Fleet:
    """The scheduler over the DAGs of some plans."""

    def __init__(self, plans: list[TablePlan], *, parallelism: int = 32, pools: bool = True) -> None:
        self.parallelism = parallelism
        self.scheduler = SchedulerJobRunner(Job())
        if pools:
            for pool in pools_of(plans):
                make_pool(pool)
        with create_session() as session:
            session.add(DagBundleModel(name="tenants"))
        dags = [build_dag(plan) for plan in plans]
        for dag in dags:
            dag.fileloc = dag.relative_fileloc = __file__
        stored = [LazyDeserializedDAG(data=DagSerialization.to_dict(dag)) for dag in dags]
        with create_session() as session:
            update_dag_parsing_results_in_db("tenants", None, stored, {}, 0.1, set(), session)

    def queue(self, dag_id: str, windows: int) -> None:
        """The DAG's `windows` last runs wait; the newest fell due a minute ago."""
        with create_session() as session:
            stored = SerializedDagModel.get_dag(dag_id, session=session)
            assert stored
            for back in reversed(range(windows)):
                due = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1) - back * DAY
                run_id = f"scheduled__{due.isoformat()}"
                stored.create_dagrun(
                    run_id=run_id, logical_date=due - DAY, data_interval=(due - DAY, due), run_after=due,
                    run_type=DagRunType.SCHEDULED, triggered_by=DagRunTriggeredByType.TIMETABLE,
                    state=DagRunState.QUEUED, session=session,
                )  # fmt: skip

    def step(self) -> list[Chosen]:
        """Ends what the last round chose, starts runs, lets their next tasks wait, and the scheduler choose."""
        with create_session() as session:
            self._end(session)
            self.scheduler._start_queued_dagruns(session)
            session.flush()
            self._wait(session)
            session.flush()
            chosen = self.scheduler._executable_task_instances_to_queued(self.parallelism, session)
            return [Chosen(task.dag_id, task.task_id, task.priority_weight or 0) for task in chosen]

    def _end(self, session: Session) -> None:
        for task in session.scalars(select(TaskInstance).where(TaskInstance.state == TaskInstanceState.QUEUED)):
            task.state = TaskInstanceState.SUCCESS
            if task.task_id == CHAIN[-1]:
                task.dag_run.state = DagRunState.SUCCESS

    def _wait(self, session: Session) -> None:
        """What the dependencies of a chain come to: the first task of a run that has not succeeded is scheduled."""
        for run in session.scalars(select(DagRun).where(DagRun.state == DagRunState.RUNNING)).all():
            of_run = (TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
            states = {task.task_id: task for task in session.scalars(select(TaskInstance).where(*of_run))}
            task = next(states[name] for name in CHAIN if states[name].state != TaskInstanceState.SUCCESS)
            if task.state is None:
                task.state = TaskInstanceState.SCHEDULED


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
        ("late__orders", 300),
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
        ("scheduled__2026-11-22T04:00:00+00:00", False),
        ("scheduled__2026-11-21T12:00:01+00:00", False),
        ("scheduled__2026-11-21T12:00:00+00:00", True),
        ("backfill__2026-11-22T04:00:00+00:00", True),
        ("manual__2026-11-01T04:00:00+00:00_x7Ru2d", False),
        (None, False),
    ],
)
def test_a_run_is_late_when_the_next_one_is_due_as_well(run_id, late):
    assert behind(run_id, DAY, datetime(2026, 11, 22, 12, tzinfo=UTC)) is late
