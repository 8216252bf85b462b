"""`tenantdags watch`: the watchdog from outside Airflow, and whether any watchdog still looks."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from tenantdags.cli.choice import errors_shown
from tenantdags.cli.options import ProjectOption, problems_shown, refuse, root_of

Once = Annotated[bool, typer.Option("--once", help="Look once and end, for a cron. Without it: every minute.")]
Age = Annotated[
    bool, typer.Option("--heartbeat-age", help="Do not look; tell how old the last look is. Exits with 1 when too old.")
]
MaxAge = Annotated[int, typer.Option("--max-age", help="Minutes after which a look counts as too old.", min=1)]


def watch(project: ProjectOption = None, once: Once = False, heartbeat_age: Age = False, max_age: MaxAge = 5) -> None:
    """Tell on-call of windows that are not published when they are due. Works while Airflow is down."""
    # Airflow reads it at import; what its clients log of a failure, the lines here say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    root = root_of(project)
    if heartbeat_age:
        _tell_age(root, timedelta(minutes=max_age))
        return
    if once:
        _look(root)
        return
    while True:
        pause = 60 - time.time() % 60
        with suppress(typer.Exit):  # the reason is printed; the next look may find landing again
            pause = (_look(root) - datetime.now(UTC)).total_seconds()
        time.sleep(max(1.0, pause))


def _look(root: Path) -> datetime:
    """When to look again."""
    from tenantdags.dag.watch import look_once, next_look
    from tenantdags.steps.watch_text import look_lines

    with problems_shown(), errors_shown():
        found = look_once(root)
    for line in look_lines(found):
        typer.echo(line)
    return next_look(found)


def _tell_age(root: Path, at_most: timedelta) -> None:
    from tenantdags.dag.watch import platform_blobs
    from tenantdags.steps.ledger_file import last_beat

    with problems_shown(), errors_shown():
        found = last_beat(platform_blobs(root, "watch"), "watch")
    if found is None:
        raise refuse("the watch has never looked. Remedy: unpause tenantdags_watch, or run `tenantdags watch --once`.")
    age = max(timedelta(), datetime.now(UTC) - found[0])  # a clock that went back makes no age
    text = f"the last look was {int(age.total_seconds())} s ago: {found[1].get('overdue')} windows overdue"
    if age > at_most:
        raise refuse(f"{text}. Remedy: look at the DAG tenantdags_watch; meanwhile run `tenantdags watch --once`.")
    typer.echo(text)
