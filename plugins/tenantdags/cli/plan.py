"""`tenantdags plan`: what a tenant's files come to, before anything runs. Needs no Airflow, network or secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tenantdags.cli.options import ProjectOption, problems_shown, root_of
from tenantdags.model.fields import suggestion
from tenantdags.model.plan import TablePlan
from tenantdags.model.plan_text import to_text
from tenantdags.model.project import explain_tenant, load_project, load_tenant, tenant_files

ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Behind every value, the file and line it comes from, and the level.")
]


def plan(
    tenant: Annotated[str | None, typer.Argument(help="One tenant. Default: all.")] = None,
    table: Annotated[str | None, typer.Argument(help="One of its tables. Default: all.")] = None,
    project: ProjectOption = None,
    explain: ExplainOption = False,
) -> None:
    """Print the plans of all tenants, of one tenant, or of one of its tables."""
    root = root_of(project)
    with problems_shown():
        plans = _chosen(root, tenant, table)
        texts = _explained(root, plans) if explain else map(to_text, plans)
        typer.echo("\n".join(texts), nl=False)


def _explained(root: Path, plans: tuple[TablePlan, ...]) -> Iterator[str]:
    wanted = {plan.dag_id for plan in plans}
    for tenant in dict.fromkeys(plan.tenant for plan in plans):
        for plan, origins in explain_tenant(root, tenant):
            if plan.dag_id in wanted:
                yield to_text(plan, origins)


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
