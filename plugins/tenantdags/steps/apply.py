"""Makes what the plans need: containers, schemas, curated tables, the publish log, readers' views. Safe to repeat.

Nothing is ever dropped or retyped: a difference that would need it is refused before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import ContainerClient

from tenantdags.model.contract import Contract
from tenantdags.model.errors import LandingUnreachable, TableBehind
from tenantdags.model.plan import TablePlan
from tenantdags.steps import dbsql
from tenantdags.steps.appended_checks import compare_columns
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.reader_views import Shown, create_views, emptied
from tenantdags.steps.redact import redact
from tenantdags.steps.serving import Family, families, missing, move, served, shown, wishes
from tenantdags.steps.statements import Statements

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class World:
    """How the plans' connections become clients."""

    container: Callable[[TablePlan], ContainerClient]
    statements: Callable[[TablePlan], Statements]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Which readers may be moved to another major, and by whom.

    `forced` are DAG ids whose readers move even where they will miss windows. `contracts` are all there are, also those
    that no tenant names: others may still be served from them.
    """

    contracts: tuple[Contract, ...] = ()
    forced: frozenset[str] = frozenset()
    actor: str = "apply"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def apply(
    plans: Sequence[TablePlan], world: World, say: Say, *, dry_run: bool = False, moves: Moves | None = None
) -> None:
    """Brings the world up to the plans, telling each step. With `dry_run` it only tells.

    Raises TableBehind for a difference that only a new major version may make, and the errors of both clients.
    """
    how = moves or Moves()
    tables = {(plan.databricks, text): plan for plan in _one_per_table(plans) for text in _pending(plan, world)}
    views = [_View(family, world, how) for family in families(plans, how.contracts)]
    for view in views:
        view.look()
    for plan in _one_per_container(plans):
        _make_container(plan, world.container(plan), say, dry_run)
    for (_, text), plan in tables.items():
        say(_headline(text))
        if not dry_run:
            world.statements(plan).execute(text)
    for view in views:
        view.settle(say, dry_run=dry_run)


class _View:
    """One readers' view: who is served from where, who moves now, and the statements that make it so."""

    def __init__(self, family: Family, world: World, how: Moves) -> None:
        self.family, self.world, self.how = family, world, how
        self.statements = world.statements(family.plan)

    def look(self) -> None:
        """Asks and decides. Raises TableBehind for a view that cannot be made."""
        lacking, _ = compare_columns(self.family.plan.databricks.publish_log, dbsql.LOG, self.statements)
        self.now = served(self.family, None if lacking else self.statements)
        self.moving, self.staying = list[TablePlan](), list[tuple[TablePlan, list[str], int]]()
        for plan in wishes(self.family, self.now):
            gone, seen = self._missing(plan)
            if gone and plan.dag_id not in self.how.forced:
                self.staying.append((plan, gone, seen))
            else:
                self.moving.append(plan)
        self.then = self.now.after(self.moving)
        self.between, self.after = shown(self.family, self.now, self.then), shown(self.family, self.then)

    def settle(self, say: Say, *, dry_run: bool) -> None:
        """While readers move, the view shows both majors: each query sees the old one or the new one."""
        if self.moving:
            self._replace(self.between, say, dry_run=dry_run)
        for plan in self.moving:
            say(f"{plan.tenant} {plan.table}: readers move from {self._present(plan)} to {plan.contract.ref}")
            if not dry_run:
                blobs = Blobs(self.world.container(plan), plan.landing.connection)
                move(plan, blobs, self.world.statements(plan), actor=self.how.actor, now=self.how.now)
        if not self.moving or self.after != self.between:
            self._replace(self.after, say, dry_run=dry_run)
        if len(self.after.contracts) > 1:
            say(f"{self.family.plan.serving} has the columns of {self.after.newest.ref}")
            for contract, column, why in emptied(self.after):
                say(f"  {column} of tenants on {contract.ref}: {why}")
        for plan, gone, seen in self.staying:
            say(_stays(plan, self._present(plan), gone, seen))

    def _missing(self, plan: TablePlan) -> tuple[list[str], int]:
        if not self.now.sees(plan.tenant):
            return [], 0
        return missing(plan, self.now.major(plan.tenant), self.statements)

    def _present(self, plan: TablePlan) -> str:
        return f"{plan.contract.table}@{self.now.major(plan.tenant)}"

    def _replace(self, view: Shown, say: Say, *, dry_run: bool) -> None:
        for text in create_views(self.family.plan, view):
            say(_headline(text))
            if not dry_run:
                self.statements.execute(text)


def _stays(plan: TablePlan, present: str, gone: Sequence[str], seen: int) -> str:
    some = ", ".join(gone[:3]) + (f" and {len(gone) - 3:,} more" if len(gone) > 3 else "")
    return (
        f"{plan.tenant} {plan.table}: readers stay on {present}, for {plan.contract.ref} lacks {len(gone):,} of the "
        f"{seen:,} windows they see: {some}; load them, or move without them: "
        f"`tenantdags apply --yes {plan.tenant}/{plan.table}` (docs/migrations.md)"
    )


def _pending(plan: TablePlan, world: World) -> Iterator[str]:
    """Every statement for one table. Schemas are always sent: they say what shall be, not what to change."""
    statements = world.statements(plan)
    for schema in dbsql.SCHEMAS:
        yield dbsql.create_schema(plan.databricks.catalog, schema)
    yield from _table(plan, plan.databricks.publish_log, dbsql.LOG, dbsql.create_log(plan), statements)
    yield from _table(plan, plan.databricks.qa_log, dbsql.QA_LOG, dbsql.create_qa_log(plan), statements)
    yield from _table(plan, plan.curated, dbsql.curated_columns(plan.contract), dbsql.create_curated(plan), statements)


def _table(
    plan: TablePlan, table: str, columns: tuple[tuple[str, str], ...], create: str, statements: Statements
) -> Iterator[str]:
    lacking, retyped = compare_columns(table, columns, statements)
    if retyped:
        what = f"{table}: {'; '.join(retyped)}."
        raise TableBehind(plan.at("apply"), what, "Publish the change as a new major version of the contract.")
    if len(lacking) == len(columns):
        yield create
    elif lacking:
        yield dbsql.add_columns(table, lacking)


def _make_container(plan: TablePlan, client: ContainerClient, say: Say, dry_run: bool) -> None:
    name = plan.landing.container
    try:
        if client.exists():
            return
        say(f"create container {name}")
        if not dry_run:
            client.create_container()
    except ResourceExistsError:
        say(f"container {name} was made meanwhile")
    except AzureError as error:
        what = f"container {name} cannot be made: {redact(error.message, 200)}."
        remedy = f"Check connection {plan.landing.connection}: host, key, firewall."
        raise LandingUnreachable(plan.at("apply"), what, remedy) from None


def _one_per_table(plans: Sequence[TablePlan]) -> Iterator[TablePlan]:
    """Tenants share tables: the first plan of each speaks for all, their contract being the same file."""
    seen = set()
    for plan in plans:
        key = (plan.databricks.connection, plan.curated)
        if key not in seen:
            seen.add(key)
            yield plan


def _one_per_container(plans: Sequence[TablePlan]) -> Iterator[TablePlan]:
    seen = set()
    for plan in plans:
        key = (plan.landing.connection, plan.landing.container)
        if key not in seen:
            seen.add(key)
            yield plan


def _headline(sql: str) -> str:
    """`CREATE TABLE IF NOT EXISTS prod.curated.orders_v1`: what a statement makes, in its first line."""
    return sql.replace("`", "").splitlines()[0].removesuffix(" (")
