"""Airflow's own scheduler over the DAGs of some plans: it starts runs and chooses tasks, nothing is executed.

What was chosen ends one round later, and the next task of its run waits.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from airflow.dag_processing.collection import update_dag_parsing_results_in_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantdags.dag.factory import build_dag
from tenantdags.dag.pools import make_pool
from tenantdags.dag.run import STEPS, SUMMARISE
from tenantdags.model.plan import TablePlan
from tenantdags.model.pools import pools_of
from tests.dag.plans import plan_of

CHAIN = (*STEPS, SUMMARISE)
DAY = timedelta(days=1)


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
        for back in reversed(range(windows)):
            due = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1) - back * DAY
            self.queue_run(dag_id, due - DAY, due, due)

    def queue_run(self, dag_id: str, start: datetime, end: datetime, due: datetime) -> None:
        """A scheduled run of the window [start, end) that fell due at `due`."""
        with create_session() as session:
            stored = SerializedDagModel.get_dag(dag_id, session=session)
            assert stored
            stored.create_dagrun(
                run_id=f"scheduled__{due.isoformat()}", logical_date=start, data_interval=(start, end), run_after=due,
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
