"""Windows tile the calendar of a zone: no gap, no overlap, also when clocks shift."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantdags.model.window import day_window, window_at, window_named, window_of

# with summer time at 02:00, at midnight, of half an hour, in the southern half, none, and odd offsets
ZONES = (
    "Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe", "America/Santiago",
    "UTC", "Asia/Kolkata", "Asia/Kathmandu",
)  # fmt: skip
zones = st.sampled_from(ZONES)
days = st.dates(date(2000, 1, 1), date(2040, 12, 31))
instants = st.datetimes(datetime(2000, 1, 1), datetime(2040, 12, 31), timezones=st.just(UTC))


@given(zones, days)
def test_days_follow_each_other_without_gap_or_overlap(zone, day):
    today, tomorrow = day_window(day, zone), day_window(day + timedelta(days=1), zone)

    assert today.end == tomorrow.start
    assert timedelta(hours=22) < today.end - today.start < timedelta(hours=26)


@given(zones, instants, st.sampled_from(["day", "hour"]))
def test_every_instant_lies_in_the_window_found_for_it(zone, instant, every):
    window = window_at(instant, every, zone)

    assert window.start <= instant < window.end
    assert window.as_of_date == window.start.astimezone(ZoneInfo(zone)).date()
    assert window_of(window.start, window.end, every, zone) == window


@given(zones, days)
def test_naive_bounds_mean_the_same_instants(zone, day):
    window = day_window(day, "Europe/Berlin")

    for bound, instant in zip(window.bounds_in(zone), (window.start, window.end), strict=True):
        folds = {bound.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
        assert instant in folds


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 11, 1), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_days_on_which_clocks_shift_are_shorter_or_longer(zone, day, hours):
    window = day_window(day, zone)

    assert window.end - window.start == timedelta(hours=hours)
    assert str(window) == day.isoformat()


def test_an_hour_is_keyed_by_its_start_in_utc():
    window = window_at(datetime(2026, 10, 25, 1, 59, tzinfo=UTC), "hour", "Europe/Berlin")

    assert (str(window), window.as_of_date) == ("2026-10-25T01Z", date(2026, 10, 25))


def test_an_interval_off_the_grid_is_refused_with_the_nearest_one():
    start = datetime(2026, 11, 21, tzinfo=UTC)

    with pytest.raises(ValueError, match="is not one day of Europe/Berlin") as caught:
        window_of(start, start + timedelta(days=1), "day", "Europe/Berlin")

    assert str(caught.value) == (
        "[2026-11-21T00:00:00Z, 2026-11-22T00:00:00Z) is not one day of Europe/Berlin; "
        "the nearest is [2026-11-20T23:00:00Z, 2026-11-21T23:00:00Z)"
    )


@pytest.mark.parametrize(("key", "every"), [("2026-11-21", "day"), ("2026-11-21T14Z", "hour"), ("2026-03-29", "day")])
def test_a_window_is_found_by_its_key(key, every):
    found = window_named(key, every, "Europe/Berlin")

    assert (found.key, found.every) == (key, every)


@pytest.mark.parametrize(
    ("key", "every"), [("2026-11-21", "hour"), ("2026-11-21T14Z", "day"), ("21.11.2026", "day"), ("2026-2-1", "day")]
)
def test_what_is_no_key_is_refused_with_how_one_is_written(key, every):
    with pytest.raises(ValueError, match=f"'{key}' names no {every} of Europe/Berlin; write it like 2026-11-21"):
        window_named(key, every, "Europe/Berlin")
