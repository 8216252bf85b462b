"""`tenantdags schema`: a JSON schema of one kind of file, by which editors complete and explain its keys, or of the QA
summary, by which programs read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tenantdags.cli.options import ProjectOption, problems_shown, root_of
from tenantdags.model.project import TENANTS, known_names
from tenantdags.model.schema import Kind, Known
from tenantdags.model.schema import schema as schema_of

KindArgument = Annotated[Kind, typer.Argument(help="The kind of file.")]


def schema(kind: KindArgument = "tenant", project: ProjectOption = None) -> None:
    """Print the JSON schema (draft 2020-12) of tenant files, the defaults, the groups, contracts or the QA summary.

    In a project it offers the project's own tiers, groups, contracts, flags and rules.
    """
    with problems_shown():
        found = schema_of(kind, _known(root_of(project)))
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _known(root: Path) -> Known:
    return known_names(root) if (root / TENANTS).is_dir() else Known()
