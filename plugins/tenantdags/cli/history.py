"""`tenantdags history`: every load, append and generation of one window, and which one readers see."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tenantdags.cli.choice import TableName, TenantName, WindowKey, clients, errors_shown, one_window
from tenantdags.cli.options import ProjectOption, root_of

Format = Annotated[Literal["text", "json"], typer.Option("--format", help="How to tell it.")]


def history(
    tenant: TenantName, table: TableName, window: WindowKey, output: Format = "text", project: ProjectOption = None
) -> None:
    """Tell every load, append, generation and attempt of a window, and which one readers see."""
    plan, which = one_window(root_of(project), tenant, table, window)
    with errors_shown():
        landing, statements = clients(plan, which)
        from tenantdags.steps.history import history as look
        from tenantdags.steps.history import to_json, to_text

        found = look(plan, which, landing, statements)
    typer.echo(to_json(found) if output == "json" else to_text(found).rstrip("\n"))
