"""The workflow of a configuration's pull request: what it may do, what it runs, and that it can be run."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenantdags.model.diff_markdown import MARKER
from tests.repository import ROOT

TEXT = (ROOT / ".github/workflows/config-pr.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
LOOK, COMMENT = WORKFLOW["jobs"]["look"], WORKFLOW["jobs"]["comment"]


def scripts(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_code_of_a_pull_request_never_runs_beside_a_token_that_may_write():
    # YAML reads the key `on` as true
    assert list(WORKFLOW[True]) == ["pull_request"]
    assert WORKFLOW["permissions"] == {}
    assert LOOK["permissions"] == {"contents": "read"}
    assert COMMENT["permissions"] == {"pull-requests": "write"}
    assert [step["uses"] for step in COMMENT["steps"] if "uses" in step] == ["actions/download-artifact@v4"]
    assert "secrets." not in TEXT


def test_a_fork_gets_no_comment_and_fails_nothing():
    assert "github.event.pull_request.head.repo.full_name == github.repository" in COMMENT["if"]


@pytest.mark.parametrize("script", [*scripts(LOOK), *scripts(COMMENT)])
def test_nothing_of_a_pull_request_is_pasted_into_a_script(script):
    assert "${{" not in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_the_comment_is_found_again_by_the_line_the_diff_begins_with():
    (script,) = scripts(COMMENT)

    assert f'startswith("{MARKER}")' in script


@pytest.mark.parametrize(
    ("answer", "call"),
    [
        ("", "api --silent repos/o/r/issues/7/comments --field body=@diff.md"),
        ("11\n12\n", "api --silent --method PATCH repos/o/r/issues/comments/11 --field body=@diff.md"),
    ],
)
def test_one_comment_is_made_and_then_kept(answer, call, tmp_path):
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncase "$2" in --paginate) printf "{answer}";; esac\n')
    gh.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "REPOSITORY": "o/r", "NUMBER": "7"}
    (script,) = scripts(COMMENT)
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], env=environment, check=False)

    assert done.returncode == 0
    listed, written = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("api")]
    assert listed.startswith("api --paginate repos/o/r/issues/7/comments --jq ")
    assert written == call


def test_the_merge_and_its_first_parent_are_there():
    checkout = next(step for step in LOOK["steps"] if step.get("uses", "").startswith("actions/checkout"))

    assert checkout["with"] == {"fetch-depth": 2, "persist-credentials": False}
    assert any("tenantdags diff 'HEAD^1' --format markdown" in script for script in scripts(LOOK))
    assert any("tenantdags check --format github" in script for script in scripts(LOOK))


def test_what_it_installs_is_pinned():
    (script,) = [script for script in scripts(LOOK) if "pip install" in script]
    named = re.search(r"-c requirements\.txt (.*?)\n\S*\s*\.venv", script.replace("\\\n", " "), re.S)
    assert named
    pinned = {line.partition("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}

    assert set(named[1].split()) <= pinned


def test_every_configuration_file_wakes_it():
    assert {"config/**", "include/contracts/**"} <= set(WORKFLOW[True]["pull_request"]["paths"])


def test_the_pre_commit_hook_runs_check_for_the_files_check_reads():
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    files = [
        path.relative_to(ROOT) for folder in ("config", "include/contracts") for path in (ROOT / folder).rglob("*.yaml")
    ]

    assert hook["entry"] == "tenantdags check"
    assert hook["pass_filenames"] is False
    assert files
    assert [str(path) for path in files if not re.search(hook["files"], str(path))] == []
    assert not re.search(hook["files"], str(Path("plugins/tenantdags/model/plan.py")))
