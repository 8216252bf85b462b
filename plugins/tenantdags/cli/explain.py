"""`tenantdags explain`: what happened to one window, told from all sources, and what to do next."""

from __future__ import annotations

import os

import typer

from tenantdags.cli.choice import TableName, TenantName, WindowKey, errors_shown, one_window
from tenantdags.cli.options import ProjectOption, root_of


def explain(tenant: TenantName, table: TableName, window: WindowKey, project: ProjectOption = None) -> None:
    """Tell what happened to a window, what changed since the last green one, what readers see, and what to do."""
    root = root_of(project)
    plan, which = one_window(root, tenant, table, window)
    # Airflow reads it at import; what its clients log of a failure, the lines here say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag.on_call import story_of
    from tenantdags.steps.story_text import to_lines

    with errors_shown():
        found = story_of(root, plan, which)
    for line in to_lines(found):
        typer.echo(line)
