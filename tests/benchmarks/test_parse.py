"""The parse benchmark in small: the contenders make the same DAGs, and other ones are caught."""

import pytest

from benchmarks.measure import ContenderError, Measurement, measure
from benchmarks.parse import BENCH, LABELS, PACKAGES, _contenders, _require_same
from benchmarks.parse_world import STEPS, make_world

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("parse")
    make_world(root, tenants=2, tables=3)
    return root


@pytest.mark.parametrize("kind", LABELS)
def test_a_factory_makes_every_dag(world, kind):
    if kind in PACKAGES and not (BENCH / PACKAGES[kind]).exists():
        pytest.skip(f"{PACKAGES[kind]} is installed by make bench only")
    parsed = measure(**_contenders("parse", world)[LABELS[kind]])

    _require_same({kind: parsed}, 6)
    assert parsed.result["files"] == (2 if kind in ("ours", "loop_files") else 1)
    assert parsed.numbers["build_cpu"] > 0


def test_a_task_start_builds_its_own_dag_alone(world):
    started = measure(**_contenders("start", world, dag_id="t001__table02")[LABELS["ours"]])

    assert started.result == {"dags": 1}


def test_a_factory_that_makes_fewer_dags_is_caught():
    few = Measurement(1, 1, 1, 1, 1, {"dags": 5, "tasks": 5 * len(STEPS)})

    with pytest.raises(ContenderError, match="not 6 DAGs"):
        _require_same({"few": few}, 6)
