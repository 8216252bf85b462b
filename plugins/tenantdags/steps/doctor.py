"""Compares every window's `_published.json` with the publish log, the table and landing, and mends what is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from tenantdags.model.errors import LandingConflict, RunError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window, window_at
from tenantdags.steps import publish_log, serving
from tenantdags.steps.appended import Append, appends
from tenantdags.steps.examine import Case, Diagnosis, Finding, examine
from tenantdags.steps.landing import Landing, PublishedRecord
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.prune import once
from tenantdags.steps.publish_log import LogRow
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.staging import MANIFEST
from tenantdags.steps.statements import Statements

_READERS = 8  # small files read at once

T = TypeVar("T")
Clients = Callable[[TablePlan], tuple[Landing, Statements]]


@dataclass(slots=True)
class Totals:
    """Over all tables. `mended` counts windows; `failed` the tables that could not be looked at."""

    tables: int = 0
    windows: int = 0
    mendable: int = 0
    mended: int = 0
    refused: int = 0
    failed: int = 0


def check_tables(
    plans: Iterable[TablePlan],
    clients: Clients,
    now: Callable[[], datetime],
    say: Callable[[str], None],
    *,
    mend: bool,
) -> Totals:
    """Every window of every table in every major version, told as it goes; with `mend` also put right."""
    totals = Totals()
    for plan in once(plans):
        totals.tables += 1
        try:
            landing, statements = clients(plan)
            for major in sorted({*landing.majors(plan), plan.contract.major}):
                of_major = plan.under(replace(plan.contract, major=major))
                _Ward(of_major, landing, statements, now, say, totals).check(mend=mend)
            _check_moves(plan, landing, statements, now, say, totals, mend=mend)
        except RunError as error:
            totals.failed += 1
            say(str(error))
    return totals


def _check_moves(
    plan: TablePlan, landing: Landing, statements: Statements, now: Callable[[], datetime],
    say: Callable[[str], None], totals: Totals, *, mend: bool,
) -> None:  # fmt: skip
    """Which major the tenant's readers see: the file in `_ops/serving` and the log must say the same."""
    path, where = serving.path_of(plan), plan.at("doctor")
    known = serving.logged(plan, statements)
    found = landing.blobs.read(where, path)
    verdict = serving.examine(found[0] if found else None, known)
    if verdict is None:
        return
    certain = bool(verdict.file or verdict.rows)
    say(f"{plan.at('serving')}: {'can be mended' if certain else 'needs you'}: {path}: {verdict.text}")
    totals.mendable += certain
    totals.refused += not certain
    if not certain or not mend:
        return
    if verdict.file:
        text = verdict.file.to_json().encode()
        if landing.blobs.swap(where, path, text, found[1] if found else None) is None:
            say(f"{plan.at('serving')}: it was changed meanwhile, nothing was mended; ask the doctor again")
            return
    serving.write(plan, verdict.rows, statements, now())
    say(f"{plan.at('serving')}: mended")
    totals.mended += 1


@dataclass(frozen=True, slots=True)
class _Ward:
    """One table of one tenant under one major version."""

    plan: TablePlan
    landing: Landing
    statements: Statements
    now: Callable[[], datetime]
    say: Callable[[str], None]
    totals: Totals

    def check(self, *, mend: bool) -> None:
        # The log first: a window that is published while we look is then ahead in its file, and never behind.
        asked = self.statements.of(self.plan, "doctor")
        log = publish_log.read(self.plan, asked)
        shelves = {shelf.window: shelf.loads for shelf in self.landing.shelves(self.plan)}
        if not log and not shelves:  # and perhaps there is no table yet
            return
        grid = _Grid(self.plan, {window.start: window for window in shelves})
        logged = grid.sorted(log, lambda row: row.fact.window_start)
        rows = grid.sorted(appends(self.plan, asked), lambda append: append.window_start)
        self._strays(logged.pop(None, []), rows.pop(None, []))
        windows = sorted({*filter(None, logged), *shelves})
        self.totals.windows += len(windows)
        with ThreadPoolExecutor(_READERS) as pool:
            texts = list(pool.map(lambda window: self.landing.published_text(self.plan, window), windows))
        for window, text in zip(windows, texts, strict=True):
            case = self._case(window, text, logged.get(window, []), rows.get(window, []), shelves.get(window, {}))
            if examine(case, self.now()).findings:
                self._look_again(window, mend=mend)

    def _look_again(self, window: Window, *, mend: bool) -> None:
        """On this window alone, for a run may have published it while all others were looked at."""
        asked = self.statements.of(self.plan, window)
        logged = publish_log.read(self.plan, asked, window)
        text = self.landing.published_text(self.plan, window)
        loads = next((shelf.loads for shelf in self.landing.shelves(self.plan, window)), {})
        case = self._case(window, text, logged, appends(self.plan, asked, window), loads)
        found = examine(case, self.now())
        self._tell(window.key, found.findings)
        self.totals.mendable += found.mends
        if mend and found.mends and self._mend(window, text, found):
            self.totals.mended += 1

    def _mend(self, window: Window, text: tuple[bytes, str] | None, found: Diagnosis) -> bool:
        where = f"{self.plan.at(window)} ({self.plan.contract.ref})"
        if found.file:
            if text and not _readable(text[0]):
                self.say(f"{where}: kept the broken file as {self.landing.keep_broken(self.plan, window, text[0])}")
            expected = PublishedRecord(PublishedFile(), text[1]) if text else None
            try:
                self.landing.swap_published(self.plan, window, found.file, expected)
            except LandingConflict:
                self.say(f"{where}: another run published meanwhile, nothing was mended; ask the doctor again")
                return False
        publish_log.write(self.plan, found.rows, self.statements.of(self.plan, window), self.now())
        self.say(f"{where}: mended")
        return True

    def _case(
        self,
        window: Window,
        text: tuple[bytes, str] | None,
        logged: Iterable[LogRow],
        rows: Iterable[Append],
        loads: dict[str, list[str]],
    ) -> Case:
        content = text[0] if text else None
        return Case(
            window=window, text=content, logged=tuple(logged), appends=tuple(rows), loads=loads,
            manifest=self._manifest(window, content, loads),
        )  # fmt: skip

    def _manifest(self, window: Window, text: bytes | None, loads: dict[str, list[str]]) -> Manifest | None:
        """Of the load that readers see, where it can be told and read."""
        with suppress(ValueError, KeyError, TypeError):
            head = PublishedFile.from_json(text).head if text else None
            if head and MANIFEST in loads.get(head.load_id, ()):
                return self.landing.read_manifest(self.plan, window, head.load_id)
        return None

    def _strays(self, logged: list[LogRow], rows: list[Append]) -> None:
        """What lies in no window of the tenant's calendar as it is now."""
        if logged or rows:
            text = f"{len(logged)} rows of the log and {len(rows)} appends belong to no window of the present calendar"
            self._tell("elsewhere", (Finding("refuse", text),))

    def _tell(self, key: str, findings: Iterable[Finding]) -> None:
        worst = set()
        for finding in findings:
            worst.add(finding.level)
            word = {"mend": "can be mended", "refuse": "needs you", "note": "note"}[finding.level]
            self.say(f"{self.plan.at(key)} ({self.plan.contract.ref}): {word}: {finding.text}")
        self.totals.refused += "refuse" in worst


def _readable(text: bytes) -> bool:
    try:
        PublishedFile.from_json(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Grid:
    """The windows that lie in landing, and behind them those of the tenant's calendar as it is now."""

    plan: TablePlan
    landed: Mapping[datetime, Window]

    def sorted(self, facts: Iterable[T], start: Callable[[T], datetime]) -> dict[Window | None, list[T]]:
        """Facts by the window they belong to; None for those that belong to none."""
        found: dict[Window | None, list[T]] = {}
        for fact in facts:
            found.setdefault(self._window(start(fact)), []).append(fact)
        return found

    def _window(self, start: datetime) -> Window | None:
        schedule = self.plan.schedule
        window = self.landed.get(start) or window_at(start, schedule.every, schedule.time_zone)
        return window if window.start == start else None
