"""`tenantdags diff`: what merging the configuration in this folder will do. Needs no Airflow, network or secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from tenantdags.cli.options import ProjectOption, root_of
from tenantdags.cli.revision import RevisionError, forked_from, revision_folder
from tenantdags.model.configuration import read_configuration
from tenantdags.model.diff import Diff, compare
from tenantdags.model.diff_json import to_json
from tenantdags.model.diff_markdown import to_markdown
from tenantdags.model.diff_text import to_text

Format = Literal["text", "markdown", "json"]
WRITERS: dict[Format, Callable[[Diff], str]] = {"text": to_text, "markdown": to_markdown, "json": to_json}
Base = Annotated[str, typer.Argument(help="A git revision, such as origin/main, or another project's folder.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to tell it.")]
Now = Annotated[str | None, typer.Option(help="The instant to judge from, like 2026-11-23T12:00Z. Default: now.")]


def diff(base: Base, output: FormatOption = "text", now: Now = None, project: ProjectOption = None) -> None:
    """Tell what merging this folder's configuration over BASE will do."""
    root, instant = root_of(project), _instant(now)
    try:
        with _base_folder(root, base) as (folder, name):
            before = read_configuration(folder, name, instant.date())
    except RevisionError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    after = read_configuration(root, "this folder", instant.date())
    typer.echo(WRITERS[output](compare(before, after, instant)), nl=False)


@contextmanager
def _base_folder(root: Path, base: str) -> Iterator[tuple[Path, str]]:
    """The folder to compare with, and what to call it. A folder's name wins over a branch's."""
    if base and (Path(base) / "config").is_dir():
        yield Path(base), base
        return
    commit, name = forked_from(root, base)
    with revision_folder(root, commit) as folder:
        yield folder, name


def _instant(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an instant; write it like 2026-11-23T12:00Z") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
