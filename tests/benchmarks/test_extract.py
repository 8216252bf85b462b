"""The extract benchmark on a small table: every engine reads it whole, and one that does not is caught."""

from pathlib import Path

import pytest

from benchmarks.extract import FOLDERS, OURS, _contenders, _require_same
from benchmarks.extract_world import extract_world
from benchmarks.measure import ContenderError, interleave

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with extract_world(tmp_path_factory.mktemp("extract")) as made:
        made.fill(2_000)
        yield made


@pytest.mark.parametrize("label", FOLDERS)
def test_an_engine_reads_the_whole_table(world, label):
    measured = interleave({label: _contenders(world)[label]}, rounds=1)

    assert measured[label].result == {"rows": 2_000}
    _require_same(world, label)


def test_files_that_are_not_the_table_are_refused(world):
    """The files are those that our engine wrote above."""
    world.fill(1_999)

    with pytest.raises(ContenderError, match="the table has"):
        _require_same(world, OURS)
    world.fill(2_000)


def test_the_stand_in_ends_with_the_block(tmp_path):
    with extract_world(Path(tmp_path)) as made:
        assert made.server.port

    assert not (tmp_path / "run" / "sqlserver.json").exists()
