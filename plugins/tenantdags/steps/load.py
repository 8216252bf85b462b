"""The Databricks run that appends one load: what is submitted, under which token, and what its answer must say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tenantdags.model.errors import DatabricksRun, ReconcileMismatch, TableBehind
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql
from tenantdags.steps.appended_checks import compare_columns
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.report import Loaded
from tenantdags.steps.statements import Statements

TASK_KEY = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookRun:
    """A finished run of the load notebook; `output` is the text it exited with."""

    run_id: int
    run_page_url: str
    output: str | None


def submit_json(plan: TablePlan, window: Window | str, load_id: str, manifest_url: str) -> dict[str, Any]:
    """The body of Jobs 2.2 runs/submit, without its idempotency token. Without a cluster it runs serverless."""
    seconds = int(plan.databricks.timeout.total_seconds())
    compute = {} if plan.databricks.compute == "serverless" else {"existing_cluster_id": plan.databricks.compute}
    task = {
        "task_key": TASK_KEY,
        "notebook_task": {
            "notebook_path": plan.databricks.notebook,
            "source": "WORKSPACE",
            "base_parameters": {"manifest": manifest_url, "target": plan.curated},
        },
        "timeout_seconds": seconds,
        **compute,
    }
    return {"run_name": f"{plan.dag_id} {window} {load_id}", "timeout_seconds": seconds, "tasks": [task]}


def idempotency_token(
    dag_id: str, run_id: str, task_id: str, map_index: int, load_id: str, clear_number: int, g: int
) -> str:
    """64 hex digits. A restarted worker computes the same token and re-attaches; a clear computes another one.

    `load_id` tells a run apart that was deleted in Airflow and made anew under its old id.
    """
    parts = json.dumps([dag_id, run_id, task_id, map_index, load_id, clear_number, g])
    return hashlib.sha256(parts.encode()).hexdigest()


def loaded_of(plan: TablePlan, window: Window | str, manifest: Manifest, run: NotebookRun) -> Loaded:
    """What the notebook says it did. Raises DatabricksRun for nothing usable, ReconcileMismatch for lost rows."""
    said = _said(plan, window, run)
    expected = (manifest.rows, len(manifest.parts), plan.curated)
    found = (said["rows"], said["files"], said["target"])
    if found != expected:
        what = "the notebook appended {} rows of {} files to {}".format(*found)
        what += "; the manifest asks for {} rows of {} files in {}.".format(*expected)
        raise ReconcileMismatch(plan.at(window), what, f"Look at {run.run_page_url}, then clear `load`.")
    return Loaded(append_id=said["append_id"], rows=said["rows"], run_id=run.run_id, run_page_url=run.run_page_url)


def require_table(plan: TablePlan, window: Window | str, statements: Statements) -> None:
    """Raises TableBehind when the curated table or the publish log is missing, or lacks or retypes a column."""
    asked = statements.of(plan, window)
    tables = ((plan.curated, dbsql.curated_columns(plan.contract)), (plan.databricks.publish_log, dbsql.LOG))
    for table, columns in tables:
        lacking, retyped = compare_columns(table, columns, asked)
        if retyped:
            what = f"{table}: {'; '.join(retyped)}."
            raise TableBehind(plan.at(window), what, "Publish the change as a new major version of the contract.")
        if lacking:
            names = ", ".join(f"{name} {kind}" for name, kind in lacking)
            what = f"{table} does not exist." if len(lacking) == len(columns) else f"{table} lacks {names}."
            raise TableBehind(plan.at(window), what, "Run `tenantdags apply`, then clear `load`.")


def _said(plan: TablePlan, window: Window | str, run: NotebookRun) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(run.output or "")
        UUID(said["append_id"])
        return {name: said[name] for name in ("append_id", "rows", "files", "target")}
    except (ValueError, KeyError, TypeError, AttributeError):
        what = f"run {run.run_id} of {plan.databricks.notebook} did not exit with its counts."
        remedy = f"Deploy this version's notebook there and look at {run.run_page_url}."
        raise DatabricksRun(plan.at(window), what, remedy) from None
