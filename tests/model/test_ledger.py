"""Which windows on-call hears of, and when: worked out from plans, a clock and what is published, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from tenantdags.model.ledger import (
    EARLY,
    STALL,
    Call,
    TableLedger,
    advanced,
    call_of,
    next_due,
    overdue_from,
    settled,
    told,
)
from tenantdags.model.plan import SlaPlan, TablePlan
from tenantdags.model.runs import first_run
from tenantdags.model.window import Every, Window, day_window, window_at
from tests.dag.plans import plan_of, utc

BERLIN = "Europe/Berlin"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DUE = utc("2026-11-23T05:00:00")  # 06:00 in Berlin: when the window of the 22nd is due


AT_SIX = SlaPlan(ready_by=time(6))


def plan(
    table: str = "orders", every: Every = "day", first: date = date(2026, 11, 1), sla: SlaPlan | None = AT_SIX
) -> TablePlan:
    made = plan_of("acme", table, sla=sla)
    return replace(made, schedule=replace(made.schedule, every=every, time_zone=BERLIN, first_window=first))


def day(number: int) -> Window:
    return day_window(date(2026, 11, number), BERLIN)


class Watched:
    """One table through a night: looks at instants, with what is published by then."""

    def __init__(self, plan: TablePlan, since: datetime, published: list[Window] | None = None) -> None:
        self.plan, self.published = plan, {window.start for window in published or ()}
        self.ledger: TableLedger | None = None
        self.said: list[tuple[str, str, int]] = []
        self.look(since)

    def look(self, now: datetime, *, early: bool = False) -> Call | None:
        """What on-call hears at this look."""
        ledger = settled(
            self.plan, self.ledger, advanced(self.plan, self.ledger, now, early=early), self.published, now
        )
        call = call_of(self.plan, ledger, now, early=early)
        if call:
            ledger = told(ledger, call, "late", now)
            self.said.append((call.window.key, call.stage, len(call.behind)))
        self.ledger = TableLedger.from_json(ledger.to_json())  # as the next look reads it
        assert self.ledger == ledger
        return call

    def minutes(self, start: datetime, number: int) -> None:
        for minute in range(number):
            self.look(start + minute * MINUTE)

    def publish(self, *windows: Window) -> None:
        self.published |= {window.start for window in windows}


def a_week(until: int) -> list[Window]:
    return [day(number) for number in range(until - 8, until + 1)]


def test_a_window_that_is_published_is_never_told():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=22))

    table.minutes(DUE - 2 * MINUTE, 60)

    assert table.said == []
    assert table.ledger == TableLedger(since=DUE - 3 * HOUR, mark=day(22).start, seen=True)


def test_a_window_that_is_missed_is_told_at_the_first_look_after_its_deadline_and_once():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=21))

    table.minutes(DUE - 10 * MINUTE, 10)
    assert table.said == []
    table.minutes(DUE, 600)

    assert table.said == [("2026-11-22", "page", 0)]


def test_a_window_published_late_leaves_and_the_next_one_is_told_by_itself():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=21))
    table.minutes(DUE, 5)
    table.publish(day(22))
    table.look(DUE + HOUR)
    assert table.ledger
    assert table.ledger.open == ()

    table.look(DUE + DAY)

    assert table.said == [("2026-11-22", "page", 0), ("2026-11-23", "page", 0)]


def test_a_hole_that_nobody_fills_does_not_hide_the_next_day():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=21))
    table.look(DUE)

    table.minutes(DUE + DAY, 10)

    assert table.said == [("2026-11-22", "page", 0), ("2026-11-23", "page", 0)]


def test_a_warning_comes_before_and_the_page_all_the_same():
    table = Watched(plan(sla=SlaPlan(ready_by=time(6), warn_before=45 * MINUTE)), DUE - 3 * HOUR, a_week(until=21))

    table.minutes(DUE - HOUR, 90)

    assert table.said == [("2026-11-22", "ahead", 0), ("2026-11-22", "page", 0)]


def test_a_table_that_cannot_run_is_warned_of_soon_after_its_start():
    table = Watched(plan(), DUE - 8 * HOUR, a_week(until=21))
    start = day(22).end + table.plan.schedule.settle + table.plan.schedule.jitter

    assert table.look(start + EARLY - MINUTE, early=True) is None
    assert table.look(start + EARLY, early=True) == Call(day(22), "ahead")
    assert table.look(start + EARLY + MINUTE, early=True) is None
    assert table.look(DUE) == Call(day(22), "page")


def test_hours_behind_one_another_are_told_together():
    hours = [window_at(utc("2026-11-14T00:00:00") + n * HOUR, "hour", BERLIN) for n in range(24 * 8)]
    table = Watched(plan(every="hour", sla=SlaPlan(within=2 * HOUR)), utc("2026-11-22T00:30:00"), hours)

    table.minutes(utc("2026-11-22T00:31:00"), 7 * 60)

    assert table.said == [("2026-11-22T00Z", "page", 0), ("2026-11-22T01Z", "page", 3)]


def test_a_watch_that_was_away_tells_the_oldest_with_those_behind_it():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=21))

    table.look(DUE + 4 * DAY)

    assert table.said == [("2026-11-22", "page", 4)]


def test_a_backlog_that_gets_shorter_is_left_alone_and_told_when_it_stalls():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=21))
    table.look(DUE + 4 * DAY)
    for number in (22, 23):
        table.publish(day(number))
        table.look(DUE + 4 * DAY + number * MINUTE)
    table.minutes(DUE + 5 * DAY, 1)

    assert table.said == [("2026-11-22", "page", 4), ("2026-11-27", "page", 0)]


def test_a_new_tenant_catches_up_in_silence_while_it_gets_on():
    now = DUE + 2 * HOUR
    table = Watched(plan(first=date(2026, 11, 18)), now)
    for number in range(18, 23):
        now += 20 * MINUTE
        table.publish(day(number))
        table.look(now)

    assert table.said == []
    assert table.ledger
    assert table.ledger.open == ()


def test_a_new_tenant_that_does_not_get_on_is_told():
    table = Watched(plan(first=date(2026, 11, 18)), DUE + 2 * HOUR)

    table.minutes(DUE + 2 * HOUR, 59)
    assert table.said == []
    table.look(DUE + 2 * HOUR + STALL)

    assert table.said == [("2026-11-18", "page", 4)]


def test_a_window_that_is_due_after_the_tenant_came_has_no_grace():
    table = Watched(plan(first=date(2026, 11, 22)), DUE - MINUTE)

    assert table.look(DUE) == Call(day(22), "page")


def test_windows_before_the_first_are_not_expected():
    table = Watched(plan(first=date(2026, 11, 23)), DUE - HOUR)

    table.minutes(DUE, 10)

    assert table.said == []


def test_a_first_window_that_is_moved_on_lets_older_ones_go():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=21))
    table.look(DUE)
    table.plan = plan(first=date(2026, 11, 23))

    table.look(DUE + MINUTE)

    assert table.ledger
    assert table.ledger.open == ()


def test_a_table_is_not_looked_at_further_back_than_a_week():
    table = Watched(plan(first=date(2024, 1, 1)), DUE)

    assert table.ledger
    assert next(each.start for each in table.ledger.open) == day(16).start


def test_a_table_without_a_deadline_is_expected_when_its_next_run_starts():
    without = plan(sla=None)
    start = day(23).end + without.schedule.settle + without.schedule.jitter

    assert overdue_from(without, day(22)) == start


def test_the_next_instant_that_is_worth_a_look_is_known():
    table, seen = Watched(plan(sla=SlaPlan(ready_by=time(6), warn_before=45 * MINUTE)), DUE - 3 * HOUR), []
    for at in (DUE - 2 * HOUR, DUE - 45 * MINUTE, DUE):
        table.look(at)
        assert table.ledger
        seen.append(next_due(table.plan, table.ledger, at))

    assert seen == [DUE - 45 * MINUTE, DUE, DUE + DAY - 45 * MINUTE]


@pytest.mark.parametrize("step", [5 * MINUTE, -5 * MINUTE])
def test_a_clock_that_steps_tells_nothing_twice(step):
    table = Watched(plan(sla=SlaPlan(ready_by=time(6), warn_before=45 * MINUTE)), DUE - 3 * HOUR, a_week(until=21))
    for second_step in (timedelta(), step, timedelta(), step):
        table.minutes(DUE - 44 * MINUTE + second_step, 3)
        table.minutes(DUE + second_step, 3)

    assert table.said == [("2026-11-22", "ahead", 0), ("2026-11-22", "page", 0)]


def test_a_tenant_met_by_a_clock_that_was_ahead_still_hears_of_its_window():
    table = Watched(plan(first=date(2026, 11, 22)), DUE + 4 * MINUTE)
    assert table.said == []  # overdue already, as it seems: a backlog

    table.minutes(DUE - MINUTE, 3)

    assert table.said == [("2026-11-22", "page", 0)]


@pytest.mark.parametrize(
    ("window", "due"),
    [
        (date(2026, 10, 24), "2026-10-25T05:00:00"),  # the night has 25 hours
        (date(2027, 3, 27), "2027-03-28T04:00:00"),  # the night has 23
    ],
)
def test_the_deadline_is_six_oclock_also_after_a_night_in_which_the_clock_changes(window, due):
    before = day_window(window - DAY, BERLIN)
    table = Watched(plan(first=before.as_of_date), utc(due) - 4 * HOUR, [before])

    table.minutes(utc(due) - 60 * MINUTE, 60)
    assert table.said == []
    table.look(utc(due))

    assert table.said == [(window.isoformat(), "page", 0)]


@pytest.mark.parametrize(
    ("ready_by", "window", "due"),
    [
        (time(2, 30), date(2026, 10, 24), "2026-10-25T00:30:00"),  # shown twice: the first time
        (time(2, 30), date(2027, 3, 27), "2027-03-28T01:30:00"),  # skipped: as if the clock had not changed
    ],
)
def test_a_deadline_in_the_hour_that_changes_is_one_instant(ready_by, window, due):
    assert overdue_from(plan(sla=SlaPlan(ready_by=ready_by)), day_window(window, BERLIN)) == utc(due)


def test_a_later_snapshot_settles_the_earlier_ones():
    table = Watched(plan("customers"), DUE - 3 * HOUR, [day(21)])
    table.look(DUE)
    table.publish(day(23))

    table.look(DUE + DAY)

    assert table.said == [("2026-11-22", "page", 0)]
    assert table.ledger
    assert table.ledger.open == ()


def test_of_a_new_snapshot_table_only_what_can_be_observed_is_expected():
    since = DUE - 4 * HOUR
    table = Watched(plan("customers"), since)

    table.look(DUE)

    assert table.ledger
    assert table.ledger.open[0].start == first_run(table.plan, since).window.start > day(16).start


def test_a_table_that_goes_well_takes_little_room():
    table = Watched(plan(), DUE - 3 * HOUR, a_week(until=22))
    table.look(DUE)

    assert table.ledger
    assert len(str(table.ledger.to_json())) < 80
