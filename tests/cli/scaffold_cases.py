"""Commands that write or delete a tenant file, and everything they say and write, as text."""

import shutil
from pathlib import Path

from typer.testing import CliRunner

from tenantdags.cli.main import app

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/scaffold"
FIRST = ("--first-window", "2026-11-20")
CASES: dict[str, tuple[str, ...]] = {
    "new_like_an_own_database": ("new", "initech", "--like", "globex", *FIRST),
    "new_like_a_shared_database": ("new", "initech", "--like", "acme", *FIRST),
    "new_like_the_least": ("new", "initech", "--like", "northwind", *FIRST),
    "new_like_nobody": ("new", "initech", *FIRST),
    "remove_an_own_database": ("remove", "globex"),
    "remove_a_shared_database": ("remove", "acme", "--yes"),
}


def outcome(words: tuple[str, ...], root: Path) -> str:
    """What the command prints, and the file it leaves."""
    shutil.copytree(ROOT / "config", root / "config")
    shutil.copytree(ROOT / "include/contracts", root / "include/contracts")
    done = CliRunner().invoke(app, [*words, "--project", str(root)])
    file = root / f"config/tenants/{words[1]}.yaml"
    left = file.read_text() if file.exists() and words[0] == "new" else ""
    return f"$ tenantdags {' '.join(words)}\n{done.output}{'---' * bool(left)}\n{left}"
