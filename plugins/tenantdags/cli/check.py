"""`tenantdags check`: every mistake in tenant files, defaults and contracts, at once. Needs no Airflow or network."""

from __future__ import annotations

import typer

from tenantdags.cli.options import ProjectOption, counted, problems_shown, root_of
from tenantdags.model.project import Project, check_project


def check(project: ProjectOption = None) -> None:
    """Check every tenant file, the defaults and the contracts. Exits with 1 when something is wrong."""
    with problems_shown():
        typer.echo(summary(check_project(root_of(project))))


def summary(project: Project) -> str:
    """`3 tenants, 9 tables, 61 checks: no problems`."""
    checks = sum(len(plan.checks) for plan in project.plans)
    counts = ((len(project.tenants), "tenant"), (len(project.plans), "table"), (checks, "check"))
    return f"{', '.join(counted(number, noun) for number, noun in counts)}: no problems"
