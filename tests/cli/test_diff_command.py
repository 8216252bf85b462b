"""`tenantdags diff` reads a base out of git without touching the work tree, or a folder, and says what it compared."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tests.cli.test_commands import ROOT, WITHOUT_AIRFLOW

NOW = "2026-11-23T12:00Z"
ACME = "config/tenants/acme.yaml"


def run(*words: str | Path):
    return CliRunner().invoke(app, [str(word) for word in words])


def git(root: Path, *words: str) -> str:
    identity = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-C", str(root), "-c", "init.defaultBranch=main", *words]
    return subprocess.run(command, env=os.environ | identity, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path):
    """The example project in a subfolder of a repository, committed."""
    root = tmp_path / "repository/airflow"
    shutil.copytree(ROOT / "config", root / "config")
    shutil.copytree(ROOT / "include/contracts", root / "include/contracts")
    git(root.parent, "init", "--quiet")
    commit(root, "first")
    return root


def commit(root: Path, subject: str) -> str:
    git(root, "add", "--all", ".")
    git(root, "commit", "--quiet", "--message", subject)
    return git(root, "rev-parse", "--short=7", "HEAD")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_uncommitted_changes_are_compared_with_a_revision(project):
    edit(project / ACME, "lookback: 3", "lookback: 1")
    done = run("diff", "HEAD", "--project", project, "--now", NOW)

    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].startswith("HEAD (")
    assert "    windows: lookback: 3 → 1\n" in done.stdout
    assert git(project, "status", "--short") == f"M {ACME}"


def test_what_others_merged_meanwhile_is_not_told_as_taken_back(project):
    git(project, "switch", "--quiet", "--create", "branch")
    edit(project / ACME, "lookback: 3", "lookback: 1")
    commit(project, "mine")
    left = git(project, "rev-parse", "--short=7", "main")
    git(project, "switch", "--quiet", "main")
    edit(project / "config/tenants/globex.yaml", "tier: silver", "tier: gold")
    commit(project, "another's")
    git(project, "switch", "--quiet", "branch")
    said = json.loads(run("diff", "main", "--format", "json", "--project", project, "--now", NOW).stdout)

    assert said["base"] == f"main ({left}, where this branch left it)"
    assert [dag["dag"] for dag in said["changed"]] == ["acme__orders"]
    assert said["untouched"] == ["globex", "northwind"]


def test_a_shallow_merge_is_compared_with_what_it_is_merged_into(project, tmp_path):
    git(project, "switch", "--quiet", "--create", "branch")
    edit(project / ACME, "lookback: 3", "lookback: 1")
    commit(project, "mine")
    git(project, "switch", "--quiet", "main")
    edit(project / "config/tenants/globex.yaml", "tier: silver", "tier: gold")
    commit(project, "another's")
    git(project, "merge", "--quiet", "--no-ff", "--message", "merge", "branch")
    git(tmp_path, "clone", "--quiet", "--depth", "2", f"file://{project.parent}", "shallow")
    done = run("diff", "HEAD^1", "--format", "json", "--project", tmp_path / "shallow/airflow", "--now", NOW)

    assert [dag["dag"] for dag in json.loads(done.stdout)["changed"]] == ["acme__orders"]


def test_a_folder_can_be_the_base(project, tmp_path):
    shutil.copytree(project, tmp_path / "before", ignore=shutil.ignore_patterns(".git"))
    (project / "config/tenants/northwind.yaml").unlink()
    done = run("diff", tmp_path / "before", "--project", project, "--now", NOW)

    assert "northwind__orders\n" in done.stdout
    assert done.stdout.startswith(f"{tmp_path / 'before'} → this folder, seen at 2026-11-23 12:00 UTC\n")


def test_a_branch_without_common_history_is_compared_as_it_is(project):
    git(project, "switch", "--quiet", "--orphan", "other")
    shutil.copytree(ROOT / "config", project / "config", dirs_exist_ok=True)
    shutil.copytree(ROOT / "include/contracts", project / "include/contracts", dirs_exist_ok=True)
    commit(project, "anew")
    done = run("diff", "main", "--project", project, "--now", NOW)

    assert ", which shares no history with HEAD) → this folder" in done.stdout
    assert "0 DAGs added, 0 removed, 0 changed" in done.stdout


def test_a_base_with_broken_and_odd_files_is_told_and_the_rest_compared(project):
    (project / ACME).write_bytes(b"tenant: \xff\n")
    (project / "config/tenants/gl\tobex é.yaml").write_text("tenant: [")
    commit(project, "broken")
    git(project, "rm", "--quiet", ACME, "config/tenants/gl\tobex é.yaml")
    done = run("diff", "HEAD", "--project", project, "--now", NOW)

    assert (done.exit_code, done.stderr) == (0, "")
    assert "is not UTF-8 text" in done.stdout
    assert "globex, northwind" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("origin/main", "'origin/main' is neither a folder nor a git revision; "),
        ("--output=x", None),
        ("", "'' is neither a folder nor a git revision; "),
        ("HEAD:config", "'HEAD:config' is neither a folder nor a git revision; "),
    ],
)
def test_a_base_that_is_none_is_refused(project, base, said):
    done = run("diff", base, "--project", project)

    assert done.exit_code == 2
    assert done.stdout == ""
    assert said is None or done.stderr.startswith(said)


def test_a_folder_outside_git_is_told(tmp_path):
    done = run("diff", "main", "--project", tmp_path)

    assert done.exit_code == 2
    assert "not a git repository" in done.stderr


def test_a_symbolic_link_in_the_base_is_refused(project):
    (project / "config/tenants/linked.yaml").symlink_to("acme.yaml")
    base = commit(project, "link")
    (project / "config/tenants/linked.yaml").unlink()
    done = run("diff", "HEAD", "--project", project)

    assert done.exit_code == 2
    assert done.stderr == (
        f"config/tenants/linked.yaml of {base} is a symbolic link; configuration files are plain files\n"
    )


def test_an_instant_must_be_one():
    done = run("diff", "HEAD", "--now", "yesterday", "--project", ROOT)

    assert done.exit_code == 2
    assert "'yesterday' is not an instant" in done.stderr


def test_diff_needs_neither_airflow_nor_any_client(project):
    environment = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"], "HOME": str(project)}
    command = [sys.executable, "-c", WITHOUT_AIRFLOW, "diff", "HEAD", "--project", str(project)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "3 of 3 tenants not touched" in done.stdout
