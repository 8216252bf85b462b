"""`tenantdags retry`: clears the tasks of a window's run that are worth another try, and those alone."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from tenantdags.cli.choice import TableName, TenantName, WindowKey, errors_shown, one_window
from tenantdags.cli.options import ProjectOption, refuse, root_of
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window

Step = Literal["extract", "check_extract", "upload", "load", "check_load", "publish"]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without it, nothing is changed.")]
From = Annotated[
    Step | None, typer.Option("--from", help="The task to begin with. Default: by the kind of the failure.")
]


def retry(
    tenant: TenantName,
    table: TableName,
    window: WindowKey,
    begin: From = None,
    yes: Yes = False,
    project: ProjectOption = None,
) -> None:
    """Run what failed of a window again: picks the tasks to clear by the failure's kind and says what will happen."""
    plan, which = one_window(root_of(project), tenant, table, window)
    # Airflow reads it at import; what its clients log of a failure, the lines here say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    with errors_shown():
        _retry(plan, which, begin, yes)


def _retry(plan: TablePlan, window: Window, begin: Step | None, yes: bool) -> None:
    from tenantdags.dag.on_call import retry_of
    from tenantdags.steps.retry import NoRetry, clear, lines

    asked = retry_of(plan, window, begin)
    if isinstance(asked.found, NoRetry):
        raise refuse("\n".join(lines(plan, window, asked.found)))
    would = clear(asked.api, plan, asked.found, dry_run=True)
    for line in lines(plan, window, asked.found, would, asked.paused):
        typer.echo(line)
    if not yes:
        step = f" --from {begin}" if begin else ""
        typer.echo(
            f"nothing was changed; `tenantdags retry {plan.tenant} {plan.table} {window.key}{step} --yes` does it"
        )
        return
    done = clear(asked.api, plan, asked.found, dry_run=False)
    typer.echo(f"done: {len(done)} tasks were cleared; `tenantdags explain {plan.tenant} {plan.table} {window.key}`")
