"""A contract's text with some columns changed and everything else, comments too, left as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from tenantdags.model.contract_reader import LOGICAL
from tenantdags.model.draft import logical_type, quoted
from tenantdags.model.sqltype import SqlType

Cut = tuple[int, int, str]  # from, to, what comes there instead


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of the column with this name: it is dropped, read by another name, or of another type."""

    column: str
    action: Literal["drop", "physical_name", "physical_type"]
    value: str = ""


def edited(text: str, edits: Iterable[Edit], add: Sequence[str], version: str) -> str:
    """The text with these changes, these lines behind the last column, and this version."""
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    table = _at(root, "schema").value[0]
    columns = {_at(node, "name").value: node for node in _at(table, "properties").value}
    cuts = [_replaced(_at(root, "version"), version)]
    for edit in edits:
        cuts += _cuts(text, columns[edit.column], edit)
    if add:
        last = list(columns.values())[-1]
        indent = " " * (last.start_mark.column - 2)
        end = _line_end(text, _last_mark(last))
        cuts.append((end, end, "".join(f"{indent}{line}\n" for line in add)))
    for start, end, instead in sorted(cuts, key=lambda cut: cut[0], reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def _cuts(text: str, column: Any, edit: Edit) -> Iterator[Cut]:
    if edit.action == "drop":
        start = text.rfind("\n", 0, column.start_mark.index) + 1
        yield start, _line_end(text, _last_mark(column)), ""
    elif edit.action == "physical_name":
        known = _maybe(column, "physicalName")
        yield _replaced(known, edit.value) if known else _inserted(column, "physicalName", edit.value)
    else:
        yield _replaced(_at(column, "physicalType"), edit.value)
        logical, kind = _at(column, "logicalType"), SqlType.parse(edit.value)
        if kind.name not in LOGICAL[logical.value]:
            yield _replaced(logical, logical_type(kind))


def _replaced(node: Any, value: str) -> Cut:
    return node.start_mark.index, node.end_mark.index, quoted(value)


def _inserted(mapping: Any, key: str, value: str) -> Cut:
    """Behind the name, in the way the mapping is written."""
    at = _at(mapping, "name").end_mark.index
    said = f"{key}: {quoted(value)}"
    return (at, at, f", {said}" if mapping.flow_style else f"\n{' ' * mapping.start_mark.column}{said}")


def _maybe(mapping: Any, key: str) -> Any:
    return next((value for name, value in mapping.value if name.value == key), None)


def _at(mapping: Any, key: str) -> Any:
    found = _maybe(mapping, key)
    assert found is not None, key  # the contract was read before
    return found


def _last_mark(node: Any) -> int:
    """Where the node's last character is: a block's own end lies behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _last_mark(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1
