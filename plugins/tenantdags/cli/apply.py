"""`tenantdags apply`: makes containers, tables, log, views and pools for all tenants."""

from __future__ import annotations

import getpass
import os
from typing import Annotated

import typer

from tenantdags.cli.options import ProjectOption, problems_shown, refuse, root_of
from tenantdags.model.contract import Contract
from tenantdags.model.errors import RunError
from tenantdags.model.fields import suggestion
from tenantdags.model.plan import TablePlan
from tenantdags.model.pools import pools_of
from tenantdags.model.project import contract_refs, load_contract, load_project

DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be made, and make nothing.")]


Yes = Annotated[
    list[str] | None,
    typer.Option(
        "--yes", metavar="TENANT/TABLE", help="Move its readers to the new major even where they will miss windows."
    ),
]


def apply(project: ProjectOption = None, dry_run: DryRun = False, yes: Yes = None) -> None:
    """Make or extend everything the plans need in ADLS, Databricks and Airflow; move readers to the major that a
    tenant's file names, once it has what they see. Safe to repeat; one at a time."""
    root = root_of(project)
    with problems_shown():
        plans = load_project(root).plans
        contracts = tuple(load_contract(root, ref) for ref in contract_refs(root))
    forced = _dags(plans, yes or [])
    try:
        _apply(plans, contracts, forced, dry_run)
    except RunError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo("dry run: nothing was made" if dry_run else f"applied {len(plans)} plans")


def _dags(plans: tuple[TablePlan, ...], yes: list[str]) -> frozenset[str]:
    known = {f"{plan.tenant}/{plan.table}": plan.dag_id for plan in plans}
    for name in yes:
        if name not in known:
            raise refuse(f"--yes {name}: no such TENANT/TABLE{suggestion(name, known)}")
    return frozenset(known[name] for name in yes)


def _apply(
    plans: tuple[TablePlan, ...], contracts: tuple[Contract, ...], forced: frozenset[str], dry_run: bool
) -> None:
    # Airflow reads it at import; what its hooks log is nothing for people
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag import world
    from tenantdags.dag.pools import make_pool, pools_behind
    from tenantdags.steps.apply import Moves, World
    from tenantdags.steps.apply import apply as make

    pools = pools_behind(pools_of(plans), "apply")
    clients = World(lambda plan: world.container(plan, "apply"), lambda plan: world.statements(plan, "apply"))
    moves = Moves(contracts=contracts, forced=forced, actor=getpass.getuser())
    make(plans, clients, typer.echo, dry_run=dry_run, moves=moves)
    for pool in pools:
        typer.echo(str(pool))
        if not dry_run:
            make_pool(pool)
