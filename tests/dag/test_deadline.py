"""The instant by which a window must be published, and for which runs there is one."""

from datetime import date, datetime, time, timedelta
from types import SimpleNamespace

import pytest
from airflow.utils.types import DagRunType

from tenantdags.dag.deadline import WindowDeadline
from tenantdags.model.deadline import due
from tenantdags.model.plan import SlaPlan
from tenantdags.model.window import day_window
from tests.dag.plans import plan_of, utc

BERLIN = "Europe/Berlin"
FUTURE = day_window(date(2099, 6, 1), BERLIN)


class Database:
    """Answers the one question the reference asks of the session."""

    def __init__(self, run):
        self.run = run

    def execute(self, _):
        if isinstance(self.run, Exception):
            raise self.run
        return SimpleNamespace(one_or_none=lambda: self.run)


def run_of(window, run_type=DagRunType.SCHEDULED):
    return SimpleNamespace(run_type=run_type, data_interval_start=window.start, data_interval_end=window.end)


def evaluated(run, reference=None):
    reference = reference or WindowDeadline(every="day", zone=BERLIN, ready_by="06:00")
    return reference._evaluate_with(session=Database(run), dag_id="acme__orders", run_id="one")


def test_ready_by_is_a_wall_clock_of_the_day_after_the_window():
    sla = SlaPlan(ready_by=time(6))

    winter = due(sla, day_window(date(2026, 11, 21), BERLIN), BERLIN)
    night_of_change = due(sla, day_window(date(2026, 10, 24), BERLIN), BERLIN)

    assert winter == utc("2026-11-22T05:00:00")
    assert night_of_change == utc("2026-10-25T05:00:00")


def test_within_counts_from_the_windows_end():
    window = day_window(date(2026, 11, 21), BERLIN)

    assert due(SlaPlan(within=timedelta(hours=8)), window, BERLIN) == utc("2026-11-22T07:00:00")


def test_a_scheduled_run_has_a_deadline():
    assert evaluated(run_of(FUTURE)) == utc("2099-06-02T04:00:00")


def test_a_warning_comes_ahead():
    warning = WindowDeadline.of(plan_of("acme", "orders"), SlaPlan(ready_by=time(6)), timedelta(minutes=45))

    assert evaluated(run_of(FUTURE), warning) == utc("2099-06-02T03:15:00")


@pytest.mark.parametrize("run_type", [DagRunType.BACKFILL_JOB, DagRunType.MANUAL])
def test_backfills_and_manual_runs_have_none(run_type):
    assert evaluated(run_of(FUTURE, run_type)) is None


def test_a_catch_up_run_that_is_late_before_it_starts_has_none():
    assert evaluated(run_of(day_window(date(2026, 11, 1), BERLIN))) is None


@pytest.mark.parametrize(
    "run",
    [None, RuntimeError("the database is gone"), SimpleNamespace(run_type=DagRunType.SCHEDULED,
     data_interval_start=datetime(2099, 6, 1, 5), data_interval_end=datetime(2099, 6, 1, 7))],
)  # fmt: skip
def test_it_never_raises_in_the_scheduler(run):
    assert evaluated(run) is None


def test_it_survives_the_database():
    plan = plan_of("acme", "order_lines")
    assert plan.sla
    written = WindowDeadline.of(plan, plan.sla)

    read = WindowDeadline.deserialize_reference(written.serialize_reference())

    assert vars(read) == vars(written)
    assert read == written
    assert read.within == 8 * 3600
