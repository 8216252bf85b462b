"""The client of Airflow's REST API against a running Airflow: what it asks for is there, in the shape it expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tenantdags.dag import world
from tenantdags.model.errors import AirflowBusy, AirflowConflict, AirflowNotFound, AirflowRefused
from tenantdags.model.window import Window, day_window
from tenantdags.steps.airflow_answers import Backfill
from tenantdags.steps.airflow_api import AirflowApi, AirflowLogin
from tests.dag.bundles import PLATFORM
from tests.e2e.rig import Rig, wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
DAG = "acme__orders"


@pytest.fixture
def api(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowApi]:
    """As a command makes it: by the connection in the environment."""
    monkeypatch.setenv("AIRFLOW_CONN_AIRFLOW_API", rig.airflow.env()["AIRFLOW_CONN_AIRFLOW_API"])
    api = world.airflow_api("a test")
    wait_until(lambda: DAG in {dag.dag_id for dag in api.dags()}, 60, "the DAG")
    yield api
    api.close()


@pytest.fixture
def window(rig: Rig) -> Window:
    return day_window(rig.scheduled[0].as_of_date, "Europe/Berlin")


def test_it_finds_dags_pools_and_the_others_health(api: AirflowApi) -> None:
    dag = api.dag(DAG)

    assert (dag.dag_id, dag.paused, dag.stale, dag.import_errors, dag.file) == (DAG, False, False, False, dag.file)
    assert [found.dag_id for found in api.dags(prefix="acme__", stale=False)] == [DAG]
    assert api.dags(prefix="nobody__") == ()
    assert {"default_pool", "source_mssql_shared1", "curated_orders_v1"} <= {pool.name for pool in api.pools()}
    assert api.health().sick == ()
    assert api.import_errors() == ()
    assert api.count_dags() == 1 + len(PLATFORM)
    assert {task.state for task in api.waiting_tasks(10)} <= {"scheduled"}
    assert api.events("tenantdags_watch", "patch_dag")[0].extra == '{"is_paused": true, "method": "PATCH"}'


def test_it_finds_a_windows_run_with_its_tasks_and_what_they_told(api: AirflowApi, window: Window) -> None:
    wait_until(lambda: any(run.finished for run in api.runs_of_window(DAG, window)), 120, "the first window's run")

    run = api.runs_of_window(DAG, window)[0]
    tasks = {task.task_id: task for task in api.tasks(DAG, run.run_id)}

    assert (run.start, run.end) == (window.start, window.end)
    assert run.run_type in ("scheduled", "backfill")  # a backfill that ran it again made it its own
    assert run == api.run(DAG, run.run_id)
    assert {task.state for task in tasks.values()} == {"success"}
    assert tasks["extract"].pool == ("backfill_" if run.run_type == "backfill" else "") + "source_mssql_shared1"
    assert api.xcom(DAG, run.run_id, "extract", "manifest")["tenant"] == "acme"
    assert api.xcom(DAG, run.run_id, "extract", "no_such_key") is None
    assert len(api.clear_tasks(DAG, run.run_id, "load", dry_run=True)) == 4  # with check_load, publish and summarise
    assert api.patch_run(DAG, run.run_id, note="looked at").note == "looked at"


def created(api: AirflowApi, start: datetime, **body: Any) -> Backfill:
    """SQLite takes one writer, so the scheduler may be in the way."""
    made: list[Backfill] = []

    def asked() -> bool:
        with suppress(AirflowBusy):
            made.append(api.create_backfill(DAG, start, start, **body))
        return bool(made)

    wait_until(asked, 60, "Airflow makes the backfill")
    return made[0]


def test_it_makes_pauses_and_cancels_a_backfill(api: AirflowApi, window: Window) -> None:
    before = window.start - timedelta(days=2)
    dates = api.dry_run_backfill(DAG, before, before + timedelta(days=1))
    api.pause(DAG)
    try:
        made = created(api, before, max_active_runs=1, dag_run_conf={"reason": "a test"})
        with pytest.raises(AirflowConflict):
            api.create_backfill(DAG, before, before)
        paused = api.pause_backfill(made.id)
        ended = api.cancel_backfill(made.id)
        with pytest.raises(AirflowConflict):
            api.pause_backfill(made.id)
    finally:
        api.pause(DAG, paused=False)

    assert dates == (before, before + timedelta(days=1))
    assert (made.first, made.last, made.max_active_runs, made.conf) == (before, before, 1, {"reason": "a test"})
    assert paused.paused
    assert ended.completed_at
    assert ended.completed_at <= datetime.now(UTC)
    assert made.id in {each.id for each in api.backfills(DAG)}


def test_what_is_not_there_and_who_may_not_ask(api: AirflowApi) -> None:
    with pytest.raises(AirflowNotFound):
        api.run(DAG, "no_such_run")
    with pytest.raises(AirflowNotFound):
        api.dag("nobody__orders")
    for login in (AirflowLogin(api.url, "admin", "wrong"), AirflowLogin(api.url, token="wrong")):
        with pytest.raises(AirflowRefused):
            AirflowApi(login).dags()
