"""docs/rules.md: every rule, from the registry; what is refused and the message come from the bad tenants."""

import re
import tempfile
from functools import cache
from pathlib import Path

from tenantdags.model.rules import SECTIONS, Rule
from tests.tenants.cases import cases, project_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/rules.md"
INTRODUCTION = """\
# Rules of the configuration

Every message of `tenantdags check` ends with the id of its rule:

    config/tenants/acme.yaml:15:5: tables.orders.lookbak: unknown key, did you mean 'lookback'? [CFG012]

Rules CFG0xx and CFG1xx are errors: `check` exits with 1, and the tenant of such a file is not loaded. Rules CFG9xx are
warnings: legal but risky, shown in a pull request, and they fail nothing. `tenantdags check --format github` writes the
messages as annotations on a pull request's lines, `--format json` as JSON.

This page is written from the code (`python -m tests.regenerate`); a test keeps it complete, and every refused line and
message below is one of a test.
"""
SAID = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): .*\[(?P<rule>CFG\d{3})\]$")


def page() -> str:
    """The whole page."""
    sections = [f"## {title}\n\n" + "\n".join(map(section, rules)) for title, rules in SECTIONS.items()]
    return "\n".join([INTRODUCTION, *sections])


def section(rule: Rule) -> str:
    """One rule: what it means, the cure, a refused line with its message, and what is accepted."""
    lines = [f"### {rule.id}: {rule.title}", "", rule.meaning, "", f"*Cure:* {rule.fix}", ""]
    if rule.told_by == "diff":
        lines += ["Told by `tenantdags diff`, which compares two revisions.", ""]
    if rule.told_by == "contract check":
        lines += ["Told by `tenantdags contract check`.", ""]
    lines += ["```yaml", *shown(rule.id), f"{rule.good}  # accepted", "```", ""]
    return "\n".join(lines)


def shown(rule: str) -> list[str]:
    """The line of a bad tenant and its message, as comments and text of YAML."""
    message, line = examples().get(rule, ("", ""))
    refused = [f"{line}  # refused"] if line else []
    return [*([f"# {message}"] if message else []), *refused]


@cache
def examples() -> dict[str, tuple[str, str]]:
    """Of each rule the first message in the corpus, and the line it is about, if it is about one."""
    found: dict[str, tuple[str, str]] = {}
    for case in (*cases("bad"), *cases("good")):
        for message in (case / "expected.txt").read_text().splitlines():
            match = SAID.match(message)
            if match and match["rule"] not in found:
                found[match["rule"]] = (message, _line(case, match))
    return found


def _line(case: Path, said: re.Match[str]) -> str:
    if said["column"] == "1" and said["line"] == "1":
        return ""
    with tempfile.TemporaryDirectory() as folder:
        text = (project_of(case, Path(folder) / "project") / said["file"]).read_text()
    line = text.split("\n")[int(said["line"]) - 1].strip(" ")
    visible = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line)
    return visible if len(visible) <= 160 else f"{visible[:160]} …"
