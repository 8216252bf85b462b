"""Every tenant's Airflow DAGs with no setting at all. Steps aside where the tenant bundle is configured."""

from pathlib import Path

from tenantdags.dag.bundle import bundle_configured
from tenantdags.dag.loader import good_tenants

if not bundle_configured():
    globals().update(good_tenants(Path(__file__).resolve().parents[1]))
