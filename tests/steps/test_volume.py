"""Volume bands: what is usual for a weekday, and how a window that is not is told. No world."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tenantdags.model.contract import Check, Threshold
from tenantdags.model.window import day_window, window_named
from tenantdags.steps.volume import Past, alike, band_of, judge_volume

BERLIN = "Europe/Berlin"
MONDAY = day_window(date(2026, 11, 23), BERLIN)
USUAL = (10_500, 10_700, 10_400, 10_650, 10_600, 10_480, 10_550, 10_620)


def band(weeks=8, at_least=4, width=4, operator="<=", severity="warning") -> Check:
    return Check(
        id="usual", kind="volume_band", name="usual", dimension="completeness", severity=severity,
        threshold=Threshold(operator=operator, values=(width,)), arguments=(weeks, at_least),
    )  # fmt: skip


def mondays(*counts: int, newest=MONDAY) -> list[Past]:
    """The Mondays before `newest`, the nearest first."""
    days = (newest.as_of_date - timedelta(days=7 * n) for n in range(1, len(counts) + 1))
    return [Past(day_window(day, BERLIN).start, day, rows) for day, rows in zip(days, counts, strict=True)]


def judged(rows, past, check=None, window=MONDAY, every="day", zone=BERLIN):
    result = judge_volume(check or band(), window, rows, past, every, zone)
    return result.outcome, result.said


def test_a_window_beside_the_band_is_told_with_the_band_and_where_it_comes_from():
    assert judged(18_204, mondays(*USUAL)) == ("warn", "18,204 rows; expected 9,518–11,632 from 8 Mondays")
    assert judged(10_575, mondays(*USUAL)) == ("pass", "10,575 rows; expected 9,518–11,632 from 8 Mondays")


@pytest.mark.parametrize(("rows", "outcome"), [(9_517, "warn"), (9_518, "pass"), (11_632, "pass"), (11_633, "warn")])
def test_the_band_is_what_passes(rows, outcome):
    assert judged(rows, mondays(*USUAL))[0] == outcome


def test_with_severity_error_the_gate_is_red():
    assert judged(18_204, mondays(*USUAL), band(severity="error"))[0] == "fail"


@pytest.mark.parametrize(
    ("check", "bounds"),
    [
        (band(width=8), "8,460–12,690"),
        (band(width=2), "10,047–11,103"),
        (band(width=8, operator="<"), "8,461–12,689"),
        (band(weeks=4), "9,518–11,632"),
    ],
)
def test_a_tenant_may_widen_or_narrow_the_band(check, bounds):
    weeks = check.arguments[0]

    assert judged(10_575, mondays(*USUAL), check)[1] == f"10,575 rows; expected {bounds} from {weeks} Mondays"


def test_too_little_history_is_said_and_passes():
    for known in (3, 0):
        said = f"5 rows; no band yet, {known} of 4 Mondays are published (expected 4 Mondays)"
        assert judged(5, mondays(*[100] * known)) == ("pass", said)
    assert judged(5, mondays(100, 100, 100, 100))[0] == "warn"


def test_holidays_move_neither_the_middle_nor_the_spread():
    with_holidays = (10_500, 0, 10_400, 25_000, 10_600, 10_480, 10_550, 10_620)

    assert judged(18_204, mondays(*with_holidays))[1].endswith("expected 9,473–11,577 from 8 Mondays")


def test_a_holiday_itself_warns():
    assert judged(0, mondays(*USUAL))[0] == "warn"


def test_only_the_same_weekday_and_the_newest_of_them_count():
    sunday = Past(day_window(date(2026, 11, 22), BERLIN).start, date(2026, 11, 22), 3)

    assert alike(MONDAY, [sunday, *reversed(mondays(1, 2, 3, 4))], "day", BERLIN, weeks=3) == (1, 2, 3)


def test_days_of_23_and_25_hours_are_within_the_band():
    long_sunday = day_window(date(2026, 10, 25), BERLIN)
    past = mondays(*[24_000] * 8, newest=long_sunday)

    assert judged(25_000, past, window=long_sunday) == ("pass", "25,000 rows; expected 21,600–26,400 from 8 Sundays")


def test_the_same_weekday_before_and_after_a_clock_change_is_the_same():
    november, october = mondays(5, 6)[0], Past(day_window(date(2026, 10, 19), BERLIN).start, date(2026, 10, 19), 7)

    assert (november.window_start.hour, october.window_start.hour) == (23, 22)
    assert alike(MONDAY, [november, october], "day", BERLIN, weeks=8) == (5, 7)


def hour(key: str):
    return window_named(key, "hour", BERLIN)


def test_an_hour_is_compared_with_the_same_hour_of_the_same_weekday_by_the_tenants_clock():
    window = hour("2026-11-23T13Z")  # Monday 14:00 in Berlin
    same = [hour(f"2026-11-{16 - 7 * n:02}T13Z") for n in range(3)] + [hour("2026-10-19T12Z")]  # summer time: 14:00 too
    other = [hour("2026-11-16T12Z"), hour("2026-11-22T13Z"), hour("2026-10-19T13Z")]
    past = [Past(w.start, w.as_of_date, 400) for w in same] + [Past(w.start, w.as_of_date, 1) for w in other]

    assert judged(500, past, window=window, every="hour") == (
        "warn", "500 rows; expected 320–480 from 4 Mondays at 14:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "spread"),
    [
        ((10_000,) * 8, 250.0),  # 2.5 %
        ((100,) * 8, 10.0),  # the root
        ((0,) * 8, 1.0),
        ((9_000, 10_000, 11_000, 10_000), 741.3),  # 1.4826 × MAD
    ],
)
def test_the_spread_has_a_floor(counts, spread):
    assert band_of(counts).spread == pytest.approx(spread)


def test_a_table_that_is_usually_empty_may_hold_a_few_rows():
    assert [judged(rows, mondays(*[0] * 8))[0] for rows in (0, 4, 5)] == ["pass", "pass", "warn"]


def test_the_same_history_gives_the_same_text_in_any_order():
    past = mondays(*USUAL)

    assert judged(18_204, past) == judged(18_204, list(reversed(past)))
