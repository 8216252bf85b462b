"""Data sets are named by OpenLineage's rules, so that other tools' lineage meets ours."""

import base64

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor

from tenantdags.dag.factory import build_dag
from tenantdags.dag.load_operator import LoadOperator
from tenantdags.dag.operators import GateOperator, StepOperator
from tenantdags.steps.report import CheckResult, GateReport
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


def test_a_gate_tells_every_rule_as_an_assertion_also_when_it_stays_closed():
    plan = plan_of("acme", "orders")
    results = (
        CheckResult(rule="pk_unique", outcome="fail", value="3 duplicate keys", expected="0", failing_keys=("1001",)),
        CheckResult(rule="status_enum", outcome="pass", value="0 invalid status", expected="0"),
        CheckResult(rule="email_null_pct", outcome="warn", value="3 %", expected="less than 2 %", severity="warning"),
    )
    gate = build_dag(plan).get_task("check_extract")
    assert isinstance(gate, GateOperator)
    gate.report = GateReport(gate="check_extract", rows=5, results=results, seconds=0.1, load_id="load")

    found = DefaultExtractor(gate).extract_on_failure(None)

    assert found
    (data,) = found.inputs
    assert (data.namespace, data.name) == ("file", f"{plan.staging.url.removeprefix('file://')}/acme/orders")
    told = data.inputFacets["dataQualityAssertions"].assertions
    assert [(a.assertion, a.success, a.column, a.severity, a.actual, a.expected) for a in told] == [
        ("pk_unique", False, "order_id", "error", "3 duplicate keys", "0"),
        ("status_enum", True, "status", "error", "0 invalid status", "0"),
        ("email_null_pct", False, "customer_email", "warn", "3 %", "less than 2 %"),
    ]
    assert "1001" not in str(found)
