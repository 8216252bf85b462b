"""What tests and the command line say to the Databricks stand-in."""

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from sandbox.databricks.catalog import Catalog
from sandbox.services import SandboxError, Service, read_json


class Databricks:
    """The running stand-in of one run directory: its connection, its faults and where its tables lie."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = Path(run_dir).resolve()
        self.service = Service("databricks", self.run_dir)

    @property
    def info(self) -> dict[str, Any]:
        info = self.service.info()
        if not info:
            raise SandboxError("Databricks is down: run `python -m sandbox up`")
        return info

    @property
    def token(self) -> str:
        return str(read_json(self.run_dir / "databricks" / "token.json")["token"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.info['port']}"

    def connection(self) -> dict[str, Any]:
        """The Airflow connection databricks_default, in Airflow's JSON form."""
        port = self.info["port"]
        return {"conn_type": "databricks", "host": "127.0.0.1", "port": port, "schema": "http", "password": self.token}

    def table_path(self, name: str) -> Path:
        """The folder of a table's Delta files by its three-part name; raises SandboxError for an unknown table."""
        catalog = Catalog(self.run_dir / "databricks")
        table = catalog.tables.get(name.lower())
        if table is None:
            raise SandboxError(f"there is no table {name}; there are {', '.join(sorted(catalog.tables)) or 'none'}")
        return Path(table.location)

    def statement(self, sql: str, **parameters: str | None) -> list[list[str | None]]:
        """Run one SQL statement with STRING parameters to its end and return its rows; raises SandboxError."""
        named = [{"name": name, "value": value, "type": "STRING"} for name, value in parameters.items()]
        body = {"statement": sql, "warehouse_id": "abc123", "wait_timeout": "50s", "parameters": named}
        answer = self._call("POST", "/api/2.0/sql/statements", body)
        if answer["status"]["state"] != "SUCCEEDED":
            raise SandboxError(answer["status"].get("error", {}).get("message", answer["status"]["state"]))
        rows: list[list[str | None]] = answer["result"].get("data_array", [])
        return rows

    def runs(self) -> list[dict[str, Any]]:
        """The newest 25 runs, newest first, as runs/list gives them with expanded tasks."""
        answer = self._call("GET", "/api/2.2/jobs/runs/list?limit=25&expand_tasks=true")
        runs: list[dict[str, Any]] = answer.get("runs", [])
        return runs

    def fault(self, kind: str, **how: Any) -> None:
        """Arm a fault by its kind (see sandbox.databricks.api.KINDS); `how` gives fields of sandbox.faults.Fault."""
        self._call("POST", "/sandbox/faults", {"kind": kind, **how})

    def faults(self) -> list[dict[str, Any]]:
        armed: list[dict[str, Any]] = self._call("GET", "/sandbox/faults")
        return armed

    def clear_faults(self) -> None:
        self._call("DELETE", "/sandbox/faults")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise SandboxError(f"Databricks: {error.read().decode()}") from error
