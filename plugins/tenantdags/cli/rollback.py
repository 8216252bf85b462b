"""`tenantdags rollback`: shows readers an earlier version of one window again."""

from __future__ import annotations

import getpass
import shlex
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tenantdags.cli.choice import TableName, TenantName, WindowKey, clients, errors_shown, one_window
from tenantdags.cli.options import ProjectOption, refuse, root_of
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window

if TYPE_CHECKING:
    from tenantdags.steps.published import Generation
    from tenantdags.steps.rollback import Rollback

Reason = Annotated[str, typer.Option(help="Why, in words; it stands in the publish log for good.")]
To = Annotated[int | None, typer.Option("--to", help="The generation to show. Default: what was seen before this one.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without it, nothing is changed.")]
By = Annotated[str | None, typer.Option("--by", help="Who asks for it. Default: your login name.")]


def rollback(
    tenant: TenantName,
    table: TableName,
    window: WindowKey,
    reason: Reason,
    to: To = None,
    yes: Yes = False,
    by: By = None,
    project: ProjectOption = None,
) -> None:
    """Show readers an earlier version of a window again, as one more generation."""
    plan, which = one_window(root_of(project), tenant, table, window)
    why = _reason(reason)
    with errors_shown():
        _rollback(plan, which, to, why, by or getpass.getuser(), yes)


def _rollback(plan: TablePlan, window: Window, to: int | None, reason: str, actor: str, yes: bool) -> None:
    landing, statements = clients(plan, window)
    from tenantdags.steps.rollback import propose
    from tenantdags.steps.rollback import rollback as roll_back

    proposed = propose(plan, window, to, landing, statements)
    typer.echo(told(plan, window, proposed))
    if not yes:
        words = ["tenantdags", "rollback", plan.tenant, plan.table, window.key, "--to", str(proposed.target.generation)]
        typer.echo(f"nothing was changed; `{shlex.join([*words, '--reason', reason])} --yes` does it")
        return
    done = roll_back(
        plan, window, proposed, landing, statements, reason=reason, actor=actor, now=partial(datetime.now, UTC)
    )
    typer.echo(f"done: readers see generation {done.generation}, rolled back by {actor}")


def told(plan: TablePlan, window: Window, proposed: Rollback) -> str:
    """What readers see, and what they would."""
    target = proposed.target
    return "\n".join(
        [
            plan.at(window),
            f"  readers see     {_generation(proposed.shown)}",
            f"  they would see  {_generation(target)}",
            f"                  as generation {proposed.number}; the next run of the window publishes over it",
        ]
    )


def _generation(fact: Generation) -> str:
    again = f" (a rollback to {fact.restores})" if fact.restores else ""
    when = f"{fact.published_at:%Y-%m-%d %H:%M:%SZ}"
    return f"generation {fact.generation}{again}: {fact.rows} rows of load {fact.load_id}, published {when}"


def _reason(text: str) -> str:
    from tenantdags.steps.rollback import usable_reason

    try:
        return usable_reason(text)
    except ValueError as error:
        raise refuse(str(error)) from None
