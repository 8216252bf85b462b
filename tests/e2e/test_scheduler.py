"""Outcomes through Airflow's own scheduler, executor and triggerer, as an installation runs them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.airflow_api import FINISHED, AirflowApi
from sandbox.recount import Cell
from sandbox.seed import break_window, late_row, repair_window
from sandbox.services import SandboxError
from tenantdags.dag.alerts import sla_miss_arguments
from tenantdags.model.plan import AlertPlan
from tenantdags.model.project import load_tenant
from tenantdags.steps.alerts import fingerprint_of, in_words
from tests.e2e.pages import texts
from tests.e2e.rig import Rig, wait_until
from tests.e2e.test_outcomes import GREEN, red_at

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(420)]
DAG = "acme__orders"


@pytest.fixture
def api(rig: Rig) -> Iterator[AirflowApi]:
    yield rig.airflow.api
    rig.world.databricks.clear_faults()


def run_id_of(api: AirflowApi, cell: Cell) -> str:
    """The one run of a window by its dates."""
    found = [r["dag_run_id"] for r in api.runs(DAG) if start_of(r) == cell.bounds[0]]
    assert len(found) == 1, f"{cell}: {found}"
    return str(found[0])


def start_of(run: dict[str, Any]) -> datetime | None:
    """None for a run that was asked for by its window's name."""
    return datetime.fromisoformat(run["data_interval_start"]) if run["data_interval_start"] else None


def run_again(api: AirflowApi, cell: Cell) -> tuple[str, dict[str, str | None]]:
    run_id = run_id_of(api, cell)
    api.clear_run(DAG, run_id)
    return api.wait_for_run(DAG, run_id), api.states(DAG, run_id)


def databricks_runs(rig: Rig, load_id: str) -> list[dict[str, Any]]:
    return [run for run in rig.world.databricks.runs() if load_id in run["run_name"]]


@pytest.fixture
def caught_up(rig: Rig, api: AirflowApi) -> list[Cell]:
    """The windows that the scheduler has run by itself."""
    starts = {cell.bounds[0] for cell in rig.scheduled}

    def ended() -> bool:
        runs = [r for r in api.runs(DAG) if start_of(r) in starts]
        return len(runs) == len(starts) and all(r["state"] in ("success", "failed") for r in runs)

    wait_until(ended, 240, "catch-up")
    return rig.scheduled


def test_the_scheduler_publishes_every_due_window(rig: Rig, api: AirflowApi, caught_up: list[Cell]) -> None:
    for cell in caught_up:
        seen, rows = rig.recount.visible(cell), rig.recount.source(cell)
        assert api.states(DAG, run_id_of(api, cell)) == GREEN
        assert (seen.rows, seen.keys, seen.generation) == (rows, rows, 1)


def test_a_red_window_and_its_repair(rig: Rig, api: AirflowApi, caught_up: list[Cell]) -> None:
    cell = caught_up[-1]
    before = rig.recount.visible(cell)
    break_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)

    assert run_again(api, cell) == ("failed", red_at("check_extract"))
    summary = api.xcom(DAG, run_id_of(api, cell), "summarise", "summary")
    assert "pk_unique" in summary["line"]
    assert rig.recount.visible(cell) == before

    repair_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)
    assert run_again(api, cell) == ("success", GREEN)
    after = rig.recount.visible(cell)
    assert (after.rows, after.keys, after.generation) == (before.rows, before.keys, before.generation + 1)


def test_a_load_killed_after_its_submit_takes_up_the_same_run(rig: Rig, api: AirflowApi, caught_up: list[Cell]) -> None:
    cell = caught_up[0]
    run_id, appended = run_id_of(api, cell), rig.recount.appended(cell)
    rig.world.databricks.fault("get_stall", seconds=20.0)
    api.clear_run(DAG, run_id)
    wait_until(lambda: not rig.world.databricks.faults(), 60, "the load has submitted its run and asks for it")

    task = api.tasks(DAG, run_id)["load"]
    assert task["state"] == "running"
    assert psutil.pid_exists(task["pid"])
    os.kill(task["pid"], signal.SIGKILL)

    assert api.wait_for_run(DAG, run_id) == "success"
    manifest = api.xcom(DAG, run_id, "extract", "manifest")
    assert api.tasks(DAG, run_id)["load"]["try_number"] == task["try_number"] + 1
    assert len(databricks_runs(rig, manifest["load_id"])) == 1
    assert rig.recount.appended(cell) == appended + 1
    seen, rows = rig.recount.visible(cell), rig.recount.source(cell)
    assert (seen.rows, seen.keys) == (rows, rows)


def test_a_task_killed_for_good_has_its_summary_all_the_same(rig: Rig, api: AirflowApi, caught_up: list[Cell]) -> None:
    cell = caught_up[0]
    run_id, before, summaries = run_id_of(api, cell), rig.recount.visible(cell), rig.recount.summaries(cell)
    rig.world.sqlserver.fault("stall", table="Orders", seconds=30.0)
    api.clear_run(DAG, run_id)
    wait_until(lambda: api.states(DAG, run_id)["extract"] == "running", 60, "extract is running")

    # what the UI's *Mark as failed* does: Airflow ends the process, and no retry follows
    api.patch(f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/extract", {"new_state": "failed"})

    assert api.wait_for_run(DAG, run_id) == "failed"
    assert api.states(DAG, run_id) == red_at("extract")
    *earlier, written = rig.recount.summaries(cell)
    assert earlier == summaries
    assert (written["outcome"], written["failed_task"], written["kind"]) == ("killed", "extract", "internal")
    assert written["attempt"] not in {summary["attempt"] for summary in summaries}
    assert rig.recount.visible(cell) == before
    api.patch(f"/dags/{DAG}/dagRuns/{run_id}", {"state": "success"})  # for the tests behind this one


def test_a_load_cleared_on_a_published_run_changes_no_row(rig: Rig, api: AirflowApi, caught_up: list[Cell]) -> None:
    cell = caught_up[1]
    run_id, before, appended = run_id_of(api, cell), rig.recount.visible(cell), rig.recount.appended(cell)
    load_id = api.xcom(DAG, run_id, "extract", "manifest")["load_id"]

    api.clear_tasks(DAG, run_id, "load")

    assert api.wait_for_run(DAG, run_id) == "success"
    after = rig.recount.visible(cell)
    assert len(databricks_runs(rig, load_id)) == 2
    assert rig.recount.appended(cell) == appended + 1
    assert (after.rows, after.keys, after.generation) == (before.rows, before.keys, before.generation + 1)


def test_staging_that_is_not_there_any_more_leaves_readers_alone(
    rig: Rig, api: AirflowApi, caught_up: list[Cell]
) -> None:
    cell = caught_up[2]
    run_id, before = run_id_of(api, cell), rig.recount.visible(cell)

    api.clear_tasks(DAG, run_id, "check_extract")  # a green run has tidied its staged files away

    assert api.wait_for_run(DAG, run_id) == "failed"
    assert api.states(DAG, run_id) == red_at("check_extract")
    error = api.xcom(DAG, run_id, "check_extract", "error")
    assert error["kind"] == "staging.unavailable"
    assert error["text"].startswith(f"{cell}: staging.unavailable: ")
    assert "Remedy: " in error["text"]
    assert api.xcom(DAG, run_id, "summarise", "summary")["outcome"] == "error"
    assert rig.recount.visible(cell) == before


def test_an_edit_under_a_run_that_asks_for_other_rows_is_refused(
    rig: Rig, api: AirflowApi, caught_up: list[Cell]
) -> None:
    cell, file = caught_up[1], rig.airflow.project / "config/tenants/acme.yaml"
    run_id, before, text = run_id_of(api, cell), rig.recount.visible(cell), file.read_text()
    rig.world.databricks.fault("get_stall", seconds=8.0)
    api.clear_run(DAG, run_id)
    wait_until(lambda: not rig.world.databricks.faults(), 60, "the load has submitted its run and asks for it")
    file.write_text(text.replace("tenant_value: 123", "tenant_value: 124"))
    try:
        assert api.wait_for_run(DAG, run_id) == "failed"
    finally:
        file.write_text(text)

    [refused] = [task for task, state in api.states(DAG, run_id).items() if state == "failed"]
    assert api.states(DAG, run_id) == red_at(refused)
    error = api.xcom(DAG, run_id, refused, "error")
    assert error["kind"] == "config.invalid"
    assert "source changed since extract of this run" in error["text"]
    assert rig.recount.visible(cell) == before
    assert run_again(api, cell) == ("success", GREEN)
    after = rig.recount.visible(cell)
    assert (after.rows, after.keys, after.generation) == (before.rows, before.keys, before.generation + 1)


def close_when_ended(rig: Rig, backfill: dict[str, Any], windows: int) -> None:
    """Airflow's scheduler looks every 30 s whether a backfill has ended; nobody here waits for that.

    But until it lets go of the runs: a backfill made meanwhile may find SQLite locked, whereupon Airflow removes the
    runs that the scheduler is writing, and the scheduler ends.
    """

    def ended() -> bool:
        with closing(sqlite3.connect(rig.airflow.database, timeout=60)) as database:
            query = "SELECT state, updated_at FROM dag_run WHERE backfill_id = ?"
            runs = database.execute(query, [backfill["id"]]).fetchall()
        let_go = stored(datetime.now(UTC) - timedelta(seconds=3))
        return [state in FINISHED and updated < let_go for state, updated in runs] == [True] * windows

    wait_until(ended, 180, f"the end of backfill {backfill['id']}")
    close_backfills(rig)


def stored(instant: datetime) -> str:
    """As Airflow writes it into SQLite."""
    return instant.strftime("%Y-%m-%d %H:%M:%S.%f")


def close_backfills(rig: Rig) -> None:
    """What the scheduler does; to cancel them would keep them paused for good."""
    unfinished = "SELECT backfill_id FROM dag_run WHERE backfill_id IS NOT NULL AND state IN ('queued', 'running')"
    with closing(sqlite3.connect(rig.airflow.database, timeout=60)) as database, database:
        ended = f"completed_at IS NULL AND id NOT IN ({unfinished})"
        database.execute(f"UPDATE backfill SET completed_at = ? WHERE {ended}", [stored(datetime.now(UTC))])


def test_overlapping_backfills_double_nothing(rig: Rig, api: AirflowApi, caught_up: list[Cell]) -> None:
    before = [rig.recount.visible(cell) for cell in caught_up]
    one, two, three = (cell.bounds[0] for cell in caught_up)

    first = api.backfill(DAG, one, two, again=True)
    with pytest.raises(SandboxError, match="already a running backfill"):
        api.backfill(DAG, two, three, again=True)
    close_when_ended(rig, first, windows=2)
    second = api.backfill(DAG, two, three, again=True)
    close_when_ended(rig, second, windows=2)

    after = [rig.recount.visible(cell) for cell in caught_up]
    assert [seen.rows for seen in after] == [seen.rows for seen in before]
    assert [seen.keys for seen in after] == [seen.keys for seen in before]
    published = [new.generation - old.generation for new, old in zip(after, before, strict=True)]
    assert published == [1, 2, 1]
    assert {run["state"] for run in api.runs(DAG)} == {"success"}


def test_a_late_row_of_an_older_window_is_recounted_and_read_again(
    rig: Rig, api: AirflowApi, caught_up: list[Cell]
) -> None:
    older, newest = caught_up[-2:]
    before = rig.recount.visible(older)
    late_row(rig.world.sqlserver, older.tenant, older.as_of_date)

    assert run_again(api, newest) == ("success", GREEN)
    recount = rig.recount.summaries(newest)[-1]["recount"]
    [found] = recount["differing"]
    assert api.wait_for_run(DAG, found["asked"]) == "success"

    after = rig.recount.visible(older)
    assert (after.rows, after.keys, after.generation) == (before.rows + 1, before.keys + 1, before.generation + 1)
    assert (recount["windows"], found["window"]) == (2, str(older.as_of_date))
    assert f"rows {before.rows} → {after.rows}" in found["differs"]
    written = rig.recount.summaries(older)[-1]
    assert (written["outcome"], written["run_id"]) == ("green", found["asked"])
    assert written["rows"]["published"] == after.rows
    assert api.run(DAG, found["asked"])["run_type"] == "operator_triggered"


def test_the_triggerer_pages_for_a_missed_deadline_once(rig: Rig, caught_up: list[Cell]) -> None:
    rig.forget_alerts()
    route = AlertPlan(notifier="http", connection="oncall", events=("sla_miss",))
    (plan,) = load_tenant(rig.airflow.project, "acme")
    arguments = sla_miss_arguments(replace(plan, alerts=(route,)), timedelta())
    run = {
        "dag_run_id": "scheduled__x", "data_interval_start": "2026-05-04T22:00:00Z",
        "data_interval_end": "2026-05-05T22:00:00Z", "state": "running",
    }  # fmt: skip
    before = datetime.now(UTC)
    late = {"dag_run": run, "deadline": {"id": "1", "deadline_time": "2026-05-06T04:00:00Z"}}

    miss_deadline(rig, {**arguments, "context": late}, 2)  # by the scheduler of a second machine, say
    wait_until(lambda: triggered(rig) == ["success", "success"], 60, "both callbacks are through")

    (text,) = texts(rig.receiver)
    next_one = rig.last_scheduled + timedelta(days=1)
    overs = {in_words(at - datetime.fromisoformat("2026-05-06T04:00:00Z")) for at in (before, datetime.now(UTC))}
    assert text in {
        f"""\
PAGE acme orders 2026-05-05 late, {over} over
Cause: Airflow has no run of it and goes on with {next_one}: was its run deleted?
Tenant: Acme Ltd (acme), gold
Deadline: 06:00 Wed 06 May Europe/Berlin
Readers see: nothing of this window yet
Not affected: acme's other tables, all other tenants
Run: {rig.airflow.url}/dags/acme__orders/runs/scheduled__x
Runbook: docs/runbooks/late.md
Table: docs/runbooks/orders.md
Fingerprint: {fingerprint_of("acme", "orders", "2026-05-05", "late")}"""
        for over in overs
    }


def miss_deadline(rig: Rig, arguments: dict[str, Any], times: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name("miss_deadline.py")), str(times)]
    given = json.dumps(arguments)
    subprocess.run(command, env=rig.airflow.env(), input=given, text=True, check=True, timeout=120)


def triggered(rig: Rig) -> list[str]:
    with sqlite3.connect(rig.airflow.database) as database:
        return [
            str(state) for (state,) in database.execute("SELECT state FROM callback WHERE data LIKE '%scheduled__x%'")
        ]
