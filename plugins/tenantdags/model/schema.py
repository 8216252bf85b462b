"""JSON schemas (draft 2020-12) of our files, for editors to complete keys, and of the QA summary, for its readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel

from tenantdags.model.contract_file import ContractFile, ContractProperties, Odcs
from tenantdags.model.qa import QaDocument
from tenantdags.model.tenant import Defaults, Groups, Tenant

Kind = Literal["tenant", "defaults", "groups", "contract", "contract-properties", "qa"]
Schema = dict[str, Any]
PROPERTIES_ID = "urn:tenantdags:contract-properties:1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: dict[Kind, type[BaseModel]] = {
    "tenant": Tenant, "defaults": Defaults, "groups": Groups, "contract": ContractFile,
    "contract-properties": ContractProperties, "qa": QaDocument,
}  # fmt: skip
_TITLES: dict[Kind, str] = {
    "tenant": "tenantdags: config/tenants/<tenant>.yaml", "defaults": "tenantdags: config/defaults.yaml",
    "groups": "tenantdags: config/groups.yaml", "contract": "tenantdags: include/contracts/<table>.v<major>.odcs.yaml",
    "contract-properties": "tenantdags: our customProperties in an Open Data Contract Standard 3.2 contract, version 1",
    "qa": "tenantdags: the QA summary of one attempt, format 1",
}  # fmt: skip
# what the models' validators hold between keys, as far as a schema can say it
_BETWEEN_KEYS: dict[str, Schema] = {
    "Sla": {"oneOf": [{"required": ["ready_by"]}, {"required": ["within"]}]},
    "Source": {"dependentRequired": {"tenant_column": ["tenant_value"], "tenant_value": ["tenant_column"]}},
    "Override": {"minProperties": 1},
}
_UNREAD = "Valid in the standard; tenantdags does not read it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What one project defines, and so what an editor can offer."""

    tiers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def schema(kind: Kind, known: Known) -> Schema:
    """The schema of one kind of file, with the names `known` in its project."""
    if kind == "qa":  # written by programs for programs: a null is said, and every key is there
        return {"$schema": DIALECT, **QaDocument.model_json_schema(mode="serialization"), "title": _TITLES[kind]}
    found = _plain(_MODELS[kind].model_json_schema(by_alias=True))
    found = {"$schema": DIALECT, **found, "title": _TITLES[kind]}
    for name, part in _parts(found):
        part.update(_BETWEEN_KEYS.get(name, {}))
        _add_unread(name, part)
    for part in _everything(found):
        if part.get("format") == "time-zone":
            part["enum"] = sorted(available_timezones())
    if kind == "tenant":
        _offer(found, known)
    if kind == "contract-properties":
        found = {"$schema": DIALECT, "$id": PROPERTIES_ID, **found}
    return found


def _parts(found: Schema) -> Iterator[tuple[str, Schema]]:
    yield "ContractFile" if "apiVersion" in found["properties"] else "", found
    yield from found.get("$defs", {}).items()


def _add_unread(name: str, part: Schema) -> None:
    model = next((m for m in _subclasses(Odcs) if m.__name__ == name), None)
    for key in model.ignored if model else ():
        part["properties"].setdefault(key, {"description": _UNREAD})


def _subclasses(model: type[Odcs]) -> Iterator[type[Odcs]]:
    for found in model.__subclasses__():
        yield found
        yield from _subclasses(found)


def _offer(found: Schema, known: Known) -> None:
    """Names of the project as enums; a flag and a rule are keys."""
    table = found["$defs"]["Table"]["properties"]
    _one_of(found["properties"]["tier"], known.tiers)
    _one_of(found["properties"]["group"], known.groups)
    _one_of(table["contract"], known.contracts)
    for place, names in ((table["checks"], known.rules), (table["flags"], known.flags)):
        _one_of(place.setdefault("propertyNames", {}), names)
    _one_of(found["properties"]["flags"].setdefault("propertyNames", {}), known.flags)


def _one_of(place: Schema, names: Iterable[str]) -> None:
    if names:
        place["enum"] = sorted(names)


def _plain(value: Any) -> Any:
    """Without `null`, which our files refuse, and the titles pydantic makes of names."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _plain(item) for key, item in value.items() if not _noise(key, item)}
    for pattern, item in found.pop("patternProperties", {}).items():
        # alone it would let any other name pass
        found |= {"additionalProperties": item, "propertyNames": {"pattern": pattern}}
    choices = [c for c in found.pop("anyOf", []) if c != {"type": "null"}]
    return {**found, **choices[0]} if len(choices) == 1 else {**found, **({"anyOf": choices} if choices else {})}


def _noise(key: str, item: Any) -> bool:
    return (key == "title" and isinstance(item, str)) or (key == "default" and item is None)


def _everything(value: Any) -> Iterator[Schema]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _everything(item)
