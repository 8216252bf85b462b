"""`tenantdags new` and `remove`: what they write, tell, refuse, and leave alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tests.cli.scaffold_cases import CASES, GOLDEN, outcome
from tests.cli.test_commands import ROOT, WITHOUT_AIRFLOW


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "include/contracts", tmp_path / "include/contracts")
    return tmp_path


def run(*words: str | Path):
    return CliRunner().invoke(app, [str(word) for word in words])


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", CASES)
def test_the_whole_outcome_is_its_golden_file(name, tmp_path):
    assert outcome(CASES[name], tmp_path / "project") == (GOLDEN / f"{name}.txt").read_text()


def test_every_golden_file_has_a_case():
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


def test_a_new_tenant_passes_check(project):
    made = run("new", "initech", "--like", "globex", "--project", project)

    assert made.exit_code == 0
    assert run("check", "--project", project).stdout.endswith(
        "4 tenants, 12 tables, 160 checks: no problems, 1 warning\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["acme"], "config/tenants/acme.yaml exists; new writes over nothing\n"),
        (["Initech"], "'Initech' is not a name: a small letter, then up to 30 small letters, digits or single _\n"),
        (
            ["../initech"],
            "'../initech' is not a name: a small letter, then up to 30 small letters, digits or single _\n",
        ),
        (["initech", "--like", "glbex"], "no tenant 'glbex', did you mean 'globex'?\n"),
        (["initech", "--like", "../globex"], "no tenant '../globex', did you mean 'globex'?\n"),
    ],
)
def test_what_new_refuses_changes_nothing(words, said, project):
    before = files(project)
    done = run("new", *words, "--project", project)

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", said)
    assert files(project) == before


def test_a_file_that_differs_by_case_is_not_written_over(project):
    (project / "config/tenants/Initech.yaml").write_text("tenant: initech\n")
    done = run("new", "initech", "--project", project)

    assert done.stderr == "config/tenants/Initech.yaml exists; new writes over nothing\n"


def test_a_broken_example_is_told_with_its_problems(project):
    (project / "config/tenants/globex.yaml").write_text("tenant: [")
    done = run("new", "initech", "--like", "globex", "--project", project)

    assert done.exit_code == 1
    assert done.stdout.startswith("config/tenants/globex.yaml:")
    assert not (project / "config/tenants/initech.yaml").exists()


def test_a_folder_that_cannot_be_written_is_told(project):
    tenants = project / "config/tenants"
    (tenants / "initech.yaml").symlink_to("nowhere/initech.yaml")
    done = run("new", "initech", "--project", project)

    assert done.exit_code == 1
    assert "Traceback" not in done.output


def test_remove_without_yes_changes_nothing(project):
    before = files(project)
    done = run("remove", "globex", "--project", project)

    assert done.exit_code == 0
    assert files(project) == before


def test_remove_with_yes_deletes_the_one_file(project):
    before = files(project)
    done = run("remove", "globex", "--yes", "--project", project)

    assert done.stdout.endswith("deleted config/tenants/globex.yaml; commit that and open the pull request\n")
    assert before.keys() - files(project).keys() == {"config/tenants/globex.yaml"}
    assert run("check", "--project", project).exit_code == 0


def test_remove_of_nobody_is_refused(project):
    done = run("remove", "globx", "--yes", "--project", project)

    assert (done.exit_code, done.stderr) == (1, "no tenant 'globx', did you mean 'globex'?\n")


@pytest.mark.parametrize("words", [["new", "initech"], ["remove", "acme"]])
def test_neither_needs_airflow_or_any_client(words, project):
    environment = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"], "HOME": str(project)}
    command = [sys.executable, "-c", WITHOUT_AIRFLOW, *words, "--project", str(project)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
