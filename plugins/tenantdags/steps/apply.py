"""Makes what the plans need: containers, schemas, curated tables, the publish log, readers' views. Safe to repeat.

Nothing is ever dropped or retyped: a difference that would need it is refused before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import ContainerClient

from tenantdags.model.errors import LandingUnreachable, TableBehind
from tenantdags.model.plan import TablePlan
from tenantdags.steps import dbsql
from tenantdags.steps.appended_checks import compare_columns
from tenantdags.steps.redact import redact
from tenantdags.steps.statements import Statements

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class World:
    """How the plans' connections become clients."""

    container: Callable[[TablePlan], ContainerClient]
    statements: Callable[[TablePlan], Statements]


def apply(plans: Sequence[TablePlan], world: World, say: Say, *, dry_run: bool = False) -> None:
    """Brings the world up to the plans, telling each step. With `dry_run` it only tells.

    Raises TableBehind for a difference that only a new major version may make, and the errors of both clients.
    """
    _require_one_major(plans)
    pending = {(plan.databricks, text): plan for plan in _one_per_table(plans) for text in _pending(plan, world)}
    for plan in _one_per_container(plans):
        _make_container(plan, world.container(plan), say, dry_run)
    for (_, text), plan in pending.items():
        say(_headline(text))
        if not dry_run:
            world.statements(plan).execute(text)


def _require_one_major(plans: Sequence[TablePlan]) -> None:
    """A readers' view shows one curated table: with two, the last one applied would hide the other's tenants."""
    first: dict[tuple[str, str], TablePlan] = {}
    for plan in plans:
        other = first.setdefault((plan.databricks.connection, plan.serving), plan)
        if other.curated != plan.curated:
            what = f"{plan.serving} cannot show {other.contract.ref} of {other.tenant} and {plan.contract.ref} both."
            raise TableBehind(plan.at("apply"), what, "Name the same contract version in all tenant files.")


def _pending(plan: TablePlan, world: World) -> Iterator[str]:
    """Every statement for one table. Schemas and views are always sent: both say what shall be, not what to change."""
    statements = world.statements(plan)
    for schema in dbsql.SCHEMAS:
        yield dbsql.create_schema(plan.databricks.catalog, schema)
    yield from _table(plan, plan.databricks.publish_log, dbsql.LOG, dbsql.create_log(plan), statements)
    yield from _table(plan, plan.databricks.qa_log, dbsql.QA_LOG, dbsql.create_qa_log(plan), statements)
    yield from _table(plan, plan.curated, dbsql.curated_columns(plan.contract), dbsql.create_curated(plan), statements)
    yield dbsql.create_view(plan)
    if plan.contract.mode == "snapshot":
        yield dbsql.create_history_view(plan)


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
