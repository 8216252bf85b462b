"""The alerting benchmark's arithmetic; the benchmark itself takes minutes of a running Airflow."""

from datetime import timedelta

import pytest

from benchmarks.alerting import TABLE, Pages
from benchmarks.alerting_world import Promise, copy_platform, write_tenants
from tenantdags.model.deadline import due_of
from tenantdags.model.project import load_tenant
from tenantdags.model.runs import run_of
from tenantdags.model.window import day_window
from tests.dag.plans import utc

pytestmark = pytest.mark.unit


def test_a_percentile_is_a_value_that_was_seen():
    pages = Pages(tuple(map(float, range(24, 0, -1))), "")

    assert [pages.percentile(share) for share in (0.5, 0.95, 1.0)] == [12.0, 23.0, 24.0]


def test_a_tenant_promises_its_window_to_the_second(tmp_path):
    project = copy_platform(tmp_path / "project", [TABLE])
    promise = Promise(start=utc("2026-11-25T19:03:21"), due=utc("2026-11-25T19:04:42"))

    write_tenants(project, TABLE, {"late07": promise})
    (plan,) = load_tenant(project, "late07")
    window = day_window(plan.schedule.first_window, "UTC")
    write_tenants(project, TABLE, {})

    assert (run_of(plan, window).start, due_of(plan, window)) == (promise.start, promise.due)
    assert window.end - window.start == timedelta(days=1)
    assert list((project / "config" / "tenants").iterdir()) == []
