"""Two plans of one DAG, and every value that differs, by the name the printed plan has for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tenantdags.model.plan import TablePlan
from tenantdags.model.plan_text import to_dict

Area = Literal[
    "tenant", "schedule", "windows", "source", "connections", "contract", "columns", "checks", "deadline", "alerts",
    "platform", "flags",
]  # fmt: skip

# the longest path that fits decides
_AREAS: dict[str, Area] = {
    "tenant": "tenant",
    "schedule": "schedule",
    "schedule.every": "windows",
    "schedule.time_zone": "windows",
    "schedule.first_window": "windows",
    "lookback": "windows",
    "backfill": "schedule",
    "source": "source",
    "source.time_zone": "windows",
    "source.connection": "connections",
    "landing.connection": "connections",
    "databricks.connection": "connections",
    "pii_connection": "connections",
    "contract": "contract",
    "contract.mode": "windows",
    "contract.window": "windows",
    "columns": "columns",
    "checks": "checks",
    "sla": "deadline",
    "alerts": "alerts",
    "loudest": "alerts",
    "staging": "platform",
    "landing": "platform",
    "databricks": "platform",
    "pools": "platform",
    "flags": "flags",
}
# these follow from the tenant, the catalog and the contract, and change with them alone
_DERIVED = (
    "dag", "tenant.id", "tenant.file", "contract.file", "landing.prefix", "databricks.curated", "databricks.serving",
    "databricks.publish_log", "databricks.qa_log", "pools.source", "pools.curated", "asset",
)  # fmt: skip
# lists whose entries come and go one by one; of others the whole is told
_ENTRIES = ("alerts", "contract.rights")
_ORDER: tuple[Area, ...] = get_args(Area)


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One value of a plan: `before` is None where it was not said, `after` where it no longer is."""

    area: Area
    path: str
    before: str | None
    after: str | None


def changes_between(before: TablePlan, after: TablePlan) -> tuple[Change, ...]:
    """Every difference, area by area, in the printed plan's order; empty only for equal plans."""
    if before == after:
        return ()
    old, new = dict(_flat(to_dict(before), "")), dict(_flat(to_dict(after), ""))
    found = [
        Change(area_of(path), path.partition("#")[0], old.get(path), new.get(path))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]
    # names and descriptions of a contract are in the DAG's documentation and in no line of the printed plan
    changes = found or [Change("contract", "contract.texts", "as before", "reworded")]
    return tuple(sorted(changes, key=lambda change: _ORDER.index(change.area)))


def area_of(path: str) -> Area:
    """`schedule.every` → `windows`."""
    parts = path.partition("#")[0].split(".")
    return next(_AREAS[near] for n in range(len(parts), 0, -1) if (near := ".".join(parts[:n])) in _AREAS)


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and path in _ENTRIES:
        yield from ((f"{path}#{item}", str(item)) for item in value)
    elif path not in _DERIVED:
        yield path, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
