"""Tenant file → DAGs: what the bundle's generated loaders and the two files under dags/ all call."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.sdk import get_parsing_context

from tenantdags.dag.bundle import bundle_setting
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.project import load_tenant, tenant_files

if TYPE_CHECKING:
    from airflow.sdk import DAG

log = logging.getLogger(__name__)

# Far below what was measured to fail (4,000 DAGs in one file were never loaded), for machines are busy at times.
MANY_DAGS = 1_000
MUCH_OF_THE_TIME = 0.25


def tenant_dags(root: Path | str, tenant: str, text: str | None = None) -> dict[str, DAG]:
    """The DAGs of one tenant by id; `text` stands for its file's content. Raises ConfigError with all its problems.

    A worker that starts a task names its DAG: then only that one is read and built, and none of another tenant.
    """
    from tenantdags.dag.factory import build_dags

    wanted, prefix = get_parsing_context().dag_id, f"{tenant}__"
    if wanted and not wanted.startswith(prefix):
        return {}
    only = wanted.removeprefix(prefix) if wanted else None
    return {dag.dag_id: dag for dag in build_dags(load_tenant(Path(root), tenant, text, only))}


def good_tenants(root: Path) -> dict[str, DAG]:
    """Every DAG of every tenant whose files are right; the others are left to `broken_tenants`.

    Warns when the fleet comes near to what Airflow loads from one file.
    """
    started = time.perf_counter()
    dags: dict[str, DAG] = {}
    tenants = tenant_files(root)
    for tenant in tenants:
        with suppress(ConfigError):  # broken_tenants.py tells it
            dags |= tenant_dags(root, tenant)
    if not get_parsing_context().dag_id:
        _warn_if_outgrown(root, len(tenants), len(dags), time.perf_counter() - started)
    return dags


def _warn_if_outgrown(root: Path, tenants: int, dags: int, seconds: float) -> None:
    load = conf.getfloat("core", "dagbag_import_timeout")
    if dags < MANY_DAGS and seconds < load * MUCH_OF_THE_TIME:
        return
    process = conf.getfloat("dag_processor", "dag_file_processor_timeout")
    log.warning(
        "%s: %d DAGs of %d tenants took %.1f s to load. Airflow ends a DAG file after %g s ([core] "
        "dagbag_import_timeout), or after %g s with what is written of it ([dag_processor] "
        "dag_file_processor_timeout); then no DAG of any tenant is loaded. "
        "Remedy: one file per tenant, by [dag_processor] dag_bundle_config_list = %s",
        root / "dags/tenants.py", dags, tenants, seconds, load, process, bundle_setting(root),
    )  # fmt: skip


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
