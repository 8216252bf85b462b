"""What a tenant needs of the world, asked before its first run. Reads only, and nothing of any row.

Every question is asked, whatever the others answer; a question whose answer hangs on a failed one is told as not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient

from tenantdags.model.errors import ConnectionMissing, RunError
from tenantdags.model.plan import TablePlan
from tenantdags.model.pools import Pool, pools_of
from tenantdags.steps import source, tsql
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.catalogue import Catalogue, ask, draft, remedy_of, require_database, tells_case_apart
from tenantdags.steps.drift import Looks, compare, sentences
from tenantdags.steps.drift_memory import first_looks
from tenantdags.steps.pii import PiiKey
from tenantdags.steps.redact import redact
from tenantdags.steps.statements import ApiError, Call, Statements

Level = Literal["ok", "warn", "FAIL", "-"]
AT = "preflight"
APPLY = "`tenantdags apply` makes what is missing; run it before the first run."


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. `-` is a question that could not be asked, because an earlier one failed."""

    level: Level
    about: str
    text: str
    remedy: str = ""
    paste: tuple[str, ...] = ()  # lines for a file, below the remedy
    draft: tuple[str, str] | None = None  # (file name, text) of a contract's next version


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How a plan's connections become clients. Each raises ConnectionMissing for a connection that is not usable."""

    connect: Callable[[TablePlan], Callable[[], source.Connection]]
    catalogue: Callable[[TablePlan], Catalogue]
    key: Callable[[TablePlan], PiiKey | None]
    container: Callable[[TablePlan], ContainerClient]
    statements: Callable[[TablePlan], Statements]
    databricks: Callable[[TablePlan], Call]
    pools_behind: Callable[[Sequence[Pool]], Sequence[Pool]]


def preflight(plans: Sequence[TablePlan], world: World) -> Iterator[Finding]:
    """All findings about one tenant, in the order in which a run would meet them."""
    login = _asked(f"source {plans[0].source.connection}", lambda: _login(plans[0], world))
    yield login
    for plan in plans:
        yield from _table(plan, world) if login.level != "FAIL" else _not_asked(plan)
    if hashing := [plan for plan in plans if any(column.hashed for column in plan.contract.columns)]:
        yield _asked(f"key {hashing[0].pii_connection}", lambda: _key(hashing[0], world))
    yield _asked(f"container {plans[0].landing.container}", lambda: _container(plans[0], world))
    yield _asked(f"warehouse {plans[0].databricks.warehouse_id}", lambda: _warehouse(plans[0], world))
    yield _asked("notebook", lambda: _notebook(plans[0], world))
    yield _asked("pools", lambda: _pools(plans, world))


def to_lines(findings: Sequence[Finding]) -> list[str]:
    """A line per finding, its remedy below it."""
    width = max(len(finding.about) for finding in findings)
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.level:<4}  {finding.about:<{width}}  {finding.text}")
        if finding.remedy:
            lines.append(f"{'':<{6 + width}}  Remedy: {finding.remedy}")
        lines += [f"{'':<{6 + width}}    {line}" for line in finding.paste]
    return lines


def _asked(about: str, ask: Callable[[], Finding]) -> Finding:
    try:
        return replace(ask(), about=about)
    except RunError as error:
        return Finding("FAIL", about, error.what, error.remedy)


def _not_asked(plan: TablePlan) -> Iterator[Finding]:
    yield Finding("-", f"table {plan.table}", "not asked, for the source could not be read.")


def _login(plan: TablePlan, world: World) -> Finding:
    """Through both drivers a run uses: extract's own, and the hook's of the catalogue."""
    where, database = plan.at(AT), plan.source.database
    with source.typed_errors(where, plan.source.connection):
        state = world.catalogue(plan)(tsql.snapshot_state())
    require_database(plan, where, state)
    with source.session(world.connect(plan), plan.source.isolation, where, plan.source.connection) as session:
        session.rows(tsql.snapshot_state())
    if plan.source.isolation == "snapshot":
        return Finding("ok", "", f"the login opens {database}, which allows SNAPSHOT isolation.")
    text = f"the login opens {database}; read_committed is asked for, so totals and rows are not reconciled."
    return Finding("warn", "", text, f"Allow SNAPSHOT isolation in {database} and leave source.isolation out.")


def _table(plan: TablePlan, world: World) -> Iterator[Finding]:
    columns = _asked(f"table {plan.table}", lambda: _columns(plan, world))
    yield columns
    if columns.level != "FAIL":
        yield _asked(f"index {plan.table}", lambda: _index(plan, world))


def _columns(plan: TablePlan, world: World) -> Finding:
    found, state = ask(plan, plan.at(AT), world.catalogue(plan))
    drift = compare(plan, found, before=_first_looks(plan, world), told_apart=tells_case_apart(state))
    name, ref = f"{plan.source.schema}.{plan.source.table}", plan.contract.ref
    breaking, warnings = (sentences(some, plan.contract.additive) for some in (drift.breaking, drift.warnings))
    if breaking:
        text, remedy = f"{name} is not what {ref} says: {'; '.join(breaking)}.", remedy_of(plan, drift)
        return Finding("FAIL", "", text, remedy, draft=draft(plan, drift))
    with source.session(world.connect(plan), plan.source.isolation, plan.at(AT), plan.source.connection) as session:
        session.rows(tsql.no_rows(plan))
    if warnings:
        text = f"{name} fits {ref}, but: {'; '.join(warnings)}."
        remedy = "Runs go on." + (" What shall be loaded too, add to the contract:" if drift.to_paste else "")
        return Finding("warn", "", text, remedy, paste=drift.to_paste)
    return Finding("ok", "", f"{name} has the {len(plan.contract.columns)} columns of {ref}, and may be read.")


def _first_looks(plan: TablePlan, world: World) -> Looks | None:
    """None before a first run, and where landing does not answer: the question about the container says that."""
    try:
        client = world.container(plan)
        if not client.exists(retry_total=0):
            return None
        return first_looks(Blobs(client, plan.landing.connection), plan, plan.at(AT))
    except (AzureError, RunError):
        return None


def _index(plan: TablePlan, world: World) -> Finding:
    rule = plan.contract.window
    if rule.column is None:
        return Finding("ok", "", "none is needed: the whole table is read each time.")
    table = rule.parent.table if rule.parent else plan.source.table
    with source.typed_errors(plan.at(AT), plan.source.connection):
        rows = world.catalogue(plan)(tsql.indexed_columns(plan, table))
    wanted = [name for name in (plan.source.tenant_column, rule.column) if name]
    name = next((index for index, keys in _indexes(rows).items() if _serves(keys, wanted)), None)
    if name:
        return Finding("ok", "", f"{name} finds a window of {plan.source.schema}.{table} without reading all of it.")
    text = f"no index of {plan.source.schema}.{table} begins with {', '.join(wanted)}: every window reads all of it."
    place, keys = f"{tsql.quote(plan.source.schema)}.{tsql.quote(table)}", ", ".join(map(tsql.quote, wanted))
    return Finding("warn", "", text, f"Ask the source's owner for one: CREATE INDEX … ON {place} ({keys}).")


def _indexes(rows: Sequence[Sequence[Any]]) -> dict[str, list[str]]:
    """Key columns by index, both in the server's order."""
    found: dict[str, list[str]] = {}
    for index, column in rows:
        found.setdefault(index, []).append(column.casefold())
    return found


def _serves(keys: Sequence[str], wanted: Sequence[str]) -> bool:
    """The window column decides the range, so it stands first or behind an equality on the tenant's."""
    words = [word.casefold() for word in wanted]
    return list(keys[: len(words)]) == words or list(keys[:1]) == words[-1:]


def _key(plan: TablePlan, world: World) -> Finding:
    key = world.key(plan)
    if key is None:
        raise ConnectionMissing(plan.at(AT), "no key is named.", "Name its connection as pii_key in the tenant file.")
    return Finding("ok", "", f"holds the key {key.key_id}.")


def _container(plan: TablePlan, world: World) -> Finding:
    client = world.container(plan)
    try:
        there = client.exists(retry_total=0)
    except AzureError as error:
        remedy = f"Check connection {plan.landing.connection}: host, key, firewall."
        text = f"{plan.landing.connection} does not answer for it: {redact(error.message, 200)}."
        return Finding("FAIL", "", text, remedy)
    if not there:
        return Finding("warn", "", f"does not exist yet at {plan.landing.connection}.", APPLY)
    return Finding("ok", "", f"is there, and {plan.landing.connection} may see it.")


def _warehouse(plan: TablePlan, world: World) -> Finding:
    world.statements(plan).execute("SELECT 1")
    return Finding("ok", "", f"answers to {plan.databricks.connection}.")


def _notebook(plan: TablePlan, world: World) -> Finding:
    path, connection = plan.databricks.notebook, plan.databricks.connection
    call = world.databricks(plan)
    try:
        found = call("GET", "/api/2.0/workspace/get-status", {"path": path})
    except ApiError as error:
        if error.status == 404:
            return Finding(
                "FAIL", "", f"{path} does not exist.", "Deploy include/notebooks as its databricks.yml says."
            )
        said = f"HTTP {error.status}" if error.status else redact(error.message, 200)
        text = f"{connection} does not answer for {path}: {said}."
        return Finding("FAIL", "", text, f"Check host and token of connection {connection} and its rights on the path.")
    if found.get("object_type") != "NOTEBOOK":
        return Finding(
            "FAIL", "", f"{path} is a {found.get('object_type')}, no notebook.", "Deploy include/notebooks there."
        )
    return Finding("ok", "", f"{path} is deployed.")


def _pools(plans: Sequence[TablePlan], world: World) -> Finding:
    """Airflow starts no task of a pool that it does not have, and fails none either."""
    wanted = pools_of(plans)
    behind = world.pools_behind(wanted)
    if behind:
        names = ", ".join(pool.name for pool in behind)
        return Finding("warn", "", f"Airflow lacks, or has in another size: {names}.", APPLY)
    return Finding("ok", "", f"Airflow has {', '.join(pool.name for pool in wanted)}.")
