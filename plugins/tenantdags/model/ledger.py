"""The ledger of expected windows: which must be published by now, which are not, and which of those to tell on-call.

Pure: what is expected comes from the plans, what is published is handed in. A window only ever moves from expected to
published, so two watchdogs on one ledger, or a clock that jumps, change what is known and when, but tell nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any, Literal

from tenantdags.model.deadline import due_of
from tenantdags.model.plan import TablePlan
from tenantdags.model.runs import first_run, first_start, run_of, windows_from
from tenantdags.model.window import Window, window_at

EARLY = timedelta(minutes=5)  # what a run may take to start, before a table that cannot run is told of
FIRST_LOOK = timedelta(days=7)  # how far back a table is looked at when the ledger meets it
STALL = timedelta(hours=1)  # a backlog that gets shorter is left alone; one that does not for so long is told
RENEW = timedelta(hours=4)  # how long later windows count as part of a miss that on-call was told of and is still open
Stage = Literal["ahead", "page"]  # told before the window is due; told since it is overdue


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A window that is looked at and not published as far as known. `told` says what on-call heard of it, as `kind`."""

    start: datetime
    told: tuple[Stage, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLedger:
    """One table. Of the windows that start at `mark` or before, the `open` ones are not published as far as known.

    `since` is when the ledger met the table, `progress` when an overdue window was last seen published, `told_at` when
    on-call was last told, `seen` whether any window was ever seen published.
    """

    since: datetime
    mark: datetime | None = None
    open: tuple[OpenWindow, ...] = ()
    progress: datetime | None = None
    told_at: datetime | None = None
    seen: bool = False

    def to_json(self) -> dict[str, Any]:
        """Short for a table that goes well, for there are thousands of them."""
        instants = {name: getattr(self, name) for name in ("since", "mark", "progress", "told_at")}
        raw: dict[str, Any] = {name: _text(value) for name, value in instants.items() if value}
        if self.open:
            raw["open"] = [[_text(each.start), list(each.told), each.kind] for each in self.open]
        return raw if self.seen else {**raw, "seen": False}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> TableLedger:
        return cls(
            since=datetime.fromisoformat(raw["since"]),
            mark=_instant(raw.get("mark")),
            open=tuple(OpenWindow(datetime.fromisoformat(s), tuple(told), k) for s, told, k in raw.get("open", ())),
            progress=_instant(raw.get("progress")),
            told_at=_instant(raw.get("told_at")),
            seen=raw.get("seen", True),
        )


@dataclass(frozen=True, slots=True)
class Call:
    """On-call should hear of this window now. `behind` are the later windows of the table that are overdue as well."""

    window: Window
    stage: Stage
    behind: tuple[datetime, ...] = ()


def overdue_from(plan: TablePlan, window: Window) -> datetime:
    """When its absence is an alarm: its deadline. Of a table without one: when the next window's run starts."""
    return due_of(plan, window) or run_of(plan, _cell(plan, window.end)).start


def advanced(plan: TablePlan, before: TableLedger | None, now: datetime, *, early: bool = False) -> TableLedger:
    """With every window that is to be looked at by now. `early`: the table cannot run, so its starts count already."""
    ledger = before or TableLedger(since=now)
    ledger = replace(ledger, since=min(ledger.since, now))  # else a clock that was ahead makes a backlog of new windows
    found = tuple(takewhile(lambda w: _looked_at_from(plan, w, early) <= now, _unseen(plan, ledger)))
    kept = (each for each in ledger.open if each.start >= first_start(plan))
    mark = found[-1].start if found else ledger.mark
    return replace(ledger, mark=mark, open=(*kept, *(OpenWindow(w.start) for w in found)))


def settled(
    plan: TablePlan, before: TableLedger | None, ledger: TableLedger, published: Collection[datetime], now: datetime
) -> TableLedger:
    """Without the windows (by their starts) that are published. A snapshot's later window settles the earlier ones.

    Progress is made by a window that was `before` known to be open; of others it is only learnt now how they are.
    """
    there = sorted(each.start for each in ledger.open if each.start in published)
    if not there:
        return ledger
    passed = there[-1] if plan.contract.mode == "snapshot" else datetime.min.replace(tzinfo=UTC)
    left = tuple(each for each in ledger.open if each.start not in published and each.start > passed)
    waited_for = {each.start for each in before.open} & set(there) if before else set()
    was_overdue = any(overdue_from(plan, _cell(plan, start)) <= now for start in waited_for)
    return replace(ledger, open=left, seen=True, progress=now if was_overdue else ledger.progress)


def call_of(plan: TablePlan, ledger: TableLedger, now: datetime, *, early: bool = False) -> Call | None:
    """What to tell on-call now, of a ledger that is settled; at most one window, with those behind it."""
    windows = {each: _cell(plan, each.start) for each in ledger.open}
    overdue = [each for each, window in windows.items() if overdue_from(plan, window) <= now]
    if overdue:
        fresh = [each for each in overdue if "page" not in each.told and not _is_backlog(plan, ledger, each, now)]
        known = RENEW if any("page" in each.told for each in overdue) else STALL
        if not fresh or _within(STALL, now, ledger.progress) or _within(known, now, ledger.told_at):
            return None
        return Call(windows[fresh[0]], "page", tuple(each.start for each in fresh[1:]))
    ahead = [each for each in ledger.open if not each.told and _warns(plan, windows[each], now, early)]
    return Call(windows[ahead[0]], "ahead") if ahead else None


def next_due(plan: TablePlan, ledger: TableLedger, now: datetime, *, early: bool = False) -> datetime | None:
    """When a look will find more to tell than one at `now`, as far as the clock decides; None: nothing more is due."""
    coming = (_looked_at_from(plan, window, early) for window in islice(_unseen(plan, ledger), 1))
    opened = (overdue_from(plan, _cell(plan, each.start)) for each in ledger.open)
    return min((at for at in (*coming, *opened) if at > now), default=None)


def told(ledger: TableLedger, call: Call, kind: str, now: datetime) -> TableLedger:
    """The ledger after on-call heard of the call, as `kind`. What was told as one kind stays that kind."""
    starts = {call.window.start, *call.behind}
    marked = tuple(
        replace(each, told=(*each.told, call.stage), kind=each.kind or kind) if each.start in starts else each
        for each in ledger.open
    )
    return replace(ledger, open=marked, told_at=now if call.stage == "page" else ledger.told_at)


def window_of_start(plan: TablePlan, start: datetime) -> Window:
    """The window that the ledger knows by its start."""
    return _cell(plan, start)


def _unseen(plan: TablePlan, ledger: TableLedger) -> Iterator[Window]:
    if ledger.mark is not None:
        mark = ledger.mark
        return (window for window in windows_from(plan, mark) if window.start > mark)
    # a table that is new here: of a snapshot only what can still be observed, and nothing of long ago
    return windows_from(plan, max(first_run(plan, ledger.since).window.start, ledger.since - FIRST_LOOK))


def _looked_at_from(plan: TablePlan, window: Window, early: bool) -> datetime:
    ahead = (plan.sla.warn_before if plan.sla else None) or timedelta()
    at = overdue_from(plan, window) - ahead
    return min(at, run_of(plan, window).start + EARLY) if early else at


def _warns(plan: TablePlan, window: Window, now: datetime, early: bool) -> bool:
    """A clock that went back may show a window before it is to be looked at; then it waits."""
    return (early or bool(plan.sla and plan.sla.warn_before)) and _looked_at_from(plan, window, early) <= now


def _is_backlog(plan: TablePlan, ledger: TableLedger, each: OpenWindow, now: datetime) -> bool:
    """Overdue when the ledger met the table, as of a tenant that is new: it gets time to catch up."""
    return overdue_from(plan, _cell(plan, each.start)) <= ledger.since and _within(STALL, now, ledger.since)


def _within(span: timedelta, now: datetime, instant: datetime | None) -> bool:
    return instant is not None and now - instant < span


def _cell(plan: TablePlan, instant: datetime) -> Window:
    return window_at(instant, plan.schedule.every, plan.schedule.time_zone)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
