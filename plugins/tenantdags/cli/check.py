"""`tenantdags check`: every mistake in tenant files, defaults and contracts, at once. Needs no Airflow or network."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from tenantdags.cli.options import ProjectOption, root_of
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.project import Project, check_project
from tenantdags.model.words import counted

Format = Literal["text", "json", "github"]
FormatOption = Annotated[Format, typer.Option("--format", help="github: annotations on a pull request's lines.")]


def check(project: ProjectOption = None, output: FormatOption = "text") -> None:
    """Check every tenant file, the defaults and the contracts. Exits with 1 when something is wrong."""
    try:
        checked = check_project(root_of(project))
        problems, told = checked.warnings, summary(checked)
    except ConfigError as error:
        problems, told = error.problems, counts(error.problems)
    wrong = any(problem.severity == "error" for problem in problems)
    show(problems, output)
    if output != "json":
        typer.echo(told, err=wrong)
    if wrong:
        raise typer.Exit(1)


def show(problems: tuple[Problem, ...], output: Format) -> None:
    """All problems in one format, on stdout."""
    if output == "json":
        typer.echo(json_text(problems))
        return
    for problem in problems:
        typer.echo(annotation(problem) if output == "github" else str(problem))


def json_text(problems: tuple[Problem, ...]) -> str:
    """`{"format": 1, "errors": 1, "warnings": 0, "problems": [{"file", "line", "column", …}]}`."""
    import json

    errors = sum(problem.severity == "error" for problem in problems)
    said = {"format": 1, "errors": errors, "warnings": len(problems) - errors, "problems": [*map(asdict, problems)]}
    return json.dumps(said, indent=2, ensure_ascii=False)


def annotation(problem: Problem) -> str:
    """One workflow command.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message
    """
    place = {"file": problem.file, "line": problem.line, "col": problem.column, "title": problem.rule}
    properties = ",".join(f"{name}={_escaped(str(value), ':', ',')}" for name, value in place.items())
    said = f"{problem.path}: {problem.text}" if problem.path else problem.text
    return f"::{problem.severity} {properties}::{_escaped(said)}"


def _escaped(text: str, *also: str) -> str:
    """As the runner reads it back: % first, or the escapes would be escaped."""
    for letter in ("%", "\r", "\n", *also):
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def summary(project: Project) -> str:
    """`3 tenants, 9 tables, 61 checks: no problems, 1 warning`."""
    checks = sum(len(plan.checks) for plan in project.plans)
    numbers = ((len(project.tenants), "tenant"), (len(project.plans), "table"), (checks, "check"))
    warnings = f", {counted(len(project.warnings), 'warning')}" if project.warnings else ""
    return f"{', '.join(counted(number, noun) for number, noun in numbers)}: no problems{warnings}"


def counts(problems: tuple[Problem, ...]) -> str:
    """`5 problems`, `1 problem, 2 warnings`."""
    warnings = sum(problem.severity == "warning" for problem in problems)
    told = counted(len(problems) - warnings, "problem")
    return f"{told}, {counted(warnings, 'warning')}" if warnings else told
