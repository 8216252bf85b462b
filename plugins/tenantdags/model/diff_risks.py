"""Changes that are legal and deserve a second look before they are merged. Each says what will happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from tenantdags.model.configuration import Configuration
from tenantdags.model.contract import Check
from tenantdags.model.contract_diff import changes_of
from tenantdags.model.document import Document, Path, parse
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import DEFAULTS
from tenantdags.model.thresholds import described, lets_more_through

Plans = Mapping[str, TablePlan]
Finding = tuple[str, Path, str]  # rule, where in the file, what


def risks(base: Configuration, head: Configuration, before: Plans, after: Plans) -> Iterator[Problem]:
    """A warning for every risky change, at its place in a file of `head` (of `base` where the file was deleted)."""

    @cache
    def document_of(file: str) -> Document:
        return _document(head if file in head.files else base, file)

    for dag, old in before.items():
        if _taken_over(old, after):
            continue
        for file, rule, wanted, text in _findings(old, after.get(dag), head):
            document = document_of(file)
            yield replace(document.problem(rule, _said_in(document, wanted), text, at_key=True), severity="warning")


def _taken_over(old: TablePlan, after: Plans) -> bool:
    """A major that ran beside the other, and now is the one that readers move to, goes on under the table's own DAG."""
    new = after.get(f"{old.tenant}__{old.contract.table}")
    return old.beside and old.dag_id not in after and new is not None and new.contract.ref == old.contract.ref


def _findings(old: TablePlan, new: TablePlan | None, head: Configuration) -> Iterator[tuple[str, str, Path, str]]:
    """(file, rule, where in it, what)"""
    if new is None:
        yield (old.file, *_removed(old, gone=old.file not in head.files))
        return
    if new == old:
        return
    yield from ((new.file, *found) for found in _changed(old, new))
    yield from ((DEFAULTS, *found) for found in _moved(old, new))
    if old.contract.ref == new.contract.ref:
        yield from ((new.contract.file, *found) for found in _contract_changed(old, new))


def _document(side: Configuration, file: str) -> Document:
    try:
        return parse(file, side.files[file].decode(errors="replace"))
    except ConfigError:  # it gave plans, so only a race with an editor can bring us here
        return Document(file, {}, {}, {})


def _said_in(document: Document, path: Path) -> Path:
    """A table's setting stands in the table, or in the tenant; one that is in neither is told at the table."""
    tenants = path[2:] if path[:1] == ("tables",) and len(path) == 3 else path
    return tenants if path not in document.keys and tenants in document.keys else path


def _removed(old: TablePlan, *, gone: bool) -> Finding:
    stays = "readers go on seeing what it published, up to its last window"
    if gone:
        return "CFG905", ("tenant",), f"{old.tenant} is removed and its DAGs stop; {stays}"
    return "CFG905", ("tables", old.table), f"is removed and {old.dag_id} stops; {stays}"


def _changed(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    for find in (_lookback, _first_window, _major, _grid, _origin, _isolation, _key, _silence, _gates):
        yield from find(old, new)


def _lookback(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    if new.lookback < old.lookback:
        text = f"shortened from {old.lookback} to {new.lookback}: rows that change later than that stay unseen"
        yield "CFG904", _at(new, "lookback"), text


def _first_window(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    was, will = old.schedule.first_window, new.schedule.first_window
    if will < was:
        # Airflow goes on behind a DAG's last run, whatever its start date
        text = (
            f"moved back from {was} to {will}: a DAG that has run does not go back for the {(was - will).days:,} days"
        )
        cure = "backfill event tables; a snapshot of the past cannot be taken"
        yield "CFG906", _at(new, "first_window"), f"{text} before; {cure}"
    elif will > was:
        text = f"moved on from {was} to {will}: windows before it that did not run yet are never run"
        yield "CFG906", _at(new, "first_window"), text


def _major(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    if new.contract.major != old.contract.major:
        text = f"from {old.contract.ref} to {new.contract.ref}: loads go to {new.curated} from the next window on"
        text = f"{text}, and readers stay on {old.contract.ref} until `tenantdags apply` finds what they see there too"
        yield "CFG907", ("tables", new.table, "contract"), f"{text}; docs/migrations.md has the steps"


def _grid(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    was, will = old.schedule, new.schedule
    told = "published windows keep their bounds, and the first new one may overlap them"
    if will.time_zone != was.time_zone:
        yield (
            "CFG909",
            ("time_zone",),
            f"from {was.time_zone} to {will.time_zone}: windows are cut elsewhere; {told}",
        )
    if will.every != was.every:
        yield (
            "CFG909",
            _at(new, "every"),
            f"from {was.every} to {will.every}: windows get another length; {told}",
        )
    if new.source.time_zone != old.source.time_zone:
        text = f"from {old.source.time_zone} to {new.source.time_zone}: datetimes without an offset mean other instants"
        yield "CFG909", ("source", "time_zone"), f"{text}, also where a window is loaded again"


def _origin(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    for name in ("database", "schema", "tenant_column", "tenant_value"):
        was, will = getattr(old.source, name), getattr(new.source, name)
        if was != will:
            text = f"from {_said(was)} to {_said(will)}: rows come from elsewhere, and publish over the ones before"
            yield "CFG910", ("source", name), text
    if new.source.table != old.source.table:
        text = f"from {old.source.table} to {new.source.table}: rows come from another table of the source"
        yield "CFG910", ("tables", new.table, "source_table"), text


def _isolation(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    if (old.source.isolation, new.source.isolation) == ("snapshot", "read_committed"):
        text = "from snapshot to read_committed: totals are no longer held against the source"
        yield "CFG913", ("source", "isolation"), text


def _key(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    if new.pii_connection != old.pii_connection and any(c.hashed for c in new.contract.columns):
        text = f"from {_said(old.pii_connection)} to {_said(new.pii_connection)}: with another key in it, new hashes"
        yield "CFG911", ("pii_key",), f"{text} match none that is published"


def _moved(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    """Of the platform, for all tenants: where files and tables are."""
    was, will = old.databricks, new.databricks
    stays = "what was published stays behind, and readers of the new place see new windows only"
    for path, before, after in (
        (("databricks", "catalog"), was.catalog, will.catalog),
        (("databricks", "connection"), was.connection, will.connection),
        (("landing", "container"), old.landing.container, new.landing.container),
        (("landing", "connection"), old.landing.connection, new.landing.connection),
    ):
        if before != after:
            yield "CFG915", path, f"from {before} to {after}: if that is another place, {stays}"


def _contract_changed(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    """Told once, in the contract, for all its tenants."""
    broken = [change for change in changes_of(old.contract, new.contract) if change.effect == "breaking"]
    if broken:
        told = "; ".join(f"{change.about} {change.what}" for change in broken)
        file = f"{new.contract.table}.v{new.contract.major + 1}.odcs.yaml"
        yield "CFG919", ("version",), f"breaks readers ({told}); publish it as {file}, or take it back"
    was = {column.name: column.pii.handling for column in old.contract.columns if column.pii}
    for i, column in enumerate(new.contract.columns):
        handling = column.pii.handling if column.pii else "keep"
        if was.get(column.name, "keep") != "keep" and handling == "keep":
            text = f"{column.name} was {_past(was[column.name])} and becomes readable; loaded windows stay as they are"
            yield "CFG912", ("schema", 0, "properties", i), text
    for check, why in _lower(old.contract.checks, new.contract.checks):
        yield "CFG908", ("schema", 0), f"the gate {check.id} is lowered: {why}"
    if new.contract.window.allow_empty and not old.contract.window.allow_empty:
        yield "CFG908", ("schema", 0), "the gate not_empty is lowered: empty windows are let through"


def _silence(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    if old.sla and not new.sla:
        yield "CFG914", _at(new, "sla"), "is taken away: nobody is told when the data is late"
    told = {event for alert in new.alerts for event in alert.events}
    lost = [event for alert in old.alerts for event in alert.events if event not in told]
    if lost:
        text = f"nobody is told of {', '.join(sorted(set(lost)))} any more"
        yield "CFG914", _at(new, "alerts"), text


def _gates(old: TablePlan, new: TablePlan) -> Iterator[Finding]:
    """What the tenant lowered, or took with another major version."""
    same = old.contract.ref == new.contract.ref
    told = {check.id for check, _ in _lower(old.contract.checks, new.contract.checks)} if same else set()
    for check, why in _lower(old.checks, new.checks):
        if not same:
            text = f"{new.contract.ref}: the gate {check.id} is lowered: {why}"
            yield "CFG908", ("tables", new.table, "contract"), text
        elif check.id not in told:
            yield "CFG908", ("tables", new.table, "checks", check.id), f"the gate is lowered: {why}"


def _lower(old: Iterable[Check], new: Iterable[Check]) -> Iterator[tuple[Check, str]]:
    now = {check.id: check for check in new}
    for check in old:
        why = _lowered(check, now.get(check.id))
        if why:
            yield check, why


def _lowered(old: Check, new: Check | None) -> str | None:
    if new == old:
        return None
    if new is None:
        return "it is no longer checked" if old.severity == "error" else None
    if (old.severity, new.severity) == ("error", "warning"):
        return "it only warns, and bad data is published"
    percent = new.kind in ("null_percent", "invalid_percent")
    if lets_more_through(new.threshold, old.threshold, percent=percent):
        return f"{described(new.threshold)} lets through what {described(old.threshold)} stopped"
    if (old.kind, old.columns, _asked(old)) == (new.kind, new.columns, _asked(new)):
        return None
    stricter = old.kind == new.kind == "enum" and set(new.arguments) <= set(old.arguments)
    return None if stricter else "the rule itself changed, and may let through what it stopped"


def _asked(check: Check) -> tuple[object, ...]:
    """The arguments; of a reference without its parent's version, which it follows when the tenant loads another."""
    parent, *columns = check.arguments or ("",)
    return (str(parent).partition("@")[0], *columns) if check.kind == "reference" else check.arguments


def _at(plan: TablePlan, name: str) -> Path:
    return ("tables", plan.table, name)


def _said(value: str | int | None) -> str:
    return "none" if value is None else str(value)


def _past(handling: str) -> str:
    return {"hash": "hashed", "drop": "dropped"}[handling]
