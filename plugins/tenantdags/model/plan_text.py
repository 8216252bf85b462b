"""A plan as text to read and compare in reviews: every decision, nothing that changes from one machine to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from tenantdags.model.checks import ALWAYS
from tenantdags.model.contract import Check, Column
from tenantdags.model.fields import iso_duration
from tenantdags.model.hours import Hours
from tenantdags.model.plan import AlertPlan, TablePlan
from tenantdags.model.thresholds import described

_NOTES_AT = 56


def _route(alert: AlertPlan) -> str:
    """`sla_miss, red: slack by slack_oncall`; how loud only where not both."""
    loud = f" ({alert.severities[0]} only)" if len(alert.severities) == 1 else ""
    return f"{', '.join(alert.events)}: {alert.notifier} by {alert.connection}{loud}"


def to_text(plan: TablePlan, origins: Mapping[tuple[str, ...], str] | None = None) -> str:
    """The plan as YAML-like text; the same plan gives the same bytes, everywhere. `origins` stand behind the values."""
    lines = _lines(to_dict(plan), ())
    if origins is not None:
        lines = [(path, f"{text:<{_NOTES_AT}}  # {origins[path]}" if path in origins else text) for path, text in lines]
    return "\n".join(text for _, text in lines) + "\n"


def to_dict(plan: TablePlan) -> dict[str, Any]:
    """The plan as plain text, numbers, lists and dicts, in reading order; what is unset is left out."""
    contract = plan.contract
    return {
        "dag": plan.dag_id,
        "tenant": {
            "id": plan.tenant, "name": plan.tenant_name, "group": plan.group, "tier": plan.tier, "file": plan.file,
        },
        "schedule": _plain(plan.schedule),
        "source": _plain(plan.source),
        "contract": {
            "ref": contract.ref, "version": contract.version, "file": contract.file, "grain": contract.grain,
            "mode": contract.mode, "keys": list(contract.keys), "window": _plain(contract.window),
            "additive": contract.additive, **_plain_if(owner=contract.owner, runbook=contract.runbook),
            **_plain_if(retention_days=contract.retention_days),
            "rights": [f"{scope}{' without ' + ', '.join(x) if x else ''}" for scope, x in contract.rights],
        },
        "columns": {column.name: _column(column) for column in contract.columns},
        "staging": _plain(plan.staging),
        "landing": _plain(plan.landing),
        "databricks": {
            **_plain(plan.databricks), "curated": plan.curated, "serving": plan.serving,
            "publish_log": plan.databricks.publish_log, "qa_log": plan.databricks.qa_log,
        },
        "pools": _plain(plan.pools),
        "asset": plan.asset_uri,
        "lookback": plan.lookback,
        "backfill": _plain(plan.backfill),
        **_plain_if(pii_connection=plan.pii_connection, sla=_plain(plan.sla) if plan.sla else None),
        "alerts": [_route(alert) for alert in plan.alerts],
        "loudest": plan.loudest,
        "flags": dict(plan.flags),
        "checks": {**dict.fromkeys(_always(plan), "always"), **{c.id: _check(c) for c in plan.checks}},
    }  # fmt: skip


def _always(plan: TablePlan) -> list[str]:
    return [rule for rule in ALWAYS if rule != "not_empty" or not plan.contract.window.allow_empty]


def _column(column: Column) -> str:
    words = [
        column.type.tsql,
        "required" if column.required else "nullable",
        f"key {column.key_position}" if column.key_position else "",
        "measure" if column.measure else "",
        f"pii {column.pii.category} {column.pii.handling}" if column.pii else "",
        f"source name {column.source_name}" if column.source_name != column.name else "",
    ]
    target = column.delta_type if column.loaded else "not loaded"
    return f"{', '.join(w for w in words if w)} -> {target}"


def _check(check: Check) -> str:
    about = f" of {', '.join(check.columns)}" if check.columns else ""
    arguments = f" {list(check.arguments)}" if check.arguments else ""
    place = ", in the stream" if check.before_hashing else ", in its newest window" if check.of_newest else ""
    return f"{check.severity}: {check.kind}{about}{arguments} {described(check.threshold)}{place} ({check.dimension})"


def _plain(value: Any) -> Any:
    """Dataclasses to dicts without what is None; clocks to the text a file would hold."""
    if hasattr(value, "tsql"):
        return value.tsql
    if isinstance(value, Hours):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        said = ((f.name, getattr(value, f.name)) for f in fields(value))
        return {name: _plain(v) for name, v in said if v is not None}
    if isinstance(value, timedelta):
        return iso_duration(value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, date | Decimal) else value


def _plain_if(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _lines(value: Any, above: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """Each line with the path of the value it holds; () where it holds none, or a part of one."""
    found: list[tuple[tuple[str, ...], str]] = []
    indent = "  " * len(above)
    for name, item in value.items():
        path = (*above, name)
        if isinstance(item, dict) and item:
            found += [((), f"{indent}{name}:"), *_lines(item, path)]
        elif isinstance(item, list) and item and any(len(str(i)) > 30 or isinstance(i, list) for i in item):
            found += [(path, f"{indent}{name}:"), *(((), f"{indent}  - {_scalar(i)}") for i in item)]
        else:
            found.append((path, f"{indent}{name}: {_scalar(item)}"))
    return found


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return "{}" if value == {} else str(value)
