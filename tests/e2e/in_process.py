"""Runs windows by Airflow's own dag.test() in one long-lived process: JSON commands on stdin, JSON answers on stdout.

Started by rig.Runner with the environment of an Airflow home of its own; logs go to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select

from tenantdags.dag import alerts
from tenantdags.dag.loader import tenant_dags


def run(root: str, dag_id: str, logical_date: str) -> dict[str, Any]:
    """One run of the DAG as its files stand now."""
    dag = tenant_dags(root, dag_id.partition("__")[0])[dag_id]
    dag.deadline = []  # dag.test() takes a deadline for an id of the database, which only the scheduler writes
    finished: DagRun = dag.test(logical_date=datetime.fromisoformat(logical_date))
    with create_session() as session:
        states = {ti.task_id: ti.state for ti in finished.get_task_instances(session=session)}
        pushed = select(XComModel).where(XComModel.dag_id == dag_id, XComModel.run_id == finished.run_id)
        xcoms: dict[str, dict[str, Any]] = {}
        for each in session.scalars(pushed):
            xcoms.setdefault(each.task_id, {})[each.key] = XComModel.deserialize_value(each)
    return {"run_id": finished.run_id, "state": finished.state, "states": states, "xcoms": xcoms}


def environment(changes: dict[str, str | None]) -> dict[str, Any]:
    """Set variables of this process, or with None remove them."""
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return {}


def sweep(connection: str, container: str, at: str) -> dict[str, Any]:
    """What the watch does for alerts at each look, as if it were that instant."""
    return {"told": alerts.sweep(connection, container, datetime.fromisoformat(at)).told}


def serve(commands: TextIO, answers: TextIO) -> None:
    known: dict[str, Callable[..., dict[str, Any]]] = {"run": run, "environment": environment, "sweep": sweep}
    for line in commands:
        command = json.loads(line)
        answer = known[command.pop("do")](**command)
        print(json.dumps(answer, default=str), file=answers, flush=True)


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints goes to the log
    serve(sys.stdin, out)
