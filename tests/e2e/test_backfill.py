"""Both backfill commands against a running Airflow: real runs, real rows, and what the brakes come to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.airflow_api import AirflowApi
from sandbox.recount import Cell
from sandbox.seed import break_window, repair_window
from tests.e2e.rig import Rig, wait_until
from tests.e2e.test_scheduler import close_backfills, start_of

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(420)]
DAG, BULK = "acme__orders", "tenantdags_bulk"
REASON = "the rates were wrong"


@pytest.fixture
def api(rig: Rig) -> Iterator[AirflowApi]:
    """Of an Airflow that has run every due window."""
    starts = {cell.bounds[0].isoformat() for cell in rig.scheduled}

    def idle() -> bool:
        states = [run["state"] for run in rig.airflow.api.runs(DAG)]
        return len(states) >= len(starts) and not {"queued", "running"} & set(states)

    wait_until(idle, 240, "catch-up")
    close_backfills(rig)
    yield rig.airflow.api
    for cell in rig.scheduled:
        repair_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)


def airflow(rig: Rig, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("airflow")
    return subprocess.run([program, *words], env=rig.airflow.env(), capture_output=True, text=True, check=False)


def tenantdags(rig: Rig, *words: str) -> subprocess.CompletedProcess[str]:
    program, project = Path(sys.executable).with_name("tenantdags"), rig.airflow.project
    return subprocess.run(
        [program, *words], cwd=project, env=rig.airflow.env(), capture_output=True, text=True, check=False
    )  # fmt: skip


def seen(rig: Rig, cells: list[Cell]) -> list[tuple[int, int]]:
    """(generation, rows) that readers see of each window."""
    return [(found.generation, found.rows) for found in map(rig.recount.visible, cells)]


def test_a_backfill_with_brakes_publishes_anew_through_slots_of_its_own(rig: Rig, api: AirflowApi) -> None:
    cells = rig.scheduled[:1]
    before, day = seen(rig, cells), str(cells[0].as_of_date)
    dates = ("-s", day, "-e", day, "--reset-dagruns")
    words = ("backfill", "--tenant", "acme", "--table", "orders", *dates, "--reason", REASON)

    told = rig.tenantdags(rig.airflow.project, *words)
    assert "nothing was made; --yes does it" in told
    assert seen(rig, cells) == before
    done = rig.tenantdags(rig.airflow.project, *words, "--yes")

    assert "acme__orders: 1 succeeded, 0 failed" in done
    assert seen(rig, cells) == [(generation + 1, rows) for generation, rows in before]
    assert sum(rows for _, rows in before) == int(told.partition("expected: ")[2].partition(" rows")[0])
    runs = [run for run in api.runs(DAG) if run["run_type"] == "backfill" and REASON in str(run["conf"])]
    assert len(runs) == 1
    tasks = api.tasks(DAG, runs[0]["dag_run_id"])
    assert tasks["extract"]["pool"] == "backfill_source_mssql_shared1"
    assert tasks["load"]["pool"] == "backfill_curated_orders_v1"
    assert rig.recount.summaries(cells[0])[-1]["reason"] == REASON


def test_airflow_dags_backfill_tells_a_red_window_and_runs_it_again(rig: Rig, api: AirflowApi) -> None:
    cell = rig.scheduled[2]
    before, day = seen(rig, [cell]), str(cell.as_of_date)
    break_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)

    red = airflow(rig, "dags", "backfill", "-s", day, "-e", day, DAG, "--reset-dagruns", "--yes", "--reason", REASON)

    assert red.returncode == 1, red.stdout + red.stderr
    assert f"1/1 acme__orders {day} failed in " in red.stdout
    assert "RED quality." in red.stdout
    assert red.stdout.endswith("0 succeeded, 1 failed\n")
    assert seen(rig, [cell]) == before

    repair_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)
    green = airflow(rig, "dags", "backfill", "-s", day, "-e", day, DAG, "--rerun-failed-tasks")

    assert green.returncode == 0, green.stdout + green.stderr
    assert green.stdout.endswith("1 succeeded, 0 failed\n")
    assert seen(rig, [cell]) == [(before[0][0] + 1, before[0][1])]


def test_a_bulk_load_is_one_source_pass_and_one_notebook_run_and_a_red_window_stops_no_other(
    rig: Rig, api: AirflowApi
) -> None:
    cells = rig.scheduled
    before, bad = seen(rig, cells), cells[1]
    days = ("-s", str(cells[0].as_of_date), "-e", str(cells[-1].as_of_date))
    words = ("backfill", "--bulk", "--tenant", "acme", "--table", "orders", *days, "--reason", REASON)
    loads = len(rig.world.databricks.runs())
    api.set_paused(DAG, True)  # as one does while history is loaded
    break_window(rig.world.sqlserver, bad.tenant, bad.as_of_date)
    try:
        red = tenantdags(rig, *words, "--reset-dagruns", "--yes")
    finally:
        repair_window(rig.world.sqlserver, bad.tenant, bad.as_of_date)
        api.set_paused(DAG, False)

    assert red.returncode == 1, red.stdout + red.stderr
    assert f"2 of 3 windows published; not {bad.as_of_date} (quality." in red.stdout
    assert len(rig.world.databricks.runs()) == loads + 1
    after = [(generation + (cell != bad), rows) for cell, (generation, rows) in zip(cells, before, strict=True)]
    assert seen(rig, cells) == after
    (run,) = [run for run in api.runs(BULK) if REASON in str(run["conf"])]
    tasks = api.tasks(BULK, run["dag_run_id"])
    assert (tasks["extract"]["pool"], tasks["load"]["pool"]) == (
        "backfill_source_mssql_shared1", "backfill_curated_orders_v1",
    )  # fmt: skip
    assert tasks["publish"]["state"] == "failed"
    assert [rig.recount.summaries(cell)[-1]["outcome"] for cell in cells] == ["green", "red", "green"]
    assert {rig.recount.summaries(cell)[-1]["reason"] for cell in cells} == {REASON}

    nothing = tenantdags(rig, *words, "--yes")  # readers see all of it, as they did of the bad one before
    assert "nothing to do: readers see all of it; --reset-dagruns loads it again" in nothing.stderr

    _a_cancelled_chunk_publishes_nothing(rig, api, (*words, "--reset-dagruns", "--yes"))
    _the_scheduler_leaves_what_is_loaded_alone(rig, api, cells[-1])
    _a_paused_dag_is_handed_on_to_behind_what_is_loaded(rig, api)


def forget(rig: Rig, api: AirflowApi, *runs: dict[str, Any]) -> None:
    """As if the scheduler had not come to them yet."""
    for run in runs:
        api._call("DELETE", f"/dags/{DAG}/dagRuns/{run['dag_run_id']}")
    with (rig.airflow.project / "config/tenants/acme.yaml").open("a") as file:
        file.write("# parsed again\n")


def _a_paused_dag_is_handed_on_to_behind_what_is_loaded(rig: Rig, api: AirflowApi) -> None:
    """Of a DAG that never ran, whose windows a bulk load has published, one backfilled window is where it goes on."""
    cells, before = rig.scheduled, seen(rig, rig.scheduled)
    first, day = cells[0].bounds[0], str(cells[-1].as_of_date)
    api.set_paused(DAG, True)
    forget(rig, api, *api.runs(DAG))
    wait_until(lambda: next_window(api) == first, 60, "the scheduler begins anew")

    words = ("backfill", "--tenant", "acme", "--table", "orders", "-s", day, "-e", day, "--reason", REASON)
    refused = tenantdags(rig, *words, "--yes")
    done = tenantdags(rig, *words, "--while-paused", "--no-wait", "--yes")
    assert "the DAG is paused" in refused.stderr
    assert "\nthe scheduler goes on with " in done.stdout, done.stdout + done.stderr
    assert next_window(api) == cells[-1].bounds[1]

    api.set_paused(DAG, False)
    wait_until(lambda: [run["state"] for run in api.runs(DAG)] == ["success"], 180, "the one window is loaded")
    assert seen(rig, cells) == [*before[:-1], (before[-1][0] + 1, before[-1][1])]


def next_window(api: AirflowApi) -> datetime | None:
    found = api.get(f"/dags/{DAG}")["next_dagrun_data_interval_start"]
    return datetime.fromisoformat(found) if found else None


def _a_cancelled_chunk_publishes_nothing(rig: Rig, api: AirflowApi, words: tuple[str, ...]) -> None:
    before = seen(rig, rig.scheduled)
    api.set_paused(DAG, True)
    api.set_paused(BULK, True)  # so that it is cancelled before it begins, however slow the machine is
    try:
        tenantdags(rig, *words, "--no-wait")
        done = tenantdags(rig, "backfill", "cancel", "--tenant", "acme", "--table", "orders", "--yes")
    finally:
        api.set_paused(BULK, False)
        api.set_paused(DAG, False)
    run_id = api.runs(BULK)[-1]["dag_run_id"]

    assert "it ends when its turn comes, before it reads anything" in done.stdout, done.stderr
    assert api.wait_for_run(BULK, run_id, 120) == "failed"
    assert "cancelled this chunk" in str(api.xcom(BULK, run_id, "extract", "error"))
    assert seen(rig, rig.scheduled) == before


def _the_scheduler_leaves_what_is_loaded_alone(rig: Rig, api: AirflowApi, cell: Cell) -> None:
    """Airflow makes a run that was deleted again, as catch-up would have made it behind the bulk load."""
    before = seen(rig, [cell])
    (old,) = [run for run in api.runs(DAG) if start_of(run) == cell.bounds[0]]
    forget(rig, api, old)

    def again() -> list[dict[str, Any]]:
        runs = [run for run in api.runs(DAG) if run["data_interval_start"] == old["data_interval_start"]]
        return [run for run in runs if run["run_type"] == "scheduled" and run["state"] in ("success", "failed")]

    wait_until(again, 120, "the scheduler's run of the window")
    (run,) = again()
    states = api.states(DAG, run["dag_run_id"])
    assert run["state"] == "success"
    assert states.pop("summarise") == "success"
    assert set(states.values()) == {"skipped"}
    assert seen(rig, [cell]) == before
