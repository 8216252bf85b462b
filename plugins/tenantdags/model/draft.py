"""Columns of a source as lines for a contract, with what has to be looked at by a person marked `# review`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tenantdags.model.contract import Handling, Pii
from tenantdags.model.contract_reader import LOGICAL, RESERVED
from tenantdags.model.sqltype import SqlType

_SQL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_@$# ]{0,126}[A-Za-z0-9_@$#]|[A-Za-z_]")  # as fields.SqlName
_SAID_OTHERWISE = ("yes", "no", "on", "off", "true", "false", "null", "y", "n")  # no text for YAML readers
# the words of a name, and what kind of personal data they tell of
_PERSONAL = (
    ("contact", r"e_?mail|phone|mobile|fax|telephone"),
    ("name", r"(first|last|middle|given|family|full|maiden|nick|sur|user|contact|customer|person)_?name|name"),
    ("address", r"address|street|post_?code|zip(_?code)?"),
    ("birthday", r"birth_?(day|date)|date_of_birth|dob"),
    ("identifier", r"ssn|tax_?(id|no|number)|passport(_?(no|number))?|national_?id|driver_?licen[cs]e"),
    ("financial", r"iban|bic|card_?(no|number)|account_?(no|number|holder)|salary"),
    ("online", r"ip(_?address)?|device_?id|cookie(_?id)?"),
    ("sensitive", r"gender|religion|ethnicity|nationality|health|diagnosis"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """A column to draft; `type` is None for one that no contract can name, then `type_text` says what it is."""

    name: str
    type: SqlType | None
    type_text: str
    required: bool
    key_position: int | None = None
    identity: bool = False
    note: str = ""  # for the reviewer


def property_lines(
    columns: Iterable[SourceColumn], taken: Iterable[str] = (), handled: Mapping[str, Pii] | None = None
) -> list[str]:
    """A line of YAML per column, as they stand under `properties:`; `handled` is known of personal columns already."""
    names = list(taken)
    lines = []
    for column in columns:
        if why := why_not(column):
            lines.append(f"# {_one_line(column.name)} {column.type_text}: left out, {why}")
            continue
        names.append(column_name(column.name, names))
        lines.append(_property(column, names[-1], (handled or {}).get(column.name)))
    return lines


def why_not(column: SourceColumn) -> str | None:
    """Why no contract can have this column, if so."""
    if column.type is None:
        return "a contract knows no such type"
    return None if _SQL_NAME.fullmatch(column.name) else "its name cannot be written in a contract"


def column_name(source_name: str, taken: Iterable[str]) -> str:
    """`CustomerEmail` → `customer_email`; never a reserved name, a malformed one or one that is taken."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", source_name)
    plain = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:120] or "column"
    if plain in RESERVED or not plain[0].isalpha():
        plain = f"source_{plain}"
    known = {name.lower() for name in taken}
    numbered = (plain if n == 1 else f"{plain}_{n}" for n in range(1, len(known) + 2))
    return next(name for name in numbered if name not in known)


def personal(name: str) -> str | None:
    """What kind of personal data a column of this name may hold; a guess, for a person to review."""
    return next((kind for kind, words in _PERSONAL if re.fullmatch(rf"(.*_)?({words})(_\d+)?", name)), None)


def handling_of(sql_type: SqlType, *, key: bool) -> Handling:
    """What can be done with a personal column: only text is hashed, and a key is never dropped."""
    return "hash" if sql_type.text else "keep" if key else "drop"


def logical_type(sql_type: SqlType) -> str:
    """The standard's word for it, the most telling one."""
    return next(word for word, names in LOGICAL.items() if sql_type.name in names)


def _property(column: SourceColumn, name: str, known: Pii | None) -> str:
    assert column.type is not None
    said = [f"id: {quoted(name)}", f"name: {quoted(name)}"]
    if column.name != name:
        said.append(f"physicalName: {quoted(column.name)}")
    kind = _logical(column.type)
    said += [f"logicalType: {kind}", f"physicalType: {quoted(column.type.tsql)}"]
    if column.required:
        said.append("required: true")
    if column.key_position:
        said.append(f"primaryKey: true, primaryKeyPosition: {column.key_position}")
    notes = [column.note] if column.note else []
    if known:
        said.append(pii_text(known))
        notes.append("personal data, as in the table it refers to")
    elif category := personal(name):
        said.append(pii_text(Pii(category=category, handling=handling_of(column.type, key=bool(column.key_position)))))
        notes.append("personal data, guessed from the name")
    comments = ["identity"] if column.identity else []
    comments += [f"review: {'; '.join(notes)}"] if notes else []
    return f"- {{{', '.join(said)}}}" + (f"  # {', '.join(comments)}" if comments else "")


def pii_text(pii: Pii) -> str:
    value = f"{{category: {pii.category}, handling: {pii.handling}}}"
    return f"classification: restricted, tags: [pii], customProperties: [{{property: pii, value: {value}}}]"


def _logical(sql_type: SqlType) -> str:
    # a decimal with places is a number, though the standard would call both integers
    return "number" if sql_type.name == "decimal" and sql_type.scale else logical_type(sql_type)


def quoted(text: str) -> str:
    """As a scalar that every YAML reader takes for this text."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\(\d+\)|\(max\))?|\d+\.\d+\.\d+", text)
    return text if plain and text.lower() not in _SAID_OTHERWISE else f"'{text}'"


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
