"""The distribution's `apache_airflow_provider` entry point: what `airflow` shows of it, and the commands it adds."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": "tenantdags",
        "name": "tenantdags",
        "description": "One YAML file per tenant becomes one DAG per table: SQL Server to ADLS to Databricks.",
        "cli": ["tenantdags.dag.airflow_cli.get_commands"],
    }
