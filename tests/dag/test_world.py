"""Connections become clients; a missing or half-filled one says which and how to add it."""

import base64
import dataclasses

import pytest

from tenantdags.dag import world
from tenantdags.model.errors import ConnectionMissing
from tenantdags.model.window import day_window
from tenantdags.steps.statements import ApiError
from tests.dag.plans import plan_of

PLAN = plan_of("acme", "orders")
WINDOW = day_window(PLAN.schedule.first_window, PLAN.schedule.time_zone)
SOURCE = {"conn_type": "mssql", "host": "db.example.com", "port": 1444, "login": "reader", "password": "s3cret-word",
          "schema": "shared_sales", "extra": {"read_only": True}}  # fmt: skip
ADLS = {"conn_type": "wasb", "login": "acct", "password": base64.b64encode(b"key").decode()}


def test_a_missing_connection_says_which_and_how_to_add_it():
    with pytest.raises(ConnectionMissing) as missing:
        world.source_login(PLAN, WINDOW)

    assert str(missing.value) == (
        "acme orders 2026-11-01: config.invalid: the Airflow connection 'mssql_shared1' does not exist or cannot be "
        "read. Remedy: Add it with `airflow connections add mssql_shared1 …`, in a secrets backend, or as "
        "AIRFLOW_CONN_MSSQL_SHARED1."
    )


@pytest.mark.parametrize("make", [world.source_records, world.container, world.databricks_call, world.pii_key])
def test_every_client_needs_its_connection(make):
    with pytest.raises(ConnectionMissing, match="does not exist or cannot be read"):
        make(PLAN, WINDOW)


@pytest.mark.parametrize("field", ["host", "login", "password"])
def test_an_empty_field_of_the_source_is_named(connect, field):
    connect("mssql_shared1", **{**SOURCE, field: ""})

    with pytest.raises(ConnectionMissing, match=f"the Airflow connection 'mssql_shared1' has no {field}"):
        world.source_login(PLAN, WINDOW)


def test_the_source_login_is_the_connections_and_does_not_show_its_password(connect):
    connect("mssql_shared1", **SOURCE)

    login = world.source_login(PLAN, WINDOW)

    assert (login.host, login.port, login.database, login.login) == ("db.example.com", 1444, "shared_sales", "reader")
    assert (login.password, login.application_intent) == ("s3cret-word", "ReadOnly")
    assert "s3cret-word" not in repr(login)


def test_the_key_is_the_tenants(connect):
    connect("pii_acme", conn_type="generic", password=base64.b64encode(b"k" * 32).decode(), extra={"key_id": "acme-1"})

    key = world.pii_key(PLAN, WINDOW)

    assert key is not None
    assert (key.key_id, key.key) == ("acme-1", b"k" * 32)


def test_a_table_that_hashes_nothing_needs_no_key():
    columns = tuple(dataclasses.replace(column, pii=None) for column in PLAN.contract.columns)
    plan = dataclasses.replace(PLAN, contract=dataclasses.replace(PLAN.contract, columns=columns))

    assert world.pii_key(plan, WINDOW) is None


@pytest.mark.parametrize("host", ["https://acct.blob.core.windows.net", "http://127.0.0.1:10000/acct"])
def test_databricks_reads_the_container_by_its_account(connect, host):
    connect("adls_landing", **ADLS, host=host)

    assert world.abfss_root(PLAN, world.container(PLAN, WINDOW)) == "abfss://landing@acct.dfs.core.windows.net"


def test_a_landing_connection_that_names_no_account_is_refused_without_its_key(connect):
    connect("adls_landing", **{**ADLS, "login": ""}, host="http://127.0.0.1:10000")

    with pytest.raises(ConnectionMissing) as refused:
        world.container(PLAN, WINDOW)

    assert "Set login (the storage account)" in str(refused.value)
    assert ADLS["password"] not in str(refused.value)


def test_a_call_reaches_the_workspace(workspace):
    server = workspace(200)

    answer = world.databricks_call(PLAN, WINDOW)("GET", "/api/2.0/sql/statements/1", {})

    assert answer == {"fine": True}
    assert server.asked == [("GET", "/api/2.0/sql/statements/1")]


def test_a_statement_is_sent_once_a_question_thrice(workspace):
    server = workspace(503)
    call = world.databricks_call(PLAN, WINDOW)

    with pytest.raises(ApiError) as posted:
        call("POST", "/api/2.0/sql/statements", {"statement": "INSERT"})
    with pytest.raises(ApiError):
        call("GET", "/api/2.0/sql/statements/1", {})

    assert posted.value.status is None
    assert [method for method, _ in server.asked] == ["POST", "GET", "GET", "GET"]


def test_a_refused_token_keeps_its_status_and_stays_unsaid(workspace):
    workspace(403)

    with pytest.raises(ApiError) as refused:
        world.databricks_call(PLAN, WINDOW)("GET", "/api/2.0/sql/statements/1", {})

    assert refused.value.status == 403
    assert "dapi-token" not in str(refused.value)


def test_errors_of_the_warehouse_name_the_window(workspace):
    workspace(200)

    statements = world.statements(PLAN, WINDOW)

    assert (statements.where, statements.warehouse_id) == ("acme orders 2026-11-01", PLAN.databricks.warehouse_id)
