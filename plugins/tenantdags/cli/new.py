"""`tenantdags new`: a complete, commented tenant file, and what is to be done next. Asks nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from tenantdags.cli.options import ProjectOption, problems_shown, refuse, root_of
from tenantdags.model.configuration import plans_by_tenant
from tenantdags.model.fields import Name, suggestion
from tenantdags.model.needs import Need, needs_of
from tenantdags.model.project import (
    TENANTS,
    load_tenant,
    newest_contracts,
    platform_of,
    said_by,
    tenant_files,
)
from tenantdags.model.scaffold import Known, Scaffold, from_like, from_nothing

TenantName = Annotated[
    str, typer.Argument(help="The new tenant's id: its file's name and the first part of its DAGs'.")
]
Like = Annotated[str | None, typer.Option(help="A tenant to take tier, time zone, tables and settings from.")]
FirstWindow = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first date to load. Default: today (UTC).")
]


def new(tenant: TenantName, like: Like = None, first_window: FirstWindow = None, project: ProjectOption = None) -> None:
    """Write config/tenants/TENANT.yaml and tell what to do next."""
    root = root_of(project)
    first = first_window.date() if first_window else datetime.now(UTC).date()
    _require_free(root, tenant)
    with problems_shown():
        scaffold = _scaffold(root, tenant, like, first)
        needed = _needed(root, tenant, scaffold)
    path = root / TENANTS / f"{tenant}.yaml"
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:  # x: never over a file that came meanwhile
            file.write(scaffold.text)
    except OSError as error:
        raise refuse(f"{TENANTS}/{tenant}.yaml cannot be written: {error.strerror}") from None
    typer.echo(_next_steps(tenant, scaffold, needed), nl=False)


def _require_free(root: Path, tenant: str) -> None:
    try:
        TypeAdapter(Name).validate_python(tenant)
    except ValidationError as error:
        raise refuse(error.errors()[0]["msg"]) from None
    taken = {name.lower(): name for name in tenant_files(root)}
    if tenant in taken:
        raise refuse(f"{TENANTS}/{taken[tenant]}.yaml exists; new writes over nothing")


def _scaffold(root: Path, tenant: str, like: str | None, first: date) -> Scaffold:
    defaults, groups = platform_of(root)
    contracts = newest_contracts(root)
    known = Known(
        defaults=defaults,
        groups=tuple(groups.groups),
        contracts=tuple(contract.ref for contract in contracts),
        hashed=any(column.hashed for contract in contracts for column in contract.columns),
    )
    if like is None:
        return from_nothing(tenant, known, first)
    if like not in tenant_files(root):
        raise refuse(f"no tenant {like!r}{suggestion(like, tenant_files(root))}")
    return from_like(tenant, said_by(root, like), known, first)


def _needed(root: Path, tenant: str, scaffold: Scaffold) -> tuple[Need, ...]:
    """What the platform lacks for the new tenant: all it needs that no other tenant does."""
    defaults, groups = platform_of(root)
    anything = {"group": min(groups.groups), "tier": min(defaults.tiers), "time_zone": "UTC"}
    fills = {blank: anything.get(blank, tenant) for blank in scaffold.blanks}
    plans, others = load_tenant(root, tenant, scaffold.filled(fills)), plans_by_tenant(root)[0]
    known = {(need.kind, need.name) for its in others.values() for need in needs_of(its)}
    return tuple(n for n in needs_of(plans) if n.who == "platform" and (n.kind, n.name) not in known)


def _next_steps(tenant: str, scaffold: Scaffold, needed: tuple[Need, ...]) -> str:
    file = f"{TENANTS}/{tenant}.yaml"
    steps = ["Read it: every key is commented, and what is commented out is what holds without it."]
    if scaffold.blanks:
        steps.append(f"Fill in what only you know: {', '.join(scaffold.blanks)}.")
    if needed:
        steps.append("Ask the platform's owner for:")
    asked = [f"     - {need.kind} {need.name}: {need.what}" for need in needed]
    rest = ["tenantdags check", "tenantdags diff origin/main", f"Commit {file} and open the pull request."]
    numbered = [f"  {n}. {step}" for n, step in enumerate([*steps, *rest], 1)]
    at = len(steps)
    return "\n".join([f"wrote {file}", *numbered[:at], *asked, *numbered[at:]]) + "\n"
