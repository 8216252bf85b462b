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

    from tenantdags.steps.report import GateReport

Place = Literal["source", "staging", "landing", "curated", "serving"]

READS_AND_WRITES: dict[str, tuple[Place, Place]] = {
    run.EXTRACT: ("source", "staging"),
    run.UPLOAD: ("staging", "landing"),
    run.LOAD: ("landing", "curated"),
    run.PUBLISH: ("curated", "serving"),
}


JUDGES: dict[str, Place] = {run.CHECK_EXTRACT: "staging", run.CHECK_LOAD: "curated"}


def lineage(plan: TablePlan, task_id: str) -> OperatorLineage[Any, Any]:
    from airflow.providers.openlineage.extractors import OperatorLineage

    places = READS_AND_WRITES.get(task_id)
    if places is None:
        return OperatorLineage()
    reads, writes = _datasets(plan, places)
    return OperatorLineage(inputs=[reads], outputs=[writes])


def judgement(plan: TablePlan, task_id: str, report: GateReport | None) -> OperatorLineage[Any, Any]:
    """What a gate judged, with every rule as an assertion; without a report it judged nothing."""
    from airflow.providers.common.compat.openlineage.facet import InputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as facets

    if report is None:
        return OperatorLineage()
    columns = {check.id: check.columns for check in plan.checks}
    assertions = [
        facets.Assertion(
            assertion=result.rule,
            success=result.outcome == "pass",
            column=columns[result.rule][0] if len(columns.get(result.rule, ())) == 1 else None,
            severity="error" if result.severity == "error" else "warn",
            expected=result.expected,
            actual=result.value,
        )
        for result in report.results
    ]
    facet = facets.DataQualityAssertionsDatasetFacet(assertions=assertions)
    namespace, name = _name(plan, JUDGES[task_id])
    return OperatorLineage(inputs=[InputDataset(namespace, name, inputFacets={"dataQualityAssertions": facet})])


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
