"""What the tests of dag/ share: a project to break, connections, and a workspace that answers with one status."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tenantdags.dag import bundle as bundle_module
from tests.dag.plans import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the repository's config and contracts, with its dags folder."""
    root = tmp_path / "project"
    for folder in ("config", "include/contracts", "dags"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def storage(tmp_path: Path, monkeypatch) -> Path:
    """An empty place for Airflow's bundles, in which nobody waits for half-written files."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setattr(bundle_module, "QUIET_SECONDS", 0)
    return tmp_path / "bundles"


@pytest.fixture
def bundle(project, storage) -> bundle_module.TenantBundle:
    made = bundle_module.TenantBundle(name="tenants", root=str(project))
    made.initialize()
    return made


@pytest.fixture
def connect(monkeypatch):
    def add(connection_id, **fields):
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", json.dumps(fields))

    return add


class Workspace(ThreadingHTTPServer):
    """Answers every request with one status, and remembers what was asked."""

    def __init__(self, status):
        self.status, self.asked = status, []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        workspace: Any = self.server
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        workspace.asked.append((self.command, self.path))
        self.send_response(workspace.status)
        self.end_headers()
        self.wfile.write(b'{"fine": true}')

    do_GET = do_POST = answer

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def workspace(connect):
    started = []

    def start(status):
        server = Workspace(status)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        started.append((server, thread))
        connect("databricks_default", conn_type="databricks", host="127.0.0.1", port=server.server_port, schema="http",
                password="dapi-token")  # fmt: skip
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()
