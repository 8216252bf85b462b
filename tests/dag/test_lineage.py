"""Data sets are named by OpenLineage's rules, so that other tools' lineage meets ours."""

import base64

import pytest

from tenantdags.dag.factory import build_dag
from tenantdags.dag.load_operator import LoadOperator
from tenantdags.dag.operators import StepOperator
from tests.dag.plans import plan_of

SOURCE = ("mssql://db.example.com:1433", "shared_sales.dbo.Orders")
LANDING = ("abfss://landing@acct.dfs.core.windows.net", "orders/v1/tenant_id=acme")
CURATED = ("databricks://adb.example.net", "prod.curated.orders_v1")
SERVING = ("databricks://adb.example.net", "prod.serving.orders")


@pytest.fixture(autouse=True)
def connections(connect):
    key = base64.b64encode(b"key").decode()
    connect("mssql_shared1", conn_type="mssql", host="db.example.com", login="reader", password="word")
    connect("adls_landing", conn_type="wasb", login="acct", password=key, host="https://acct.blob.core.windows.net")
    connect("databricks_default", conn_type="databricks", host="adb.example.net", password="dapi")


def test_each_step_says_what_it_reads_and_writes():
    plan = plan_of("acme", "orders")
    staging = ("file", f"{plan.staging.url.removeprefix('file://')}/acme/orders")

    said = {}
    for task in build_dag(plan).tasks:
        assert isinstance(task, StepOperator | LoadOperator)
        found = task.get_openlineage_facets_on_complete(None)
        said[task.task_id] = [(d.namespace, d.name) for d in (*found.inputs, *found.outputs)]

    assert said == {
        "extract": [SOURCE, staging],
        "check_extract": [],
        "upload": [staging, LANDING],
        "load": [LANDING, CURATED],
        "check_load": [],
        "publish": [CURATED, SERVING],
        "summarise": [],
    }
