"""`tenantdags prune`: removes what no reader has seen for a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from tenantdags.cli.choice import TableOption, TenantOption, chosen, clients
from tenantdags.cli.options import ProjectOption, refuse, root_of
from tenantdags.model.fields import PositiveDuration

OlderThan = Annotated[str, typer.Option("--older-than", help="What was seen or made since then stays; at least 7d.")]
Yes = Annotated[bool, typer.Option("--yes", help="Remove it. Without it, it is only told.")]


def prune(
    tenant: TenantOption = None,
    table: TableOption = None,
    older_than: OlderThan = "7d",
    yes: Yes = False,
    project: ProjectOption = None,
) -> None:
    """Remove superseded appends and loads, and what failed runs left; never anything that readers see."""
    from tenantdags.steps.prune import prune_tables, require_limit

    limit = _limit(older_than)
    try:
        require_limit(limit)
    except ValueError as error:
        raise refuse(f"--older-than {older_than}: {error}") from None
    plans = chosen(root_of(project), tenant, table)
    now = partial(datetime.now, UTC)
    totals = prune_tables(plans, lambda plan: clients(plan, "prune"), limit, now, typer.echo, dry_run=not yes)
    typer.echo(f"removed {totals}" if yes else f"would remove {totals}; nothing was changed, --yes does it")
    if totals.failed:
        raise refuse(f"{totals.failed} of {len(plans)} tables could not be looked at")


def _limit(text: str) -> timedelta:
    try:
        limit: timedelta = TypeAdapter(PositiveDuration).validate_python(text)
    except ValidationError as error:
        raise refuse(f"--older-than: {error.errors()[0]['msg']}") from None
    return limit
