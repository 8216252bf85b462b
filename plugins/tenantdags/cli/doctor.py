"""`tenantdags doctor`: compares what is published with what readers can see, and mends what is certain."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tenantdags.cli.choice import TableOption, TenantOption, chosen, clients
from tenantdags.cli.options import ProjectOption, root_of
from tenantdags.model.words import counted

if TYPE_CHECKING:
    from tenantdags.steps.doctor import Totals

Yes = Annotated[bool, typer.Option("--yes", help="Mend what can be mended. Without it, nothing is changed.")]
MENDABLE, REFUSED = 3, 4  # exit codes; 1 is for what could not be asked, 2 for a wrong command line


def doctor(
    tenant: TenantOption = None, table: TableOption = None, yes: Yes = False, project: ProjectOption = None
) -> None:
    """Compare every _published.json with the publish log, the table and landing.

    Exits with 0 when all fit together, 3 when --yes can mend the rest, 4 when a person must, 1 when it cannot ask.
    """
    from tenantdags.steps.doctor import check_tables

    plans = chosen(root_of(project), tenant, table)
    now = partial(datetime.now, UTC)
    totals = check_tables(plans, lambda plan: clients(plan, "doctor"), now, typer.echo, mend=yes)
    typer.echo(summary(totals, mend=yes))
    if code := exit_code(totals):
        raise typer.Exit(code)


def exit_code(totals: Totals) -> int:
    """The worst of what is left."""
    if totals.failed:
        return 1
    if totals.refused:
        return REFUSED
    return MENDABLE if totals.mendable > totals.mended else 0


def summary(totals: Totals, *, mend: bool) -> str:
    """`9 tables, 1,204 windows: 2 can be mended, 1 needs you; nothing was changed, --yes mends`"""
    said = [f"{totals.mended} mended"] if mend else []
    left = totals.mendable - totals.mended
    said += [f"{left} can be mended"] if left else []
    said += [f"{totals.refused} need{'s' if totals.refused == 1 else ''} you"] if totals.refused else []
    said += [f"{counted(totals.failed, 'table')} could not be looked at"] if totals.failed else []
    end = "; nothing was changed, --yes mends" if left and not mend else ""
    windows = counted(totals.windows, "window")
    return f"{counted(totals.tables, 'table')}, {windows}: {', '.join(said) or 'all fit together'}{end}"
