"""From what the files say to what will happen: one tenant, its tier and the defaults become plans. A pure function."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from tenantdags.model.checks import ALWAYS, built_in_ids, guards_the_key
from tenantdags.model.contract import Check, Contract
from tenantdags.model.custom_rules import band_problem
from tenantdags.model.document import Path, Problems
from tenantdags.model.fields import iso_duration, suggestion
from tenantdags.model.plan import (
    AlertPlan,
    BackfillPlan,
    DatabricksPlan,
    LandingPlan,
    PoolsPlan,
    SchedulePlan,
    SlaPlan,
    SourcePlan,
    StagingPlan,
    TablePlan,
)
from tenantdags.model.references import why_not_comparable
from tenantdags.model.tenant import Defaults, Override, Settings, Table, Tenant, Tier
from tenantdags.model.thresholds import described, verdict

# what counts when neither table, tenant, tier nor defaults.yaml say it
UNSAID = Settings.model_validate(
    {
        "every": "day", "settle": "0s", "jitter": "0s", "lookback": 0, "retries": 2, "alerts": (),
        "paused_on_creation": False, "backfill": {},
    }
)  # fmt: skip
NORMAL = 100  # the priority of a tier that says none
_NO_TIER = Tier()
Finding = tuple[str, Path, str]  # rule, where, what
_COUNTED = ("unique", "row_count", "null_count", "invalid_count", "reference")
_PERCENT = ("null_percent", "invalid_percent")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything one table's plan is made of. `contracts` are the tenant's, by ref."""

    tenant: Tenant
    table: str
    defaults: Defaults
    contracts: Mapping[str, Contract]
    file: str

    @property
    def said(self) -> Table:
        return self.tenant.tables[self.table]

    @property
    def contract(self) -> Contract:
        return self.contracts[self.said.contract]

    @property
    def tier(self) -> Tier:
        return self.defaults.tiers.get(self.tenant.tier, _NO_TIER)

    def setting(self, name: str) -> Any:
        """Table over tenant over tier over defaults; the first that says it wins, whole."""
        level: Settings
        for level in (self.said, self.tenant, self.tier, self.defaults, UNSAID):  # thousands of times in a parse
            value = getattr(level, name)
            if value is not None:
                return value
        return None

    @property
    def path(self) -> Path:
        return ("tables", self.table)


def table_plan(inputs: Inputs, problems: Problems) -> TablePlan | None:
    """The plan of one table, or None with at least one problem added."""
    before = len(problems.found)
    contract = _with_parent_table(inputs)
    checks = tuple(_referring(inputs, _overridden(inputs, problems), problems))
    _check_table(inputs, problems)
    if len(problems.found) > before:
        return None
    tenant = inputs.tenant
    return TablePlan(
        tenant=tenant.tenant, tenant_name=tenant.name, group=tenant.group, tier=tenant.tier, table=inputs.table,
        file=inputs.file, contract=contract, schedule=_schedule(inputs), source=_source(inputs),
        staging=StagingPlan(url=inputs.defaults.staging.url, keep_failed=inputs.defaults.staging.keep_failed),
        landing=_landing(inputs), databricks=_databricks(inputs.defaults),
        pools=_pools(inputs), checks=checks,
        lookback=inputs.setting("lookback"), pii_connection=tenant.pii_key, sla=_sla(inputs), alerts=_alerts(inputs),
        loudest=inputs.tier.loudest or "page", flags=_flags(inputs), backfill=_backfill(inputs),
    )  # fmt: skip


def jitter_of(tenant: str, table: str, spread: timedelta) -> timedelta:
    """A fixed offset in [0, spread), whole seconds, the same on every machine and day."""
    # not hash(): it differs from one process to the next
    digest = hashlib.sha256(f"{tenant}__{table}".encode()).digest()
    seconds = int(spread.total_seconds())
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % seconds if seconds else 0)


def shifts_clock(zone: str, first: date) -> bool:
    """Whether clocks of `zone` change in the ten years from `first`: then a naive hour may come twice or never."""
    noons = (datetime(first.year + month // 12, month % 12 + 1, 1, 12, tzinfo=ZoneInfo(zone)) for month in range(120))
    return len({noon.utcoffset() for noon in noons}) > 1


def _with_parent_table(inputs: Inputs) -> Contract:
    """A child joins its parent by the name this tenant's source has for it."""
    contract, parent = inputs.contract, inputs.contract.window.parent
    named = [t.source_table for t in inputs.tenant.tables.values() if parent and t.contract == parent.contract]
    if parent is None or not named or named[0] is None:
        return contract
    return replace(contract, window=replace(contract.window, parent=replace(parent, table=named[0])))


def _schedule(inputs: Inputs) -> SchedulePlan:
    return SchedulePlan(
        every=inputs.setting("every"),
        time_zone=inputs.tenant.time_zone,
        first_window=inputs.said.first_window or inputs.tenant.first_window,
        settle=inputs.setting("settle"),
        jitter=jitter_of(inputs.tenant.tenant, inputs.table, inputs.setting("jitter")),
        paused_on_creation=inputs.setting("paused_on_creation"),
        retries=inputs.setting("retries"),
        priority=inputs.tier.priority or NORMAL,
    )


def _source(inputs: Inputs) -> SourcePlan:
    source = inputs.tenant.source
    return SourcePlan(
        connection=source.connection, database=source.database, schema=source.schema_,
        table=inputs.said.source_table or inputs.contract.source_table, time_zone=source.time_zone,
        isolation=source.isolation, tenant_column=source.tenant_column, tenant_value=source.tenant_value,
    )  # fmt: skip


def _landing(inputs: Inputs) -> LandingPlan:
    landing = inputs.defaults.landing
    prefix = f"{inputs.contract.table}/v{inputs.contract.major}/tenant_id={inputs.tenant.tenant}"
    return LandingPlan(connection=landing.connection, container=landing.container, prefix=prefix)


def _databricks(defaults: Defaults) -> DatabricksPlan:
    return DatabricksPlan(
        **{name: getattr(defaults.databricks, name) for name in type(defaults.databricks).model_fields}
    )


def _pools(inputs: Inputs) -> PoolsPlan:
    pools, connection, contract = inputs.defaults.pools, inputs.tenant.source.connection, inputs.contract
    return PoolsPlan(
        source=f"source_{connection}",
        source_slots=pools.connections.get(connection, pools.source),
        curated=f"curated_{contract.table}_v{contract.major}",
        curated_slots=pools.curated,
        source_backfill_slots=pools.backfill.source,
        curated_backfill_slots=pools.backfill.curated,
    )


def _backfill(inputs: Inputs) -> BackfillPlan:
    said = inputs.setting("backfill")
    return BackfillPlan(max_active_runs=said.max_active_runs, hours=said.hours)


def _sla(inputs: Inputs) -> SlaPlan | None:
    sla = inputs.setting("sla")
    return SlaPlan(ready_by=sla.ready_by, within=sla.within, warn_before=sla.warn_before) if sla else None


def _alerts(inputs: Inputs) -> tuple[AlertPlan, ...]:
    said = inputs.setting("alerts")
    return tuple(
        AlertPlan(notifier=a.notifier, connection=a.connection, events=a.events, severities=a.severities) for a in said
    )


def _flags(inputs: Inputs) -> tuple[tuple[str, bool], ...]:
    """Every declared flag: each is a setting of its own, so the table's, the tenant's or the declared default."""
    declared = {name: flag.default for name, flag in inputs.defaults.flags.items()}
    return tuple(sorted({**declared, **inputs.tenant.flags, **inputs.said.flags}.items()))


def _flag_problems(inputs: Inputs) -> Iterator[Finding]:
    declared = inputs.defaults.flags
    for level, path in ((inputs.tenant, ()), (inputs.said, inputs.path)):
        for name in level.flags:
            if name not in declared:
                yield (
                    "CFG043",
                    (*path, "flags", name),
                    f"is no flag of config/defaults.yaml{suggestion(name, declared)}",
                )


def _overridden(inputs: Inputs, problems: Problems) -> tuple[Check, ...]:
    """The contract's checks with the tenant's thresholds and severities."""
    by_id = {check.id: check for check in inputs.contract.checks}
    for rule, override in inputs.said.checks.items():
        path = (*inputs.path, "checks", rule)
        why = _fixed(rule, inputs.contract, override)
        if why:
            problems.add("CFG057", path, why, at_key=True)
        elif rule not in by_id:
            hint = suggestion(rule, open_rules(inputs.contract))
            problems.add("CFG056", path, f"{inputs.contract.ref} has no such rule{hint}", at_key=True)
        else:
            by_id[rule] = _changed(by_id[rule], override, path, problems)
    return tuple(by_id.values())


def _referring(inputs: Inputs, checks: Iterable[Check], problems: Problems) -> Iterator[Check]:
    """References ask the parent's version that this tenant loads; of a parent it does not load there is nothing to ask.

    That such a reference is left out is told by `check` (CFG916).
    """
    majors = {table.contract.partition("@")[0]: table.contract for table in inputs.tenant.tables.values()}
    for check in checks:
        if check.kind != "reference":
            yield check
            continue
        named, *columns = (str(argument) for argument in check.arguments)
        ref = majors.get(named.partition("@")[0])
        if ref is not None and ref in inputs.contracts:
            newest = inputs.contracts[ref].mode == "snapshot"
            if ref == named:
                yield replace(check, of_newest=newest)
                continue
            why = _unlike(inputs.contract, check, inputs.contracts[ref], columns)
            if why:
                text = f"{inputs.contract.ref} refers to {named}, and this tenant loads {ref}: {why}"
                problems.add("CFG063", (*inputs.path, "contract"), f"{text}; name versions that go together")
            yield replace(check, arguments=(ref, *columns), of_newest=newest)


def _unlike(contract: Contract, check: Check, parent: Contract, columns: list[str]) -> str | None:
    """Why a reference cannot be asked of this version of its parent, if so."""
    if sorted(columns) != sorted(parent.keys):
        return f"its key is {', '.join(parent.keys)}"
    ours, theirs = ({c.name: c for c in of.columns} for of in (contract, parent))
    pairs = zip(check.columns, columns, strict=True)
    return next((why for mine, yours in pairs if (why := why_not_comparable(ours[mine], theirs[yours]))), None)


def open_rules(contract: Contract) -> set[str]:
    """The rules of `quality:`, which tenants may name; some of them only to change their severity."""
    return {check.id for check in contract.checks} - built_in_ids(contract.columns)


def _fixed(rule: str, contract: Contract, override: Override) -> str | None:
    """Why a tenant may not change this rule, if so."""
    check = next((c for c in contract.checks if c.id == rule), None)
    if rule in built_in_ids(contract.columns) and (check or rule in ALWAYS):
        return "is built in and holds for every tenant; delete it"
    if check and guards_the_key(check, contract.keys):
        return "guards the key and holds for every tenant; delete it"
    if check and check.kind == "reconcile" and override.bounds():
        return "is exact and takes no threshold; only its severity can change"
    return None


def _changed(check: Check, override: Override, path: Path, problems: Problems) -> Check:
    threshold = next(iter(override.bounds()), check.threshold)
    if check.kind in _COUNTED + _PERCENT:
        why = verdict(threshold, percent=check.kind in _PERCENT)
        if why:
            broken, what = why
            problems.add(broken, path, f"{described(threshold)} {what}; change the threshold or delete it", at_key=True)
    if check.kind == "volume_band" and (unfit := band_problem(threshold)):
        problems.add("CFG064", path, unfit, at_key=True)
    return replace(check, threshold=threshold, severity=override.severity or check.severity)


def _check_table(inputs: Inputs, problems: Problems) -> None:
    found = (_contract_problems, _clock_problems, _deadline_problems, _flag_problems)
    for rule, path, text in chain.from_iterable(find(inputs) for find in found):
        problems.add(rule, path, text)


def _contract_problems(inputs: Inputs) -> Iterator[Finding]:
    contract, source = inputs.contract, inputs.tenant.source
    if inputs.table != contract.table:
        yield from _misnamed(inputs, contract)
    # without this the run would find out, after the source was read
    if inputs.tenant.pii_key is None and any(c.hashed for c in contract.columns):
        hashed = ", ".join(c.name for c in contract.columns if c.hashed)
        text = f"is missing: {contract.ref} hashes {hashed}; name the connection that holds the key"
        yield "CFG048", ("pii_key",), text
    # it is selected as _source_tenant; as a column too it would be loaded under a name the contract gives away
    shared = (source.tenant_column or "").lower()
    if shared in {c.source_name.lower() for c in contract.columns}:
        text = f"{source.tenant_column} is also a column of {contract.ref}; it must not be"
        yield "CFG047", ("source", "tenant_column"), text


def _misnamed(inputs: Inputs, contract: Contract) -> Iterator[Finding]:
    """While readers move from one major to the next, both may run: `orders_v2` beside `orders`."""
    path, main = (*inputs.path, "contract"), inputs.tenant.tables.get(contract.table)
    if inputs.table != f"{contract.table}_v{contract.major}":
        text = f"is the contract of table {contract.table!r}; name the table so, or another contract"
        yield "CFG045", path, text
    elif main is None:
        text = f"runs beside a table {contract.table!r} of another major, and there is none; name this one so"
        yield "CFG045", path, text
    elif main.contract == contract.ref:
        text = f"is the contract of {contract.table!r} too, and both would land in one place; delete this table"
        yield "CFG045", path, text


def _clock_problems(inputs: Inputs) -> Iterator[Finding]:
    kind, zone = inputs.contract.window.column_type, inputs.tenant.source.time_zone
    here = _nearest(inputs, "every")
    hourly = inputs.setting("every") == "hour"
    if hourly and kind and kind.name == "date":
        yield "CFG052", here, f"{inputs.contract.ref} has a window column of type date, which knows no hours; use day"
    if hourly and kind and kind.naive_clock and shifts_clock(zone, inputs.tenant.first_window):
        remedy = "use day, or keep the source in UTC"
        text = f"hourly windows need clocks that never shift, and {zone} has summer time; {remedy}"
        yield "CFG053", here, text
    if kind and kind.name == "date" and zone != inputs.tenant.time_zone:
        text = f"{inputs.contract.ref} has a window column of type date, whose days are {zone}'s"
        text = f"{text} and not {inputs.tenant.time_zone}'s; the two zones must be the same"
        yield "CFG054", ("source", "time_zone"), text


def _deadline_problems(inputs: Inputs) -> Iterator[Finding]:
    sla, settle, jitter = (inputs.setting(name) for name in ("sla", "settle", "jitter"))
    if sla is None:
        return
    allowed = sla.within or _since_midnight(sla.ready_by)
    if sla.ready_by and sla.warn_before and sla.warn_before >= allowed:
        text = f"warn_before must be shorter than the time from midnight to {sla.ready_by:%H:%M}, or every run warns"
        yield "CFG050", _nearest(inputs, "sla"), text
    if allowed <= settle + jitter:
        start = f"after settle {iso_duration(settle)} and up to {iso_duration(jitter)} of jitter"
        wanted = f"within {iso_duration(allowed)}" if sla.within else f"by {sla.ready_by:%H:%M}"
        text = f"can never be kept: runs start {start}, but are due {wanted}"
        yield "CFG051", _nearest(inputs, "sla", "settle"), text


def _nearest(inputs: Inputs, *names: str) -> Path:
    """Where the tenant's file says one of these settings; `tier` when only the tier or the defaults do."""
    for level, path in ((inputs.said, inputs.path), (inputs.tenant, ())):
        for name in names:
            if getattr(level, name) is not None:
                return (*path, name)
    return ("tier",)


def _since_midnight(clock: time) -> timedelta:
    return timedelta(hours=clock.hour, minutes=clock.minute)
