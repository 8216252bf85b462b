"""The watchdog on a real Airflow: as a DAG, and as a command from outside while the scheduler or the API is dead."""

from __future__ import annotations

import pytest

from tests.e2e.rig import Rig, wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
WATCH = "tenantdags_watch"


def test_the_dag_looks_and_leaves_a_heartbeat(rig: Rig) -> None:
    api = rig.airflow.api
    api.set_paused(WATCH, False)
    try:
        wait_until(lambda: any(run["state"] == "success" for run in api.runs(WATCH)), 150, "a look by the DAG")
    finally:
        api.set_paused(WATCH, True)
    run = next(run for run in api.runs(WATCH) if run["state"] == "success")

    assert "1 tables, " in api.log(WATCH, run["dag_run_id"], "look")
    assert rig.tenantdags(rig.airflow.project, "watch", "--heartbeat-age").startswith("the last look was ")


def test_the_command_looks_without_any_airflow(rig: Rig) -> None:
    said = rig.tenantdags(rig.airflow.project, "watch", "--once")

    assert "Z 1 tables, " in said.splitlines()[0]
