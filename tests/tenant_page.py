"""docs/tenant-file.md: every key of tenant files and defaults.yaml, written from the descriptions of the fields."""

import types
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from tenantdags.model import fields, thresholds
from tenantdags.model.resolve import UNSAID
from tenantdags.model.tenant import (
    Alert,
    Backfill,
    BackfillPools,
    Databricks,
    Defaults,
    Flag,
    Group,
    Groups,
    Landing,
    Override,
    Pools,
    Settings,
    Sla,
    Source,
    Staging,
    Table,
    Tenant,
    Tier,
)

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/tenant-file.md"
INTRODUCTION = """\
# The tenant file

One file per tenant, `config/tenants/<tenant>.yaml`, one `config/defaults.yaml` for what tenants share, and one
`config/groups.yaml` with the groups they belong to. This page is written from the code (`python -m tests.regenerate`);
a test keeps it true.

    tenantdags check                 # every mistake in all files, with line, column, remedy and rule
    tenantdags plan acme orders      # what the files come to for one table
    tenantdags plan acme orders --explain   # and the file and line every value comes from

The rules that `check` names, like CFG012, are explained in [rules.md](rules.md).

Editors complete and explain keys with a schema of the project, which knows its tiers, groups, contracts, flags and
rules; write it once, and again when those change:

    tenantdags schema > config/tenant.schema.json
    tenantdags schema contract > include/contract.schema.json

An editor with the YAML language server finds it by the first line of a tenant file:

    # yaml-language-server: $schema=../tenant.schema.json

A value is looked for in the table, then in its tenant, its tier and the defaults; the first that says it wins, whole
(lists and mappings are replaced, never merged). A flag is declared in the defaults, with an owner and a default; each
flag is a value of its own, so a table that sets one keeps what its tenant says of the others.

Files are plain YAML: no anchors, no tags, no duplicate keys, times of day in quotes. A duration is a whole number with
a unit: `90s`, `45m`, `2h`, `3d`. A name is a small letter, then up to 30 small letters, digits or single `_`. Only ids
of Airflow connections stand in files, never secrets.

Whole examples: [acme](../config/tenants/acme.yaml) in a shared database, [globex](../config/tenants/globex.yaml) with
its own, [northwind](../config/tenants/northwind.yaml) with no more than it must say, and
[defaults.yaml](../config/defaults.yaml).
"""
TITLES: dict[type[BaseModel], str] = {
    Tenant: "A tenant: `config/tenants/<tenant>.yaml`",
    Source: "`source`",
    Table: "A table: `tables.<table>`",
    Settings: "Settings of a table, a tenant, a tier and the defaults",
    Sla: "`sla`",
    Alert: "An entry of `alerts`",
    Backfill: "`backfill`",
    Override: "A rule: `tables.<table>.checks.<rule>`",
    Defaults: "The defaults: `config/defaults.yaml`",
    Tier: "A tier: `tiers.<tier>`",
    Landing: "`landing`",
    Staging: "`staging`",
    Databricks: "`databricks`",
    Pools: "`pools`",
    BackfillPools: "`pools.backfill`",
    Flag: "A flag: `flags.<flag>` of the defaults",
    Groups: "The groups: `config/groups.yaml`",
    Group: "A group: `groups.<group>`",
}
KINDS = {
    fields.Name: "name", fields.ConnectionId: "connection id", fields.SqlName: "identifier",
    fields.ContractRef: "`<table>@<major>`", fields.Duration: "duration", fields.PositiveDuration: "duration",
    fields.Clock: "`\"HH:MM\"`", fields.Day: "date", fields.Zone: "time zone", fields.Scalar: "text or number",
    fields.Retries: "0 to 20", fields.Priority: "1 to 1000", fields.Slots: "1 to 1000",
    fields.DayPart: "`\"HH:MM-HH:MM\"`", fields.Lookback: "0 to 400", fields.PollSeconds: "1 to 600",
    fields.FileUrl: "URL",
    thresholds.Bound: "number", thresholds.Pair: "`[low, high]`", str: "text", int: "number", bool: "`true` or `false`",
}  # fmt: skip


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(section(model) for model in TITLES)])


def section(model: type[BaseModel]) -> str:
    """One heading, the model's sentence, and a table of its own keys."""
    shared = issubclass(model, Settings) and model is not Settings
    link = f" And all [settings](#{_anchor(TITLES[Settings])}) below." if shared else ""
    rows = [row(model, name) for name in model.model_fields if not (shared and name in Settings.model_fields)]
    head = ["", "| key | what it is | default | meaning |", "|---|---|---|---|"] if rows else []
    return "\n".join([f"## {TITLES[model]}", "", f"{(model.__doc__ or '').strip()}{link}", *head, *rows, ""])


def row(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    default = "required" if field.is_required() else _default(model, name)
    kind = _kind(get_type_hints(model, include_extras=True)[name])
    return f"| `{field.alias or name}` | {kind} | {default} | {field.description or ''} |"


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    value = getattr(UNSAID, name) if model is Settings else field.get_default(call_default_factory=True)
    if isinstance(value, timedelta):
        return f"`{fields.iso_duration(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "" if value in (None, {}, ()) or isinstance(value, BaseModel) else f"`{value}`"


def _kind(annotation: Any) -> str:
    """What a writer puts there; a type of ours that KINDS and TITLES lack is a KeyError, so that none is left out."""
    if annotation in KINDS:
        return KINDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(a) for a in arguments if a is not type(None))
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"mapping of {_kind(arguments[0])} to {_kind(arguments[1])}"
    if origin is Annotated:
        return "text"
    return f"[{annotation.__name__.lower()}](#{_anchor(TITLES[annotation])})"


def _anchor(title: str) -> str:
    kept = "".join(c for c in title.lower() if c.isalnum() or c in "-_ ")
    return kept.replace(" ", "-")
