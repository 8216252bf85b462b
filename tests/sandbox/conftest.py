"""One Azurite and one Databricks stand-in for all tests of this folder that ask for the cloud."""

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from sandbox.adls import Adls
from sandbox.databricks.client import Databricks
from sandbox.services import Service

CONTAINER = "landing"


@dataclass(frozen=True)
class Cloud:
    """Both stand-ins of one run directory, and the few things that tests do with them."""

    run_dir: Path
    adls: Adls
    databricks: Databricks

    def container(self) -> ContainerClient:
        """The landing container, past the fault proxy."""
        service = BlobServiceClient(self.adls.direct_url, credential=self.adls.key)
        container = service.get_container_client(CONTAINER)
        if not container.exists():
            container.create_container()
        return container

    def put_load(self, table: pa.Table | None, **manifest: Any) -> str:
        """Land one load of `table` (no parts when None) and return the address of its manifest."""
        load_id = uuid.uuid4().hex
        folder = f"orders/v1/tenant_id=acme/as_of_date=2026-11-21/load_id={load_id}"
        parts = []
        if table is not None:
            buffer = io.BytesIO()
            pq.write_table(table, buffer, compression="zstd")
            self.container().upload_blob(f"{folder}/part-00000.parquet", buffer.getvalue())
            parts.append({"name": "part-00000.parquet", "rows": table.num_rows})
        content = {
            "tenant": "acme", "contract": "orders@1", "contract_version": "1.0.0", "load_id": load_id,
            "window_start": "2026-11-20T23:00:00Z", "as_of_date": "2026-11-21", "parts": parts, **manifest,
        }  # fmt: skip
        self.container().upload_blob(f"{folder}/_manifest.json", json.dumps(content))
        return f"abfss://{CONTAINER}@{self.adls.account}.dfs.core.windows.net/{folder}/_manifest.json"


def start_cloud(run_dir: Path) -> Cloud:
    services = [Service(name, run_dir) for name in ("adls", "databricks")]
    for service in services:
        service.start()
    for service in services:
        service.wait_ready()
    return Cloud(run_dir, Adls(run_dir), Databricks(run_dir))


def stop_cloud(run_dir: Path) -> None:
    for name in ("databricks", "adls"):
        Service(name, run_dir).stop()


@pytest.fixture(scope="session")
def running_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    run_dir = tmp_path_factory.mktemp("cloud")
    try:
        yield start_cloud(run_dir)
    finally:
        stop_cloud(run_dir)


@pytest.fixture
def cloud(running_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The running stand-ins, with Airflow's connections to them set and no fault left armed afterwards."""
    monkeypatch.setenv("AIRFLOW_CONN_ADLS_LANDING", json.dumps(running_cloud.adls.connection()))
    monkeypatch.setenv("AIRFLOW_CONN_DATABRICKS_DEFAULT", json.dumps(running_cloud.databricks.connection()))
    yield running_cloud
    running_cloud.adls.clear_faults()
    running_cloud.databricks.clear_faults()
