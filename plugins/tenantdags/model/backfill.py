"""Which windows a backfill by dates means, and why it may not be made. Pure: what is known of the DAG comes in."""

from __future__ import annotations

import re
from calendar import month_name, monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from tenantdags.model.errors import WindowRefused
from tenantdags.model.pools import is_of_backfills
from tenantdags.model.window import Every, Window, day_window, window_at
from tenantdags.model.words import counted

Bound = date | datetime  # a local date, or the start (aware, UTC) of an hourly window
Again = Literal["none", "failed", "completed"]  # which windows that were run already are run again; Airflow's words

BULK = "tenantdags_bulk"  # the DAG that loads many windows at once
CONF = "tenantdags"  # the key of ours in a run's conf
CLOSES_WITHIN = 150  # seconds; the scheduler looks every 30 for backfills whose runs have ended
_LONGEST = 500  # characters of a reason

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_HOUR = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})Z")
_ENDED = ("success", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One DAG as a backfill finds it. Instants are aware and in UTC.

    `next_start` is where the scheduler goes on by itself: the start of the next window it makes a run for, None when it
    makes none. `runs` are the states of the runs that Airflow has for a window, by its start; `live` are the starts of
    windows that any run, one by hand included, is at or waits for.
    """

    dag_id: str
    every: Every
    zone: str
    first_window: date
    snapshot: bool = False
    paused: bool = False
    next_start: datetime | None = None
    running: int | None = None  # the id of a backfill of this DAG that has not ended
    closing: int | None = None  # or of one whose runs have ended, which Airflow's scheduler has yet to mark as complete
    runs: Mapping[datetime, str] = field(default_factory=dict)
    live: frozenset[datetime] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """One backfill of one DAG, decided: all its windows in order, and those that keep the run they have."""

    target: Target
    windows: tuple[Window, ...]
    kept: tuple[Window, ...]
    again: Again

    @property
    def made(self) -> tuple[Window, ...]:
        """The windows that get a run."""
        return tuple(window for window in self.windows if window not in self.kept)

    @property
    def is_ahead(self) -> bool:
        """Whether it ends where the scheduler has not come to, which goes on behind it."""
        return self.target.next_start is not None and self.last >= self.target.next_start

    @property
    def first(self) -> datetime:
        """Airflow's `from_date`: an instant, since a date would mean midnight UTC."""
        return self.windows[0].start

    @property
    def last(self) -> datetime:
        """Airflow's `to_date`: the start of the last window, for Airflow takes intervals that start in [from, to]."""
        return self.windows[-1].start


def bound(text: str) -> Bound:
    """`2026-11-21`, or an hourly window's key, `2026-11-21T14Z`. Raises ValueError that says what is wrong with it."""
    hour = _HOUR.fullmatch(text)
    day = _date(hour[1] if hour else text)
    if hour is None:
        return day
    if int(hour[2]) > 23:
        raise ValueError(f"{text}: hours go from 00 to 23")
    return datetime(day.year, day.month, day.day, int(hour[2]), tzinfo=UTC)


def _date(text: str) -> date:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date; write it like 2026-11-21 (windows are whole days of the tenant's zone)")
    year, month, day = map(int, found.groups())
    if not year or not 1 <= month <= 12:
        raise ValueError(f"{text} does not exist: months go from 01 to 12")
    days = monthrange(year, month)[1]
    if not 1 <= day <= days:
        raise ValueError(f"{text} does not exist: {month_name[month]} {year} has {days} days")
    return date(year, month, day)


def usable_reason(text: str) -> str:
    """The reason as one line. Raises ValueError for one that tells nothing."""
    line = " ".join(text.split())
    if not re.search(r"\w\w", line) or not line.isprintable():
        raise ValueError("say in words why; the reason stands in every run and its QA summary")
    if len(line) > _LONGEST:
        raise ValueError(f"the reason has {len(line)} letters; {_LONGEST} must do")
    return line


def bounds(start: str, end: str) -> tuple[Bound, Bound]:
    """Both dates, the end not before the start. Raises ValueError."""
    first, last = bound(start), bound(end)
    if type(first) is not type(last):
        raise ValueError(f"{start} and {end} are not of one kind; write two dates, or two hours like 2026-11-21T14Z")
    if first > last:
        raise ValueError(f"the start {start} lies after the end {end}; both belong to the backfill")
    return first, last


def windows_between(first: Bound, last: Bound, every: Every, zone: str) -> tuple[Window, ...]:
    """The windows from `first` to `last`, both included, in order. Raises ValueError for a date the zone never had."""
    if isinstance(first, datetime) and isinstance(last, datetime):
        if every == "day":
            raise ValueError("windows are days here; write dates like 2026-11-21")
        return tuple(_cells(first, last + timedelta(hours=1), every, zone))
    assert not isinstance(first, datetime)
    assert not isinstance(last, datetime)
    for day in (first, last):
        if day_window(day, zone).start == day_window(day, zone).end:
            raise ValueError(f"{day} does not exist in {zone}: its clocks skipped that day")
    return tuple(_cells(day_window(first, zone).start, day_window(last, zone).end, every, zone))


def _cells(start: datetime, end: datetime, every: Every, zone: str) -> Iterator[Window]:
    """The cells of the grid that start in [start, end)."""
    at = window_at(start, every, zone)
    if at.start < start:  # a local midnight at half past is no full hour of UTC
        at = window_at(at.end, every, zone)
    while at.start < end:
        if at.start < at.end:
            yield at
        at = window_at(at.end, every, zone)


def decide(target: Target, first: Bound, last: Bound, again: Again) -> Backfill:
    """The backfill from `first` to `last`. Raises WindowRefused when the zone has no such date."""
    try:
        windows = windows_between(first, last, target.every, target.zone)
    except ValueError as error:
        raise WindowRefused(target.dag_id, f"{error}.", "Correct the dates.") from None
    kept = tuple(window for window in windows if _keeps(target.runs.get(window.start), again))
    return Backfill(target=target, windows=windows, kept=kept, again=again)


def _keeps(state: str | None, again: Again) -> bool:
    """What Airflow decides for a window whose run has this state; a live one keeps its run whatever is said."""
    if state is None:
        return False
    return state not in _ENDED or again == "none" or (again == "failed" and state != "failed")


def refusals(
    backfill: Backfill,
    now: datetime,
    *,
    while_paused: bool = False,
    published: frozenset[datetime] = frozenset(),
    ahead: bool = True,
) -> tuple[WindowRefused, ...]:
    """Every reason why it may not be made. `published` are starts of windows that readers see already."""
    target = backfill.target
    if target.snapshot:
        what = "a snapshot table cannot be backfilled: today's state would be filed under a day that is over."
        return (WindowRefused(target.dag_id, what, "Leave it out; its history begins with its first run."),)
    found = [*_outside(backfill, now), *_in_use(backfill, while_paused)]
    if ahead and not found:  # what the scheduler does is worth telling only of windows that exist
        found += _ahead(backfill, while_paused, published)
    return tuple(WindowRefused(target.dag_id, what, remedy) for what, remedy in found)


def bulk_refusals(backfill: Backfill, now: datetime) -> tuple[WindowRefused, ...]:
    """The same for a load beside the scheduler, which makes no runs of the DAG."""
    target = backfill.target
    found = list(refusals(backfill, now, while_paused=True, ahead=False))
    if not found and not target.paused and target.next_start is not None and backfill.is_ahead:
        what = f"the scheduler has come to {window_at(target.next_start, target.every, target.zone)} and loads it, and "
        what += "what follows, by itself meanwhile."
        found.append(WindowRefused(target.dag_id, what, f"`airflow dags pause {target.dag_id}` until this is done."))
    return tuple(found)


def chunks(windows: Sequence[Window], size: int) -> tuple[tuple[Window, ...], ...]:
    """In order, at most `size` each."""
    return tuple(tuple(windows[at : at + size]) for at in range(0, len(windows), size))


def _outside(backfill: Backfill, now: datetime) -> Iterator[tuple[str, str]]:
    target, windows = backfill.target, backfill.windows
    if windows[0].as_of_date < target.first_window:
        what = f"{windows[0]} lies before the tenant's first_window, {target.first_window}."
        yield what, f"Start with {target.first_window}, or set first_window to an earlier date."
    if windows[-1].end > now:
        over = [window for window in windows if window.end <= now]
        what = f"{windows[-1]} ends at {windows[-1].end:%Y-%m-%dT%H:%M:%SZ}, which is still to come."
        yield what, f"End with {over[-1]}." if over else "Wait until it has ended."


def _in_use(backfill: Backfill, while_paused: bool) -> Iterator[tuple[str, str]]:
    target = backfill.target
    if target.running is not None:
        what = f"backfill {target.running} of this DAG is not finished, and Airflow runs one at a time."
        yield what, f"Wait for it, or end it with `tenantdags backfill cancel {target.running}`."
    if target.paused and not while_paused:
        what = "the DAG is paused, so its runs would stay queued."
        yield what, f"`airflow dags unpause {target.dag_id}` first, or say --while-paused to queue them until then."
    if live := [window for window in backfill.windows if window.start in target.live]:
        yield f"{_listed(live)} {_have(live)} a run that is not finished.", "Wait for it, or leave it out."


def _ahead(backfill: Backfill, while_paused: bool, published: frozenset[datetime]) -> Iterator[tuple[str, str]]:
    """Airflow goes on behind a DAG's newest run, a backfill's included: what lies before it would never be run."""
    target, windows, goes_on = backfill.target, backfill.windows, backfill.target.next_start
    if goes_on is None or not backfill.is_ahead:
        return
    at = window_at(goes_on, target.every, target.zone)
    between = _cells(goes_on, windows[0].start, target.every, target.zone)
    skipped = [window for window in between if window.start not in published and window.start not in target.runs]
    behind = [window for window in windows if window.start < goes_on]
    remedy = f"End with {behind[-1]}." if behind else "Leave it to the scheduler."
    if skipped:
        what = f"the scheduler has come to {at}; it would go on behind this backfill and never run {_listed(skipped)}."
        first = "load them first, with --bulk" if target.paused else "wait until it has run them"
        yield what, f"Start with {at}, or {first}."
    elif not (target.paused and while_paused):
        yield f"the scheduler has come to {at} and runs it, and what follows, by itself.", remedy


def not_closed(target: Target) -> WindowRefused:
    """Of one that was waited for in vain."""
    what = f"backfill {target.closing} has no run left, but Airflow has not closed it within {CLOSES_WITHIN} s."
    remedy = f"Look whether the scheduler runs, or say `tenantdags backfill cancel {target.closing} --yes`."
    return WindowRefused(target.dag_id, what, remedy)


def half_made(target: Target) -> WindowRefused:
    """Of one whose making a locked database broke off: what Airflow had made by then goes on."""
    what = "Airflow's database was locked while the backfill was made, so only a part of its windows has a run."
    remedy = "Say the same again when they have ended; PostgreSQL and MySQL do not lock like SQLite."
    return WindowRefused(target.dag_id, what, remedy)


def to_lines(backfill: Backfill, at_once: int, backwards: bool = False, listed: bool = False) -> list[str]:
    """What will be made of it, for people."""
    target, made = backfill.target, backfill.made
    order = "the newest first" if backwards else "the oldest first"
    windows = counted(len(made), "window")
    lines = [f"{target.dag_id}: {windows}, {_span(backfill.windows)} of {target.zone}, {at_once} at once, {order}"]
    lines.append(f"  from {backfill.first:%Y-%m-%dT%H:%M:%SZ} to {backfill.last:%Y-%m-%dT%H:%M:%SZ}")
    if target.closing is not None:
        lines.append(f"  waits first until Airflow has closed backfill {target.closing}, whose runs have ended")
    if backfill.kept:
        lines.append(f"  left as they are, for they were run already: {_listed(list(backfill.kept))}")
    if listed:
        states = {window: target.runs.get(window.start, "") for window in made}
        lines += [f"  {window}{f' again, was {states[window]}' if states[window] else ''}" for window in made]
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What stands in `conf` of every run of a backfill: who asks for it and why, which the QA summary says too."""

    by: str | None = None
    reason: str | None = None
    outside_hours: bool = False  # begin at once, whatever the tenant's hours for backfills
    slots: Mapping[str, str] = field(default_factory=dict)  # of a bulk load: from which pool a task takes its slot

    def to_conf(self) -> dict[str, Any]:
        said = {
            "by": self.by, "reason": self.reason, "outside_hours": self.outside_hours or None,
            "slots": dict(self.slots) or None,
        }  # fmt: skip
        return {CONF: {name: value for name, value in said.items() if value is not None}}

    @classmethod
    def from_conf(cls, conf: object) -> Request:
        """Of any run's conf, also of one that a person typed: what does not fit says nothing."""
        said = conf.get(CONF) if isinstance(conf, Mapping) else None
        if not isinstance(said, Mapping):
            return cls()
        by, reason = (said.get(name) for name in ("by", "reason"))
        slots = said.get("slots")
        return cls(
            by=str(by)[:_LONGEST] if by else None,
            reason=str(reason)[:_LONGEST] if reason else None,
            outside_hours=said.get("outside_hours") is True,
            slots={
                str(task): str(pool)
                for task, pool in (slots.items() if isinstance(slots, Mapping) else ())
                if is_of_backfills(str(pool))
            },
        )


def _span(windows: tuple[Window, ...]) -> str:
    return f"{windows[0]} to {windows[-1]}" if len(windows) > 1 else str(windows[0])


def _listed(windows: list[Window]) -> str:
    """`2026-11-01`, or `2026-11-01 to 2026-11-07 (5 windows)`; never a page of them."""
    if len(windows) <= 3:
        return ", ".join(map(str, windows))
    return f"{windows[0]} to {windows[-1]} ({len(windows)} windows)"


def _have(windows: list[Window]) -> str:
    return "has" if len(windows) == 1 else "have"
