"""What is told about runs before a merge is what the timetable does after it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pendulum
import pytest
from airflow.timetables.base import TimeRestriction

from tenantdags.dag.factory import build_dag
from tenantdags.dag.timetable import TenantTimetable
from tenantdags.model.plan import TablePlan
from tenantdags.model.runs import catch_up, first_run, next_run, starts_in_day
from tenantdags.model.window import Every
from tests.dag.plans import plan_of, utc

NOW = utc("2026-11-23T12:34:56")


def scheduled(plan: TablePlan, until: datetime) -> list[tuple[datetime, datetime]]:
    """(window start, run start) of every run the DAG's own timetable makes until it first starts one later."""
    dag = build_dag(plan)
    assert dag.start_date
    assert isinstance(dag.timetable, TenantTimetable)
    restriction = TimeRestriction(pendulum.instance(dag.start_date), None, dag.catchup)
    found: list[tuple[datetime, datetime]] = []
    last = None
    while not found or found[-1][1] <= until:
        info = dag.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        assert info is not None
        assert info.data_interval is not None
        last = info.data_interval
        found.append((last.start, info.run_after))
    return found


def event_plan(every: Every = "day", zone: str = "Europe/Berlin", first: date = date(2026, 11, 1)) -> TablePlan:
    plan = plan_of("acme", "orders")
    return replace(plan, schedule=replace(plan.schedule, every=every, time_zone=zone, first_window=first))


@pytest.mark.parametrize("every", ["day", "hour"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("first", [date(2026, 10, 20), date(2026, 11, 22), date(2026, 11, 23), date(2027, 1, 1)])
def test_first_next_and_late_runs_are_the_timetables(every, zone, first):
    plan = event_plan(every, zone, first)
    runs = scheduled(plan, NOW)

    assert (first_run(plan, NOW).window.start, first_run(plan, NOW).start) == runs[0]
    assert (next_run(plan, NOW).window.start, next_run(plan, NOW).start) == runs[-1]
    assert catch_up(plan, NOW) == len(runs) - 1


@pytest.mark.parametrize("every", ["day", "hour"])
@pytest.mark.parametrize("within", [None, timedelta(hours=48), timedelta(days=9)])
def test_a_snapshot_catches_up_only_on_what_can_still_be_observed(every, within):
    plan = plan_of("acme", "customers")
    window = replace(plan.contract.window, observe_within=within)
    contract = replace(plan.contract, window=window)
    plan = replace(plan, contract=contract, schedule=replace(plan.schedule, every=every))
    now = datetime.now(UTC)
    runs = scheduled(plan, now)

    assert (first_run(plan, now).window.start, first_run(plan, now).start) == runs[0]
    assert catch_up(plan, now) == len(runs) - 1


def test_the_starts_of_a_day_are_those_of_the_next_24_full_hours():
    daily, hourly = event_plan(), event_plan("hour")

    assert starts_in_day(daily, NOW) == (utc("2026-11-24T02:04:51"),)
    assert len(starts_in_day(hourly, NOW)) == 24
    assert starts_in_day(hourly, NOW)[0] == utc("2026-11-23T13:04:51")


def test_a_start_is_told_on_the_tenants_clock():
    assert next_run(event_plan(), NOW).local_start == "2026-11-24 03:04 Europe/Berlin"
