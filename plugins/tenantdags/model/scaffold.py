"""A new tenant's file, whole and commented: derived from another tenant and the platform's files where it can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from textwrap import wrap
from typing import Any

from pydantic import BaseModel

from tenantdags.model.fields import iso_duration
from tenantdags.model.resolve import UNSAID
from tenantdags.model.tenant import Defaults, Settings, Source, Table, Tenant, Tier

_COLUMN = 36  # where comments begin
_WIDTH = 120
_SETTINGS = ("every", "settle", "jitter", "lookback", "retries", "sla", "alerts", "paused_on_creation", "backfill")


@dataclass(frozen=True, slots=True)
class Scaffold:
    """A tenant file's text, and the paths in it that nobody but its author can know: they are left empty."""

    text: str
    blanks: tuple[str, ...]

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with something in every blank, to plan with before the author has filled them."""
        lines = self.text.splitlines()
        for blank in self.blanks:
            key = f"{blank.rpartition('.')[2]}:"
            at = next(n for n, line in enumerate(lines) if line.split("#")[0].strip() == key)
            lines[at] = lines[at].replace(key, f"{key} {values[blank]}", 1)
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the platform's files offer a new tenant. `contracts` are the newest of each table, parents first."""

    defaults: Defaults
    groups: tuple[str, ...]
    contracts: tuple[str, ...]
    hashed: bool  # whether any of the contracts hashes a column


def from_like(tenant: str, like: Tenant, known: Known, first_window: date) -> Scaffold:
    """A tenant as `like` is, with an id, connections and a database of its own. Its thresholds are the contracts'."""
    said = like.model_dump(by_alias=True, exclude_none=True, exclude={"tables", "flags", "source"})
    said |= {
        "tenant": tenant,
        "name": _name(tenant),
        "first_window": first_window,
        "pii_key": f"pii_{tenant}" if like.pii_key else None,
        "flags": like.flags or None,
    }
    tables = {name: _table(table) for name, table in like.tables.items()}
    return _written(said, _source(tenant, like), tables, known, f"as {like.tenant} is")


def from_nothing(tenant: str, known: Known, first_window: date) -> Scaffold:
    """A tenant with a database of its own and every table there is a contract for."""
    said = {
        "tenant": tenant,
        "name": _name(tenant),
        "group": _only(known.groups),
        "tier": _only(known.defaults.tiers),
        "time_zone": None,
        "first_window": first_window,
        "pii_key": f"pii_{tenant}" if known.hashed else None,
    }
    source = {"connection": f"mssql_{tenant}", "database": None, "schema": "dbo", "time_zone": "UTC"}
    tables = {ref.partition("@")[0]: {"contract": ref} for ref in known.contracts}
    return _written(said, source, tables, known, "with a database of its own")


def _name(tenant: str) -> str:
    return " ".join(word.capitalize() for word in tenant.split("_"))


def _only(names: Iterable[str]) -> str | None:
    found = tuple(names)
    return found[0] if len(found) == 1 else None


def _source(tenant: str, like: Tenant) -> dict[str, Any]:
    source = like.source.model_dump(by_alias=True, exclude_none=True)
    if like.source.tenant_column:
        # two tenants of one shared database differ in this alone, and only the source knows it
        return {**source, "tenant_value": None}
    connection = _renamed(source["connection"], like.tenant, tenant) or f"mssql_{tenant}"
    return {**source, "connection": connection, "database": _renamed(source["database"], like.tenant, tenant)}


def _renamed(text: str, old: str, new: str) -> str | None:
    """`globex_sales` → `initech_sales`; None where the old tenant's id is not in it."""
    return text.replace(old, new) if old in text else None


def _table(table: Table) -> dict[str, Any]:
    # a threshold that fits one tenant's volume is another's false alarm
    said = table.model_dump(exclude_none=True, exclude_defaults=True, exclude={"checks", "first_window"})
    return {"contract": said.pop("contract"), **said}


def _written(
    said: Mapping[str, Any], source: Mapping[str, Any], tables: Mapping[str, Any], known: Known, how: str
) -> Scaffold:
    lines = [f"# {said['name']}: {how}. `tenantdags check` names what is still missing, docs/tenant-file.md every key."]
    for name in ("tenant", "name", "group", "tier", "time_zone", "first_window"):
        lines += _line(name, said.get(name), _about(Tenant, name, known))
    lines += list(_settings(said, known))
    lines += ["source:", *(line for name, value in source.items() for line in _line(name, value, _of_source(name), 1))]
    if said.get("pii_key"):
        lines += _line("pii_key", said["pii_key"], _about(Tenant, "pii_key", known))
    if said.get("flags"):
        lines += _line("flags", said["flags"], _about(Tenant, "flags", known))
    lines += _commented("tables:", "A table that is not listed is not read.")
    lines += [f"  {name}: {_flow(table)}" for name, table in tables.items()]
    blanks = [name for name in ("group", "tier", "time_zone") if said.get(name) is None]
    blanks += [f"source.{name}" for name, value in source.items() if value is None]
    return Scaffold("\n".join(lines) + "\n", tuple(blanks))


def _settings(said: Mapping[str, Any], known: Known) -> Iterator[str]:
    """What the tenant says, and as comments what it would get without a word."""
    tier = known.defaults.tiers.get(said.get("tier") or "", Tier())
    for name in _SETTINGS:
        about = _about(Settings, name, known)
        if name in said:
            yield from _line(name, said[name], about)
            continue
        levels = (("tier", tier), ("defaults.yaml", known.defaults), ("built in", UNSAID))
        found = next(((where, v) for where, level in levels if (v := getattr(level, name)) is not None), None)
        if found:
            where, value = found
            yield from _commented(f"# {name}: {_flow(_plain(value))}", f"({where}) {about}")


def _line(name: str, value: Any, about: str, depth: int = 0) -> list[str]:
    key = f"{'  ' * depth}{name}:"
    return _commented(key if value is None else f"{key} {_flow(_plain(value))}", about)


def _commented(text: str, about: str) -> list[str]:
    """The comment behind the text where there is room, and above it where there is none."""
    whole = f"{text:<{_COLUMN - 2}}  # {about}" if about else text
    if len(whole) <= _WIDTH:
        return [whole]
    indent = text[: len(text) - len(text.lstrip())]
    return [*(f"{indent}# {line}" for line in wrap(about, _WIDTH - len(indent) - 2)), text]


def _about(model: type[BaseModel], name: str, known: Known) -> str:
    choices = {"group": known.groups, "tier": tuple(known.defaults.tiers)}.get(name)
    description = model.model_fields[name].description or ""
    return f"One of: {', '.join(sorted(choices))}." if choices else description


def _of_source(name: str) -> str:
    fields = {field.alias or key: field for key, field in Source.model_fields.items()}
    return fields[name].description or ""


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value


def _flow(value: Any) -> str:
    """A value on one line, as a person would write it: `{within: 8h}`, `[red, error]`, `"06:00"`."""
    if isinstance(value, BaseModel):
        return _flow(_plain(value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, timedelta):
        return iso_duration(value)
    if isinstance(value, time):
        return f'"{value:%H:%M}"'
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    bare = all(c.isalnum() or c in "_-/@. " for c in value) and value[:1].isalpha() and value == value.strip()
    unlike = value.lower() not in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return value if bare and unlike else f'"{quoted}"'
