"""Moves a tenant's readers from one major version of a contract to another, and back: one row of the publish log each.

Which major a tenant is served from stands in `_ops/serving/<table>/tenant_id=<tenant>.json`, by compare-and-swap; the
log has the same as rows, which the readers' view joins. So a move is seen by a query as a whole or not at all. A tenant
of which nothing was ever said is served from the lowest major.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tenantdags.model.contract import Contract
from tenantdags.model.errors import LandingConflict, TableBehind
from tenantdags.model.plan import TablePlan
from tenantdags.steps import publish_log, reader_views
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.manifest import utc_text
from tenantdags.steps.reader_views import Shown
from tenantdags.steps.redact import redact
from tenantdags.steps.statements import Statements

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """From when on a tenant's readers see which major; `actor` is who applied it. Aware UTC."""

    generation: int
    major: int
    moved_at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class ServingFile:
    """All moves of one tenant's table, 1 first."""

    moves: tuple[Move, ...] = ()

    @property
    def major(self) -> int | None:
        return self.moves[-1].major if self.moves else None

    def to(self, major: int, at: datetime, actor: str) -> ServingFile:
        number = len(self.moves) + 1
        return ServingFile((*self.moves, Move(generation=number, major=major, moved_at=at, actor=actor)))

    def to_json(self) -> str:
        document = {"format": FORMAT, "major": self.major, "moves": [asdict(move) for move in self.moves]}
        return json.dumps(document, indent=1, default=lambda at: utc_text(at))

    @classmethod
    def from_json(cls, text: bytes) -> ServingFile:
        """Raises ValueError for what is no such file."""
        raw: Any = json.loads(text)
        try:
            if raw["format"] != FORMAT:
                raise ValueError(f"format {raw['format']!r}, this version reads {FORMAT}")
            moved = (
                {**move, "moved_at": datetime.fromisoformat(move["moved_at"]).astimezone(UTC)} for move in raw["moves"]
            )
            found, said = cls(tuple(Move(**move) for move in moved)), raw["major"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        if [m.generation for m in found.moves] != list(range(1, len(found.moves) + 1)) or said != found.major:
            raise ValueError("torn: its moves have a hole, or its head is not the last of them")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One readers' view: the plans of all tenants whose table it shows, and every major version there is a file of."""

    plans: tuple[TablePlan, ...]
    contracts: Mapping[int, Contract]

    @property
    def plan(self) -> TablePlan:
        """One that speaks for all where tenants do not matter."""
        return self.plans[0]

    @property
    def wanted(self) -> dict[str, TablePlan]:
        """Of every tenant the plan whose major readers shall see; what only runs beside is not wanted yet."""
        return {plan.tenant: plan for plan in self.plans if not plan.beside}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the log says of one view: tenant → the majors it ever published under; tenant → where it was moved to.

    `lowest` is the major of a tenant that was never moved.
    """

    lowest: int
    published: Mapping[str, frozenset[int]]
    moved: Mapping[str, int]

    def major(self, tenant: str) -> int:
        return self.moved.get(tenant, self.lowest)

    def sees(self, tenant: str) -> bool:
        """Whether there is anything that the tenant's readers see."""
        return self.major(tenant) in self.published.get(tenant, ())

    def after(self, moves: Iterable[TablePlan]) -> Served:
        return replace(self, moved={**self.moved, **{plan.tenant: plan.contract.major for plan in moves}})


def families(plans: Sequence[TablePlan], contracts: Iterable[Contract]) -> list[Family]:
    """One per view, with the contracts of its table."""
    grouped: dict[tuple[str, str], list[TablePlan]] = {}
    for plan in plans:
        grouped.setdefault((plan.databricks.connection, plan.serving), []).append(plan)
    every = tuple(contracts)
    found = []
    for its in grouped.values():
        known = {c.major: c for c in every if c.table == its[0].contract.table}
        known |= {plan.contract.major: plan.contract for plan in its}
        found.append(Family(plans=tuple(its), contracts=known))
    return found


def served(family: Family, statements: Statements | None) -> Served:
    """As the log has it; `statements` None: there is no log yet."""
    published: dict[str, set[int]] = {}
    moved = {}
    rows = statements.execute(reader_views.tenants_by_table(family.plan)).rows if statements else ()
    for tenant, name, serves in rows:
        if name == family.plan.serving_name:
            moved[tenant] = _major(serves)
        else:
            published.setdefault(tenant, set()).add(_major(name))
    ever = {major for majors in published.values() for major in majors}
    lowest = min(ever | {plan.contract.major for plan in family.plans})
    return Served(lowest=lowest, published={t: frozenset(m) for t, m in published.items()}, moved=moved)


def wishes(family: Family, now: Served) -> list[TablePlan]:
    """The plans whose tenants' readers see another major. A removed tenant stays where it is."""
    return [plan for tenant, plan in sorted(family.wanted.items()) if plan.contract.major != now.major(tenant)]


def shown(family: Family, *states: Served) -> Shown:
    """What the view must show in all these states. Raises TableBehind where it cannot."""
    tenants = {tenant for state in states for tenant in (*family.wanted, *state.published)}
    majors = {
        state.major(tenant) for state in states for tenant in tenants if tenant in family.wanted or state.sees(tenant)
    }
    table, view = family.plan.contract.table, family.plan.serving
    for major in sorted(majors - set(family.contracts)):
        readers = sorted(t for t in tenants if any(s.major(t) == major and s.sees(t) for s in states))
        what = f"{view} is served from {table}@{major} for {_some(readers)}, and its contract is gone."
        raise TableBehind("apply", what, "Keep the file in include/contracts until all their readers have moved.")
    contracts = tuple(family.contracts[major] for major in sorted(majors))
    if len({contract.mode for contract in contracts}) > 1:
        modes = " and ".join(f"{contract.ref} ({contract.mode})" for contract in contracts)
        raise TableBehind("apply", f"{view} cannot show {modes} both.", "Give the new mode a table of another name.")
    return Shown(contracts=contracts, lowest=states[0].lowest)


def missing(plan: TablePlan, present: int, statements: Statements) -> tuple[list[str], int]:
    """The windows that readers see now and would not see under the plan's own major; and how many they see now."""
    asked = statements.of(plan, "apply")
    before = publish_log.read(plan.under(replace(plan.contract, major=present)), asked)
    after = {row.fact.window_start for row in publish_log.read(plan, asked)}
    hours = plan.schedule.every == "hour"
    old = {
        row.fact.window_start: f"{row.fact.window_start:%Y-%m-%dT%HZ}" if hours else f"{row.fact.as_of_date}"
        for row in before
    }
    return [key for start, key in sorted(old.items()) if start not in after], len(old)


def move(plan: TablePlan, blobs: Blobs, statements: Statements, *, actor: str, now: Callable[[], datetime]) -> None:
    """Readers of the plan's tenant see the plan's major from now on. Raises LandingConflict when two move at once."""
    where, path = plan.at("apply"), path_of(plan)
    found = blobs.read(where, path)
    file = read_file(plan, found[0] if found else None)
    if file.major != plan.contract.major:
        file = file.to(plan.contract.major, now(), actor)
        if blobs.swap(where, path, file.to_json().encode(), found[1] if found else None) is None:
            what = f"{path} was changed at the same time."
            raise LandingConflict(where, what, "Let one `tenantdags apply` run at a time, and run it again.")
    write(plan, lacking(file, logged(plan, statements)), statements, now())


def lacking(file: ServingFile, known: Sequence[Move]) -> list[Move]:
    """What the file says and the log does not, newest first: in this order no reader is moved back and forth."""
    numbers = {each.generation for each in known}
    return [each for each in reversed(file.moves) if each.generation not in numbers]


def logged(plan: TablePlan, statements: Statements) -> tuple[Move, ...]:
    """The moves of one tenant's readers, as the log has them."""
    parameters = {"table_name": (plan.serving_name, "STRING"), "tenant_id": (plan.tenant, "STRING")}
    rows = statements.of(plan, "serving").execute(reader_views.moves(plan), parameters).rows
    return tuple(
        Move(generation=generation, major=_major(serves), moved_at=at, actor=actor)
        for generation, serves, at, actor in rows
    )


def write(plan: TablePlan, moves: Iterable[Move], statements: Statements, at: datetime) -> None:
    """One row of the log per move, in the order given."""
    for each in moves:
        values = {
            "table_name": plan.serving_name, "tenant_id": plan.tenant, "generation": each.generation, "event": "serve",
            "published_at": each.moved_at, "actor": each.actor, "serves": f"{plan.contract.table}_v{each.major}",
            "logged_at": at,
        }  # fmt: skip
        publish_log.append(plan, values, statements.of(plan, "serving"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong between a tenant's file and the log; `file` and `rows` mend it, without them a person must."""

    text: str
    file: ServingFile | None = None
    rows: tuple[Move, ...] = ()


def examine(text: bytes | None, known: Sequence[Move]) -> Verdict | None:
    """None where both say the same. Where one is shorter it is completed from the other; nothing is guessed."""
    try:
        file, broken = ServingFile.from_json(text) if text else ServingFile(), ""
    except ValueError as error:
        file, broken = ServingFile(), redact(error, 200)
    before = file
    for number, other in sorted({each.generation: each for each in known}.items()):
        if number <= len(file.moves) and file.moves[number - 1] != other:
            ours = file.moves[number - 1]
            return Verdict(text=f"move {number} is to @{ours.major} in the file and to @{other.major} in the log")
        if number > len(file.moves) + 1:
            return Verdict(text=f"the log holds move {number}, and neither it nor the file holds {len(file.moves) + 1}")
        if number > len(file.moves):
            file = ServingFile((*file.moves, other))
    if broken and not known:
        return Verdict(text=f"the file cannot be read ({broken}), and the log knows no move")
    rows = tuple(lacking(file, known))
    said = [f"the file cannot be read ({broken}): write it from the log"] if broken else []
    said += ["the file lacks moves of the log: write them there"] if file != before and not broken else []
    said += ["the log lacks moves of the file: write them there"] if rows else []
    if not said:
        return None
    return Verdict(text="; ".join(said), file=file if file != before else None, rows=rows)


def path_of(plan: TablePlan) -> str:
    return f"_ops/serving/{plan.contract.table}/tenant_id={plan.tenant}.json"


def read_file(plan: TablePlan, text: bytes | None) -> ServingFile:
    """Raises LandingConflict for a file that cannot be read."""
    try:
        return ServingFile.from_json(text) if text else ServingFile()
    except ValueError as error:
        what = f"{path_of(plan)} cannot be read: {redact(error, 200)}."
        remedy = f"`tenantdags doctor --tenant {plan.tenant} --table {plan.table}` tells what can be mended."
        raise LandingConflict(plan.at("apply"), what, remedy) from None


def _move(raw: dict[str, Any]) -> Move:
    return Move(**{**raw, "moved_at": datetime.fromisoformat(raw["moved_at"]).astimezone(UTC)})


def _major(name: str) -> int:
    """`orders_v2` → 2"""
    return int(name.rpartition("_v")[2])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5:,} more"
