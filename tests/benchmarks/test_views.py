"""The benchmark of the readers' view in small: all engines and logs answer the same, and a wrong answer shows."""

from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from benchmarks.measure import Measurement, measure
from benchmarks.views import DAYS, LOGS, QUERIES, TENANTS, _log, _text, duckdb, make_world, sail

LOG_ROWS, ROWS = 40_000, 4_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("views")
    make_world(folder, LOG_ROWS, ROWS)
    return folder


def answers(found):
    return {name: found[name] for name in QUERIES}


def test_every_engine_and_log_answers_what_the_table_says(world):
    found = {kind: duckdb(str(world), kind)() for kind in (*LOGS, "no view")}
    spark = measure(contender=f"{sail.__module__}:sail", folder=str(world), kind="clustered")

    assert DeltaTable(str(world / "clustered")).count() == DeltaTable(str(world / "unsorted")).count() == LOG_ROWS
    assert {str(answers(one)) for one in found.values()} == {str(answers(spark.result))}
    each = ROWS // (DAYS * TENANTS)  # rows of one day of one tenant
    assert [int(answers(spark.result)[name][0]) for name in QUERIES] == [each, each * DAYS, ROWS]
    assert all(seconds > 0 for seconds in spark.numbers.values())


def test_a_view_that_hides_windows_is_no_measurement(world):
    log = _log(1, TENANTS)
    write_deltalake(str(world / "small"), log.slice(0, log.num_rows // 2), mode="overwrite")

    found = {kind: duckdb(str(world), kind)() for kind in ("small", "no view")}

    assert int(found["small"]["all"][0]) < ROWS == int(found["no view"]["all"][0])
    measured = {kind: Measurement(1.0, 1.0, 1, 1, 1, answers(one), one["numbers"]) for kind, one in found.items()}
    with pytest.raises(AssertionError, match="do not answer the same"):
        _text(measured, LOG_ROWS, ROWS, 1)
    assert "| no view |" in _text({"no view": measured["no view"]}, LOG_ROWS, ROWS, 1)
