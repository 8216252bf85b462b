"""`tenantdags mute`, `unmute` and `mutes`: for a while, and for a reason, nobody is told about a tenant or a table."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from tenantdags.cli.choice import TenantName, chosen, errors_shown
from tenantdags.cli.options import ProjectOption, refuse, root_of
from tenantdags.model.plan import TablePlan
from tenantdags.model.words import counted

if TYPE_CHECKING:
    from tenantdags.steps.alert_mutes import Mute
    from tenantdags.steps.blobs import Blobs

LONGEST = timedelta(days=31)
Table = Annotated[str | None, typer.Argument(help="One of its tables. Default: all of them.", metavar="[TABLE]")]
Until = Annotated[str, typer.Option("--until", help="When it ends, like 2026-11-22T08:00, in the tenant's zone.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for whoever finds it silent.")]


def mute(tenant: TenantName, until: Until, reason: Reason, table: Table = None, project: ProjectOption = None) -> None:
    """Tell nobody about a tenant, or one table, until then. Incidents are recorded, and told if they outlast it."""
    from tenantdags.steps import alert_mutes
    from tenantdags.steps.alert_mutes import Mute

    plan, now = _plan(root_of(project), tenant, table), datetime.now(UTC)
    ends = _instant(until, plan)
    if not reason.strip():
        raise refuse("--reason needs a text")
    if not now < ends <= now + LONGEST:
        raise refuse(f"--until {until} is not within the next {LONGEST.days} days")
    new = Mute(tenant=tenant, table=table, until=ends, reason=reason.strip(), by=getpass.getuser(), at=now)
    with errors_shown():
        alert_mutes.mute(_blobs(plan), new)
    typer.echo(_line(new, now, plan.schedule.time_zone))


def unmute(tenant: TenantName, table: Table = None, project: ProjectOption = None) -> None:
    """End a mute now. What is still wrong is told within a minute."""
    from tenantdags.steps import alert_mutes

    plan = _plan(root_of(project), tenant, table)
    with errors_shown():
        if not alert_mutes.unmute(_blobs(plan), tenant, table):
            raise refuse(f"{tenant} {table or '(all tables)'} is not muted")
    typer.echo(f"{tenant} {table or '(all tables)'} is heard again")


def mutes(project: ProjectOption = None) -> None:
    """Tell every mute there is, and those that ended by themselves."""
    from tenantdags.steps import alert_mutes

    now, number = datetime.now(UTC), 0
    with errors_shown():
        for blobs in _every(chosen(root_of(project), None, None)):
            for found in alert_mutes.mutes(blobs):
                typer.echo(_line(found, now, "UTC"))
                number += found.holds(now)
    typer.echo(counted(number, "mute"), err=True)


def _plan(root: Path, tenant: str, table: str | None) -> TablePlan:
    return chosen(root, tenant, table)[0]


def _instant(text: str, plan: TablePlan) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise refuse(f"--until {text!r} is no time like 2026-11-22T08:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(plan.schedule.time_zone))).astimezone(UTC)


def _line(found: Mute, now: datetime, zone: str) -> str:
    """`acme orders is muted until 2026-11-22 08:00 Europe/Berlin: server moves (root)`."""
    until = found.until.astimezone(ZoneInfo(zone))
    state = "is muted" if found.holds(now) else "was muted"
    return f"{found.where} {state} until {until:%Y-%m-%d %H:%M} {zone}: {found.reason} ({found.by})"


def _every(plans: tuple[TablePlan, ...]) -> Iterator[Blobs]:
    """The containers of these plans, each once."""
    seen = {(plan.landing.connection, plan.landing.container): plan for plan in plans}
    yield from map(_blobs, seen.values())


def _blobs(plan: TablePlan) -> Blobs:
    # Airflow reads it at import; what its clients log of a failure, our errors say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag.alerts import memory

    return memory(plan.landing.connection, plan.landing.container)
