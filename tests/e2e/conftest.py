"""One world and two Airflows for every end-to-end test; the search for secrets goes last of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.rig import Rig, Runner


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == "test_leaks.py")


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("e2e"))
    try:
        rig.up()
        yield rig
    finally:
        rig.down()


@pytest.fixture
def runner(rig: Rig) -> Iterator[Runner]:
    """The in-process Airflow, in a world without faults."""
    yield rig.runner
    rig.world.sqlserver.clear_faults()
    rig.world.adls.clear_faults()
    rig.world.databricks.clear_faults()
