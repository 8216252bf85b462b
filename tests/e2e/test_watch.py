"""The watchdog on a real Airflow: as a DAG, and as a command from outside while the scheduler or the API is dead."""

from __future__ import annotations

import pytest

from sandbox.airflow_api import FINISHED, AirflowApi
from tests.e2e.rig import Rig, wait_until
from tests.e2e.test_scheduler import start_of

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
WATCH = "tenantdags_watch"


def looks(api: AirflowApi) -> set[str]:
    return {run["dag_run_id"] for run in api.runs(WATCH) if run["state"] == "success"}


def test_the_dag_looks_and_leaves_a_heartbeat(rig: Rig) -> None:
    api = rig.airflow.api
    before = looks(api)
    api.set_paused(WATCH, False)
    try:
        wait_until(lambda: looks(api) - before, 150, f"a look by the DAG after {len(before)} before")
    except AssertionError:
        print(*api.runs(WATCH), *(api.tasks(WATCH, run["dag_run_id"]) for run in api.runs(WATCH)), sep="\n")
        raise
    finally:
        api.set_paused(WATCH, True)
    (run_id, *_) = looks(api) - before

    assert "1 tables, " in api.log(WATCH, run_id, "look")
    assert rig.tenantdags(rig.airflow.project, "watch", "--heartbeat-age").startswith("the last look was ")


def test_the_command_looks_without_any_airflow(rig: Rig) -> None:
    said = rig.tenantdags(rig.airflow.project, "watch", "--once")

    assert "Z 1 tables, " in said.splitlines()[0]


def test_what_on_call_types_works_on_a_real_airflow(rig: Rig) -> None:
    api, cell = rig.airflow.api, rig.scheduled[0]
    dag_id, words = "acme__orders", ("acme", "orders", cell.as_of_date.isoformat())
    wait_until(lambda: any(r["state"] in FINISHED for r in api.runs(dag_id)), 240, "the first run")

    story = rig.tenantdags(rig.airflow.project, "explain", *words)
    fleet = rig.tenantdags(rig.airflow.project, "status")
    asked = rig.tenantdags(rig.airflow.project, "retry", *words, "--from", "check_load")

    generation = rig.recount.visible(cell).generation
    assert f"readers see  generation {generation}: {rig.recount.visible(cell).rows} rows of load " in story
    assert "check_extract success in " in story
    assert "now          published" in story
    assert "1 tables of 1 tenants" in fleet
    assert "  clears   check_load, publish, summarise\n" in asked
    assert "nothing was changed; `tenantdags retry" in asked

    said = rig.tenantdags(rig.airflow.project, "retry", *words, "--from", "check_load", "--yes")
    run_id = next(r["dag_run_id"] for r in api.runs(dag_id) if start_of(r) == cell.bounds[0])
    assert "done: 3 tasks were cleared" in said
    assert api.wait_for_run(dag_id, run_id) == "success"
    assert "admin cleared tasks" in rig.tenantdags(rig.airflow.project, "explain", *words)
