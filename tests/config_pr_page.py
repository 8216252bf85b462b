"""docs/config-pr.md: a tenant from nothing to merged; every output in it is what the command says."""

import os
import shutil
import subprocess
import tempfile
from contextlib import chdir
from pathlib import Path

from typer.testing import CliRunner

from tenantdags.cli.main import app

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/config-pr.md"
FILE = "config/tenants/initech.yaml"
NOW = "2026-11-23T12:00Z"
# a commit's name depends on who made it and when
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "example"), ("EMAIL", "example@example.com"), ("DATE", "2026-11-20T09:00:00Z"))
}

TEXT = """\
# A tenant in a pull request: from nothing to merged

For whoever adds or changes a tenant, without knowing Airflow. Up to the pull request all commands run on a laptop: no
Airflow, no network, no secrets. This page is written by `python -m tests.regenerate`, which runs them; a test keeps it
true. What each key means is in [tenant-file.md](tenant-file.md), what each rule means in [rules.md](rules.md).

## 1. Write the file

{new}

The file is complete. What could be derived is derived: ids and connections from the tenant's name, the rest from the
tenant it is like. What nobody but you can know (in a shared database, the `tenant_value`) is left empty and listed.
Thresholds are not copied, because they fit one tenant's volume. `tenantdags new initech` alone writes one with every
table there is a contract for.

{file}

## 2. Check it

{good}

A warning is legal and fails nothing; this one was there before. A mistake is told with file, line, column, key and what
to write instead, all mistakes at once. With `setle` for `settle` and a time zone that is none:

{bad}

The number in brackets is the rule. `tenantdags schema` prints the JSON schema with which an editor completes and
explains keys while you type.

## 3. See what merging it will do

{diff}

BASE is a git revision, read out of git without touching your files, or another folder. It is compared with the commit
where your branch left it, so what others merged meanwhile is not yours. Lines to look at:

- **first run** is on the tenant's own clock. *At once* means that windows of the past are due; they are caught up with
  one after the other. A snapshot table (`customers`) begins with the oldest window that can still be observed.
- **Personal data that enters** must be what you agreed with the tenant.
- **The platform must have before the merge** is a request to the platform's owner. Without a connection, runs fail at
  their first task and say which one is missing.
- **Tenants not touched** is the proof that your change is yours alone.

`--format json` has every name where the text says "and 12 more", `--format markdown` is the pull request's comment.
`diff` exits with 0 whatever it has to tell (failing is `check`'s part), and with 2 where BASE cannot be read.

Where a single value comes from is told by `tenantdags plan initech orders --explain`.

## 4. Open the pull request

    git switch -c initech && git add config && git commit -m "Add initech" && git push -u origin initech

`.github/workflows/config-pr.yml` puts problems and warnings on the lines they are about, and keeps the diff as one
comment that is updated with every push. Pull requests from forks get no comment; there the diff stands in the summary
of the run. To check before each commit, name this repository in `.pre-commit-config.yaml` with the hook
`tenantdags-check`.

## 5. Merge it

Before the merge, the platform's owner adds what section 3 asks for and, where the connections are, asks all of it with
`tenantdags preflight initech`; `tenantdags apply` makes tables and views that do not exist yet. After the merge, the
DAGs appear by themselves and start with their first run. A tenant file that is wrong in spite of everything stops its
own tenant's DAGs and nobody else's.

## Changes that deserve a second look

Risky changes are warnings of the diff. Here the engineer of acme shortened the lookback, lowered a gate, and moved the
first window back:

{risky}

## Remove a tenant

{remove}

`tenantdags remove initech --yes` deletes the file, and nothing else.
"""


def page() -> str:
    """The whole page."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        _repository()
        parts = {"new": said("new", "initech", "--like", "globex", "--first-window", "2026-11-20")}
        parts["file"] = block("yaml", Path(FILE).read_text())
        parts["good"] = said("check")
        parts["bad"] = with_edits(FILE, [("# settle: 1h", "setle: 2h"), ("New_York", "NewYork")], "check")
        parts["diff"] = said("diff", "origin/main", hidden=("--now", NOW))
        parts["remove"] = said("remove", "initech")
        Path(FILE).unlink()
        edits = [("lookback: 3", "lookback: 1"), ("than: 100", "than: 1"), ("window: 2026-11-01", "window: 2026-06-01")]
        parts["risky"] = with_edits("config/tenants/acme.yaml", edits, "diff", "origin/main", hidden=("--now", NOW))
    return TEXT.format(**parts)


def _repository() -> None:
    shutil.copytree(ROOT / "config", "config")
    shutil.copytree(ROOT / "include/contracts", "include/contracts")
    for words in ("init --quiet --initial-branch=main", "add .", "commit --quiet --no-gpg-sign --message=main"):
        subprocess.run(["git", *words.split()], env=os.environ | _IDENTITY, check=True)
    subprocess.run(["git", "update-ref", "refs/remotes/origin/main", "HEAD"], check=True)


def said(*words: str, hidden: tuple[str, ...] = ()) -> str:
    """A command and all it prints. `hidden` words make the page the same on every day."""
    done = CliRunner().invoke(app, [*words, *hidden])
    return block("console", f"$ tenantdags {' '.join(words)}\n{done.output}")


def with_edits(file: str, edits: list[tuple[str, str]], *words: str, hidden: tuple[str, ...] = ()) -> str:
    """The same with a file changed meanwhile."""
    text = changed = Path(file).read_text()
    for old, new in edits:
        if old not in changed:
            raise ValueError(f"{file} no longer says {old!r}")
        changed = changed.replace(old, new)
    Path(file).write_text(changed)
    told = said(*words, hidden=hidden)
    Path(file).write_text(text)
    return told


def block(language: str, text: str) -> str:
    return f"```{language}\n{text}```"
