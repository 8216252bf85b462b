"""The sandbox as a whole: its processes, its connections and the one file through which they reach Airflow."""

import base64
import json
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.adls import Adls
from sandbox.databricks.client import Databricks
from sandbox.oncall import OnCall
from sandbox.services import ROOT, Service, read_json, write_private
from sandbox.sqlserver.client import SqlServer

DEFAULT_RUN = ROOT / "sandbox" / ".run"
TENANTS = ("acme", "globex", "northwind")
SOURCES = ("mssql_shared1", "mssql_globex", "mssql_northwind")
# Databricks reads ADLS, so it starts after it and ends before it.
SERVICES = ("sqlserver", "adls", "databricks", "oncall")


def read_env(path: Path) -> dict[str, str]:
    """The variables of a file that World.write_env() wrote (or of any KEY='value' lines in shell quoting)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (shlex.split(line)[0].partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


class World:
    """Everything outside of tenantdags, on loopback, kept under one run directory."""

    def __init__(self, run_dir: Path | str = DEFAULT_RUN) -> None:
        self.run_dir = Path(run_dir).resolve()
        self.services = [Service(name, self.run_dir) for name in SERVICES]
        self.sqlserver = SqlServer(self.run_dir)
        self.adls = Adls(self.run_dir)
        self.databricks = Databricks(self.run_dir)
        self.oncall = OnCall(self.run_dir)

    @property
    def env_file(self) -> Path:
        return self.run_dir / "env"

    def up(self, say: Callable[[str], None] = lambda line: None) -> None:
        """Start what is not running, wait until all is ready and rewrite the env file. Ports may be new ones."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.run_dir.chmod(0o700)
        sqlserver, adls, databricks, oncall = self.services
        sqlserver.start()
        oncall.start()
        if adls.start():
            # Sail learns Azurite's port at its start, and that port is new now.
            databricks.stop()
        databricks.start()
        for service in self.services:
            service.wait_ready()
            say(f"{service.name}: ready (pid {service.info()['pid']}, port {service.info()['port']})")
        self.write_env()
        file = self.env_file
        say(f"connections: {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")

    def down(self, say: Callable[[str], None] = lambda line: None) -> None:
        """End exactly the processes that up() started. Data stays."""
        for service in reversed(self.services):
            say(f"{service.name}: {'stopped' if service.stop() else 'was not running'}")

    def status(self) -> dict[str, dict[str, Any]]:
        """Per service what it wrote when it became ready (pid, ports); empty for a service that is down."""
        return {service.name: service.info() for service in self.services}

    def connections(self) -> dict[str, dict[str, Any]]:
        """Every Airflow connection by its id, in Airflow's JSON form."""
        sources = {conn_id: self.sqlserver.connection(conn_id) for conn_id in SOURCES}
        clouds = {"adls_landing": self.adls.connection(), "databricks_default": self.databricks.connection()}
        keys = {f"pii_{tenant}": self._pii_connection(tenant) for tenant in TENANTS}
        return {**sources, **clouds, **keys, "slack_oncall": self.oncall.connection()}

    def env(self) -> dict[str, str]:
        """The connections as the environment variables that Airflow reads."""
        return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(conn) for conn_id, conn in self.connections().items()}

    def write_env(self) -> None:
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in self.env().items())
        write_private(self.env_file, "".join(lines))

    def _pii_connection(self, tenant: str) -> dict[str, Any]:
        path = self.run_dir / "pii.json"
        keys = read_json(path)
        if tenant not in keys:
            keys[tenant] = base64.b64encode(secrets.token_bytes(32)).decode()
            write_private(path, json.dumps(keys))
        return {"conn_type": "generic", "password": keys[tenant], "extra": {"key_id": f"{tenant}-1"}}
