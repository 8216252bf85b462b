"""`tenantdags apply`: makes what is missing, changes nothing twice, refuses what it cannot do without loss."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest
from airflow.models.pool import Pool as AirflowPool
from airflow.utils.session import create_session
from azure.storage.blob import BlobServiceClient
from sqlalchemy import text
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tenantdags.model.errors import DatabricksSubmit, LandingUnreachable, TableBehind
from tenantdags.model.sqltype import SqlType
from tenantdags.steps.apply import World, apply
from tests.metadata import metadata_database
from tests.steps.lakehouse import Lakehouse
from tests.steps.staged import good_rows, plan_of

pytestmark = pytest.mark.sandbox
_NUMBERS = count(100)


@pytest.fixture
def plan():
    """Orders under a contract, a view and a container that nobody has applied yet."""
    plan, number = plan_of("acme", "orders"), next(_NUMBERS)
    contract = replace(plan.contract, table=f"orders{number}", major=number)
    landing = replace(plan.landing, container=f"landing{number}")
    return replace(plan, contract=contract, landing=landing, table=f"orders{number}")


def applied(lakehouse: Lakehouse, *plans, dry_run=False) -> list[str]:
    said: list[str] = []
    lakehouse.apply(*plans, say=said.append, dry_run=dry_run)
    return said


def columns(lakehouse: Lakehouse, name: str) -> list[tuple[str, str]]:
    _, schema, table = name.split(".")
    sql = (
        "SELECT column_name, full_data_type FROM prod.information_schema.columns "
        "WHERE table_schema = :s AND table_name = :t ORDER BY ordinal_position"
    )
    names = {"s": (schema, "STRING"), "t": (table, "STRING")}
    return [(name, kind) for name, kind in lakehouse.statements().execute(sql, names).rows]


def with_column(plan, name="shipped_at"):
    return replace(
        plan,
        contract=replace(
            plan.contract, columns=(*plan.contract.columns, replace(plan.contract.columns[-1], name=name))
        ),
    )


def test_everything_that_is_missing_is_made_and_told(lakehouse, plan):
    said = applied(lakehouse, plan)

    n = plan.contract.major
    assert said == [
        f"create container landing{n}",
        "CREATE SCHEMA IF NOT EXISTS prod.curated",
        "CREATE SCHEMA IF NOT EXISTS prod.ops",
        "CREATE SCHEMA IF NOT EXISTS prod.serving",
        f"CREATE TABLE IF NOT EXISTS prod.curated.orders{n}_v{n}",
        f"CREATE OR REPLACE VIEW prod.serving.orders{n}",
    ]
    assert lakehouse.container(plan).exists()
    assert columns(lakehouse, plan.curated) == [
        ("order_id", "bigint"), ("order_date", "timestamp"), ("customer_id", "string"), ("customer_email", "string"),
        ("status", "string"), ("amount", "decimal(18,2)"), ("currency", "string"), ("updated_at", "timestamp"),
        ("tenant_id", "string"), ("as_of_date", "date"), ("window_start", "timestamp"), ("_load_id", "string"),
        ("_append_id", "string"), ("_loaded_at", "timestamp"),
    ]  # fmt: skip
    assert lakehouse.visible(plan) == []


def test_applied_again_it_makes_no_table_twice(lakehouse, plan):
    applied(lakehouse, plan)

    assert [line for line in applied(lakehouse, plan) if "SCHEMA" not in line] == [
        f"CREATE OR REPLACE VIEW prod.serving.orders{plan.contract.major}"
    ]


def test_a_dry_run_tells_the_same_and_makes_nothing(lakehouse, plan):
    told = applied(lakehouse, plan, dry_run=True)

    assert columns(lakehouse, plan.curated) == []
    assert not lakehouse.container(plan).exists()
    assert told == applied(lakehouse, plan)


def test_tenants_of_one_table_share_it(lakehouse, plan):
    other = replace(plan, tenant="globex")

    assert applied(lakehouse, plan, other, dry_run=True) == applied(lakehouse, plan, dry_run=True)


def test_a_new_column_is_added_and_earlier_rows_have_none_of_it(lakehouse, staging, fresh, plan):
    applied(lakehouse, plan)
    window = fresh(plan_of("acme", "orders"))
    rows = good_rows(plan_of("acme", "orders"), window)
    lakehouse.published_window(plan, window, rows, staging, "20261122T020000Z-before")
    newer = with_column(plan)

    said = applied(lakehouse, newer)

    assert f"ALTER TABLE {plan.curated} ADD COLUMNS (shipped_at TIMESTAMP)" in said
    sql = f"SELECT count(*) AS rows, count(shipped_at) AS shipped FROM {plan.serving}"
    assert lakehouse.statements().execute(sql).one() == {"rows": 150, "shipped": 0}


def test_a_column_of_another_type_is_refused_before_anything_is_changed(lakehouse, plan):
    applied(lakehouse, plan)
    retyped = tuple(
        replace(c, type=SqlType.parse("decimal(20,2)")) if c.name == "amount" else c for c in plan.contract.columns
    )
    newer = with_column(replace(plan, contract=replace(plan.contract, columns=retyped)))
    before = columns(lakehouse, plan.curated)

    with pytest.raises(TableBehind) as caught:
        applied(lakehouse, newer)

    n = plan.contract.major
    assert str(caught.value) == (
        f"acme orders{n} apply: config.invalid: prod.curated.orders{n}_v{n}: "
        "amount is decimal(18,2), not DECIMAL(20,2). Remedy: Publish the change as a new major version of the contract."
    )
    assert columns(lakehouse, plan.curated) == before


def test_a_wrong_key_or_token_is_said_with_its_remedy(lakehouse, plan):
    key = "bm90IHRoZSBrZXk="
    service = BlobServiceClient(lakehouse.adls.connection()["host"], credential=key, retry_total=0)
    refused = World(lambda p: service.get_container_client("x"), lambda p: lakehouse.statements())
    lakehouse.databricks.fault("sql_500", times=1)

    with pytest.raises(DatabricksSubmit, match="the SQL statement API did not answer"):
        applied(lakehouse, plan)
    with pytest.raises(LandingUnreachable, match="Check connection adls_landing") as caught:
        apply([plan], refused, lambda line: None)

    assert key not in str(caught.value)


@pytest.fixture
def connections(airflow_connections, tmp_path):
    """And a metadata database, for the pools."""
    with metadata_database(tmp_path):
        yield


def test_the_command_applies_the_whole_project_through_airflows_connections(lakehouse, connections):
    result = CliRunner().invoke(app, ["apply"])

    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "applied 9 plans")
    assert "CREATE OR REPLACE VIEW prod.serving.customers_history" in result.output.splitlines()
    assert [line for line in result.output.splitlines() if line.startswith("pool")] == [
        "pool backfill_curated_customers_v1: 4 slots",
        "pool backfill_curated_order_lines_v1: 4 slots",
        "pool backfill_curated_orders_v1: 4 slots",
        "pool backfill_source_mssql_globex: 1 slots",
        "pool backfill_source_mssql_northwind: 1 slots",
        "pool backfill_source_mssql_shared1: 1 slots",
        "pool curated_customers_v1: 16 slots",
        "pool curated_order_lines_v1: 16 slots",
        "pool curated_orders_v1: 16 slots",
        "pool source_mssql_globex: 4 slots",
        "pool source_mssql_northwind: 4 slots",
        "pool source_mssql_shared1: 8 slots",
    ]


def test_pools_are_made_once_brought_to_their_size_and_left_alone_by_a_dry_run(lakehouse, connections):
    def pools_told(*options: str) -> list[str]:
        return [line for line in CliRunner().invoke(app, ["apply", *options]).output.splitlines() if "pool " in line]

    assert len(pools_told("--dry-run")) == len(pools_told()) == 12
    AirflowPool.create_or_update_pool("source_mssql_globex", 99, "by hand", False)
    assert pools_told() == ["pool source_mssql_globex: 4 slots"]
    assert pools_told() == []


def test_without_a_metadata_database_nothing_is_made(lakehouse, connections, monkeypatch):
    with create_session() as session:
        session.execute(text("DROP TABLE slot_pool"))

    result = CliRunner().invoke(app, ["apply"])

    assert (result.exit_code, result.output) == (
        1,
        "apply: config.invalid: Airflow's metadata database cannot be read: OperationalError. Remedy: Run this where "
        "Airflow's configuration is, after `airflow db migrate`.\n",
    )


def test_the_command_says_what_is_wrong_with_a_connection(lakehouse, connections, monkeypatch):
    wrong = {**lakehouse.databricks.connection(), "password": "dapi-wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_DATABRICKS_DEFAULT", json.dumps(wrong))

    result = CliRunner().invoke(app, ["apply", "--dry-run"])

    assert result.exit_code == 1
    assert "acme customers apply: databricks.submit: Databricks refused the token (HTTP 403). Remedy: " in result.output
    assert "dapi-wrong" not in result.output
