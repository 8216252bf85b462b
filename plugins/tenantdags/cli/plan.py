"""`tenantdags plan`: what a tenant's files come to, before anything runs. Needs no Airflow, network or secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tenantdags.cli.choice import chosen
from tenantdags.cli.options import ProjectOption, problems_shown, root_of
from tenantdags.model.plan import TablePlan
from tenantdags.model.plan_text import to_text
from tenantdags.model.project import explain_tenant

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
    plans = chosen(root, tenant, table)
    with problems_shown():
        texts = _explained(root, plans) if explain else map(to_text, plans)
        typer.echo("\n".join(texts), nl=False)


def _explained(root: Path, plans: tuple[TablePlan, ...]) -> Iterator[str]:
    wanted = {plan.dag_id for plan in plans}
    for tenant in dict.fromkeys(plan.tenant for plan in plans):
        for plan, origins in explain_tenant(root, tenant):
            if plan.dag_id in wanted:
                yield to_text(plan, origins)
