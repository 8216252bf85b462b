"""ADLS and Databricks of the tests' own, and the way of a load through them: land, append, judge, publish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from azure.storage.blob import BlobServiceClient, ContainerClient

from sandbox.adls import Adls
from sandbox.databricks.client import Databricks
from sandbox.services import Service
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.apply import World, apply
from tenantdags.steps.landing import Landing
from tenantdags.steps.load import NotebookRun, loaded_of, submit_json
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.publish import publish
from tenantdags.steps.report import CheckResult, GateReport, Loaded, Published
from tenantdags.steps.staging import Staging
from tenantdags.steps.statements import ApiError, Statements
from tests.steps.staged import Row, stage

SERVICES = ("adls", "databricks")
HTTP = httpx.Client(verify=False, timeout=60)  # loopback without TLS; reading certificates takes 40 ms
NOW = datetime(2026, 11, 22, 3, 0, 13, tzinfo=UTC)


@dataclass(frozen=True)
class Lakehouse:
    """Both stand-ins of one run directory."""

    run_dir: Path
    adls: Adls
    databricks: Databricks

    def call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The workspace's REST API, as the statements want it."""
        headers = {"Authorization": f"Bearer {self.databricks.token}"}
        try:
            answer = HTTP.request(method, self.databricks.url + path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise ApiError(None, type(error).__name__) from None
        if answer.status_code != 200:
            raise ApiError(answer.status_code, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    def statements(self) -> Statements:
        return Statements(self.call, "abc123", poll=0.05)

    def container(self, plan: TablePlan) -> ContainerClient:
        """Through the proxy that can fail."""
        service = BlobServiceClient(self.adls.connection()["host"], credential=self.adls.key)
        return service.get_container_client(plan.landing.container)

    def landing(self, plan: TablePlan) -> Landing:
        root = f"abfss://{plan.landing.container}@{self.adls.account}.dfs.core.windows.net"
        return Landing(self.container(plan), root, plan.landing.connection, first_wait=0.05)

    def world(self) -> World:
        return World(self.container, lambda plan: self.statements())

    def apply(self, *plans: TablePlan, say: Callable[[str], None] = lambda line: None, dry_run: bool = False) -> None:
        apply(plans, self.world(), say, dry_run=dry_run)

    def append(self, plan: TablePlan, window: Window, manifest: Manifest, staging: Staging) -> Loaded:
        """Lands a staged load and runs the notebook on it, as often as it is asked to."""
        url = self.landing(plan).upload(plan, window, manifest, staging)
        return loaded_of(plan, window, manifest, self.run(submit_json(plan, window, manifest.load_id, url)))

    def run(self, body: dict[str, Any]) -> NotebookRun:
        run_id = int(self.call("POST", "/api/2.2/jobs/runs/submit", body)["run_id"])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            run = self.call("GET", "/api/2.2/jobs/runs/get", {"run_id": run_id})
            if run["state"]["life_cycle_state"] in ("TERMINATED", "INTERNAL_ERROR", "SKIPPED"):
                return NotebookRun(run_id=run_id, run_page_url=run["run_page_url"], output=self._output(run))
            time.sleep(0.05)
        raise AssertionError(f"run {run_id} did not end")

    def _output(self, run: dict[str, Any]) -> str | None:
        answer = self.call("GET", "/api/2.2/jobs/runs/get-output", {"run_id": run["tasks"][0]["run_id"]})
        assert run["state"].get("result_state") == "SUCCESS", answer
        found: str | None = answer.get("notebook_output", {}).get("result")
        return found

    def publish(
        self, plan: TablePlan, window: Window, manifest: Manifest, loaded: Loaded, landing: Landing | None = None
    ) -> Published:
        """With gates that let this load through."""
        return publish(
            plan, window, manifest, loaded, gates_of(manifest, loaded), landing or self.landing(plan),
            self.statements(), manifest.run_id, lambda: NOW,
        )  # fmt: skip

    def published_window(
        self, plan: TablePlan, window: Window, rows: list[Row], staging: Staging, load_id: str
    ) -> tuple[Manifest, Loaded, Published]:
        """A window's rows all the way to the readers, on top of what is published now."""
        manifest = stage(plan, window, rows, staging, load_id=load_id)
        manifest = replace(manifest, base_generation=self.landing(plan).base_generation(plan, window))
        staging.write_manifest(plan, manifest)
        loaded = self.append(plan, window, manifest, staging)
        return manifest, loaded, self.publish(plan, window, manifest, loaded)

    def visible(self, plan: TablePlan, view: str | None = None) -> list[tuple[str, int]]:
        """(as_of_date, rows) of the plan's tenant, as readers see them."""
        sql = (
            f"SELECT as_of_date, count(*) FROM {view or plan.serving} WHERE tenant_id = '{plan.tenant}' "
            "GROUP BY as_of_date ORDER BY as_of_date"
        )
        return [(str(day), int(count)) for day, count in self.statements().execute(sql).rows]

    def log(self, plan: TablePlan, window: Window) -> list[tuple[Any, ...]]:
        """The window's rows in the publish log."""
        sql = (
            "SELECT generation, event, load_id, append_id, rows, as_of_date, run_id "
            f"FROM {plan.databricks.publish_log} "
            "WHERE table_name = :t AND tenant_id = :n AND window_start = :w ORDER BY generation"
        )
        names = {"t": (plan.curated_name, "STRING"), "n": (plan.tenant, "STRING"), "w": (window.start, "TIMESTAMP")}
        return list(self.statements().execute(sql, names).rows)


def gates_of(manifest: Manifest, loaded: Loaded) -> tuple[GateReport, GateReport]:
    """What both gates say about a load they let through."""
    good = (CheckResult(rule="pk_unique", outcome="pass", value="0 duplicate keys", expected="0"),)
    return (
        GateReport(gate="check_extract", rows=manifest.rows, results=good, seconds=0.1, load_id=manifest.load_id),
        GateReport(
            gate="check_load", rows=loaded.rows, results=good, seconds=0.1, load_id=manifest.load_id,
            append_id=loaded.append_id,
        ),
    )  # fmt: skip


def start(run_dir: Path) -> Lakehouse:
    services = [Service(name, run_dir) for name in SERVICES]
    for service in services:
        service.start()
    for service in services:
        service.wait_ready()
    return Lakehouse(run_dir, Adls(run_dir), Databricks(run_dir))


def stop(run_dir: Path) -> None:
    for name in reversed(SERVICES):
        Service(name, run_dir).stop()
