"""What merging one configuration over another will do: plans against plans, nothing run and nothing asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tenantdags.model import runs
from tenantdags.model.changes import Change, changes_between
from tenantdags.model.configuration import Configuration
from tenantdags.model.contract import Contract
from tenantdags.model.contract_diff import ContractChange, changes_of
from tenantdags.model.diff_risks import risks
from tenantdags.model.errors import Problem
from tenantdags.model.needs import Need, needs_of
from tenantdags.model.plan import TablePlan

Plans = Mapping[str, TablePlan]  # by DAG id
_GATE_LOWER, _GATE_LOWERED = "CFG902", "CFG908"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDag:
    """A DAG that merging creates. `first_run` is told on the tenant's clock; one that has passed starts at once."""

    dag: str
    contract: str
    every: str
    time_zone: str
    first_window: str
    first_run: str
    first_run_window: str  # a later one than first_window where a snapshot's can no longer be observed
    at_once: bool
    catch_up: int
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedDag:
    """What changes in a DAG that stays, and where its next run moves (both None when it does not)."""

    dag: str
    changes: tuple[Change, ...]
    next_run_before: str | None = None
    next_run_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalColumn:
    """A personal column that begins to reach files and tables, and of which tenants."""

    table: str
    column: str
    category: str
    handling: str
    tenants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedContract:
    """A contract that says something else, or a new major version of it beside the highest one before."""

    before: str  # orders@1
    after: str
    version_before: str
    version_after: str
    changes: tuple[ContractChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one connection bears, before and after."""

    connection: str
    before: int
    after: int
    busiest_hour_before: int = 0
    busiest_hour_after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenTenant:
    """A tenant that cannot be compared, because one side of it does not pass check."""

    tenant: str
    side: str  # base or head
    dags: tuple[str, ...]  # those of the other side
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """Everything a reviewer has to know. All tuples are sorted."""

    base: str
    head: str
    now: datetime
    added: tuple[NewDag, ...]
    removed: tuple[str, ...]
    changed: tuple[ChangedDag, ...]
    contracts: tuple[ChangedContract, ...]
    personal: tuple[PersonalColumn, ...]
    sessions: tuple[Load, ...]  # source sessions, at most at once; and runs starting in the busiest hour
    databricks: tuple[Load, ...]  # runs per day
    needed: tuple[Need, ...]
    freed: tuple[Need, ...]
    warnings: tuple[Problem, ...]
    broken: tuple[BrokenTenant, ...]
    problems: tuple[Problem, ...]  # of head, that are no single tenant's
    reworded: tuple[str, ...]  # tenants whose file changed and whose plans did not
    untouched: tuple[str, ...]
    tenants: int  # of head

    @property
    def empty(self) -> bool:
        """Whether nothing at all is to be told."""
        told = (self.added, self.removed, self.changed, self.broken, self.problems, self.warnings, self.reworded)
        return not any((*told, self.needed, self.freed))


def compare(base: Configuration, head: Configuration, now: datetime) -> Diff:
    """`now` (aware) decides what is late and what is next."""
    unknown = {*base.broken, *head.broken}
    before, after = (_comparable(side, unknown) for side in (base, head))
    needs, will_need = (needs_of(side.values()) for side in (before, after))
    return Diff(
        base=base.name,
        head=head.name,
        now=now,
        added=tuple(_new(after[dag], now) for dag in sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(_changed(before, after, now)),
        contracts=tuple(_contracts(before, after)),
        personal=_personal(before, after),
        sessions=_sessions(before, after, now),
        databricks=_databricks(before, after),
        needed=_without_new_tables(_only_in(will_need, needs)),
        freed=tuple(need for need in _only_in(needs, will_need) if need.who == "platform" or need.kind == "pool"),
        warnings=_warnings(base, head, before, after),
        broken=tuple(_broken(base, head)),
        problems=_whole_problems(head),
        reworded=_alike(base, head, same_file=False),
        untouched=_alike(base, head, same_file=True),
        tenants=len(head.tenants),
    )


def _comparable(side: Configuration, unknown: set[str]) -> dict[str, TablePlan]:
    return {plan.dag_id: plan for t in sorted(side.plans.keys() - unknown) for plan in side.plans[t]}


def _new(plan: TablePlan, now: datetime) -> NewDag:
    first = runs.first_run(plan, now)
    return NewDag(
        dag=plan.dag_id,
        contract=plan.contract.ref,
        every=plan.schedule.every,
        time_zone=plan.schedule.time_zone,
        first_window=plan.schedule.first_window.isoformat(),
        first_run=first.local_start,
        first_run_window=first.window.key,
        at_once=first.start <= now,
        catch_up=runs.catch_up(plan, now),
        paused=plan.schedule.paused_on_creation,
    )


def _changed(before: Plans, after: Plans, now: datetime) -> Iterator[ChangedDag]:
    for dag in sorted(before.keys() & after.keys()):
        changes = changes_between(before[dag], after[dag])
        if changes:
            nexts = tuple(runs.next_run(side[dag], now) for side in (before, after))
            told = (n.local_start for n in nexts) if nexts[0] != nexts[1] else (None, None)
            was, will = told
            yield ChangedDag(dag=dag, changes=changes, next_run_before=was, next_run_after=will)


def _contracts(before: Plans, after: Plans) -> Iterator[ChangedContract]:
    """Of those that plans are made of, by name."""
    was, will = ({plan.contract.ref: plan.contract for plan in side.values()} for side in (before, after))
    for ref in sorted(will):
        older = was.get(ref) or _major_before(will[ref], [*was.values(), *will.values()])
        changes = changes_of(older, will[ref]) if older else ()
        if older and changes:
            yield ChangedContract(
                before=older.ref, after=ref, version_before=older.version, version_after=will[ref].version,
                changes=changes,
            )  # fmt: skip


def _major_before(contract: Contract, known: Iterable[Contract]) -> Contract | None:
    older = [c for c in known if c.table == contract.table and c.major < contract.major]
    return max(older, key=lambda c: c.major, default=None)


def _personal(before: Plans, after: Plans) -> tuple[PersonalColumn, ...]:
    found: dict[tuple[str, str, str, str], set[str]] = {}
    for tenant, *column in sorted(_personal_columns(after) - _personal_columns(before)):
        table, name, category, handling = column
        found.setdefault((table, name, category, handling), set()).add(tenant)
    return tuple(
        PersonalColumn(table=t, column=c, category=k, handling=h, tenants=tuple(sorted(tenants)))
        for (t, c, k, h), tenants in sorted(found.items())
    )


def _personal_columns(plans: Plans) -> set[tuple[str, str, str, str, str]]:
    return {
        (plan.tenant, plan.table, column.name, column.pii.category, column.pii.handling)
        for plan in plans.values()
        for column in plan.contract.loaded_columns
        if column.pii
    }


def _sessions(before: Plans, after: Plans, now: datetime) -> tuple[Load, ...]:
    """One run per DAG is active, and reads in one session, for which it holds a slot of the source's pool."""
    counts = _counts(before, after, lambda plan: plan.source.connection, lambda plan: 1)
    slots = [{plan.source.connection: plan.pools.source_slots for plan in side.values()} for side in (before, after)]
    hours = [_busiest(side, now) for side in (before, after)]
    loads = (
        Load(
            connection=connection,
            before=min(was, slots[0].get(connection, 0)),
            after=min(will, slots[1].get(connection, 0)),
            busiest_hour_before=hours[0][connection],
            busiest_hour_after=hours[1][connection],
        )
        for connection, was, will in counts
    )
    return tuple(
        load for load in loads if (load.before, load.busiest_hour_before) != (load.after, load.busiest_hour_after)
    )


def _databricks(before: Plans, after: Plans) -> tuple[Load, ...]:
    counts = _counts(before, after, lambda plan: plan.databricks.connection, runs.runs_a_day)
    return tuple(Load(connection=c, before=b, after=a) for c, b, a in counts if b != a)


def _counts(
    before: Plans, after: Plans, key: Callable[[TablePlan], str], weight: Callable[[TablePlan], int]
) -> list[tuple[str, int, int]]:
    sums = [Counter[str](), Counter[str]()]
    for side, total in zip((before, after), sums, strict=True):
        for plan in side.values():
            total[key(plan)] += weight(plan)
    return [(name, sums[0][name], sums[1][name]) for name in sorted({*sums[0], *sums[1]})]


def _busiest(plans: Plans, now: datetime) -> Counter[str]:
    """By source connection: the most runs that start within one hour of the clock, in the day from the next hour on."""
    hours: Counter[tuple[str, datetime]] = Counter()
    for plan in plans.values():
        for start in runs.starts_in_day(plan, now):
            hours[plan.source.connection, start.replace(minute=0, second=0, microsecond=0)] += 1
    most: Counter[str] = Counter()
    for (connection, _), number in hours.items():
        most[connection] = max(most[connection], number)
    return most


def _only_in(needs: Sequence[Need], others: Sequence[Need]) -> tuple[Need, ...]:
    known = {(need.kind, need.name) for need in others}
    return tuple(need for need in needs if (need.kind, need.name) not in known)


def _without_new_tables(needs: Sequence[Need]) -> tuple[Need, ...]:
    """A new table comes with its columns; only those of an old one are told."""
    tables = {need.name for need in needs if need.kind == "table"}
    return tuple(n for n in needs if n.kind != "column" or n.name.rpartition(".")[0] not in tables)


def _warnings(base: Configuration, head: Configuration, before: Plans, after: Plans) -> tuple[Problem, ...]:
    new = _new_warnings(base, head)
    # that a gate is lower than its contract's says already that it was lowered
    told = {(w.file, w.path) for w in new if w.rule == _GATE_LOWER}
    changed = {r for r in risks(base, head, before, after) if r.rule != _GATE_LOWERED or (r.file, r.path) not in told}
    return tuple(sorted(new | changed))


def _new_warnings(base: Configuration, head: Configuration) -> set[Problem]:
    # lines move when something is written above them, so a warning is the same by file, path and text
    known = {(w.file, w.path, w.text) for w in base.warnings}
    return {w for w in head.warnings if (w.file, w.path, w.text) not in known}


def _broken(base: Configuration, head: Configuration) -> Iterator[BrokenTenant]:
    for side, other, name in ((base, head, "base"), (head, base, "head")):
        for tenant in sorted(side.broken):
            dags = tuple(plan.dag_id for plan in other.plans.get(tenant, ()))
            yield BrokenTenant(tenant=tenant, side=name, dags=dags, problems=side.broken[tenant])


def _whole_problems(head: Configuration) -> tuple[Problem, ...]:
    told = {problem for problems in head.broken.values() for problem in problems}
    return tuple(problem for problem in head.problems if problem not in told)


def _alike(base: Configuration, head: Configuration, *, same_file: bool) -> tuple[str, ...]:
    """Tenants of both sides whose plans are equal, and whose own file did (not) change."""
    alike = (t for t in sorted(head.plans.keys() & base.plans.keys()) if base.plans[t] == head.plans[t])
    return tuple(t for t in alike if (_file(base, t) == _file(head, t)) == same_file)


def _file(side: Configuration, tenant: str) -> bytes | None:
    return side.files.get(f"config/tenants/{tenant}.yaml")
