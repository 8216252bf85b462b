"""`tenantdags apply`: makes containers, tables, log, views and pools for all tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantdags.cli.options import ProjectOption, problems_shown, root_of
from tenantdags.model.errors import RunError
from tenantdags.model.plan import TablePlan
from tenantdags.model.pools import pools_of
from tenantdags.model.project import load_project

DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be made, and make nothing.")]


def apply(project: ProjectOption = None, dry_run: DryRun = False) -> None:
    """Make or extend everything the plans need in ADLS, Databricks and Airflow. Safe to repeat; one at a time."""
    with problems_shown():
        plans = load_project(root_of(project)).plans
    try:
        _apply(plans, dry_run)
    except RunError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo("dry run: nothing was made" if dry_run else f"applied {len(plans)} plans")


def _apply(plans: tuple[TablePlan, ...], dry_run: bool) -> None:
    from tenantdags.dag import world
    from tenantdags.dag.pools import make_pool, pools_behind
    from tenantdags.steps.apply import World
    from tenantdags.steps.apply import apply as make

    pools = pools_behind(pools_of(plans), "apply")
    clients = World(lambda plan: world.container(plan, "apply"), lambda plan: world.statements(plan, "apply"))
    make(plans, clients, typer.echo, dry_run=dry_run)
    for pool in pools:
        typer.echo(str(pool))
        if not dry_run:
            make_pool(pool)
