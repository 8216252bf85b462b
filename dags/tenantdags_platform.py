"""The platform's own Airflow DAGs, such as the watchdog. Steps aside where the tenant bundle is configured."""

from pathlib import Path

from tenantdags.dag.bundle import bundle_configured
from tenantdags.dag.platform_dags import platform_dags

if not bundle_configured():
    globals().update(platform_dags(Path(__file__).resolve().parents[1]))
