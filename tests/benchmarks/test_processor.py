"""The processor benchmark in small: every DAG becomes visible, an edit is seen, and what never comes is an error."""

import pytest

from benchmarks.measure import ContenderError
from benchmarks.processor import _airflow, _edit, _visible, processor_of, until_visible

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    made = _airflow(tmp_path_factory.mktemp("processor"), tenants=2, tables=2)
    with processor_of(made):
        yield made


def test_all_dags_become_visible_and_an_edit_is_seen(airflow):
    first, last = until_visible(airflow.database, 4, timeout=120)

    assert 0 < first <= last
    assert _visible(airflow.database) == 4
    assert 0 < _edit(airflow, "t001", 1, timeout=60) < 60


def test_dags_that_never_come_are_an_error(airflow):
    with pytest.raises(ContenderError, match="all 99 DAGs"):
        until_visible(airflow.database, 99, timeout=0.5)
