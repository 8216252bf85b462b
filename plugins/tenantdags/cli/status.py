"""`tenantdags status`: what is late, missing, red or stuck in the whole fleet."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tenantdags.cli.choice import errors_shown
from tenantdags.cli.options import ProjectOption, problems_shown, root_of

Every = Annotated[bool, typer.Option("--all", help="Also list the windows that run and are in time.")]


def status(every: Every = False, project: ProjectOption = None) -> None:
    """Tell by tier what is late, missing, red or stuck, the most urgent first. Changes nothing, tells nobody."""
    # Airflow reads it at import; what its clients log of a failure, the lines here say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag.on_call import fleet_status
    from tenantdags.steps.status_text import to_lines

    with problems_shown(), errors_shown():
        found = fleet_status(root_of(project))
    for line in to_lines(found, every=every):
        typer.echo(line)
