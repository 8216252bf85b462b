"""The distribution's `apache_airflow_provider` entry point: what `airflow providers list` shows of it."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": "tenantdags",
        "name": "tenantdags",
        "description": "One YAML file per tenant becomes one DAG per table: SQL Server to ADLS to Databricks.",
    }
