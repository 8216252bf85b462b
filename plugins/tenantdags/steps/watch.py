"""One look of the watchdog: which windows must be published by now and are not, why, and whom that is told.

It stands on plans and landing alone, so it works while Airflow does not; Airflow is only asked why. Telling comes
before remembering: killed in between, the next look tells again, and the alerts' own memory makes that one message.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from tenantdags.model.deadline import due_of
from tenantdags.model.errors import AirflowError, RunError
from tenantdags.model.ledger import (
    Call,
    OpenWindow,
    TableLedger,
    advanced,
    call_of,
    next_due,
    overdue_from,
    settled,
    told,
    window_of_start,
)
from tenantdags.model.plan import TablePlan
from tenantdags.model.pools import SLOTS, slots_of
from tenantdags.model.window import Window
from tenantdags.steps.airflow_api import AirflowApi
from tenantdags.steps.airflow_view import AirflowView, Roll, blocked, roll_call
from tenantdags.steps.alerts import Incident, Links, Subject
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.fleet import Fleet
from tenantdags.steps.ledger_file import Kept, Ledger, beat, write_ledger
from tenantdags.steps.reasons import Reason, reason_of

WHERE = "watch"
LOG_FROM = 40  # from so many windows on the publish log is asked once, before landing is for each that is left
READS = 500  # `_published.json` files that one look reads
DETAILS = 50  # windows whose story one look asks Airflow for
WAITS = 100  # tasks that one look asks for how long they wait
THREADS = 16

Logged = Collection[tuple[str, str, datetime]]  # curated table, tenant, window start


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a look needs of the world.

    `published` reads one window's `_published.json`; `logged` asks the publish log for every window that starts at an
    instant or later. Both raise RunError; `airflow` raises AirflowError or RunError. `tell` and `recovered` deliver,
    and never raise.
    """

    blobs: Blobs
    published: Callable[[TablePlan, Window], bool]
    logged: Callable[[TablePlan, datetime], Logged]
    airflow: Callable[[], AirflowApi]
    tell: Callable[[Sequence[Incident]], None]
    recovered: Callable[[Sequence[Incident]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A window that on-call hears of, and why it is not there."""

    plan: TablePlan
    call: Call
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look came to. `troubles` are what it could not find out.

    `kept` is False when another watchdog was faster: then its ledger stays, and what is told is told once all the same.
    """

    at: datetime
    tables: int
    waiting: int  # windows that are looked at and not published
    overdue: int
    by_tier: Mapping[str, int] = field(default_factory=dict)  # of the overdue ones
    waits: Mapping[tuple[str, str], timedelta] = field(default_factory=dict)  # by tier and what the slot is for
    told: tuple[Miss, ...] = ()
    recovered: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    reads: int = 0
    asked_log: bool = False
    kept: bool = True
    next_due: datetime | None = None  # when a look will find more, as far as the clock decides


def look(fleet: Fleet, kept: Kept, digests: Mapping[str, str], world: World, now: datetime) -> Look:
    """Looks at every table once, tells, remembers and leaves a heartbeat.

    `kept` is the ledger as it was read, `digests` are those of the tenants' kept files.

    Raises LandingUnreachable or TableBehind: without landing nothing is known.
    """
    one = _OneLook(fleet, kept, world, now)
    one.advance()
    one.settle()
    misses = one.misses()
    back = one.recovered()
    world.tell([one.incident(miss) for miss in misses])
    world.recovered(back)
    one.remember(misses)
    ledger = Ledger(one.tables, one.roll, digests)
    done = Look(
        at=now,
        tables=len(fleet.plans),
        waiting=sum(len(table.open) for table in one.tables.values()),
        overdue=sum(one.overdue.values()),
        by_tier=one.overdue,
        waits=one.waits(),
        told=tuple(misses),
        recovered=tuple(incident.where for incident in back),
        troubles=tuple(one.troubles),
        reads=one.reads,
        asked_log=one.asked_log,
        kept=write_ledger(world.blobs, WHERE, kept, ledger),
        next_due=one.next_due(),
    )
    beat(world.blobs, WHERE, now, {"tables": done.tables, "overdue": done.overdue, "troubles": list(done.troubles)})
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A window that has begun and is not published, whether on-call has to hear of it or not."""

    plan: TablePlan
    window: Window
    overdue: bool
    reason: Reason


def survey(fleet: Fleet, kept: Kept, world: World, now: datetime) -> tuple[list[Standing], tuple[str, ...]]:
    """(every window that should have begun and is not published, the most urgent first; what could not be asked).

    Changes nothing and tells nobody. Raises LandingUnreachable or TableBehind.
    """
    one = _OneLook(fleet, kept, world, now)
    one.advance(everything=True)
    one.settle()
    return one.standings(), tuple(one.troubles)


@dataclass
class _OneLook:
    """The stages of a look, in the order in which `look` goes through them."""

    fleet: Fleet
    kept: Kept
    world: World
    now: datetime
    tables: dict[str, TableLedger] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    roll: Roll = field(default_factory=Roll)
    stuck: frozenset[str] = frozenset()
    reads: int = 0
    asked_log: bool = False

    def __post_init__(self) -> None:
        self.plans = {plan.dag_id: plan for plan in self.fleet.plans}
        self.before = self.kept.ledger.tables
        self.roll = self.kept.ledger.roll
        self.troubles += [self.kept.trouble] if self.kept.trouble else []
        watched = {plan.tenant for plan in self.fleet.plans}
        for tenant, text in self.fleet.broken.items():
            by = "watched by its last good files" if tenant in watched else "not watched: no good files of it are kept"
            self.troubles.append(f"{tenant} is {by}: {text}")
        self.airflow_trouble: str | None = None

    def advance(self, *, everything: bool = False) -> None:
        """Every window that is to be looked at by now; or with `everything` each that should have begun."""
        self.stuck = self._stuck()
        for dag_id, plan in self.plans.items():
            early = everything or dag_id in self.stuck
            self.tables[dag_id] = advanced(plan, self.before.get(dag_id), self.now, early=early)

    def settle(self) -> None:
        """Those that are published leave the ledger."""
        there = self._published()
        for dag_id, starts in there.items():
            plan, before = self.plans[dag_id], self.before.get(dag_id)
            self.tables[dag_id] = settled(plan, before, self.tables[dag_id], starts, self.now)

    def standings(self) -> list[Standing]:
        open_windows = [
            (plan, window_of_start(plan, each.start)) for i, plan in self.plans.items() for each in self.tables[i].open
        ]
        urgent = sorted(open_windows, key=self._urgency)
        reasons = self._reasons(urgent)
        return [
            Standing(plan=plan, window=window, overdue=overdue_from(plan, window) <= self.now, reason=reason)
            for (plan, window), reason in zip(urgent, reasons, strict=True)
            if reason is not None
        ]

    def misses(self) -> list[Miss]:
        """What on-call is to hear now, the most urgent first, each looked up in landing once more."""
        calls = [(self.plans[i], call) for i, table in self.tables.items() if (call := self._call(i, table))]
        calls.sort(key=lambda each: self._urgency((each[0], each[1].window)))
        reasons = self._reasons([(plan, call.window) for plan, call in calls])
        found = [
            Miss(plan=plan, call=call, reason=reason)
            for (plan, call), reason in zip(calls, reasons, strict=True)
            if reason is not None
        ]
        return [miss for miss in found if not self._is_there(miss.plan, miss.call.window)]

    def incident(self, miss: Miss) -> Incident:
        plan, window, run_id = miss.plan, miss.call.window, miss.reason.run_id
        more = len(miss.call.behind)
        behind = f", and {more} later window{'s' if more > 1 else ''}" if more else ""
        link = f"{self.view.api.url}/dags/{plan.dag_id}/runs/{run_id}" if run_id and self.view else None
        return Incident(
            subject=Subject.of(plan),
            kind=self._known_kind(miss) or miss.reason.kind,
            window=window.key,
            at=self.now,
            cause=f"{miss.reason.text}{behind}",
            due=due_of(plan, window),
            ahead=miss.call.stage == "ahead",
            readers="an older state" if plan.contract.mode == "snapshot" else "nothing of this window",
            run_id=run_id,
            links=Links(run=link),
        )

    def recovered(self) -> list[Incident]:
        """What on-call heard of and is published now, with the fingerprints it was told under."""
        return [
            incident
            for dag_id, table in self.tables.items()
            for each in _closed(self.before.get(dag_id), table)
            for incident in _told_incidents(self.plans[dag_id], each, self.now)
        ]

    def remember(self, misses: Iterable[Miss]) -> None:
        """What was told; and tables whose tenant is broken with nothing kept of it stay as they were."""
        for miss in misses:
            dag_id, kind = miss.plan.dag_id, self._known_kind(miss) or miss.reason.kind
            self.tables[dag_id] = told(self.tables[dag_id], miss.call, kind, self.now)
        for dag_id, table in self.before.items():
            if dag_id not in self.tables and dag_id.partition("__")[0] in self.fleet.broken:
                self.tables[dag_id] = table

    @property
    def overdue(self) -> dict[str, int]:
        """How many windows are, by tier; 0 included."""
        found = dict.fromkeys(sorted({plan.tier for plan in self.plans.values()}), 0)
        for dag_id, plan in self.plans.items():
            starts = (window_of_start(plan, each.start) for each in self.tables[dag_id].open)
            found[plan.tier] += sum(overdue_from(plan, window) <= self.now for window in starts)
        return found

    def waits(self) -> dict[tuple[str, str], timedelta]:
        """How long the task that waits longest for a slot waits, 0 included; nothing when Airflow cannot be asked."""
        if self.view is None or self.airflow_trouble:
            return {}
        found = {(plan.tier, slots): timedelta() for plan in self.plans.values() for slots in SLOTS}
        try:
            ours = any(pool.scheduled and slots_of(name) for name, pool in self.view.pools.items())
            waiting = self.view.api.waiting_tasks(WAITS) if ours else ()
        except AirflowError as error:
            self._lost(error)
            return {}
        for task in waiting:
            plan, slots = self.plans.get(task.dag_id), slots_of(task.pool)
            if plan and slots and task.scheduled_at:
                found[plan.tier, slots] = max(found[plan.tier, slots], self.now - task.scheduled_at)
        return found

    def next_due(self) -> datetime | None:
        soon = (next_due(p, self.tables[i], self.now, early=i in self.stuck) for i, p in self.plans.items())
        return min((at for at in soon if at is not None), default=None)

    @cached_property
    def view(self) -> AirflowView | None:
        """None when Airflow cannot be asked; `airflow_trouble` says why."""
        try:
            view = AirflowView(self.world.airflow())
            _ = view.health
        except (AirflowError, RunError) as error:
            self._lost(error)
            return None
        return view

    def _stuck(self) -> frozenset[str]:
        """The DAGs that cannot start any run."""
        if self.view is None:
            return frozenset()
        try:
            self.roll = roll_call(self.view, frozenset(self.plans), self.kept.ledger.roll, self.now)
            return blocked(self.view, self.plans.values(), self.roll, self.now)
        except AirflowError as error:
            self._lost(error)
            return frozenset()

    def _published(self) -> dict[str, set[datetime]]:
        """The starts of open windows that are published, per DAG."""
        asked = [(i, window_of_start(self.plans[i], each.start)) for i, t in self.tables.items() for each in t.open]
        there: dict[str, set[datetime]] = {}
        logged = self._logged([window for _, window in asked]) if len(asked) >= LOG_FROM else ()
        left: list[tuple[str, Window]] = []
        for dag_id, window in asked:
            plan = self.plans[dag_id]
            if (plan.curated_name, plan.tenant, window.start) in logged:
                there.setdefault(dag_id, set()).add(window.start)
            else:
                left.append((dag_id, window))
        self.reads = len(left[:READS])
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda each: self._is_there(self.plans[each[0]], each[1]), left[:READS])
            for (dag_id, window), is_there in zip(left, found, strict=False):
                if is_there:
                    there.setdefault(dag_id, set()).add(window.start)
        if len(left) > READS:
            self.troubles.append(f"{len(left) - READS} windows were not looked up in landing: too many at once")
        return there

    def _logged(self, windows: Sequence[Window]) -> Logged:
        self.asked_log = True
        try:
            return self.world.logged(self.fleet.plans[0], min(window.start for window in windows))
        except RunError as error:
            self.troubles.append(f"the publish log cannot be asked, so landing is: {error}")
            return ()

    def _is_there(self, plan: TablePlan, window: Window) -> bool:
        try:
            return self.world.published(plan, window)
        except RunError as error:
            self.troubles.append(str(error))
            return False

    def _call(self, dag_id: str, table: TableLedger) -> Call | None:
        return call_of(self.plans[dag_id], table, self.now, early=dag_id in self.stuck)

    def _urgency(self, each: tuple[TablePlan, Window]) -> tuple[bool, int, datetime, str]:
        """What is overdue before what is not, then the better tier, then what was due first."""
        plan, at = each[0], overdue_from(*each)
        return at > self.now, -plan.schedule.priority, at, plan.dag_id

    def _reasons(self, windows: Sequence[tuple[TablePlan, Window]]) -> list[Reason | None]:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(lambda e: self._reason(e[0], *e[1]), enumerate(windows)))

    def _reason(self, number: int, plan: TablePlan, window: Window) -> Reason | None:
        """None for a DAG that was made switched off and never was switched on: nobody waits for it."""
        waits = plan.schedule.paused_on_creation and not self.tables[plan.dag_id].seen
        problem = self.fleet.broken.get(plan.tenant)
        if number >= DETAILS or self.view is None or self.airflow_trouble:
            if waits:
                return None
            why = self.airflow_trouble or f"{number} other windows are missed as well, so Airflow was not asked why"
            return Reason(kind="late", text=f"{why}; the tenant's file is broken: {problem}" if problem else why)
        try:
            facts = self.view.facts(plan, window)
        except AirflowError as error:
            self._lost(error)
            return None if waits else Reason(kind="late", text=self.airflow_trouble or str(error))
        if waits and facts.dag and facts.dag.paused and not facts.runs:
            return None
        return reason_of(plan, window, facts, self.now)

    def _lost(self, error: AirflowError | RunError) -> None:
        if self.airflow_trouble is None:
            self.airflow_trouble = f"Airflow could not be asked why: {error.what.rstrip('.')}"
            self.troubles.append(str(error))

    def _known_kind(self, miss: Miss) -> str:
        """As which it was told before, so that one window stays one story."""
        opened = self.tables[miss.plan.dag_id].open
        return next((each.kind for each in opened if each.start == miss.call.window.start), "")


def _closed(before: TableLedger | None, after: TableLedger) -> Iterator[OpenWindow]:
    left = {each.start for each in after.open}
    return (each for each in (before.open if before else ()) if each.told and each.start not in left)


def _told_incidents(plan: TablePlan, each: OpenWindow, now: datetime) -> Iterator[Incident]:
    window = window_of_start(plan, each.start)
    for stage in each.told:
        yield Incident(
            subject=Subject.of(plan), kind=each.kind, window=window.key, at=now, cause="published",
            due=due_of(plan, window), ahead=stage == "ahead", readers="this window",
        )  # fmt: skip
