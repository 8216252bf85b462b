"""`tenantdags plan`: what a tenant's files come to, before anything runs. Needs no Airflow, network or secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenantdags.cli.options import ProjectOption, problems_shown, root_of
from tenantdags.model.fields import suggestion
from tenantdags.model.plan import TablePlan
from tenantdags.model.plan_text import to_text
from tenantdags.model.project import load_project, load_tenant, tenant_files


def plan(
    tenant: Annotated[str | None, typer.Argument(help="One tenant. Default: all.")] = None,
    table: Annotated[str | None, typer.Argument(help="One of its tables. Default: all.")] = None,
    project: ProjectOption = None,
) -> None:
    """Print the plans of all tenants, of one tenant, or of one of its tables."""
    with problems_shown():
        plans = _chosen(root_of(project), tenant, table)
        typer.echo("\n".join(to_text(p) for p in plans), nl=False)


def _chosen(root: Path, tenant: str | None, table: str | None) -> tuple[TablePlan, ...]:
    if tenant is None:
        return load_project(root).plans
    files = tenant_files(root)
    if tenant not in files:
        raise _unknown(f"no tenant {tenant!r}{suggestion(tenant, files)}")
    plans = load_tenant(root, tenant)
    if table is None:
        return plans
    if table not in {p.table for p in plans}:
        raise _unknown(f"{tenant} has no table {table!r}{suggestion(table, [p.table for p in plans])}")
    return tuple(p for p in plans if p.table == table)


def _unknown(text: str) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(1)
