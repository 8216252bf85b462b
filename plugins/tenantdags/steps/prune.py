"""Removes what no reader has seen for a week: superseded appends and loads, and what failed runs left.

What goes is written into the window's `_published.json` first, by compare-and-swap: a publish or a rollback that is
faster keeps its append, one that is later is refused. So an append whose run was cleared meanwhile is never half gone.
Killed in between, the next prune finds what was marked and ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tenantdags.model.errors import LandingConflict, RunError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.model.words import counted
from tenantdags.steps import dbsql, publish_log
from tenantdags.steps.appended import Append, appends
from tenantdags.steps.landing import Landing, Shelf
from tenantdags.steps.publish import swap
from tenantdags.steps.publish_log import LogRow
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.statements import Statements

# Delta has no snapshot across tables: a query may read the log before and the curated table after a prune. No query is
# a week old, and Delta itself keeps removed files for a week.
LEAST = timedelta(days=7)
_AT_ONCE = 100  # appends of one DELETE

T = TypeVar("T")
Clients = Callable[[TablePlan], tuple[Landing, Statements]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One window as it is: its file, its rows of the log, its appends in the table, its files in landing."""

    window: Window
    file: PublishedFile = field(default_factory=PublishedFile)
    logged: tuple[LogRow, ...] = ()
    appends: tuple[Append, ...] = ()
    loads: Mapping[str, Sequence[str]] = field(default_factory=dict)  # load → the names of its files

    @property
    def seen(self) -> str | None:
        """The append that the readers' view shows."""
        last = max((row.fact for row in self.logged), key=lambda fact: fact.generation, default=None)
        return last.append_id if last else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """What of one window goes: appends with their rows, loads with their files."""

    window: Window
    appends: tuple[Append, ...] = ()
    loads: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.appends or self.loads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a prune of one table of one tenant would remove, and the windows it leaves alone, with the reason."""

    plan: TablePlan
    doomed: tuple[Doomed, ...]
    left: tuple[tuple[str, str], ...] = ()


def require_limit(older_than: timedelta) -> None:
    """Raises ValueError for a limit under which a running query could lose its rows."""
    if older_than < LEAST:
        raise ValueError(f"what was seen within {LEAST.days} days stays: a running query may still read it")


@dataclass(slots=True)
class Totals:
    """What went, or would go, over all tables; `failed` are the tables that could not be looked at."""

    appends: int = 0
    rows: int = 0
    loads: int = 0
    files: int = 0
    failed: int = 0

    def add(self, gone: Doomed) -> None:
        self.appends += len(gone.appends)
        self.rows += sum(append.rows for append in gone.appends)
        self.loads += len(gone.loads)
        self.files += sum(map(len, gone.loads.values()))

    def __str__(self) -> str:
        numbers = ((self.appends, "append"), (self.rows, "row"), (self.loads, "load"), (self.files, "file"))
        appends, rows, loads, files = (counted(number, noun) for number, noun in numbers)
        return f"{appends} with {rows}, {loads} with {files}"


def prune_tables(
    plans: Iterable[TablePlan],
    clients: Clients,
    older_than: timedelta,
    now: Callable[[], datetime],
    say: Callable[[str], None],
    *,
    dry_run: bool,
) -> Totals:
    """Every table in every major version it was ever loaded under. One that cannot be asked keeps no other from it."""
    require_limit(older_than)
    totals = Totals()
    for plan in once(plans):
        try:
            landing, statements = clients(plan)
            for major in landing.majors(plan):
                of_major = plan.under(replace(plan.contract, major=major))
                _prune_table(of_major, landing, statements, now() - older_than, now, say, totals, dry_run)
        except RunError as error:
            totals.failed += 1
            say(str(error))
    return totals


def once(plans: Iterable[TablePlan]) -> list[TablePlan]:
    """One plan per table of a tenant: two majors that run side by side are both found in the other's folders."""
    first: dict[tuple[str, str, str, str], TablePlan] = {}
    for plan in plans:
        landing = plan.landing
        first.setdefault((landing.connection, landing.container, plan.contract.table, plan.tenant), plan)
    return list(first.values())


def _prune_table(
    plan: TablePlan, landing: Landing, statements: Statements, before: datetime, now: Callable[[], datetime],
    say: Callable[[str], None], totals: Totals, dry_run: bool,
) -> None:  # fmt: skip
    found = survey(plan, landing, statements, before)
    for key, why in found.left:
        say(f"{plan.at(key)} ({plan.contract.ref}): left alone: {why}")
    for doomed in found.doomed:
        gone = doomed if dry_run else prune(plan, doomed, landing, statements, before, now)
        if gone:
            here = Totals()
            here.add(gone)
            say(f"{plan.at(doomed.window)} ({plan.contract.ref}): {here}")
            totals.add(gone)


def survey(plan: TablePlan, landing: Landing, statements: Statements, before: datetime) -> Survey:
    """Asks and changes nothing. `before`: what was still seen, or made, at that time stays."""
    asked = statements.of(plan, "prune")
    shelves = landing.shelves(plan)
    if not shelves:  # nothing ever landed, and perhaps there is no table yet
        return Survey(plan=plan, doomed=())
    rows = _grouped(appends(plan, asked), lambda append: append.window_start)
    logged = _grouped(publish_log.read(plan, asked), lambda row: row.fact.window_start)
    doomed, left = list[Doomed](), list[tuple[str, str]]()
    for shelf in shelves:
        found = _found(shelf, rows.pop(shelf.window.start, ()), logged.get(shelf.window.start, ()))
        if not _worth_a_look(found):
            continue
        found, why = _with_file(plan, found, landing)
        if why:
            left.append((shelf.window.key, why))
        elif gone := doomed_of(found, before):
            doomed.append(gone)
    strays = sum(len(its) for its in rows.values())
    if strays:
        left.append(("elsewhere", f"{strays} appends lie in no window of the tenant's present calendar"))
    return Survey(plan=plan, doomed=tuple(doomed), left=tuple(left))


def doomed_of(found: Found, before: datetime) -> Doomed:
    """The decision, from facts alone. What was marked before goes whatever its age: it is only half gone."""
    going = [a for a in found.appends if a.append_id in found.file.pruned_appends or _old(found, a, before)]
    kept = {append.load_id for append in found.appends if append not in going}
    loads = {
        load_id: names
        for load_id, names in found.loads.items()
        if load_id in found.file.pruned_loads or (load_id not in kept and _old_load(found, load_id, before))
    }
    return Doomed(window=found.window, appends=tuple(going), loads=loads)


def prune(
    plan: TablePlan,
    doomed: Doomed,
    landing: Landing,
    statements: Statements,
    before: datetime,
    now: Callable[[], datetime],
) -> Doomed:
    """Removes what still may go of one window, and tells what that was. Safe to repeat and to kill anywhere."""
    gone = _marked(plan, doomed, landing, statements, before, now())
    asked = statements.of(plan, doomed.window)
    ids = [append.append_id for append in gone.appends]
    for batch in (ids[i : i + _AT_ONCE] for i in range(0, len(ids), _AT_ONCE)):
        named = {f"append_{i}": (append_id, "STRING") for i, append_id in enumerate(batch)}
        parameters = {"tenant_id": (plan.tenant, "STRING"), **named}
        asked.execute(dbsql.delete_appends(plan, len(batch)), parameters)
    for load_id, names in gone.loads.items():
        landing.remove(plan, doomed.window, load_id, names)
    return gone


def _marked(
    plan: TablePlan, doomed: Doomed, landing: Landing, statements: Statements, before: datetime, at: datetime
) -> Doomed:
    """What the window's file names as pruned from now on. Decided anew on the file and the log as they are now."""
    logged = publish_log.read(plan, statements.of(plan, doomed.window), doomed.window)
    decided = doomed

    def decide(file: PublishedFile) -> PublishedFile:
        nonlocal decided
        found = Found(window=doomed.window, file=file, logged=logged, appends=doomed.appends, loads=doomed.loads)
        decided = doomed_of(found, before) if _apart(found) is None else Doomed(window=doomed.window)
        return replace(
            file,
            pruned_appends={**{a.append_id: at for a in decided.appends}, **file.pruned_appends},
            pruned_loads={**dict.fromkeys(decided.loads, at), **file.pruned_loads},
        )

    swap(plan, doomed.window, decide, landing)
    return decided


def _old(found: Found, append: Append, before: datetime) -> bool:
    shown = [fact.generation for fact in found.file.generations if fact.append_id == append.append_id]
    if not shown:
        return append.loaded_at < before
    return _unseen(found, shown[-1], before)


def _old_load(found: Found, load_id: str, before: datetime) -> bool:
    """The load that the source was last seen by stays: after a rollback, a recount compares with its totals."""
    last = found.file.last_extracted
    if last and last.load_id == load_id:
        return False
    shown = [fact.generation for fact in found.file.generations if fact.load_id == load_id]
    if not shown:
        minted = _minted(load_id)
        return minted is not None and minted < before
    return _unseen(found, shown[-1], before)


def _unseen(found: Found, generation: int, before: datetime) -> bool:
    """Whether readers of the file, and those of the log, have seen something newer since long enough."""
    newer = [fact.published_at for fact in found.file.generations[generation:]]
    logged = [row.logged_at for row in found.logged if row.fact.generation > generation]
    return bool(newer and logged) and max(newer[0], min(logged)) < before


def _minted(load_id: str) -> datetime | None:
    """When extract made the id: `20261122T020000Z-abc123`."""
    try:
        return datetime.strptime(load_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _worth_a_look(found: Found) -> bool:
    """A window with one load, one append and one generation, as nearly all are, has nothing to give, unread."""
    others = {append.append_id for append in found.appends} - {found.seen}
    return bool(others) or len(found.loads) > 1 or not found.logged


def _with_file(plan: TablePlan, found: Found, landing: Landing) -> tuple[Found, str | None]:
    try:
        record = landing.published(plan, found.window)
    except LandingConflict as error:
        return found, f"{error.what} `tenantdags doctor` first"
    found = replace(found, file=record.file if record else PublishedFile())
    return found, _apart(found)


def _apart(found: Found) -> str | None:
    """Why nothing may go: what the file and the log say of the window does not fit together."""
    head = found.file.head
    if (head.append_id if head else None) != found.seen:
        return "_published.json and the publish log do not agree; `tenantdags doctor` first"
    if any(fact.window_start != found.window.start for fact in found.file.generations):
        return "it was cut by another calendar than the tenant's present one"
    return None


def _found(shelf: Shelf, rows: Iterable[Append], logged: Iterable[LogRow]) -> Found:
    return Found(window=shelf.window, logged=tuple(logged), appends=tuple(rows), loads=shelf.loads)


def _grouped(facts: Iterable[T], start: Callable[[T], datetime]) -> dict[datetime, list[T]]:
    found: dict[datetime, list[T]] = {}
    for fact in facts:
        found.setdefault(start(fact), []).append(fact)
    return found
