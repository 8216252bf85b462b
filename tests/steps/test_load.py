"""What is submitted to Databricks, under which token, and which answers of the notebook count."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from tenantdags.model.errors import DatabricksRun, ReconcileMismatch, TableBehind
from tenantdags.steps import dbsql
from tenantdags.steps.load import NotebookRun, idempotency_token, loaded_of, require_table, submit_json
from tests.steps.staged import good_rows, plan_of, stage, window_of_plan

URL = (
    "abfss://landing@acct.dfs.core.windows.net/orders/v1/tenant_id=acme/as_of_date=2026-11-21/load_id=L/_manifest.json"
)
APPEND = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def plan():
    plan = plan_of("acme", "orders")
    return replace(plan, databricks=replace(plan.databricks, timeout=timedelta(hours=2)))


def test_a_serverless_run_is_submitted_without_a_cluster(plan):
    assert submit_json(plan, window_of_plan(plan), "L", URL) == {
        "run_name": "acme__orders 2026-11-21 L",
        "timeout_seconds": 7200,
        "tasks": [
            {
                "task_key": "load",
                "notebook_task": {
                    "notebook_path": "/Workspace/tenantdags/load",
                    "source": "WORKSPACE",
                    "base_parameters": {"manifest": URL, "target": "prod.curated.orders_v1"},
                },
                "timeout_seconds": 7200,
            }
        ],
    }


def test_a_cluster_is_named_where_the_plan_names_one(plan):
    plan = replace(plan, databricks=replace(plan.databricks, compute="1121-000000-abc"))

    (task,) = submit_json(plan, window_of_plan(plan), "L", URL)["tasks"]

    assert task["existing_cluster_id"] == "1121-000000-abc"


def test_a_token_is_the_same_after_a_crash_and_another_one_for_anything_else():
    usual = ("acme__orders", "scheduled__2026-11-21", "load", -1, "L", 0, 0)
    others = [
        ("globex__orders", *usual[1:]),
        (*usual[:1], "manual__x", *usual[2:]),
        (*usual[:2], "load2", *usual[3:]),
        (*usual[:3], 0, *usual[4:]),
        (*usual[:4], "M", *usual[5:]),
        (*usual[:5], 1, 0),
        (*usual[:6], 1),
    ]

    tokens = [idempotency_token(*usual), *(idempotency_token(*other) for other in others)]

    assert idempotency_token(*usual) == tokens[0]
    assert len(set(tokens)) == 8
    assert {len(token) for token in tokens} == {64}


def answer(**changed):
    said = {"append_id": APPEND, "rows": 150, "files": 2, "target": "prod.curated.orders_v1", **changed}
    return NotebookRun(run_id=7, run_page_url="https://adb/run/7", output=json.dumps(said))


@pytest.fixture
def manifest(plan, staging):
    window = window_of_plan(plan)
    return stage(plan, window, good_rows(plan, window), staging)


def test_a_notebook_that_did_what_the_manifest_asks_is_believed(plan, manifest):
    loaded = loaded_of(plan, window_of_plan(plan), manifest, answer())

    assert (loaded.append_id, loaded.rows, loaded.run_id) == (APPEND, 150, 7)


@pytest.mark.parametrize("changed", [{"rows": 149}, {"files": 1}, {"target": "prod.curated.orders_v2"}])
def test_a_notebook_that_did_something_else_is_a_mismatch(plan, manifest, changed):
    with pytest.raises(ReconcileMismatch, match="asks for 150 rows of 2 files in prod"):
        loaded_of(plan, window_of_plan(plan), manifest, answer(**changed))


@pytest.mark.parametrize("output", [None, "", "done", "[]", "{}", json.dumps({"append_id": "x", "rows": 1}), "null"])
def test_a_notebook_that_says_nothing_usable_failed(plan, manifest, output):
    run = NotebookRun(run_id=7, run_page_url="https://adb/run/7", output=output)

    with pytest.raises(DatabricksRun) as caught:
        loaded_of(plan, window_of_plan(plan), manifest, run)

    assert str(caught.value) == (
        "acme orders 2026-11-21: databricks.run: run 7 of /Workspace/tenantdags/load did not exit with its counts. "
        "Remedy: Deploy this version's notebook there and look at https://adb/run/7."
    )


def changed_contract(plan, **of_status):
    columns = tuple(replace(c, **of_status) if c.name == "status" else c for c in plan.contract.columns)
    return replace(plan, contract=replace(plan.contract, columns=columns))


@pytest.mark.sandbox
def test_a_table_as_the_contract_says_is_accepted(plan, lakehouse):
    require_table(plan, window_of_plan(plan), lakehouse.statements())


@pytest.mark.sandbox
def test_a_table_behind_its_contract_is_refused_with_its_remedy(plan, lakehouse):
    columns = (*plan.contract.columns, replace(plan.contract.columns[-1], name="shipped_at"))
    ahead = replace(plan, contract=replace(plan.contract, columns=columns))

    with pytest.raises(TableBehind) as caught:
        require_table(ahead, window_of_plan(plan), lakehouse.statements())

    assert str(caught.value) == (
        "acme orders 2026-11-21: config.invalid: prod.curated.orders_v1 lacks shipped_at TIMESTAMP. "
        "Remedy: Run `tenantdags apply`, then clear `load`."
    )


@pytest.mark.sandbox
def test_a_retyped_column_asks_for_a_new_major_version(plan, lakehouse):
    number = replace(next(c for c in plan.contract.columns if c.name == "status"), type=plan.contract.columns[0].type)
    retyped = changed_contract(plan, type=number.type)

    with pytest.raises(TableBehind) as caught:
        require_table(retyped, window_of_plan(plan), lakehouse.statements())

    assert str(caught.value) == (
        "acme orders 2026-11-21: config.invalid: prod.curated.orders_v1: status is string, not BIGINT. "
        "Remedy: Publish the change as a new major version of the contract."
    )


@pytest.mark.sandbox
def test_a_missing_table_is_named(plan, lakehouse):
    other = replace(plan, contract=replace(plan.contract, major=9))

    with pytest.raises(TableBehind, match=r"prod\.curated\.orders_v9 does not exist\. Remedy: Run `tenantdags apply`"):
        require_table(other, window_of_plan(plan), lakehouse.statements())


@pytest.mark.sandbox
def test_a_table_with_more_columns_than_this_version_knows_is_accepted(plan, lakehouse):
    other = replace(plan, contract=replace(plan.contract, table=f"orders_{uuid4().hex[:8]}"))
    lakehouse.apply(other)
    lakehouse.statements().execute(dbsql.add_columns(other.curated, [("newer", "STRING")]))

    require_table(other, window_of_plan(plan), lakehouse.statements())
