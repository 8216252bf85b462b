"""How the tests of jobs and of the notebook submit runs and read how they ended, with the provider's own hook."""

import json
import time
from typing import Any

import pyarrow as pa
from airflow.providers.databricks.hooks.databricks import DatabricksHook

from sandbox.databricks.client import Databricks

NOTEBOOK = "/Workspace/tenantdags/load"
TARGET = "prod.curated.jobs_v1"
TABLE = pa.table({"order_id": pa.array([1, 2, 3], pa.int64())})
COLUMNS = [{"name": "order_id", "type": "BIGINT"}]
STAMPS = (
    "tenant_id STRING, as_of_date DATE, window_start TIMESTAMP, "
    "_load_id STRING, _append_id STRING, _loaded_at TIMESTAMP"
)


def task(manifest: str, key: str = "load", **more: Any) -> dict[str, Any]:
    parameters = {"manifest": manifest, "target": TARGET}
    return {"task_key": key, "notebook_task": {"notebook_path": NOTEBOOK, "base_parameters": parameters}, **more}


def hook() -> DatabricksHook:
    return DatabricksHook("databricks_default", retry_limit=2, retry_delay=0.05)


def finish(run_id: int, seconds: float = 30) -> dict[str, Any]:
    """The run once it is terminal."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run: dict[str, Any] = hook().get_run(run_id)
        if "result_state" in run["state"]:
            return run
        time.sleep(0.05)
    raise AssertionError(f"run {run_id} did not end")


def output(run: dict[str, Any]) -> dict[str, Any]:
    return hook().get_run_output(run["tasks"][0]["run_id"])


def exit_value(run: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(output(run)["notebook_output"]["result"])
    return value


def appended(databricks: Databricks, append_id: str) -> int:
    (row,) = databricks.statement(f"SELECT COUNT(*) FROM {TARGET} WHERE _append_id = :a", a=append_id)
    return int(row[0] or 0)
