"""include/notebooks/load.py as Databricks would run it: what it appends, what it refuses, what it exits with."""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.databricks.hooks.databricks import DatabricksHook
from deltalake import DeltaTable

from sandbox.databricks import notebook
from sandbox.databricks.runner import notebook_file
from tests.sandbox.jobs import NOTEBOOK, STAMPS, finish, output

pytestmark = pytest.mark.sandbox
Run = Callable[[str, str], dict[str, Any]]


@pytest.fixture
def run(cloud) -> Run:
    """Run the notebook for a manifest and a target; returns the ended run."""

    def start(manifest: str, target: str) -> dict[str, Any]:
        parameters = {"manifest": manifest, "target": target}
        task = {"task_key": "load", "notebook_task": {"notebook_path": NOTEBOOK, "base_parameters": parameters}}
        return finish(DatabricksHook().submit_run({"tasks": [task]}))

    return start


@pytest.fixture
def target(cloud) -> Callable[[str], str]:
    """Create a curated table with these columns and the stamps; returns its name."""

    def create(columns: str) -> str:
        name = f"prod.curated.n{uuid.uuid4().hex[:10]}"
        cloud.databricks.statement("CREATE SCHEMA IF NOT EXISTS prod.curated")
        cloud.databricks.statement(f"CREATE TABLE {name} ({columns}, {STAMPS})")
        return name

    return create


def exited(run: dict[str, Any]) -> dict[str, Any]:
    assert run["state"]["result_state"] == "SUCCESS", output(run)
    value: dict[str, Any] = json.loads(output(run)["notebook_output"]["result"])
    return value


def files_rows(cloud: Any, name: str) -> list[dict[str, Any]]:
    """The table's rows as delta-rs and pyarrow see them, without Sail."""
    tables = [pq.read_table(path) for path in DeltaTable(cloud.databricks.table_path(name)).file_uris()]
    found: list[dict[str, Any]] = pa.concat_tables(tables, promote_options="permissive").to_pylist()
    return found


ORDERS = pa.table(
    {
        "order_id": pa.array([1, 2**53 + 1], pa.int64()),
        "amount": pa.array([Decimal("9999999999999999.99"), None], pa.decimal128(18, 2)),
        "note": pa.array(["grüße 'quoted'\nnew line", None]),
        "updated_at": pa.array([dt.datetime(2026, 10, 25, 1, 30, 0, 1000), None], pa.timestamp("us")),
        "is_active": pa.array([True, None]),
        "_source_tenant": pa.array(["123", "123"]),
    }
)
COLUMNS = [
    {"name": "order_id", "type": "BIGINT"},
    {"name": "amount", "type": "DECIMAL(18,2)"},
    {"name": "note", "type": "STRING"},
    {"name": "updated_at", "type": "TIMESTAMP"},
    {"name": "is_active", "type": "BOOLEAN"},
]
DDL = "order_id BIGINT, amount DECIMAL(18,2), note STRING, updated_at TIMESTAMP, is_active BOOLEAN"


def test_rows_arrive_exactly_with_their_stamps(cloud, run, target):
    name = target(DDL)
    before = dt.datetime.now(dt.UTC)
    manifest = cloud.put_load(ORDERS, columns=COLUMNS)

    result = exited(run(manifest, name))

    first, second = sorted(files_rows(cloud, name), key=lambda row: row["order_id"])
    assert result == {"append_id": first["_append_id"], "rows": 2, "files": 1, "target": name}
    assert uuid.UUID(result["append_id"]).version == 4
    assert first["amount"] == Decimal("9999999999999999.99")
    assert first["note"] == "grüße 'quoted'\nnew line"
    assert first["updated_at"] == dt.datetime(2026, 10, 25, 1, 30, 0, 1000, tzinfo=dt.UTC)
    assert (first["tenant_id"], first["as_of_date"]) == ("acme", dt.date(2026, 11, 21))
    assert first["window_start"] == dt.datetime(2026, 11, 20, 23, tzinfo=dt.UTC)
    assert first["_load_id"] in manifest
    assert before <= first["_loaded_at"] <= dt.datetime.now(dt.UTC)
    assert "_source_tenant" not in first
    assert [second[key] for key in ("order_id", "amount", "note", "updated_at", "is_active")] == [2**53 + 1] + [
        None
    ] * 4


def test_every_execution_has_an_append_id_of_its_own(cloud, run, target):
    name = target("order_id BIGINT")
    manifest = cloud.put_load(ORDERS, columns=COLUMNS[:1])

    first, second = exited(run(manifest, name)), exited(run(manifest, name))

    assert first["append_id"] != second["append_id"]
    assert (first["rows"], second["rows"]) == (2, 2)
    assert len(files_rows(cloud, name)) == 4


def test_a_table_behind_the_manifest_is_refused(cloud, run, target):
    name = target("order_id BIGINT")

    ended = run(cloud.put_load(ORDERS, columns=COLUMNS), name)

    assert ended["state"]["result_state"] == "FAILED"
    assert output(ended)["error"] == (
        f"ValueError: {name} lacks the columns amount, note, updated_at, is_active of orders@1 1.0.0: "
        "run `tenantdags apply`, then run this load again"
    )
    assert DeltaTable(cloud.databricks.table_path(name)).count() == 0


def test_a_table_ahead_of_the_manifest_gets_nulls(cloud, run, target):
    name = target("extra STRING, note STRING, order_id BIGINT")

    exited(run(cloud.put_load(ORDERS, columns=[COLUMNS[2], COLUMNS[0]]), name))

    found = sorted(files_rows(cloud, name), key=lambda row: row["order_id"])
    assert [(row["order_id"], row["extra"]) for row in found] == [(1, None), (2**53 + 1, None)]
    assert found[0]["note"] == "grüße 'quoted'\nnew line"


def test_no_parts_append_nothing(cloud, run, target):
    name = target(DDL)

    result = exited(run(cloud.put_load(None, columns=COLUMNS), name))

    assert (result["rows"], result["files"]) == (0, 0)
    assert DeltaTable(cloud.databricks.table_path(name)).version() == 0


def test_only_the_manifests_parts_are_read(cloud, run, target):
    name = target("order_id BIGINT")
    manifest = cloud.put_load(ORDERS, columns=COLUMNS[:1])
    folder = manifest.partition(".net/")[2].rpartition("/")[0]
    part = cloud.container().download_blob(f"{folder}/part-00000.parquet").readall()
    cloud.container().upload_blob(f"{folder}/part-00001.parquet", part)

    assert exited(run(manifest, name))["rows"] == 2


def test_a_missing_part_fails_and_appends_nothing(cloud, run, target):
    name = target("order_id BIGINT")
    manifest = cloud.put_load(ORDERS, columns=COLUMNS[:1])
    folder = manifest.partition(".net/")[2].rpartition("/")[0]
    cloud.container().delete_blob(f"{folder}/part-00000.parquet")

    ended = run(manifest, name)

    assert ended["state"]["result_state"] == "FAILED"
    assert DeltaTable(cloud.databricks.table_path(name)).count() == 0


def test_a_value_that_does_not_fit_its_type_fails(cloud, run, target):
    name = target("note BIGINT")

    ended = run(cloud.put_load(ORDERS, columns=[{"name": "note", "type": "BIGINT"}]), name)

    assert ended["state"]["result_state"] == "FAILED"
    assert "annot cast" in output(ended)["error"]


def test_a_missing_target_fails_by_name(cloud, run):
    ended = run(cloud.put_load(ORDERS, columns=COLUMNS), "prod.curated.nothing")

    assert "TABLE_OR_VIEW_NOT_FOUND" in output(ended)["error"]


def listed(cloud: Any, *manifests: str) -> str:
    """The address of a list of these addresses."""
    root, _, _ = manifests[0].partition(".net/")
    path = f"_ops/bulk/{uuid.uuid4().hex}.json"
    cloud.container().upload_blob(path, json.dumps(manifests))
    return f"{root}.net/{path}"


def test_several_manifests_are_an_append_each(cloud, run, target):
    name = target("order_id BIGINT, note STRING")
    loads = [
        cloud.put_load(ORDERS, columns=COLUMNS[:1]), cloud.put_load(None, columns=COLUMNS[:1]),
        cloud.put_load(ORDERS.slice(0, 1), columns=[COLUMNS[0], COLUMNS[2]]),
    ]  # fmt: skip

    result = exited(run(listed(cloud, *loads), name))

    assert [load["manifest"] for load in result["loads"]] == loads
    assert [(load["rows"], load["files"], load["target"]) for load in result["loads"]] == [
        (2, 1, name), (0, 0, name), (1, 1, name),
    ]  # fmt: skip
    found = files_rows(cloud, name)
    appends = {load["append_id"]: load["manifest"] for load in result["loads"]}
    assert len(appends) == 3
    assert sorted(row["order_id"] for row in found) == [1, 1, 2**53 + 1]
    assert all(row["_load_id"] in appends[row["_append_id"]] for row in found)


def test_a_manifest_that_fails_stops_no_other(cloud, run, target):
    name = target("order_id BIGINT")
    good, bad = cloud.put_load(ORDERS, columns=COLUMNS[:1]), cloud.put_load(ORDERS, columns=COLUMNS)

    result = exited(run(listed(cloud, bad, good), name))

    assert result["loads"][0]["error"].startswith(f"ValueError: {name} lacks the columns amount, note, updated_at")
    assert result["loads"][1]["rows"] == 2
    assert len(files_rows(cloud, name)) == 2


def test_where_every_manifest_fails_the_run_does(cloud, run, target):
    name = target("order_id BIGINT")

    ended = run(listed(cloud, cloud.put_load(ORDERS, columns=COLUMNS)), name)

    assert ended["state"]["result_state"] == "FAILED"
    assert "lacks the columns amount" in output(ended)["error"]


def test_the_stand_in_runs_only_what_databricks_would_run(tmp_path):
    plain = tmp_path / "plain.py"
    plain.write_text("print(1)\n")
    sql = tmp_path / "sql.py"
    sql.write_text("# Databricks notebook source\n# MAGIC %sql\n# MAGIC SELECT 1\n")

    with pytest.raises(ValueError, match="does not start with '# Databricks notebook source'"):
        notebook.source(plain)
    with pytest.raises(ValueError, match="Python cells only, not %sql"):
        notebook.source(sql)


@pytest.mark.parametrize("path", ["/Workspace/tenantdags/../load", "/Workspace/other/load", "/load", "load"])
def test_only_deployed_paths_lead_to_a_notebook(path):
    assert notebook_file(path) is None
    assert notebook_file("/Workspace/tenantdags/load") == notebook_file("/tenantdags/load") is not None


def test_widgets_fall_back_to_their_defaults():
    widgets = notebook.Widgets({"a": "given"})
    widgets.text("a", "default")
    widgets.text("b", "default")

    assert (widgets.get("a"), widgets.get("b")) == ("given", "default")
    with pytest.raises(notebook.InputWidgetNotDefined, match="c"):
        widgets.get("c")


def test_exit_passes_an_except_exception():
    def swallowing() -> None:
        try:
            notebook.NotebookUtils().exit("done")
        except Exception as caught:
            raise AssertionError("swallowed") from caught

    with pytest.raises(notebook.NotebookExit, match="done"):
        swallowing()
