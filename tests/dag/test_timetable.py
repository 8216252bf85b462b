"""Windows stand on the tenant's calendar grid whatever its clocks do; runs start later, windows do not move."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction

from tenantdags.dag.timetable import TenantTimetable
from tenantdags.model.window import window_of

FOREVER = TimeRestriction(earliest=pendulum.datetime(2026, 1, 1), latest=None, catchup=True)


def at(text: str) -> pendulum.DateTime:
    return pendulum.instance(datetime.fromisoformat(text))


def interval(start: str, end: str) -> DataInterval:
    return DataInterval(at(start), at(end))


def next_run(timetable: TenantTimetable, restriction: TimeRestriction, last: DataInterval | None = None):
    """(data interval, start) of the run that follows `last`."""
    info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
    assert info is not None
    assert info.data_interval is not None
    return info.data_interval, info.run_after


def runs(timetable: TenantTimetable, since: str, count: int):
    """(window start, window end, start of the run) of the first `count` runs from `since` on."""
    restriction, last = TimeRestriction(at(since), None, True), None
    for _ in range(count):
        last, start = next_run(timetable, restriction, last)
        yield last.start.isoformat(), last.end.isoformat(), start.isoformat()


def test_a_run_starts_after_settle_and_jitter_and_its_window_stays():
    berlin = TenantTimetable("day", "Europe/Berlin", timedelta(hours=2, minutes=7))

    found = list(runs(berlin, "2026-11-20T23:00:00+00:00", 2))

    assert found == [
        ("2026-11-20T23:00:00+00:00", "2026-11-21T23:00:00+00:00", "2026-11-22T01:07:00+00:00"),
        ("2026-11-21T23:00:00+00:00", "2026-11-22T23:00:00+00:00", "2026-11-23T01:07:00+00:00"),
    ]


def test_days_have_23_and_25_hours_when_clocks_change():
    berlin = TenantTimetable("day", "Europe/Berlin", timedelta())

    spring = list(runs(berlin, "2026-03-28T23:00:00+00:00", 2))
    autumn = list(runs(berlin, "2026-10-24T22:00:00+00:00", 2))

    assert [run[:2] for run in spring] == [
        ("2026-03-28T23:00:00+00:00", "2026-03-29T22:00:00+00:00"),
        ("2026-03-29T22:00:00+00:00", "2026-03-30T22:00:00+00:00"),
    ]
    assert [run[:2] for run in autumn] == [
        ("2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"),
        ("2026-10-25T23:00:00+00:00", "2026-10-26T23:00:00+00:00"),
    ]


# A year's midnights: one is missing in Santiago, one is doubled in Havana and the Azores; Lord Howe moves half an hour.
@pytest.mark.parametrize(
    "zone",
    ["UTC", "Europe/London", "America/New_York", "America/Santiago", "America/Havana", "Atlantic/Azores",
     "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo", "Pacific/Chatham"],
)  # fmt: skip
def test_every_interval_of_two_years_is_one_day_of_the_zone_and_none_is_missing(zone):
    found = list(runs(TenantTimetable("day", zone, timedelta(hours=1)), "2026-01-02T00:00:00+00:00", 730))

    windows = [window_of(datetime.fromisoformat(s), datetime.fromisoformat(e), "day", zone) for s, e, _ in found]
    days = [window.as_of_date for window in windows]
    assert all(one.end == next_.start for one, next_ in pairwise(windows))
    assert days == [days[0] + timedelta(days=n) for n in range(730)]


def test_hours_are_hours_of_utc_also_in_a_zone_of_half_hours():
    kolkata = TenantTimetable("hour", "Asia/Kolkata", timedelta(minutes=10))

    found = list(runs(kolkata, "2026-11-21T18:00:00+00:00", 2))

    assert found == [
        ("2026-11-21T18:00:00+00:00", "2026-11-21T19:00:00+00:00", "2026-11-21T19:10:00+00:00"),
        ("2026-11-21T19:00:00+00:00", "2026-11-21T20:00:00+00:00", "2026-11-21T20:10:00+00:00"),
    ]
    start, end = (datetime.fromisoformat(text) for text in found[0][:2])
    assert window_of(start, end, "hour", "Asia/Kolkata").as_of_date.isoformat() == "2026-11-21"


def test_no_hour_is_lost_or_doubled_when_clocks_go_back():
    berlin = TenantTimetable("hour", "Europe/Berlin", timedelta())

    starts = [run[0] for run in runs(berlin, "2026-10-24T22:00:00+00:00", 26)]

    first = datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert starts == [(first + timedelta(hours=n)).isoformat() for n in range(26)]


def test_a_manual_run_takes_the_last_complete_window():
    berlin = TenantTimetable("day", "Europe/Berlin", timedelta(hours=2))

    in_the_day = berlin.infer_manual_data_interval(run_after=at("2026-11-22T10:00:00+00:00"))
    at_midnight = berlin.infer_manual_data_interval(run_after=at("2026-11-21T23:00:00+00:00"))

    assert in_the_day == interval("2026-11-20T23:00:00+00:00", "2026-11-21T23:00:00+00:00")
    assert at_midnight == interval("2026-11-20T23:00:00+00:00", "2026-11-21T23:00:00+00:00")


def test_a_snapshot_too_old_to_be_observed_is_not_scheduled():
    observe_within = timedelta(hours=48)
    snapshots = TenantTimetable("day", "Europe/Berlin", timedelta(hours=2), observe_within)

    oldest = datetime.now(UTC) - observe_within
    first, _ = next_run(snapshots, FOREVER)

    assert first.end >= oldest
    assert first.start < oldest


def test_after_an_outage_snapshots_go_on_with_what_can_still_be_observed():
    snapshots = TenantTimetable("day", "Europe/Berlin", timedelta(), timedelta(hours=48))
    last = interval("2026-01-09T23:00:00+00:00", "2026-01-10T23:00:00+00:00")

    following, _ = next_run(snapshots, FOREVER, last)

    assert following.end >= datetime.now(UTC) - timedelta(hours=48)


def test_events_are_caught_up_from_the_start():
    events = TenantTimetable("day", "Europe/Berlin", timedelta())

    first, _ = next_run(events, FOREVER)

    assert first == interval("2026-01-01T23:00:00+00:00", "2026-01-02T23:00:00+00:00")


@pytest.mark.parametrize("observe_within", [None, timedelta(hours=48)])
def test_it_survives_the_database(observe_within):
    written = TenantTimetable("day", "America/New_York", timedelta(hours=1, seconds=3), observe_within)

    read = TenantTimetable.deserialize(written.serialize())

    assert read == written
    assert read.serialize() == written.serialize()
    assert read != TenantTimetable("day", "America/New_York", timedelta(hours=1), observe_within)
    assert (read.summary, read.description) == (
        "day of America/New_York, 1:00:03 after its end",
        "Once for every day of the tenant",
    )


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00", ["2026-11-22"]),
        ("2026-11-21T00:00:00+01:00", "2026-11-22T00:00:00+01:00", ["2026-11-21", "2026-11-22"]),
    ],
)
def test_a_backfill_runs_the_windows_that_start_between_its_instants(first, last, days):
    berlin = TenantTimetable("day", "Europe/Berlin", timedelta(hours=2))
    restriction, found, info = TimeRestriction(at(first), at(last), True), [], None

    while info := berlin.next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction):
        assert info.data_interval is not None
        found.append(window_of(*info.data_interval, "day", "Europe/Berlin").as_of_date.isoformat())

    assert found == days


def test_a_backfill_of_old_snapshots_has_no_runs():
    snapshots = TenantTimetable("day", "Europe/Berlin", timedelta(), timedelta(hours=48))
    long_ago = TimeRestriction(at("2026-01-01T00:00:00+01:00"), at("2026-01-31T00:00:00+01:00"), True)

    assert snapshots.next_dagrun_info_v2(last_dagrun_info=None, restriction=long_ago) is None
