"""One world and two Airflows for the end-to-end tests of a process; `pytest -n` has one for each Airflow.

The scheduler's, the watch's and the API's tests go first, for the others break the world they run in; bad input goes
last, for its process keeps an error; and the search for secrets last of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.e2e.pages")  # so that a text that differs is shown

from tests.e2e.rig import Rig, Runner  # noqa: E402


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {
        "test_scheduler.py": 0, "test_watch.py": 1, "test_airflow_api.py": 1, "test_bad_input.py": 3,
        "test_leaks.py": 4, "test_leaks_live.py": 4,
    }  # fmt: skip
    here = [number for number, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[number] for number in here), key=lambda item: order.get(item.path.name, 2))
    for number, item in zip(here, ordered, strict=True):
        items[number] = item


@pytest.fixture(scope="package")  # its servers end before other tests of the process begin
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("e2e"))
    try:
        rig.up()
        yield rig
    finally:
        rig.down()


@pytest.fixture
def runner(rig: Rig) -> Iterator[Runner]:
    """The in-process Airflow, in a world without faults, in which on-call has heard nothing yet."""
    rig.forget_alerts()
    yield rig.runner
    rig.world.sqlserver.clear_faults()
    rig.world.adls.clear_faults()
    rig.world.databricks.clear_faults()
