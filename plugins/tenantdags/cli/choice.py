"""Which tenant, table and window a command is about; and its clients, through Airflow's connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenantdags.cli.options import problems_shown, refuse
from tenantdags.model.errors import AirflowError, RunError
from tenantdags.model.fields import suggestion
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_project, load_tenant, tenant_files
from tenantdags.model.window import Window, window_named

if TYPE_CHECKING:
    from tenantdags.steps.landing import Landing
    from tenantdags.steps.statements import Statements

TenantName = Annotated[str, typer.Argument(help="The tenant.", metavar="TENANT")]
TableName = Annotated[str, typer.Argument(help="One of its tables.", metavar="TABLE")]
WindowKey = Annotated[str, typer.Argument(help="The window: 2026-11-22; of hours, 2026-11-22T14Z.", metavar="WINDOW")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="One tenant. Default: all.")]
TableOption = Annotated[str | None, typer.Option("--table", help="One of its tables. Default: all.")]


def chosen(root: Path, tenant: str | None, table: str | None) -> tuple[TablePlan, ...]:
    """The plans of all tenants, of one tenant, or of one table; exits with 1 where there is no such."""
    with problems_shown():
        if tenant is None:
            plans = load_project(root).plans
        else:
            files = tenant_files(root)
            if tenant not in files:
                raise refuse(f"no tenant {tenant!r}{suggestion(tenant, files)}")
            plans = load_tenant(root, tenant)
    tables = sorted({plan.table for plan in plans})
    if table is not None and table not in tables:
        whose = f"{tenant} has no table" if tenant else "no tenant has a table"
        raise refuse(f"{whose} {table!r}{suggestion(table, tables)}")
    return tuple(plan for plan in plans if table in (None, plan.table))


def one_window(root: Path, tenant: str, table: str, key: str) -> tuple[TablePlan, Window]:
    (plan,) = chosen(root, tenant, table)
    try:
        return plan, window_named(key, plan.schedule.every, plan.schedule.time_zone)
    except ValueError as error:
        raise refuse(str(error)) from None


def clients(plan: TablePlan, at: Window | str) -> tuple[Landing, Statements]:
    """What the plan's connections become."""
    # Airflow reads it at import; what its clients log of a failure, our errors say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag import world

    return world.landing(plan, at), world.statements(plan, at)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Prints what a step could not do, and exits with 1."""
    try:
        yield
    except (RunError, AirflowError) as error:
        raise refuse(str(error)) from None
