"""What all tests share: no telemetry, an Airflow home inside the checkout, and quick tests first."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KINDS = ("unit", "sandbox", "airflow")

# Before any test module imports Airflow or Soda: both read these once, at import.
os.environ.setdefault("AIRFLOW_HOME", str(ROOT / ".airflow" / "tests"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(ROOT / "plugins"))
os.environ.setdefault("MSSQL_PYTHON_NATIVE_PROVIDER", "msodbcsql18")
os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"


def kind(item: pytest.Item) -> str:
    """The slowest kind a test is marked with; a test marked with none is a unit test."""
    return max((name for name in KINDS if item.get_closest_marker(name)), key=KINDS.index, default="unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if kind(item) == "unit":
            item.add_marker(pytest.mark.unit)
    items.sort(key=lambda item: KINDS.index(kind(item)))
