"""The kinds of failure that no bad input makes: each happens for real, and on-call gets exactly this text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from sandbox.recount import Cell
from tenantdags.model.taxonomy import KINDS
from tenantdags.steps.published import Generation, PublishedFile
from tests.e2e.pages import assert_told_once, texts
from tests.e2e.rig import Outcome, Rig, Runner, wait_until
from tests.e2e.test_outcomes import assert_green, assert_nothing_published, red_at

pytestmark = pytest.mark.airflow
DEFAULTS = "config/defaults.yaml"
NOT_READ = "which the contract does not have; it is not extracted"
DRIFT = {  # the first two are the seed's, and only new to whoever runs this test alone
    "internal_note": f"drift.additive: internal_note: nvarchar(max), {NOT_READ}",
    "legacy_flags": f"drift.additive: legacy_flags: int, {NOT_READ}",
    "loyalty_points": f"drift.additive: loyalty_points: int, {NOT_READ}",
}
HELD = 3.0  # seconds that a notebook is held, so that something happens to its run meanwhile


@pytest.fixture
def cell(rig: Rig) -> Cell:
    """A window that is not published."""
    return rig.cell("northwind", "orders", 2)


@contextmanager
def during_the_load(rig: Rig, cell: Cell, ended: list[Outcome]) -> Iterator[None]:
    """The cell's run goes on while this lasts, held in its load; behind it, what became of the run is in `ended`."""
    rig.world.databricks.fault("slow_run", seconds=HELD)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(rig.runner.run, cell)
        wait_until(lambda: not rig.world.databricks.faults(), 60, "the notebook has begun")
        yield
        ended.append(run.result())


def test_rows_that_get_lost_between_the_source_and_us(rig: Rig, runner: Runner, cell: Cell) -> None:
    rig.world.sqlserver.fault("short", table="Orders", after_rows=150)

    outcome = runner.run(cell)

    assert (outcome.state, outcome.states) == ("failed", red_at("check_extract"))
    assert_nothing_published(rig, cell)
    assert_told_once(rig, cell, outcome, "check_extract", "reconcile.mismatch")


def test_a_notebook_that_takes_too_long(rig: Rig, runner: Runner, cell: Cell) -> None:
    rig.world.databricks.fault("slow_run", seconds=60.0)
    with runner.config(DEFAULTS, r"timeout: 2h", "timeout: 2s"):
        outcome = runner.run(cell)

    assert (outcome.state, outcome.states) == ("failed", red_at("load"))
    assert_nothing_published(rig, cell)
    assert_told_once(rig, cell, outcome, "load", "databricks.timeout")


def test_a_window_that_somebody_else_published_meanwhile(rig: Rig, runner: Runner, cell: Cell) -> None:
    path, ended = f"{cell.window_path}/_published.json", list[Outcome]()
    theirs = Generation(
        generation=1, load_id="20261123T020452Z-1", append_id="a", rows=3, as_of_date=cell.as_of_date,
        window_start=cell.bounds[0], contract_version="1.0.0", run_id="r", published_at=datetime.now(UTC),
    )  # fmt: skip
    try:
        with during_the_load(rig, cell, ended):
            rig.recount.container.upload_blob(path, PublishedFile().with_next(theirs).to_json())
    finally:
        rig.recount.container.delete_blob(path)

    (outcome,) = ended
    assert (outcome.state, outcome.states) == ("failed", red_at("publish"))
    assert_told_once(rig, cell, outcome, "publish", "publish.refused")


def test_a_run_whose_memory_is_cleaned_away(rig: Rig, runner: Runner, cell: Cell) -> None:
    """As `airflow db clean` does with the XCom of a run that takes too long."""
    ended: list[Outcome] = []
    with during_the_load(rig, cell, ended), closing(sqlite3.connect(runner.airflow.database, timeout=60)) as database:
        database.execute("DELETE FROM xcom WHERE dag_id = 'northwind__orders' AND key = 'manifest'")
        database.commit()

    (outcome,) = ended
    assert (outcome.state, outcome.states) == ("failed", red_at("load"))
    assert_nothing_published(rig, cell)
    assert_told_once(rig, cell, outcome, "load", "internal")


def test_a_new_column_is_told_the_morning_after(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("globex", "orders", 5)
    rig.world.sqlserver.add_column("globex_sales", "dbo.Orders", "loyalty_points", "int")
    try:
        outcome = runner.run(cell)
    finally:
        rig.world.sqlserver.drop_column("globex_sales", "dbo.Orders", "loyalty_points")
    assert_green(rig, cell, outcome, generation=1)
    at_once = len(rig.receiver.requests)

    told = runner.sweep(datetime.combine(datetime.now(UTC).date() + timedelta(days=1), time(8), UTC))

    new = [line for line in rig.recount.summaries(cell)[-1]["drift"]["lines"] if line["new"]]
    lines = [f"- {DRIFT[line['column']]}" for line in new]
    assert (at_once, told) == (0, 1)
    assert texts(rig.receiver) == ["\n".join([f"WARNINGS of {datetime.now(UTC).date()}: 1 window", str(cell), *lines])]
    assert f"- {DRIFT['loyalty_points']}" in lines


def test_every_kind_is_raised_by_some_test_here() -> None:
    """As the word behind which a text is compared; `quality` stands for each of its rules."""
    here = "\n".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))

    assert [kind.word for kind in KINDS if f'"{kind.word}' not in here] == []
