"""`tenantdags preflight`: asks the world, with a tenant's connections, whether its runs can work."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenantdags.cli.options import ProjectOption, problems_shown, root_of
from tenantdags.model.fields import suggestion
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant, tenant_files
from tenantdags.model.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tenantdags.steps.preflight import Finding, World


Drafts = Annotated[
    Path | None,
    typer.Option("--drafts", help="Where a source no longer fits, write the contract's next version into this folder."),
]


def preflight(
    tenant: Annotated[str, typer.Argument(help="The tenant.")], drafts: Drafts = None, project: ProjectOption = None
) -> None:
    """Ask source, keys, landing and Databricks whether a tenant's runs can work. Reads no row, changes nothing."""
    root = root_of(project)
    files = tenant_files(root)
    if tenant not in files:
        typer.echo(f"no tenant {tenant!r}{suggestion(tenant, files)}", err=True)
        raise typer.Exit(1)
    with problems_shown():
        plans = load_tenant(root, tenant)
    findings = _findings(plans)
    for line in _drafts(findings, drafts):
        typer.echo(line)
    typer.echo(summary(findings), err=_failed(findings))
    if _failed(findings):
        raise typer.Exit(1)


def summary(findings: Sequence[Finding]) -> str:
    """`12 ok, 1 warning, 1 failure, 3 not asked`; what there is none of is left out but the first."""
    found = Counter[str](finding.level for finding in findings)
    said = [f"{found['ok']} ok"]
    said += [counted(found[level], noun) for level, noun in (("warn", "warning"), ("FAIL", "failure")) if found[level]]
    return ", ".join([*said, *([f"{found['-']} not asked"] if found["-"] else [])])


def _drafts(findings: Sequence[Finding], folder: Path | None) -> Iterator[str]:
    """Writes what was drafted, or tells how to have it written."""
    drafted = [finding.draft for finding in findings if finding.draft]
    if drafted and folder is None:
        yield f"--drafts FOLDER writes a draft of {', '.join(name for name, _ in drafted)}."
    for name, text in drafted if folder else ():
        path = Path(str(folder)) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        yield f"draft {path}"


def _findings(plans: tuple[TablePlan, ...]) -> list[Finding]:
    from tenantdags.steps.preflight import preflight as ask
    from tenantdags.steps.preflight import to_lines

    findings = list(ask(plans, _world()))
    for line in to_lines(findings):
        typer.echo(line)
    return findings


def _world() -> World:
    # Airflow reads it at import; what its clients log of a failure, the findings say better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag import world
    from tenantdags.dag.pools import pools_behind
    from tenantdags.steps.preflight import AT, World
    from tenantdags.steps.source import connect

    return World(
        connect=lambda plan: partial(connect, world.source_login(plan, AT)),
        catalogue=lambda plan: world.source_records(plan, AT),
        key=lambda plan: world.pii_key(plan, AT),
        container=lambda plan: world.container(plan, AT),
        statements=lambda plan: world.statements(plan, AT),
        databricks=lambda plan: world.databricks_call(plan, AT),
        pools_behind=lambda pools: pools_behind(pools, AT),
    )


def _failed(findings: Sequence[Finding]) -> bool:
    return any(finding.level == "FAIL" for finding in findings)
