"""Windows of an event table do not stand still: those of the lookback are counted anew, and what differs is read again.

Extract compares the source with what is published, in the transaction it reads its own rows in. The run's last task
remembers what differs, under `_ops/recount/` in landing, and asks for a run of that window. A difference is asked for
once: a window that came back red, or was rolled back by hand, waits until its source changes again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from tenantdags.model.errors import LandingConflict, TenantDagsError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window, window_named, windows_before
from tenantdags.steps.landing import Landing
from tenantdags.steps.manifest import Differing, Manifest, Newest, Recount, Totals, utc_text

RUN_PREFIX = "recount"
FORMAT = 1
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class PublishedTotals:
    """What readers see of a window, counted; after a rollback also the `newest` load, which they do not see."""

    generation: int
    totals: Totals
    newest: Totals | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """The published windows of a lookback, nearest first, and why some could not be looked at."""

    windows: Mapping[Window, PublishedTotals]
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the lookback came to in one run, for its summary. `asked` is the run that reads a window again."""

    window: str
    differs: tuple[str, ...]
    asked: str | None = None
    text: str  # in words, with the command where nobody was asked


class Ask(Protocol):
    """Asks Airflow for a run of one window. None when it will come; else why it will not, in words."""

    def __call__(self, run_id: str, window: str, note: str) -> str | None: ...


def looks_back(plan: TablePlan) -> bool:
    return plan.contract.mode == "event" and plan.lookback > 0


def published_before(plan: TablePlan, window: Window, landing: Landing) -> Published | None:
    """What is published of the windows the plan looks back at; None where it does not. Raises nothing of a window's."""
    if not looks_back(plan):
        return None
    zone = plan.schedule.time_zone
    before = [w for w in windows_before(window, plan.lookback, zone) if w.as_of_date >= plan.schedule.first_window]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = list(pool.map(lambda w: _published(plan, w, landing), before))
    found = zip(before, answers, strict=True)
    return Published(
        {w: answer for w, answer in found if isinstance(answer, PublishedTotals)},
        tuple(answer for answer in answers if isinstance(answer, str)),
    )


def compare(published: Published, counted: Sequence[Totals]) -> Recount:
    """`counted` is what the source says now, in the order of `published.windows`."""
    pairs = zip(published.windows.items(), counted, strict=True)
    found = (_differing(window, seen, now) for (window, seen), now in pairs)
    return Recount(
        windows=len(published.windows), differing=tuple(d for d in found if d), troubles=published.troubles
    )  # fmt: skip


def differences(seen: Totals, now: Totals) -> tuple[str, ...]:
    """What changed, in words. A number that only one side has was not taken then, and says nothing."""
    said = [f"rows {seen.rows:,} → {now.rows:,}"] if seen.rows != now.rows else []
    before = _sums(seen)
    for column, total in _sums(now).items():
        if column in before and before[column] != total:
            said.append(f"sum of {column} {_shown(before[column])} → {_shown(total)}")
    if seen.newest and now.newest and seen.newest != now.newest and seen.newest.column == now.newest.column:
        said.append(f"newest {now.newest.column} {seen.newest.value} → {now.newest.value}")
    return tuple(said)


def run_id_of(window: str, source: str) -> str:
    """`recount__2026-11-20__3f9c1a2b4d5e`: the same difference is the same run, however often it is asked for."""
    return f"{RUN_PREFIX}__{window}__{source}"


def command(plan: TablePlan, window: str, run_id: str) -> str:
    """What a person types to get that run."""
    return f"airflow dags trigger {plan.dag_id} --run-id {run_id} --conf '{json.dumps({'window': window})}'"


def follow_up(
    plan: TablePlan,
    manifest: Manifest | None,
    landing: Landing,
    *,
    waiting: Callable[[], str | None],
    ask: Ask,
    run_id: str,
    now: datetime,
) -> tuple[Told, ...]:
    """Remembers what this run found, then asks for one run; what was found and not asked for comes in later runs.

    One at a time, and none while `waiting` names a due window without a run: a table runs one window at a time, so
    due windows wait for one recount at most. Raises LandingUnreachable and the like.
    """
    notes = _Notes(plan, landing)
    found = manifest.recount.differing if manifest and manifest.recount else ()
    new = [d for d in found if not d.settled and notes.asked(d.window) != d.source]
    for differing in new:
        notes.put_pending(differing, run_id, now)
    known = {d.window: _known(d, notes) for d in found if d not in new}
    pending = notes.pending()
    asked = _ask_one(plan, pending, landing, notes, waiting, ask, run_id, now)
    later = {entry.window: _told(entry, "it is asked for when the one before it is done") for entry in pending}
    told = later | known | asked
    troubles = manifest.recount.troubles if manifest and manifest.recount else ()
    unseen = [Told(window=text.partition(":")[0], differs=(), text=f"recount: {text}") for text in troubles]
    return (*(told[window] for window in sorted(told, reverse=True)), *unseen)


def trouble(window: Window, error: TenantDagsError) -> tuple[Told, ...]:
    """That nobody could be asked in this run; what was found is found again by the next one."""
    why = getattr(error, "what", str(error))
    return (Told(window=window.key, differs=(), text=f"recount: what was found could not be followed up: {why}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One remembered difference, as its file holds it."""

    window: str
    source: str
    generation: int
    differs: tuple[str, ...]
    found_by: str
    found_at: str
    run_id: str
    format: int = FORMAT


class _Notes:
    """`_ops/recount/<tenant>/<table>/pending/<window>.json` and `…/asked/<window>.json`: the latest of each kind."""

    def __init__(self, plan: TablePlan, landing: Landing) -> None:
        self._where, self._blobs = plan.at("recount"), landing.blobs
        self._folder = f"_ops/recount/{plan.tenant}/{plan.curated_name}"

    def put_pending(self, found: Differing, run_id: str, now: datetime) -> None:
        entry = _Entry(
            window=found.window, source=found.source, generation=found.generation, differs=found.differs,
            found_by=run_id, found_at=utc_text(now.astimezone(UTC)), run_id=run_id_of(found.window, found.source),
        )  # fmt: skip
        self._write("pending", entry)

    def pending(self) -> list[_Entry]:
        """The newest window first."""
        paths = self._blobs.names(self._where, f"{self._folder}/pending/")
        entries = (self._read(path) for path in sorted(paths, reverse=True))
        return [entry for entry in entries if entry]

    def asked(self, window: str) -> str | None:
        """The digest of the source for which this window was last asked for."""
        entry = self.asked_entry(window)
        return entry.source if entry else None

    def asked_entry(self, window: str) -> _Entry | None:
        return self._read(f"{self._folder}/asked/{window}.json")

    def settle(self, entry: _Entry, *, asked: bool) -> None:
        """Takes it off the list; what was asked for is remembered."""
        if asked:
            self._write("asked", entry)
        self._blobs.delete(self._where, f"{self._folder}/pending/{entry.window}.json")

    def _write(self, kind: str, entry: _Entry) -> None:
        path = f"{self._folder}/{kind}/{entry.window}.json"
        self._blobs.write(self._where, path, json.dumps(asdict(entry), indent=1).encode())

    def _read(self, path: str) -> _Entry | None:
        """None when there is no such file. Raises LandingConflict for one that is not ours."""
        found = self._blobs.read(self._where, path)
        if found is None:
            return None
        try:
            raw: dict[str, Any] = json.loads(found[0])
            return _Entry(**{**raw, "differs": tuple(raw["differs"])})
        except (ValueError, KeyError, TypeError):
            what = f"{path} cannot be read as a recount's note."
            raise LandingConflict(self._where, what, "Delete it: the next run counts anew.") from None


def _ask_one(
    plan: TablePlan, pending: Iterable[_Entry], landing: Landing, notes: _Notes,
    waiting: Callable[[], str | None], ask: Ask, run_id: str, now: datetime,
) -> dict[str, Told]:  # fmt: skip
    """The first remembered difference that is still one, asked for; differences that are none any more, forgotten."""
    told: dict[str, Told] = {}
    for entry in pending:
        window = window_named(entry.window, plan.schedule.every, plan.schedule.time_zone)
        current = landing.published(plan, window)
        if current is None or current.file.generation != entry.generation:
            notes.settle(entry, asked=False)
            told[entry.window] = _told(entry, "it was published anew since, so nobody is asked")
            continue
        if due := waiting():
            return told | {entry.window: _told(entry, f"it is asked for after {due}, which is due and has no run yet")}
        why = ask(entry.run_id, entry.window, f"{_said(entry)}; found by {entry.found_by}")
        if why is not None:
            remedy = f"Run `{command(plan, entry.window, entry.run_id)}`"
            return told | {entry.window: _told(entry, f"no run could be asked for: {why.rstrip('.')}. {remedy}")}
        notes.settle(entry, asked=True)
        return told | {entry.window: _told(entry, f"it is read again by run {entry.run_id}", asked=entry.run_id)}
    return told


def _told(entry: _Entry, outcome: str, asked: str | None = None) -> Told:
    return Told(window=entry.window, differs=entry.differs, asked=asked, text=f"{_said(entry)}; {outcome}.")


def _known(found: Differing, notes: _Notes) -> Told:
    said = f"recount: {found.window} differs from its source ({'; '.join(found.differs)})"
    if found.settled:
        why = "it did so when it was rolled back by hand, and is left alone until the source changes"
    else:
        entry = notes.asked_entry(found.window)
        why = f"run {entry.run_id if entry else '?'} was asked for it and has not published it: see that run"
    return Told(window=found.window, differs=found.differs, text=f"{said}; {why}.")


def _said(entry: _Entry) -> str:
    return f"recount: {entry.window} differs from its source ({'; '.join(entry.differs)})"


def _published(plan: TablePlan, window: Window, landing: Landing) -> PublishedTotals | str | None:
    """None for a window nobody has published; a text for one that cannot be looked at, which must not stop this run."""
    try:
        record = landing.published(plan, window)
        head, last = (record.file.head, record.file.last_extracted) if record else (None, None)
        if head is None:
            return None
        seen = as_published(landing.read_manifest(plan, window, head.load_id))
        if last is None or last.load_id == head.load_id:
            return PublishedTotals(head.generation, seen)
        return PublishedTotals(head.generation, seen, as_published(landing.read_manifest(plan, window, last.load_id)))
    except TenantDagsError as error:
        return f"{window}: could not be compared with its source: {getattr(error, 'what', error)}"
    except (ValueError, KeyError, TypeError) as error:
        return f"{window}: could not be compared with its source: its manifest cannot be read ({type(error).__name__})."


def as_published(manifest: Manifest) -> Totals:
    """The rows of the load; its sums are the source's, which the gates have compared with it."""
    return Totals(rows=manifest.rows, sums=manifest.totals.sums, newest=manifest.totals.newest)


def _differing(window: Window, seen: PublishedTotals, now: Totals) -> Differing | None:
    said = differences(seen.totals, now)
    if not said:
        return None
    return Differing(
        window=window.key, window_start=window.start, generation=seen.generation, differs=said,
        source=_digest(now), settled=seen.newest is not None and not differences(seen.newest, now),
    )  # fmt: skip


def _digest(totals: Totals) -> str:
    sums = sorted((column, str(total)) for column, total in _sums(totals).items())
    newest = asdict(totals.newest or Newest(column="", value=None))
    return hashlib.sha256(json.dumps([totals.rows, sums, newest]).encode()).hexdigest()[:12]


def _sums(totals: Totals) -> dict[str, Decimal | None]:
    """Of the window as a whole; sums by group are the gates' business."""
    return {t.column: None if t.sum is None else Decimal(t.sum) for t in totals.sums if not t.by}


def _shown(total: Decimal | None) -> str:
    return "none" if total is None else f"{total:,f}"
