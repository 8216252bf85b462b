"""`tenantdags remove`: deletes a tenant's file when told --yes, and tells what stays behind everywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenantdags.cli.options import ProjectOption, refuse, root_of
from tenantdags.model.configuration import plans_by_tenant
from tenantdags.model.fields import suggestion
from tenantdags.model.leftovers import leftovers
from tenantdags.model.project import TENANTS, tenant_files

Yes = Annotated[bool, typer.Option("--yes", help="Delete the file. Without it, nothing is changed.")]
TenantName = Annotated[str, typer.Argument(help="The tenant to remove.")]


def remove(tenant: TenantName, yes: Yes = False, project: ProjectOption = None) -> None:
    """Tell what stays behind of TENANT, and with --yes delete its file."""
    root = root_of(project)
    files = tenant_files(root)
    if tenant not in files:
        raise refuse(f"no tenant {tenant!r}{suggestion(tenant, files)}")
    typer.echo(_told(root, tenant), nl=False)
    file = f"{TENANTS}/{tenant}.yaml"
    if not yes:
        typer.echo(f"nothing was changed; `tenantdags remove {tenant} --yes` deletes {file}")
        return
    try:
        files[tenant].unlink()
    except OSError as error:
        raise refuse(f"{file} cannot be deleted: {error.strerror}") from None
    typer.echo(f"deleted {file}; commit that and open the pull request")


def _told(root: Path, tenant: str) -> str:
    plans, broken = plans_by_tenant(root)
    if tenant in broken:
        lines = [f"  {problem}" for problem in broken[tenant]]
        told = "its file does not pass check, so what it uses cannot be listed; what it loaded stays where it is"
        return "\n".join([f"{tenant}: {told}", *lines]) + "\n"
    others = [plan for name, its in plans.items() if name != tenant for plan in its]
    sections = [(title, lines) for title, lines in leftovers(plans[tenant], others) if lines]
    stays = [f"{title}:\n" + "\n".join(f"  {line}" for line in lines) for title, lines in sections]
    return "\n".join([f"Without its file, of {tenant} this stops or stays behind.", "", *stays, ""]) + "\n"
