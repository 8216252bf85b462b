"""Gives the tasks of a backfilled run the backfills' slots and a late window's weight, however the backfill was made.

A task's pool stands in its DAG and so is the same for every run of it. Airflow tells its listeners when it starts a
run, within the transaction that starts it and before it looks for tasks to schedule: then they are moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from tenantdags.dag.priority import IN_TIME
from tenantdags.model.backfill import BULK, Request
from tenantdags.model.pools import is_shared, of_backfills

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:
    """Also of a scheduled run that a backfill runs again: it keeps its id, by which it might be in time."""
    if dag_run.dag_id == BULK:
        slots = Request.from_conf(dag_run.conf).slots
        for task in dag_run.task_instances:
            task.pool = slots.get(task.task_id, task.pool)
        return
    if dag_run.run_type != "backfill":
        return
    for task in dag_run.task_instances:
        if is_shared(task.pool):
            task.pool = of_backfills(task.pool)
        if task.priority_weight and task.priority_weight > IN_TIME:
            task.priority_weight -= IN_TIME
