"""The check benchmark in small: both fleets are told as they are, and a check that tells otherwise is caught."""

import pytest

from benchmarks.check import BROKEN, GOOD, READ, contenders, make_fleets, require_same
from benchmarks.measure import ContenderError, Measurement, measure


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("check")
    make_fleets(root, tenants=3, tables=2)
    return {label: measure(**arguments) for label, arguments in contenders(root).items()}


def test_both_fleets_are_told_as_they_are(measured):
    require_same(measured, 3, 2)

    assert measured[GOOD].numbers["peak_bytes"] > measured[READ].numbers["peak_bytes"] > 0


def test_a_check_that_overlooks_a_tenant_is_caught(measured):
    with pytest.raises(ContenderError, match="6 problems"):
        require_same(measured, 4, 2)


def test_a_check_that_imports_airflow_is_caught(measured):
    heavy = Measurement(1, 1, 1, 1, 1, {**measured[BROKEN].result, "airflow": True})

    with pytest.raises(ContenderError, match="imported Airflow"):
        require_same({**measured, BROKEN: heavy}, 3, 2)
