"""Every command, option and link in the documentation exists."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tests.repository import ROOT, tracked

PAGES = [path for path in tracked() if path.suffix == ".md" and path.parts[0] != "tests"]
CODE = re.compile(r"^(?: {4}|\$ )(.+)$|`([^`\n]+)`", re.M)
PROGRAMS = ("tenantdags", "python -m sandbox", "python -m benchmarks")
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")


def commands(text: str) -> list[str]:
    """What a page shows as typed: lines of indented or fenced code, and `inline code`; comments cut off."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    lines = [first or second for first, second in CODE.findall(text)] + "\n".join(fenced).splitlines()
    return [line.split("  #")[0].split(" #")[0].strip().removeprefix("$ ").removeprefix(".venv/bin/") for line in lines]


def documented(program: str) -> list[tuple[str, str]]:
    """(page, command) for every documented command of a program, such as `make demo` or `tenantdags plan acme`."""
    found = [(str(page), line) for page in PAGES for line in commands((ROOT / page).read_text())]
    return sorted({(page, line) for page, line in found if line == program or line.startswith(program + " ")})


@cache
def help_of(program: str, subcommand: str) -> tuple[int, str]:
    """Exit code and text of a command's `--help`."""
    words = [*([subcommand] if subcommand else []), "--help"]
    if program == "tenantdags":  # in this process, for there are many
        shown = CliRunner().invoke(app, words, env={"TERMINAL_WIDTH": "200", "NO_COLOR": "1"}, terminal_width=200)
        return shown.exit_code, shown.output
    command = [sys.executable, *program.split()[1:], *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def subcommands(line: str, program: str) -> list[str]:
    """`tenantdags check|plan` documents two subcommands; `tenantdags` alone documents none."""
    words = shlex.split(line.removeprefix(program), comments=True)
    return re.split(r"[|]", words[0]) if words and not words[0].startswith("-") else [""]


@pytest.mark.parametrize(("page", "line"), [case for program in PROGRAMS for case in documented(program)])
def test_a_documented_command_exists(page, line):
    program = next(program for program in PROGRAMS if line == program or line.startswith(program + " "))
    for subcommand in subcommands(line, program):
        code, shown = help_of(program, subcommand)

        assert code == 0, f"{page}: `{line}`: {shown[-500:]}"
        options = {word.split("=")[0] for word in line.split() if word.startswith("--")}
        assert {option for option in options if option not in shown} == set(), f"{page}: `{line}`"


@pytest.mark.parametrize(("page", "line"), documented("make"))
def test_a_documented_make_target_exists(page, line):
    command = ["make", "--dry-run", *(word for word in line.split()[1:] if word)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{page}: {done.stderr}"


def test_commands_are_found_in_the_pages():
    assert documented("make")
    assert documented("python -m benchmarks")


def anchors(page: Path) -> set[str]:
    """The ids GitHub gives headings: lower case, punctuation dropped, spaces to hyphens."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    file = (page.parent / target).resolve() if target else page
    return not file.exists() or bool(anchor and file.suffix == ".md" and anchor not in anchors(file))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_resolve(page):
    links = [link for link in LINK.findall((ROOT / page).read_text()) if "://" not in link]

    assert [link for link in links if broken(ROOT / page, link)] == []


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One two!\n")

    assert broken(page, "missing.md")
    assert broken(page, "#three")
    assert not broken(page, "#one-two")
    assert not broken(page, "page.md#one-two")
