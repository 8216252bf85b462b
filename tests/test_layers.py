"""model < steps < dag, cli: each floor imports only the floors below it, and the product knows no sandbox."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import ROOT, text_of, tracked

PACKAGE = ROOT / "plugins" / "tenantdags"
MAY_IMPORT = {
    "model": {"model"},
    "steps": {"model", "steps"},
    "dag": {"model", "steps", "dag"},
    "cli": {"model", "steps", "cli"},
}
NETWORK = {
    "aiohttp", "azure", "connectorx", "databricks", "ftplib", "http", "httpx", "mssql_python", "pymssql", "pyodbc",
    "requests", "smtplib", "socket", "ssl", "urllib3",
}  # fmt: skip
# commands that need connections take them where Airflow keeps them, and import that when they are run
COMMANDS = (
    "apply", "backfill", "choice", "contract", "explain", "mute", "preflight", "retry", "status", "watch",
)  # fmt: skip
ALLOWED = {f"plugins/tenantdags/cli/{name}.py": {"dag"} for name in COMMANDS}
# `airflow tenants` is the tenantdags command under another name
ALLOWED["plugins/tenantdags/dag/airflow_cli.py"] = {"cli"}
PRODUCT = ("plugins/", "include/", "dags/", "config/", "Dockerfile", ".dockerignore", "databricks.yml")
LIBRARIES = {"airflow", "azure", "duckdb", "pyarrow", "pydantic", "soda", "yaml"}


def modules(floor: str) -> list[Path]:
    return sorted((PACKAGE / floor).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module a file names in an import statement, also inside functions, by its full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def floors(names: set[str]) -> set[str]:
    """`{"tenantdags.model.plan.TablePlan"}` → `{"model"}`"""
    return {name.split(".")[1] for name in names if name.startswith("tenantdags.")}


def tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("floor", MAY_IMPORT)
def test_a_floor_imports_only_the_floors_below_it(floor):
    names = {str(path.relative_to(ROOT)): floors(imports(path)) for path in modules(floor)}
    wrong = {path: found - MAY_IMPORT[floor] - ALLOWED.get(path, set()) for path, found in names.items()}

    assert wrong
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize("floor", ["model", "steps", "cli"])
def test_only_dag_imports_airflow(floor):
    assert [path for path in modules(floor) if "airflow" in tops(imports(path))] == []


def test_the_model_reaches_for_no_network():
    assert {path.name: found for path in modules("model") if (found := tops(imports(path)) & NETWORK)} == {}


IMPORT_ALL = """
import importlib, pkgutil, sys

class NoAirflow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "airflow":
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, NoAirflow())
for floor in sys.argv[1:]:
    package = importlib.import_module(f"tenantdags.{floor}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_model_and_steps_import_where_airflow_cannot_be_imported():
    command = [sys.executable, "-c", IMPORT_ALL, "model", "steps"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT / "plugins")}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    expected = {path.stem for floor in ("model", "steps") for path in modules(floor)} - {"__init__"}
    assert {line.rsplit(".", 1)[1] for line in done.stdout.splitlines()} >= expected


def test_the_import_guard_catches_airflow(tmp_path):
    package = tmp_path / "tenantdags" / "steps"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "bad.py").write_text("import airflow.sdk")
    command = [sys.executable, "-c", IMPORT_ALL, "steps"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert "ImportError: airflow" in done.stderr


def test_the_product_never_mentions_the_sandbox():
    product = [path for path in tracked() if str(path).startswith(PRODUCT)]

    assert product
    assert [str(path) for path in product if "sandbox" in (text_of(path) or "").lower()] == []


def test_nothing_in_the_package_is_named_like_a_library():
    stems = {path.stem for floor in MAY_IMPORT for path in modules(floor)} - {"__init__", "__main__"}

    assert stems & (set(sys.stdlib_module_names) | LIBRARIES) == set()
