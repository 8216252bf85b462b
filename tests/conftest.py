"""What all tests share: no telemetry, an Airflow home in the checkout, quick tests first; and what `-n` may part."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
KINDS = ("unit", "sandbox", "airflow")
# End-to-end tests share servers and an order, so `pytest -n` leaves them in one worker: those of the running Airflow in
# one, those that run DAGs in their own process in another.
END_TO_END = "tests/e2e/"
LIVE = ("airflow_api", "backfill", "leaks_live", "loaders", "scheduler", "watch")

# The tests start Python hundreds of times, and compiling Airflow costs seconds each time it finds no bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Before any test module imports Airflow or Soda: both read these once, at import.
os.environ.setdefault("AIRFLOW_HOME", str(ROOT / ".airflow" / "tests"))
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # which has the environment of the process that started it
    os.environ["AIRFLOW_HOME"] += f"/{worker}"
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
    items.sort(key=_turn if "PYTEST_XDIST_WORKER" in os.environ else lambda item: (KINDS.index(kind(item)),))


def _turn(item: pytest.Item) -> tuple[int, ...]:
    """Among workers the longest goes first, or it would run alone at the end."""
    return -item.nodeid.startswith(END_TO_END), -KINDS.index(kind(item))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands the workers whole files, and each world's as if they were one, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # ships no types

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # the same
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if not file.startswith(END_TO_END):
                return file
            return "live" if file.removeprefix(END_TO_END)[5:-3] in LIVE else "in process"

    config.option.loadscopereorder = False
    return ByFile(config, log)
