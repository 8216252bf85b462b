"""The text of `tenantdags check` and `plan`, their exit codes, and what they do without."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenantdags.cli.check import annotation
from tenantdags.cli.main import app
from tenantdags.model.errors import Problem

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "tests/golden/plans"
CASES = ROOT / "tests/tenants/bad"


LOWERED = (
    "config/tenants/acme.yaml:33:7: tables.orders.checks.email_null_pct: warning: the gate is lower than orders@1's: "
    "< 2 lets through what < 1 stops [CFG902]\n"
)


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "include/contracts", tmp_path / "include/contracts")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def run(*words: str | Path):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_good_project_is_one_line(project):
    done = run("check", "--project", project)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == LOWERED + "3 tenants, 9 tables, 120 checks: no problems, 1 warning\n"


def test_problems_are_printed_one_per_line_and_counted(project):
    shutil.copy(CASES / "many_problems_at_once/tenant.yaml", project / "config/tenants/acme.yaml")
    done = run("check", "--project", project)

    assert (done.exit_code, done.stderr) == (1, "5 problems\n")
    assert done.stdout == (CASES / "many_problems_at_once/expected.txt").read_text()


def test_problems_as_annotations_stand_at_the_lines_of_a_pull_request(project):
    edit(project / "config/tenants/globex.yaml", "tier: silver", "tier: silvr")
    done = run("check", "--format", "github", "--project", project)

    assert (done.exit_code, done.stderr) == (1, "1 problem, 1 warning\n")
    assert done.stdout == (
        "::warning file=config/tenants/acme.yaml,line=33,col=7,title=CFG902::tables.orders.checks.email_null_pct: "
        "the gate is lower than orders@1's: < 2 lets through what < 1 stops\n"
        "::error file=config/tenants/globex.yaml,line=5,col=7,title=CFG041::tier: 'silvr' is not a tier of "
        "config/defaults.yaml, did you mean 'silver'?\n"
    )


def test_an_annotation_escapes_what_the_runner_would_read_as_its_own():
    problem = Problem("a,b:c\n.yaml", 1, 2, "x", "50% of lines: yes, all", "CFG012")

    assert annotation(problem) == (
        "::error file=a%2Cb%3Ac%0A.yaml,line=1,col=2,title=CFG012::x: 50%25 of lines: yes, all"
    )


def test_problems_as_json_are_whole_and_nothing_else_is_printed(project):
    edit(project / "config/tenants/globex.yaml", "tier: silver", "tier: silvr")
    done = run("check", "--format", "json", "--project", project)
    said = json.loads(done.stdout)

    assert (done.exit_code, done.stderr) == (1, "")
    assert (said["format"], said["errors"], said["warnings"]) == (1, 1, 1)
    assert said["problems"][1] == {
        "file": "config/tenants/globex.yaml", "line": 5, "column": 7, "path": "tier", "rule": "CFG041",
        "severity": "error", "text": "'silvr' is not a tier of config/defaults.yaml, did you mean 'silver'?",
    }  # fmt: skip


def test_json_of_a_good_project_tells_its_warnings_and_succeeds():
    done = run("check", "--format", "json", "--project", ROOT)

    assert (done.exit_code, json.loads(done.stdout)["errors"]) == (0, 0)


def test_a_plan_of_one_table_is_its_golden_file():
    done = run("plan", "acme", "orders", "--project", ROOT)

    assert (done.exit_code, done.stdout) == (0, (PLANS / "acme__orders.txt").read_text())


def test_an_explained_plan_names_the_place_of_every_value():
    done = run("plan", "acme", "orders", "--explain", "--project", ROOT)

    assert (done.exit_code, done.stdout) == (0, (ROOT / "tests/golden/explain/acme__orders.txt").read_text())


def test_an_explained_plan_of_a_broken_tenant_is_its_problems(project):
    edit(project / "config/tenants/globex.yaml", "tier: silver", "tier: silvr")
    done = run("plan", "globex", "--explain", "--project", project)

    assert (done.exit_code, done.stdout.count("[CFG041]")) == (1, 1)


def test_a_schema_is_printed_as_json_also_outside_a_project(tmp_path):
    inside, outside = run("schema", "--project", ROOT), run("schema", "contract", "--project", tmp_path)

    assert (inside.exit_code, outside.exit_code) == (0, 0)
    assert json.loads(inside.stdout)["properties"]["tier"]["enum"] == ["bronze", "gold", "silver"]
    assert json.loads(outside.stdout)["title"] == "tenantdags: include/contracts/<table>.v<major>.odcs.yaml"


def test_plans_of_a_tenant_are_in_its_files_order_parted_by_an_empty_line():
    done = run("plan", "globex", "--project", ROOT)
    expected = [(PLANS / f"globex__{table}.txt").read_text() for table in ("customers", "orders", "order_lines")]

    assert done.stdout == "\n".join(expected)


def test_all_plans_are_printed_when_none_is_named():
    done = run("plan", "--project", ROOT)

    assert done.stdout.count("dag: ") == 9


def test_one_tenant_can_be_planned_beside_a_broken_one(project):
    (project / "config/tenants/globex.yaml").write_text("tenant: [")

    assert run("plan", "acme", "--project", project).exit_code == 0
    assert run("plan", "globex", "--project", project).exit_code == 1
    assert run("plan", "--project", project).exit_code == 1


def test_a_tenant_or_table_that_does_not_exist_is_told_with_the_nearest():
    tenant, table = run("plan", "acne", "--project", ROOT), run("plan", "acme", "ordrs", "--project", ROOT)

    assert (tenant.exit_code, tenant.stderr) == (1, "no tenant 'acne', did you mean 'acme'?\n")
    assert (table.exit_code, table.stderr) == (1, "acme has no table 'ordrs', did you mean 'orders'?\n")


WITHOUT_AIRFLOW = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"airflow", "azure", "mssql_python", "requests", "soda_core", "duckdb", "pyarrow"}:
            raise ImportError(f"{name} was imported")
sys.meta_path.insert(0, Nothing())
from tenantdags.cli.main import app
app(sys.argv[1:], prog_name="tenantdags")
"""


@pytest.mark.parametrize(
    ("words", "first"), [(["check"], "config/tenants/acme.yaml:33:7"), (["plan", "acme"], "dag: acme__customers")]
)
def test_commands_need_neither_airflow_nor_any_client(words, first, tmp_path):
    environment = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_AIRFLOW, *words, "--project", str(ROOT)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(first)
