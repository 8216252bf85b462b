"""Where each value of a plan comes from: which file and line says it, at which level, or what it is derived from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tenantdags.model.checks import ALWAYS
from tenantdags.model.contract import Check
from tenantdags.model.document import Document, Path
from tenantdags.model.plan import TablePlan
from tenantdags.model.resolve import Inputs

Place = tuple[str, Document, Path]  # level, file, where in it
PlanPath = tuple[str, ...]
BUILT_IN = "built in"
_TABLE: Path = ("schema", 0)
_OPTIONS = {"pattern": "pattern", "range": "minimum", "length": "minLength"}


@dataclass(frozen=True, slots=True)
class Files:
    """The documents one table's plan is made of."""

    tenant: Document
    defaults: Document
    contract: Document
    parent: Document | None = None


@dataclass(frozen=True, slots=True)
class _Trail:
    inputs: Inputs
    plan: TablePlan
    files: Files
    found: dict[PlanPath, str] = field(default_factory=dict)

    def setting(self, name: str, *below: str) -> str:
        """As Inputs.setting decides: table over tenant over tier over defaults, whole."""
        tier = self.inputs.tenant.tier
        levels: tuple[Place, ...] = (
            ("table", self.files.tenant, (*self.inputs.path, name)),
            ("tenant", self.files.tenant, (name,)),
            (f"tier {tier}", self.files.defaults, ("tiers", tier, name)),
            ("defaults", self.files.defaults, (name,)),
        )
        said = next(((label, d, path) for label, d, path in levels if path in d.values), None)
        return _first((said[0], said[1], (*said[2], *below))) if said else BUILT_IN

    def tenant(self, *path: str) -> Place:
        return "tenant", self.files.tenant, path

    def table(self, *path: str) -> Place:
        return "table", self.files.tenant, (*self.inputs.path, *path)

    def defaults(self, *path: str) -> Place:
        return "defaults", self.files.defaults, path

    def contract(self, *path: str | int) -> Place:
        return "contract", self.files.contract, path

    def property(self, name: str, *path: str) -> Place:
        """Our custom property of the contract's table."""
        return self.contract(*_custom(self.files.contract, _TABLE, name), *path)


def origins(inputs: Inputs, plan: TablePlan, files: Files) -> Mapping[PlanPath, str]:
    """`table, config/tenants/acme.yaml:28` for every leaf of plan_text.to_dict, by its path."""
    trail = _Trail(inputs, plan, files)
    for part in (_tenant, _schedule, _source, _contract, _window, _columns, _platform, _rest, _checks):
        trail.found.update(part(trail))
    return trail.found


def _first(*places: Place, otherwise: str = BUILT_IN) -> str:
    """The first place that its file does hold."""
    for level, document, path in places:
        if path in document.values:
            line = document.keys.get(path, document.values[path])[0]
            return f"{level}, {document.file}:{line}"
    return otherwise


def _derived(*places: Place) -> str:
    return f"derived from {' and '.join(_first(place) for place in places)}"


def _tenant(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    yield ("dag",), _derived(trail.tenant("tenant"), trail.table())
    yield ("tenant", "id"), _first(trail.tenant("tenant"))
    for name in ("name", "group", "tier"):
        yield ("tenant", name), _first(trail.tenant(name))
    yield ("tenant", "file"), _derived(trail.tenant("tenant"))


def _schedule(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    for name in ("every", "settle", "paused_on_creation", "retries", "priority"):
        yield ("schedule", name), trail.setting(name)
    yield ("schedule", "time_zone"), _first(trail.tenant("time_zone"))
    yield ("schedule", "first_window"), _first(trail.table("first_window"), trail.tenant("first_window"))
    yield ("schedule", "jitter"), f"fixed part of {trail.setting('jitter')}"


def _source(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    names = ("connection", "database", "schema", "time_zone", "isolation", "tenant_column", "tenant_value")
    for name in names:
        yield ("source", name), _first(trail.tenant("source", name))
    yield ("source", "table"), _first(trail.table("source_table"), trail.contract(*_TABLE, "physicalName"))


def _contract(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    said = {
        "ref": trail.table("contract"), "file": trail.table("contract"), "version": trail.contract("version"),
        "grain": trail.contract(*_TABLE, "dataGranularityDescription"), "mode": trail.property("mode"),
        "keys": trail.contract(*_TABLE, "properties"), "additive": trail.property("schemaEvolution"),
        "owner": trail.contract("team"), "rights": trail.property("aggregationRights"),
        "runbook": trail.contract(*_custom(trail.files.contract, (), "runbook")),
        "retention_days": trail.contract("slaProperties"),
    }  # fmt: skip
    yield from ((("contract", name), _first(place)) for name, place in said.items())


def _window(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    window: PlanPath = ("contract", "window")
    for name in ("column", "changed", "allow_empty", "observe_within"):
        yield (*window, name), _first(trail.property("window", name))
    owner = trail.files.parent or trail.files.contract
    column = trail.plan.contract.window.column or ""
    yield (*window, "column_type"), _first(("contract", owner, (*_column_path(owner, column), "physicalType")))
    yield (*window, "parent", "contract"), _first(trail.property("window", "through", "contract"))
    yield (*window, "parent", "on"), _first(trail.property("window", "through", "on"))
    yield (*window, "parent", "table"), _parent_table(trail, owner)


def _parent_table(trail: _Trail, owner: Document) -> str:
    parent = trail.plan.contract.window.parent
    tables = trail.inputs.tenant.tables
    named = next((name for name, t in tables.items() if parent and t.contract == parent.contract), "")
    renamed = ("tables", named, "source_table")
    return _first(("tenant", trail.files.tenant, renamed), ("contract", owner, (*_TABLE, "physicalName")))


def _columns(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    for i, column in enumerate(trail.plan.contract.columns):
        yield ("columns", column.name), _first(trail.contract(*_TABLE, "properties", i))


def _platform(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    said = {
        "staging": ("url", "keep_failed"),
        "landing": ("connection", "container"),
        "databricks": ("connection", "catalog", "warehouse_id", "notebook", "compute", "poll_seconds", "timeout"),
    }
    for section, names in said.items():
        yield from (((section, name), _first(trail.defaults(section, name))) for name in names)
    catalog, contract = trail.defaults("databricks", "catalog"), trail.table("contract")
    yield ("landing", "prefix"), _derived(contract, trail.tenant("tenant"))
    for name in ("curated", "serving"):
        yield ("databricks", name), _derived(catalog, contract)
    for name in ("publish_log", "qa_log"):
        yield ("databricks", name), _derived(catalog)
    connection = trail.tenant("source", "connection")
    own = trail.defaults("pools", "connections", trail.plan.source.connection)
    yield ("pools", "source"), _derived(connection)
    yield ("pools", "source_slots"), _first(own, trail.defaults("pools", "source"))
    yield ("pools", "curated"), _derived(contract)
    yield ("pools", "curated_slots"), _first(trail.defaults("pools", "curated"))
    for name in ("source", "curated"):
        yield ("pools", f"{name}_backfill_slots"), _first(trail.defaults("pools", "backfill", name))
    yield ("asset",), _derived(catalog, contract, trail.tenant("tenant"))


def _rest(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    yield ("lookback",), trail.setting("lookback")
    yield ("pii_connection",), _first(trail.tenant("pii_key"))
    for name in ("max_active_runs", "hours"):
        yield ("backfill", name), trail.setting("backfill", name)
    for name in ("ready_by", "within", "warn_before"):
        yield ("sla", name), trail.setting("sla", name)
    for name in ("alerts", "loudest"):
        yield (name,), trail.setting(name)
    for name, _ in trail.plan.flags:
        places = (trail.table("flags", name), trail.tenant("flags", name), trail.defaults("flags", name, "default"))
        yield ("flags", name), _first(*places)
    yield ("flags",), _first(trail.defaults("flags"), otherwise="none is declared")


def _checks(trail: _Trail) -> Iterator[tuple[PlanPath, str]]:
    yield from ((("checks", rule), BUILT_IN) for rule in ALWAYS)
    for check in trail.plan.checks:
        said = _first(trail.contract(*_rule_path(trail.files.contract, check)), otherwise="derived from the key")
        override = trail.table("checks", check.id)
        changed = f"; changed by {_first(override)}" if override[2] in override[1].values else ""
        yield ("checks", check.id), said + changed


def _rule_path(contract: Document, check: Check) -> Path:
    """The `quality:` entry with this id, or what its column says."""
    if check.kind == "reference":
        return _relationship_path(contract, check)
    if check.kind == "freshness" and (path := _promise_path(contract, check)):
        return path
    for path in contract.values:
        if path[-1:] == ("id",) and path[-3:-2] == ("quality",) and _at(contract, path) == check.id:
            return path
    if not check.columns or check.id == "key_unique":
        return ("no such rule",)
    column = _column_path(contract, check.columns[0])
    option = (*column, "logicalTypeOptions")
    return option if check.kind in _OPTIONS else (*column, check.kind)


def _promise_path(contract: Document, check: Check) -> Path | None:
    listed = contract.data.get("slaProperties", ())
    found = (i for i, item in enumerate(listed) if item.get("property") == "freshness")
    return next((("slaProperties", i) for i in found if listed[i].get("id", "freshness") == check.id), None)


def _relationship_path(contract: Document, check: Check) -> Path:
    """The relationship with this id; the columns' own, or the table's, where it has none."""
    paths = [path for path in contract.values if path[-2:-1] == ("relationships",)]
    named = (path for path in paths if _at(contract, path).get("id") == check.id)
    column = _column_path(contract, check.columns[0])
    nearest = (path for path in paths if path[: len(column)] == column or len(path) == len(_TABLE) + 2)
    return next(named, next(nearest, ("no such rule",)))


def _column_path(contract: Document, name: str) -> Path:
    """By the name at the source, which is the column's name unless it says another."""
    columns = contract.data["schema"][0]["properties"]
    place = next((i for i, c in enumerate(columns) if name in (c.get("physicalName"), c["name"])), len(columns))
    return (*_TABLE, "properties", place)


def _custom(contract: Document, above: Path, name: str) -> Path:
    """The value of one of our properties; a place that does not exist when the contract lacks it."""
    listed = _at(contract, above).get("customProperties", ())
    place = next((i for i, item in enumerate(listed) if item.get("property") == name), len(listed))
    return (*above, "customProperties", place, "value")


def _at(document: Document, path: Path) -> Any:
    found = document.data
    for part in path:
        found = found[part]
    return found
