"""Shows what is wrong with tenant files as this file's Airflow import error; holds no DAG. Goes with tenants.py."""

from pathlib import Path

from tenantdags.dag.bundle import bundle_configured
from tenantdags.dag.loader import broken_tenants

if not bundle_configured():
    broken_tenants(Path(__file__).resolve().parents[1])
