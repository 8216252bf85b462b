"""What all subcommands share: the --project option, and how mistakes in files are shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tenantdags.model.errors import ConfigError
from tenantdags.model.project import project_root
from tenantdags.model.words import counted

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", help="The folder that holds config/ and include/. Default: this one or one above it."),
]


def root_of(project: Path | None) -> Path:
    """The project meant: the one named, or the one the current folder lies in."""
    return project if project is not None else project_root(Path.cwd())


@contextmanager
def problems_shown() -> Iterator[None]:
    """Prints the problems of a ConfigError, one per line, and exits with 1."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem))
        typer.echo(counted(len(error.problems), "problem"), err=True)
        raise typer.Exit(1) from None


def refuse(text: str) -> typer.Exit:
    """Prints why a command does nothing; to be raised."""
    typer.echo(text, err=True)
    return typer.Exit(1)
