"""What the tests of the bundle share: the folder as the dag-processor reads it, edits, and what they cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag

from tenantdags.dag.bundle import TenantBundle

TENANTS = ["acme", "globex", "northwind"]
TABLES = ["customers", "order_lines", "orders"]
PLATFORM = ["tenantdags_bulk", "tenantdags_prune", "tenantdags_watch"]
ALL = sorted([*(f"{tenant}__{table}" for tenant in TENANTS for table in TABLES), *PLATFORM])
LOADERS = sorted([*(f"tenant_{tenant}.py" for tenant in TENANTS), "tenantdags_platform.py"])


def dags_of(folder: Path) -> BundleDagBag:
    """The folder as the dag-processor reads it, safe mode and all."""
    return BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="tenants")


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def loaders_of(bundle: TenantBundle) -> list[Path]:
    """Not what Python keeps beside them, their bytecode."""
    return sorted(bundle.path.glob("*.py"))


def changed_by(bundle: TenantBundle, action: Callable[[], object]) -> list[str]:
    """The loaders that an action and the refresh behind it made Airflow parse again."""
    before = {path.name: path.stat().st_mtime_ns for path in loaders_of(bundle)}
    action()
    bundle.refresh()
    after = {path.name: path.stat().st_mtime_ns for path in loaders_of(bundle)}
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
