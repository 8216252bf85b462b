"""One lakehouse for all tests of this folder that ask for it, and days of their own for each of them."""

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import count

import pytest

from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.staging import Staging
from tests.steps import lakehouse as world
from tests.steps.lakehouse import Lakehouse
from tests.steps.shortcut import Shortcut
from tests.steps.staged import ROOT, plan_of, window_of_plan

_DAYS = (date(2026, 1, 1) + timedelta(days=n) for n in count())


@pytest.fixture(scope="session")
def running_lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """With every table of the example tenants applied."""
    run_dir = tmp_path_factory.mktemp("lakehouse")
    try:
        found = world.start(run_dir)
        found.apply(*(plan_of("acme", table) for table in ("customers", "orders", "order_lines")))
        yield found
    finally:
        world.stop(run_dir)


@pytest.fixture
def lakehouse(running_lakehouse: Lakehouse) -> Iterator[Lakehouse]:
    yield running_lakehouse
    running_lakehouse.adls.clear_faults()
    running_lakehouse.databricks.clear_faults()


@pytest.fixture
def airflow_connections(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """For commands: the example project, and Airflow's connections to the lakehouse."""
    monkeypatch.setenv("AIRFLOW_CONN_ADLS_LANDING", json.dumps(lakehouse.adls.connection()))
    monkeypatch.setenv("AIRFLOW_CONN_DATABRICKS_DEFAULT", json.dumps(lakehouse.databricks.connection()))
    monkeypatch.chdir(ROOT)


@pytest.fixture
def staging(tmp_path) -> Staging:
    return Staging(tmp_path / "staging")


@pytest.fixture
def fresh() -> Callable[[TablePlan], Window]:
    """A window that no other test has published."""
    return lambda plan: window_of_plan(plan, next(_DAYS))


@pytest.fixture
def shortcut(lakehouse: Lakehouse, staging: Staging) -> Shortcut:
    return Shortcut(lakehouse, staging)
