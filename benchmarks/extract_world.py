"""The sandbox's SQL Server stand-in with one table of 12 mixed columns, and a project of one tenant that reads it."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.extract_contenders import CONNECTION
from benchmarks.measure import ROOT
from sandbox.seed import BENCH, bench_table
from sandbox.services import Service
from sandbox.sqlserver.client import SqlServer

LOGICAL = {
    "bigint": "integer", "int": "integer", "bit": "boolean", "float": "number", "money": "number", "date": "date",
}  # fmt: skip


@dataclass(frozen=True)
class ExtractWorld:
    """`root` holds project/, staging/ and out/; `env` carries the connections, as any Airflow process gets them."""

    root: Path
    server: SqlServer

    @property
    def env(self) -> dict[str, str]:
        key = {"conn_type": "generic", "password": base64.b64encode(b"k" * 32).decode(), "extra": {"key_id": "bench"}}
        return {
            "AIRFLOW_HOME": str(self.root / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "MSSQL_PYTHON_NATIVE_PROVIDER": "msodbcsql18",
            "PYTHONPATH": str(ROOT / "plugins"),
            f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps(self._connection()),
            "AIRFLOW_CONN_PII_BENCH": json.dumps(key),
        }

    def _connection(self) -> dict[str, Any]:
        login = {"login": "sa", "password": self.server.logins["sa"], "schema": "bench"}
        return {**self.server.connection("mssql_shared1"), **login}

    def fill(self, rows: int) -> None:
        bench_table(self.server, rows)


@contextmanager
def extract_world(root: Path) -> Iterator[ExtractWorld]:
    """A stand-in of its own, with its own run directory; it ends with the block."""
    service = Service("sqlserver", root / "run")
    service.start()
    try:
        service.wait_ready()
        _project(root / "project", root / "staging")
        (root / "out").mkdir()
        yield ExtractWorld(root, SqlServer(root / "run"))
    finally:
        service.stop()


def _project(root: Path, staging: Path) -> None:
    (root / "config" / "tenants").mkdir(parents=True)
    (root / "include" / "contracts").mkdir(parents=True)
    defaults = yaml.safe_load((ROOT / "config" / "defaults.yaml").read_text())
    defaults["staging"]["url"] = staging.as_uri()
    (root / "config" / "defaults.yaml").write_text(yaml.safe_dump(defaults, sort_keys=False))
    tables = {name: {"contract": f"{name}@1"} for name in ("bench12", "bench12_hashed")}
    tenant = {
        "tenant": "bench", "name": "Benchmark", "group": "retail", "tier": "gold", "time_zone": "UTC",
        "pii_key": "pii_bench", "tables": tables,
        "source": {"connection": CONNECTION, "database": "bench", "time_zone": "UTC"},
    }  # fmt: skip
    text = yaml.safe_dump(tenant, sort_keys=False) + "first_window: 2026-01-01\n"
    (root / "config" / "tenants" / "bench.yaml").write_text(text)
    for name in tables:
        contract = yaml.safe_dump(_contract(name, hashed=name.endswith("_hashed")), sort_keys=False)
        (root / "include" / "contracts" / f"{name}.v1.odcs.yaml").write_text(contract)


def _contract(name: str, hashed: bool) -> dict[str, Any]:
    """A snapshot of the whole table, so that every engine reads the same rows."""
    schema = {
        "id": name, "name": name, "physicalName": "Bench12", "physicalType": "table", "logicalType": "object",
        "dataGranularityDescription": "one row per id",
        "properties": [_column(column, kind, hashed) for column, kind, _ in BENCH],
        "quality": [
            {"id": "some_rows", "name": "some rows", "metric": "rowCount", "mustBeGreaterThan": 0,
             "dimension": "completeness", "severity": "error"},
        ],
        "customProperties": [
            {"property": "mode", "value": "snapshot"},
            {"property": "schemaEvolution", "value": {"additive": "allow", "breaking": "stop"}},
        ],
    }  # fmt: skip
    return {
        "apiVersion": "v3.2.0", "kind": "DataContract", "id": name, "name": name, "version": "1.0.0",
        "status": "active", "domain": "benchmark", "description": {"purpose": "One row per id."}, "schema": [schema],
    }  # fmt: skip


def _column(name: str, kind: str, hashed: bool) -> dict[str, Any]:
    logical = LOGICAL.get(kind) or {"d": "number" if kind.startswith("decimal") else "timestamp"}.get(kind[0], "string")
    column: dict[str, Any] = {"id": name, "name": name, "logicalType": logical, "physicalType": kind}
    if name == "id":
        column |= {"required": True, "primaryKey": True, "primaryKeyPosition": 1}
    if name == "email" and hashed:
        pii = {"property": "pii", "value": {"category": "contact", "handling": "hash"}}
        column |= {"classification": "restricted", "tags": ["pii"], "customProperties": [pii]}
    return column
