"""Every bad input is a typed error naming tenant, table, window and remedy; nothing is published, a summary tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest

from sandbox.recount import Cell
from tests.e2e.pages import assert_told_once
from tests.e2e.rig import Outcome, Rig, Runner
from tests.e2e.test_outcomes import assert_green, assert_nothing_published, assert_told, red_at

pytestmark = pytest.mark.airflow
TENANT_FILE = "config/tenants/northwind.yaml"
DEFAULTS = "config/defaults.yaml"
UNSEEDED = date(2026, 5, 5)


@pytest.fixture
def cell(rig: Rig) -> Cell:
    """A window that is never published: every bad input meets it in turn."""
    return rig.cell("northwind", "order_lines", 0)


def assert_refused(rig: Rig, cell: Cell, outcome: Outcome, step: str, kind: str, *words: str) -> None:
    text = outcome.errors[step]["text"]
    assert (outcome.state, outcome.states) == ("failed", red_at(step))
    assert outcome.errors[step]["kind"] == kind
    assert text.startswith(f"{cell.tenant} {cell.table} {cell.as_of_date}: {kind}: ")
    assert "Remedy: " in text
    assert [word for word in words if word not in text] == []
    assert kind in outcome.summary["line"]
    assert_nothing_published(rig, cell)
    assert_told_once(rig, cell, outcome, step, kind)


@contextmanager
def connection(rig: Rig, conn_id: str, **changes: str) -> Iterator[None]:
    """An Airflow connection with other fields for a while."""
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    changed = json.dumps({**json.loads(rig.world.env()[name]), **changes})
    with rig.runner.environment(**{name: changed}):
        yield


def test_an_unknown_table(rig: Rig, runner: Runner, cell: Cell) -> None:
    with runner.config(TENANT_FILE, r"\{contract: order_lines@1\}", "{contract: order_lines@1, source_table: Lines}"):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "extract", "drift.breaking", "dbo.Lines")
    assert_told(rig, cell, outcome, "drift")


def test_a_missing_connection(rig: Rig, runner: Runner, cell: Cell) -> None:
    with runner.environment(AIRFLOW_CONN_MSSQL_NORTHWIND=None):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "extract", "config.invalid", "'mssql_northwind'", "airflow connections add")
    assert_told(rig, cell, outcome, "error")


def test_a_source_without_snapshot_isolation(rig: Rig, runner: Runner, cell: Cell) -> None:
    rig.world.sqlserver.fault("snapshot_off")

    outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "extract", "source.snapshot_off", "ALLOW_SNAPSHOT_ISOLATION")
    assert_told(rig, cell, outcome, "error")


def test_a_window_column_that_may_be_null_at_the_source(rig: Rig, runner: Runner) -> None:
    cell = rig.cell("globex", "orders", 6)
    rig.world.sqlserver.retype_column("globex_sales", "dbo.Orders", "order_date", "datetime2(3)", nullable=True)
    try:
        outcome = runner.run(cell)
    finally:
        rig.world.sqlserver.retype_column("globex_sales", "dbo.Orders", "order_date", "datetime2(3)", nullable=False)

    assert_refused(rig, cell, outcome, "extract", "drift.breaking", "order_date", "NULL")
    assert_told(rig, cell, outcome, "drift")


def test_a_window_without_rows(rig: Rig, runner: Runner) -> None:
    empty = Cell("northwind", "order_lines", UNSEEDED)
    with runner.config(TENANT_FILE, r"^first_window: \S+", f"first_window: {empty.as_of_date}"):
        outcome = runner.run(empty)

        assert_refused(rig, empty, outcome, "check_extract", "quality.not_empty")
        assert_told(rig, empty, outcome, "red")

        with runner.config("include/contracts/order_lines.v1.odcs.yaml", "allow_empty: false", "allow_empty: true"):
            allowed = runner.run(empty)

    assert allowed.state == "success"
    assert rig.recount.published(empty)["rows"] == rig.recount.served(empty) == 0  # type: ignore[index]


def test_a_landing_container_that_is_missing(rig: Rig, runner: Runner, cell: Cell) -> None:
    with runner.config(DEFAULTS, "container: landing", "container: nowhere"):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "extract", "config.invalid", "nowhere", "tenantdags apply")
    assert_logged_in_full(outcome)


def test_a_landing_zone_that_cannot_be_reached(rig: Rig, runner: Runner, cell: Cell) -> None:
    with connection(rig, "adls_landing", host="http://127.0.0.1:9/sandbox"):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "extract", "landing.unreachable", "Connection refused", "adls_landing")
    assert_logged_in_full(outcome)


def assert_logged_in_full(outcome: Outcome) -> None:
    """Every fact of the summary stands in the log of summarise."""
    log = outcome.log.replace('\\"', '"')
    facts = [*(set(outcome.summary) - {"written", "page"}), "window_start", "contract", "gates", "tasks"]
    assert [fact for fact in facts if f'"{fact}":' not in log] == []
    assert outcome.summary["written"] is None
    assert outcome.summary["line"] in log


def test_a_wrong_databricks_token(rig: Rig, runner: Runner, cell: Cell) -> None:
    with connection(rig, "databricks_default", password="dapi-wrong-token"):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "load", "databricks.submit", "databricks_default", "403")
    assert_told(rig, cell, outcome, "error")
    assert "dapi-wrong-token" not in outcome.log


def test_a_notebook_path_that_is_missing(rig: Rig, runner: Runner, cell: Cell) -> None:
    with runner.config(DEFAULTS, "notebook: /Workspace/tenantdags/load", "notebook: /Workspace/tenantdags/lod"):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "load", "databricks.run", "/Workspace/tenantdags/lod", "bundle deploy")
    assert_told(rig, cell, outcome, "error")


def test_a_table_behind_its_contract(rig: Rig, runner: Runner, cell: Cell) -> None:
    new = "      - {id: note, name: note, logicalType: integer, physicalType: int}\n    quality:"
    rig.world.sqlserver.add_column("northwind_sales", "dbo.OrderLines", "note", "int")
    try:
        with runner.config("include/contracts/order_lines.v1.odcs.yaml", r"^    quality:", new):
            outcome = runner.run(cell)
    finally:
        rig.world.sqlserver.drop_column("northwind_sales", "dbo.OrderLines", "note")

    assert_refused(rig, cell, outcome, "load", "config.invalid", "lacks note INT", "tenantdags apply")
    assert_told(rig, cell, outcome, "error")


def test_a_staging_folder_that_cannot_be_written(rig: Rig, runner: Runner, cell: Cell) -> None:
    file = rig.folder / "not_a_folder"
    file.write_text("")
    with runner.config(DEFAULTS, r"url: file:///[^\s,}]+", f"url: {file.as_uri()}/staging"):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "extract", "staging.unavailable", str(file))
    assert_told(rig, cell, outcome, "error")


def test_the_same_window_with_nothing_bad(rig: Rig, runner: Runner, cell: Cell) -> None:
    runner.run(rig.cell("northwind", "orders", 0))  # whose keys the lines name
    assert_green(rig, cell, runner.run(cell), generation=1)


def test_a_source_that_refuses_the_login(rig: Rig, runner: Runner) -> None:
    """The last that runs in its process: pymssql repeats the number of this error with the next one."""
    cell = rig.cell("northwind", "order_lines", 5)
    with connection(rig, "mssql_northwind", password="Wrong-Password-1"):
        outcome = runner.run(cell)

    assert_refused(rig, cell, outcome, "extract", "source.permission", "connection mssql_northwind")
    assert_told(rig, cell, outcome, "error")
    assert "Wrong-Password-1" not in outcome.log
