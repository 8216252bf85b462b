"""Tenant file → DAGs: what the bundle's generated loaders and the two files under dags/ all call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import get_parsing_context

from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.project import load_tenant, tenant_files

if TYPE_CHECKING:
    from airflow.sdk import DAG


def tenant_dags(root: Path | str, tenant: str, text: str | None = None) -> dict[str, DAG]:
    """The DAGs of one tenant by id; `text` stands for its file's content. Raises ConfigError with all its problems.

    A worker that starts a task names its DAG: then only that one is built, and none of another tenant.
    """
    from tenantdags.dag.factory import build_dags

    wanted = get_parsing_context().dag_id
    if wanted and not wanted.startswith(f"{tenant}__"):
        return {}
    plans = load_tenant(Path(root), tenant, text)
    return {dag.dag_id: dag for dag in build_dags(p for p in plans if wanted in (None, p.dag_id))}


def good_tenants(root: Path) -> dict[str, DAG]:
    """Every DAG of every tenant whose files are right; the others are left to `broken_tenants`."""
    dags: dict[str, DAG] = {}
    for tenant in tenant_files(root):
        if not _problems(root, tenant):
            dags |= tenant_dags(root, tenant)
    return dags


def broken_tenants(root: Path) -> None:
    """Raises ConfigError with every problem of every tenant, so that Airflow shows them as one import error."""
    problems = [problem for tenant in tenant_files(root) for problem in _problems(root, tenant)]
    if problems:
        raise ConfigError(problems)


def _problems(root: Path, tenant: str) -> tuple[Problem, ...]:
    try:
        load_tenant(root, tenant)
    except ConfigError as error:
        return error.problems
    return ()
