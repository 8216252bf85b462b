"""What each outcome of a run is: its state, the rows that readers see, the QA summary. Tasks run in-process."""

from __future__ import annotations

import pytest

from sandbox.recount import Cell
from sandbox.seed import break_window, repair_window
from tests.e2e.pages import assert_told_once
from tests.e2e.rig import Outcome, Rig, Runner

pytestmark = pytest.mark.airflow
STEPS = ("extract", "check_extract", "upload", "load", "check_load", "publish")
GREEN = dict.fromkeys((*STEPS, "summarise"), "success")


def red_at(step: str) -> dict[str, str]:
    """The task states of a run that failed at `step`: summarise is a teardown and runs all the same."""
    at = STEPS.index(step)
    done, left = dict.fromkeys(STEPS[:at], "success"), dict.fromkeys(STEPS[at + 1 :], "upstream_failed")
    return {**done, step: "failed", **left, "summarise": "success"}


def assert_green(rig: Rig, cell: Cell, outcome: Outcome, generation: int) -> None:
    seen, rows = rig.recount.visible(cell), rig.recount.source(cell)
    assert (outcome.state, outcome.states) == ("success", GREEN)
    assert rows > 0
    assert (seen.rows, seen.keys, seen.generation) == (rows, rows, generation)
    assert rig.recount.landed(cell) == rig.recount.served(cell) == rows
    assert_told(rig, cell, outcome, "green")


def assert_told(rig: Rig, cell: Cell, outcome: Outcome, verdict: str) -> None:
    """The run's QA summary lies in landing, and says the same as its head in XCom."""
    written, head = rig.recount.summaries(cell)[-1], outcome.summary
    assert (written["outcome"], written["line"]) == (head["outcome"], head["line"])
    assert head["outcome"] == verdict
    assert f"{cell} {verdict.upper()}" in head["line"]


def assert_nothing_published(rig: Rig, cell: Cell) -> None:
    assert rig.recount.published(cell) is None
    assert rig.recount.visible(cell).rows == rig.recount.served(cell) == 0


@pytest.mark.parametrize("table", ["customers", "orders", "order_lines"])
@pytest.mark.parametrize("tenant", ["acme", "globex", "northwind"])
def test_a_good_window_is_published(rig: Rig, runner: Runner, tenant: str, table: str) -> None:
    cell = rig.cell(tenant, table, 0 if table == "customers" else 3)  # a snapshot can only be taken soon

    outcome = runner.run(cell)

    assert_green(rig, cell, outcome, generation=1)


def test_a_rerun_replaces_the_window_and_doubles_nothing(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 1)
    runner.run(cell)

    second = runner.run(cell)

    assert_green(rig, cell, second, generation=2)
    assert rig.recount.appended(cell) == 2


def test_a_red_gate_leaves_the_last_good_version(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("acme", "orders", 4)
    runner.run(cell)
    before = rig.recount.visible(cell)
    break_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)

    outcome = runner.run(cell)

    assert (outcome.state, outcome.states) == ("failed", red_at("check_extract"))
    assert rig.recount.source(cell) != before.rows
    assert rig.recount.visible(cell) == before
    assert rig.recount.served(cell) == before.rows
    assert_told(rig, cell, outcome, "red")
    assert "pk_unique" in outcome.summary["line"]
    assert "status_required" in outcome.summary["line"]
    written = rig.recount.summaries(cell)[-1]
    keys = {r["rule"]: r["failing_keys"] for r in written["gates"][0]["results"]}
    assert keys["pk_unique"]
    assert "failing_keys" not in str(outcome.xcoms)


def test_a_repaired_window_is_published_as_the_next_generation(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("globex", "orders", 2)
    break_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)
    assert runner.run(cell).state == "failed"
    assert_nothing_published(rig, cell)
    repair_window(rig.world.sqlserver, cell.tenant, cell.as_of_date)

    outcome = runner.run(cell)

    assert_green(rig, cell, outcome, generation=1)
    red, over = (request.json for request in rig.receiver.requests)
    assert red["subject"].startswith(f"TICKET {cell} quality.")
    assert over["text"].splitlines()[0].startswith(f"RECOVERED {cell}: published after ")
    assert over["resolves"] == [red["fingerprint"]]


def test_drift_stops_before_any_row_is_read(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("globex", "order_lines", 1)
    rig.world.sqlserver.retype_column("globex_sales", "dbo.OrderLines", "quantity", "nvarchar(20)")
    try:
        outcome = runner.run(cell)
    finally:
        rig.world.sqlserver.retype_column("globex_sales", "dbo.OrderLines", "quantity", "int")

    assert (outcome.state, outcome.states) == ("failed", red_at("extract"))
    assert outcome.errors["extract"]["kind"] == "drift.breaking"
    assert_told(rig, cell, outcome, "drift")
    assert "quantity" in outcome.summary["line"]
    assert_nothing_published(rig, cell)
    assert_told_once(rig, cell, outcome, "extract", "drift.breaking")


def test_a_source_that_is_down(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 2)
    rig.world.sqlserver.fault("refuse_connections", times=None)

    outcome = runner.run(cell)

    assert (outcome.state, outcome.states) == ("failed", red_at("extract"))
    assert outcome.errors["extract"]["kind"] == "source.unreachable"
    assert_told(rig, cell, outcome, "error")
    assert_nothing_published(rig, cell)
    assert_told_once(rig, cell, outcome, "extract", "source.unreachable")


def test_a_source_that_breaks_off(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 2)
    rig.world.sqlserver.fault("deadlock", times=None, table="Orders")

    outcome = runner.run(cell)

    assert (outcome.state, outcome.states) == ("failed", red_at("extract"))
    assert_told_once(rig, cell, outcome, "extract", "source.busy")


def test_a_rule_that_cannot_be_asked(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 2)
    rig.world.databricks.fault("sql_500", path="soda_filtered", times=20)

    outcome = runner.run(cell)

    assert (outcome.state, outcome.states) == ("failed", red_at("check_load"))
    assert_told_once(rig, cell, outcome, "check_load", "gate.error")


def test_a_published_file_that_nobody_can_read(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 2)
    path = f"{cell.window_path}/_published.json"
    rig.recount.container.upload_blob(path, b"{half a fi")
    try:
        outcome = runner.run(cell)
    finally:
        rig.recount.container.delete_blob(path)

    assert (outcome.state, outcome.states) == ("failed", red_at("extract"))
    assert_told(rig, cell, outcome, "error")
    assert outcome.errors["extract"]["kind"] == "landing.conflict"
    assert_told_once(rig, cell, outcome, "extract", "landing.conflict")


def test_an_upload_that_stutters_arrives(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("globex", "orders", 1)
    rig.world.adls.fault("503", method="PUT", path="part-00000", times=2)

    outcome = runner.run(cell)

    assert rig.world.adls.faults() == []
    assert_green(rig, cell, outcome, generation=1)


def test_an_upload_that_never_arrives(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 4)
    rig.world.adls.fault("reset", method="PUT", path="part-00000", times=1000)

    outcome = runner.run(cell)

    assert (outcome.state, outcome.states) == ("failed", red_at("upload"))
    assert outcome.errors["upload"]["kind"] == "landing.unreachable"
    assert_told(rig, cell, outcome, "error")
    assert_nothing_published(rig, cell)


def test_a_notebook_that_crashes_and_its_rerun(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 5)
    rig.world.databricks.fault("notebook_crash", when="after")

    crashed = runner.run(cell)

    assert (crashed.state, crashed.states) == ("failed", red_at("load"))
    assert crashed.errors["load"]["kind"] == "databricks.run"
    assert_told(rig, cell, crashed, "error")
    assert_nothing_published(rig, cell)
    assert rig.recount.appended(cell) == 1

    assert_green(rig, cell, runner.run(cell), generation=1)
    assert rig.recount.appended(cell) == 2


def test_a_submit_whose_answer_is_lost_runs_once(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("northwind", "orders", 6)
    rig.world.databricks.fault("after_commit")

    outcome = runner.run(cell)

    assert rig.world.databricks.faults() == []
    assert_green(rig, cell, outcome, generation=1)
    assert rig.recount.appended(cell) == 1
