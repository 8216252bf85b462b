"""Which windows two dates mean, and every reason why they may not be backfilled, word for word."""

import dataclasses
import re
from datetime import UTC, date, datetime

import pytest

from tenantdags.model.backfill import Target, bound, bounds, decide, refusals, to_lines, windows_between
from tenantdags.model.errors import WindowRefused

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ACME = Target(dag_id="acme__orders", every="day", zone="Europe/Berlin", first_window=date(2026, 11, 1))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def midnight(day: str) -> datetime:
    """The start of a November day in Berlin."""
    return datetime.fromisoformat(f"{day}T00:00:00+01:00").astimezone(UTC)


def why(target: Target, start: str, end: str, *, again="none", **known) -> list[str]:
    return [str(error) for error in refusals(decide(target, *bounds(start, end), again), NOW, **known)]


def keys(target: Target, start: str, end: str) -> list[str]:
    return [window.key for window in windows_between(*bounds(start, end), target.every, target.zone)]


def test_both_dates_belong_to_it_and_are_days_of_the_tenants_zone():
    made = decide(ACME, *bounds("2026-11-01", "2026-11-07"), "none")

    assert [window.key for window in made.windows] == [f"2026-11-0{day}" for day in range(1, 8)]
    assert (made.first, made.last) == (utc("2026-10-31T23:00:00"), utc("2026-11-06T23:00:00"))
    assert refusals(made, NOW) == ()


@pytest.mark.parametrize(
    ("zone", "day", "hours"), [("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2026-10-25", 25)]
)
def test_a_day_of_hours_is_as_long_as_the_clocks_make_it(zone, day, hours):
    hourly = dataclasses.replace(ACME, every="hour", zone=zone)

    assert len(keys(hourly, day, day)) == hours


def test_hours_can_be_named_by_their_keys():
    hourly = dataclasses.replace(ACME, every="hour")

    assert keys(hourly, "2026-11-21T22Z", "2026-11-22T00Z") == ["2026-11-21T22Z", "2026-11-21T23Z", "2026-11-22T00Z"]


def test_hours_of_a_zone_at_half_past_begin_with_the_first_full_one():
    kolkata = dataclasses.replace(ACME, every="hour", zone="Asia/Kolkata")

    assert keys(kolkata, "2026-11-21", "2026-11-21")[0] == "2026-11-20T19Z"
    assert len(keys(kolkata, "2026-11-21", "2026-11-21")) == 24


def test_a_day_that_a_zone_skipped_is_no_window():
    assert keys(dataclasses.replace(ACME, zone="Pacific/Apia"), "2011-12-29", "2011-12-31") == [
        "2011-12-29",
        "2011-12-31",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-02-30", "2026-02-30 does not exist: February 2026 has 28 days"),
        ("2026-11-31", "2026-11-31 does not exist: November 2026 has 30 days"),
        ("2026-11-00", "2026-11-00 does not exist: November 2026 has 30 days"),
        ("2026-13-01", "2026-13-01 does not exist: months go from 01 to 12"),
        ("0000-01-01", "0000-01-01 does not exist: months go from 01 to 12"),
        ("2026-11-21T24Z", "2026-11-21T24Z: hours go from 00 to 23"),
        (
            "21.11.2026",
            "'21.11.2026' is no date; write it like 2026-11-21 (windows are whole days of the tenant's zone)",
        ),
        (
            "2026-11-21T00:00:00+01:00",
            "'2026-11-21T00:00:00+01:00' is no date; write it like 2026-11-21 (windows are whole days of the tenant's "
            "zone)",
        ),
    ],
)
def test_what_is_no_date(text, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        bound(text)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-11-07", "2026-11-01", "the start 2026-11-07 lies after the end 2026-11-01; both belong to the backfill"),
        (
            "2026-11-21", "2026-11-21T14Z",
            "2026-11-21 and 2026-11-21T14Z are not of one kind; write two dates, or two hours like 2026-11-21T14Z",
        ),
    ],
)  # fmt: skip
def test_dates_that_do_not_go_together(start, end, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        bounds(start, end)


@pytest.mark.parametrize(
    ("changes", "start", "end", "said"),
    [
        (
            {"zone": "Pacific/Apia"}, "2011-12-30", "2011-12-31",
            "2011-12-30 does not exist in Pacific/Apia: its clocks skipped that day. Remedy: Correct the dates.",
        ),
        (
            {}, "2026-11-21T14Z", "2026-11-21T15Z",
            "windows are days here; write dates like 2026-11-21. Remedy: Correct the dates.",
        ),
    ],
)  # fmt: skip
def test_dates_that_the_tenants_grid_lacks(changes, start, end, said):
    with pytest.raises(WindowRefused) as refused:
        decide(dataclasses.replace(ACME, **changes), *bounds(start, end), "none")

    assert str(refused.value) == f"acme__orders: config.invalid: {said}"


@pytest.mark.parametrize(
    ("changes", "start", "end", "said"),
    [
        (
            {}, "2026-10-31", "2026-11-02",
            "2026-10-31 lies before the tenant's first_window, 2026-11-01. "
            "Remedy: Start with 2026-11-01, or set first_window to an earlier date.",
        ),
        (
            {}, "2026-11-20", "2026-11-25",
            "2026-11-25 ends at 2026-11-25T23:00:00Z, which is still to come. Remedy: End with 2026-11-24.",
        ),
        (
            {}, "2026-11-26", "2026-11-27",
            "2026-11-27 ends at 2026-11-27T23:00:00Z, which is still to come. Remedy: Wait until it has ended.",
        ),
        (
            {"snapshot": True, "paused": True}, "2026-11-01", "2026-11-02",
            "a snapshot table cannot be backfilled: today's state would be filed under a day that is over. "
            "Remedy: Leave it out; its history begins with its first run.",
        ),
        (
            {"running": 7}, "2026-11-01", "2026-11-02",
            "backfill 7 of this DAG is not finished, and Airflow runs one at a time. "
            "Remedy: Wait for it, or end it with `tenantdags backfill cancel 7`.",
        ),
        (
            {"paused": True}, "2026-11-01", "2026-11-02",
            "the DAG is paused, so its runs would stay queued. "
            "Remedy: `airflow dags unpause acme__orders` first, or say --while-paused to queue them until then.",
        ),
        (
            {"live": frozenset({midnight("2026-11-02")})}, "2026-11-01", "2026-11-03",
            "2026-11-02 has a run that is not finished. Remedy: Wait for it, or leave it out.",
        ),
        (
            {"live": frozenset(midnight(f"2026-11-0{day}") for day in (1, 2, 3, 4))}, "2026-11-01", "2026-11-07",
            "2026-11-01 to 2026-11-04 (4 windows) have a run that is not finished. "
            "Remedy: Wait for it, or leave it out.",
        ),
        (
            {"next_start": midnight("2026-11-24")}, "2026-11-20", "2026-11-24",
            "the scheduler has come to 2026-11-24 and runs it, and what follows, by itself. "
            "Remedy: End with 2026-11-23.",
        ),
        (
            {"next_start": midnight("2026-11-05")}, "2026-11-05", "2026-11-10",
            "the scheduler has come to 2026-11-05 and runs it, and what follows, by itself. "
            "Remedy: Leave it to the scheduler.",
        ),
        (
            {"next_start": midnight("2026-11-05")}, "2026-11-10", "2026-11-12",
            "the scheduler has come to 2026-11-05; it would go on behind this backfill and never run 2026-11-05 to "
            "2026-11-09 (5 windows). Remedy: Start with 2026-11-05, or wait until it has run them.",
        ),
    ],
)  # fmt: skip
def test_a_backfill_that_may_not_be_made_says_why(changes, start, end, said):
    assert why(dataclasses.replace(ACME, **changes), start, end) == [f"acme__orders: config.invalid: {said}"]


def test_all_reasons_are_told_at_once():
    told = why(dataclasses.replace(ACME, paused=True, running=7), "2026-10-31", "2026-11-30")

    assert len(told) == 4


def test_behind_the_scheduler_all_is_well():
    assert why(dataclasses.replace(ACME, next_start=midnight("2026-11-24")), "2026-11-01", "2026-11-23") == []


def test_a_paused_dag_may_be_handed_on_to_behind_what_is_published():
    paused = dataclasses.replace(ACME, paused=True, next_start=midnight("2026-11-01"))
    loaded = frozenset(midnight(f"2026-11-{day:02}") for day in range(1, 20))

    assert why(paused, "2026-11-20", "2026-11-20", while_paused=True, published=loaded) == []
    assert why(paused, "2026-11-21", "2026-11-21", while_paused=True, published=loaded) == [
        "acme__orders: config.invalid: the scheduler has come to 2026-11-01; it would go on behind this backfill and "
        "never run 2026-11-20. Remedy: Start with 2026-11-01, or load them first, with --bulk."
    ]


@pytest.mark.parametrize(
    ("again", "made"),
    [
        ("none", ["2026-11-03"]),
        ("failed", ["2026-11-02", "2026-11-03"]),
        ("completed", ["2026-11-01", "2026-11-02", "2026-11-03"]),
    ],
)
def test_windows_that_were_run_keep_their_run_unless_told_otherwise(again, made):
    runs = {midnight("2026-11-01"): "success", midnight("2026-11-02"): "failed"}
    decided = decide(dataclasses.replace(ACME, runs=runs), *bounds("2026-11-01", "2026-11-03"), again)

    assert [window.key for window in decided.made] == made


def test_it_is_told_before_it_is_made():
    runs = {midnight("2026-11-01"): "success", midnight("2026-11-02"): "failed"}
    decided = decide(dataclasses.replace(ACME, runs=runs), *bounds("2026-11-01", "2026-11-03"), "failed")

    assert to_lines(decided, 2, listed=True) == [
        "acme__orders: 2 windows, 2026-11-01 to 2026-11-03 of Europe/Berlin, 2 at once, the oldest first",
        "  from 2026-10-31T23:00:00Z to 2026-11-02T23:00:00Z",
        "  left as they are, for they were run already: 2026-11-01",
        "  2026-11-02 again, was failed",
        "  2026-11-03",
    ]
