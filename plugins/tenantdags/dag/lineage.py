"""The data sets a task reads and writes, by OpenLineage's naming rules. Only asked for when OpenLineage is on.

Names: https://openlineage.io/docs/spec/naming/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from tenantdags.dag import run, world
from tenantdags.model.plan import TablePlan

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

Place = Literal["source", "staging", "landing", "curated", "serving"]

READS_AND_WRITES: dict[str, tuple[Place, Place]] = {
    run.EXTRACT: ("source", "staging"),
    run.UPLOAD: ("staging", "landing"),
    run.LOAD: ("landing", "curated"),
    run.PUBLISH: ("curated", "serving"),
}


def lineage(plan: TablePlan, task_id: str) -> OperatorLineage[Any, Any]:
    from airflow.providers.openlineage.extractors import OperatorLineage

    places = READS_AND_WRITES.get(task_id)
    if places is None:
        return OperatorLineage()
    reads, writes = _datasets(plan, places)
    return OperatorLineage(inputs=[reads], outputs=[writes])


def _datasets(plan: TablePlan, places: Iterable[Place]) -> list[Dataset]:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    return [Dataset(*_name(plan, place)) for place in places]


def _name(plan: TablePlan, place: Place) -> tuple[str, str]:
    """(namespace, name)."""
    source = plan.source
    if place == "source":
        login = world.source_login(plan)
        return f"mssql://{login.host}:{login.port}", f"{source.database}.{source.schema}.{source.table}"
    if place == "staging":
        return "file", f"{urlsplit(plan.staging.url).path}/{plan.tenant}/{plan.table}"
    if place == "landing":
        return world.abfss_root(plan, world.container(plan)), plan.landing.prefix
    return world.databricks_namespace(plan), plan.curated if place == "curated" else plan.serving
