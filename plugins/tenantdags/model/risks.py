"""What is legal but deserves a second look in a pull request: warnings, which fail nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from tenantdags.model.between import Said
from tenantdags.model.contract import Check, Contract
from tenantdags.model.document import Document, Path
from tenantdags.model.errors import Problem
from tenantdags.model.tenant import Override, Pools, Tenant
from tenantdags.model.thresholds import described, lets_more_through

MANY_YEARS = 3
_LOADED = ("active", "deprecated")  # a deprecated version is loaded until its readers have moved


def contract_risks(document: Document, contract: Contract) -> Iterator[Problem]:
    """Personal columns that nobody hashes or drops."""
    for i, column in enumerate(contract.columns):
        path: Path = ("schema", 0, "properties", i)
        if column.pii and column.pii.handling == "keep":
            text = f"{column.name} is personal data ({column.pii.category}) and stays readable everywhere"
            yield _warning(document, "CFG901", (*path, "customProperties"), f"{text}; hash or drop it if you can")
        elif column.pii is None and column.classification == "restricted":
            text = f"{column.name} is restricted and stays readable everywhere; say what it is with the property pii"
            yield _warning(document, "CFG901", (*path, "classification"), text)


def tenant_risks(
    document: Document, tenant: Tenant, contracts: Mapping[str, Contract], today: date
) -> Iterator[Problem]:
    """Contracts that are drafts, gates that a tenant lowers, references it cannot check, beginnings years back."""
    for table, said in tenant.tables.items():
        contract = contracts.get(said.contract)
        if contract and contract.status not in _LOADED:
            text = f"the status of {said.contract} is {contract.status}; review it and set it to active"
            yield _warning(document, "CFG918", ("tables", table, "contract"), text)
        for check in contract.checks if contract else ():
            if check.kind == "reference" and (parent := parent_table(check)) not in tenant.tables:
                text = f"{said.contract} refers to {parent}, which this tenant does not load: {check.id} is not checked"
                yield _warning(document, "CFG916", ("tables", table, "contract"), f"{text}; load {parent} too")
            override = said.checks.get(check.id)
            why = _lowered(check, override) if override else None
            if why:
                path = ("tables", table, "checks", check.id)
                text = f"the gate is lower than {said.contract}'s: {why}"
                yield _warning(document, "CFG902", path, text, at_key=True)
    yield from _long_ago(document, tenant, today)


def _lowered(check: Check, override: Override) -> str | None:
    if check.severity == "error" and override.severity == "warning":
        return "it only warns, and bad data is published"
    new = next(iter(override.bounds()), check.threshold)
    percent = check.kind in ("null_percent", "invalid_percent")
    if check.kind != "reconcile" and lets_more_through(new, check.threshold, percent=percent):
        return f"{described(new)} lets through what {described(check.threshold)} stops"
    return None


def parent_table(check: Check) -> str:
    """The table that a reference names."""
    return str(check.arguments[0]).partition("@")[0]


def crowded_sources(said: Sequence[Said], pools: Pools) -> Iterator[Problem]:
    """A table holds one slot of its source at most, so who has fewer tables than slots leaves some to the others."""
    readers: dict[str, list[str]] = {}
    for _, tenant in said:
        readers.setdefault(tenant.source.connection, []).append(tenant.tenant)
    for document, tenant in said:
        connection, tables = tenant.source.connection, len(tenant.tables)
        slots = pools.connections.get(connection, pools.source)
        if len(readers[connection]) > 1 and tables >= slots:
            text = (
                f"{connection!r} takes {slots} extracts at once for {len(readers[connection])} tenants, and this one's "
                f"{tables} tables may hold them all; set pools.connections.{connection} in config/defaults.yaml to "
                f"{tables + 1} or more, if the source bears it"
            )
            yield _warning(document, "CFG920", ("source", "connection"), text)


def _long_ago(document: Document, tenant: Tenant, today: date) -> Iterator[Problem]:
    places: list[tuple[Path, date]] = [(("first_window",), tenant.first_window)]
    places += [
        (("tables", name, "first_window"), t.first_window) for name, t in tenant.tables.items() if t.first_window
    ]
    for path, first in places:
        years = (today - first).days // 365
        if years >= MANY_YEARS:
            text = f"is {years} years back: each new DAG first catches up {(today - first).days:,} days, one by one"
            yield _warning(document, "CFG903", path, f"{text}; start later if readers need less")


def _warning(document: Document, rule: str, path: Path, text: str, *, at_key: bool = False) -> Problem:
    return replace(document.problem(rule, path, text, at_key=at_key), severity="warning")
