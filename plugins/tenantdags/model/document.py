"""A YAML file as plain data that remembers where every key and value stands. Refuses what YAML 1.1 would misread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import yaml

from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.unsafe import unsafe, unseen

Path = tuple[str | int, ...]
Mark = tuple[int, int]  # line and column, from 1

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
_CORE = "tag:yaml.org,2002:"
# 06:00 is text for some YAML readers and 360 for others; 16:00 is 960 for this one
_CLOCK = re.compile(r"\d{1,3}(:[0-5]?\d)+(\.\d*)?")
_DECIMAL = re.compile(r"[-+]?(0|[1-9]\d{0,37})(\.\d{1,37})?")
_WHOLE = re.compile(r"[-+]?\d+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Document:
    """`data` holds dicts, tuples, text, int, Decimal, bool, date and None; `keys` and `values` say where they stand."""

    file: str
    data: Any
    keys: dict[Path, Mark]
    values: dict[Path, Mark]

    def problem(self, rule: str, path: Path, text: str, *, at_key: bool = False) -> Problem:
        """A Problem at `path`, or at the nearest thing above it that the file does hold."""
        places = {**self.values, **self.keys} if at_key else self.values
        near = next(path[:n] for n in range(len(path), -1, -1) if n == 0 or path[:n] in places)
        line, column = places.get(near, (1, 1))
        return Problem(self.file, line, column, path_text(path), text, rule)


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one document, so that everything is told at once."""

    document: Document
    found: list[Problem] = field(default_factory=list)

    def add(self, rule: str, path: Path, text: str, *, at_key: bool = False) -> None:
        self.found.append(self.document.problem(rule, path, text, at_key=at_key))


@dataclass(slots=True)
class _Reading:
    file: str
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, rule: str, node: yaml.Node, path: Path, text: str) -> None:
        line, column = _mark(node.start_mark)
        self.problems.append(Problem(self.file, line, column, path_text(path), text, rule))


def path_text(path: Path) -> str:
    """`tables.orders.sla`, `alerts[0].notifier`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def parse(file: str, text: str) -> Document:
    """Read `text`; `file` is only named in messages. Raises ConfigError with every problem of the text."""
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError([too_large(file)])
    hidden = [Problem(file, *_place(text, at), "", what, rule) for at, (rule, what) in unseen(text)]
    if hidden:
        raise ConfigError(hidden)
    node = _compose(file, text)
    reading = _Reading(file)
    data = _value(reading, node, ())
    if reading.problems:
        raise ConfigError(reading.problems)
    return Document(file, data, reading.keys, reading.values)


def too_large(file: str) -> Problem:
    return Problem(file, 1, 1, "", f"is larger than {MAX_BYTES:,} bytes; no such file is meant to be", "CFG003")


def _place(text: str, offset: int) -> Mark:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _compose(file: str, text: str) -> yaml.Node:
    try:
        shared = list(_refused_events(file, text))
        if shared:
            raise ConfigError(shared)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(file, error)]) from error
    except yaml.YAMLError as error:
        text = f"cannot be read as YAML: {error}".splitlines()[0]
        raise ConfigError([Problem(file, 1, 1, "", text, "CFG004")]) from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError([Problem(file, 1, 1, "", "must hold keys and values, like 'tenant: acme'", "CFG005")])
    return node


def _syntax_problem(file: str, error: yaml.MarkedYAMLError) -> Problem:
    line, column = _mark(error.problem_mark) if error.problem_mark else (1, 1)
    context = f" ({error.context})" if error.context else ""
    return Problem(file, line, column, "", f"is not valid YAML: {error.problem}{context}", "CFG004")


def _refused_events(file: str, text: str) -> Iterator[Problem]:
    """Anchors, aliases and depth are seen in the events only; composing would already have followed them."""
    depth = 0
    events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line, column = _mark(event.start_mark)
        if depth > MAX_DEPTH:
            yield Problem(file, line, column, "", f"is nested more than {MAX_DEPTH} levels deep", "CFG006")
            return
        if getattr(event, "anchor", None):
            kind = "alias '*" if isinstance(event, yaml.AliasEvent) else "anchor '&"
            yield Problem(
                file, line, column, "", f"{kind}{event.anchor}' is not allowed; write the value out", "CFG007"
            )


def _value(reading: _Reading, node: yaml.Node, path: Path) -> Any:
    reading.values[path] = _mark(node.start_mark)
    if isinstance(node, yaml.MappingNode) and node.tag == _CORE + "map":
        return _mapping(reading, node, path)
    if isinstance(node, yaml.SequenceNode) and node.tag == _CORE + "seq":
        return tuple(_value(reading, item, (*path, i)) for i, item in enumerate(node.value))
    if isinstance(node, yaml.ScalarNode):
        return _scalar(reading, node, path)
    reading.refuse("CFG008", node, path, f"tag {node.tag.replace(_CORE, '!!')} is not allowed; write plain YAML")
    return None


def _mapping(reading: _Reading, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(reading, key_node, path)
        if key is None:
            continue
        here = (*path, key)
        if here in reading.keys:
            reading.refuse(
                "CFG009", key_node, here, f"duplicate key, it already stands in line {reading.keys[here][0]}"
            )
            continue
        reading.keys[here] = _mark(key_node.start_mark)
        found[key] = _value(reading, value_node, here)
        if found[key] is None and value_node.tag == _CORE + "null":
            reading.refuse("CFG010", key_node, here, "is empty; give it a value or delete the key")
    return found


def _key(reading: _Reading, node: yaml.Node, path: Path) -> str | None:
    if node.tag == _CORE + "merge":
        reading.refuse("CFG007", node, path, "merge key '<<' is not allowed; write the keys out")
        return None
    if isinstance(node, yaml.ScalarNode) and (why := unsafe(node.value, path)):
        reading.refuse(why[0], node, path, f"a key here: {why[1]}")
        return None
    # bool too: as a key, on and yes are only ever meant as text
    if isinstance(node, yaml.ScalarNode) and node.tag.removeprefix(_CORE) in ("str", "value", "bool"):
        return str(node.value)
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        text = "'{{' would be a Jinja template, and files are plain data; write the value"
        reading.refuse("CFG035", node, path, text)
        return None
    said = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    reading.refuse("CFG011", node, path, f"key {said} is not text; put it in quotes")
    return None


def _scalar(reading: _Reading, node: yaml.ScalarNode, path: Path) -> Any:
    kind, text = node.tag.removeprefix(_CORE), str(node.value)
    why = unsafe(text, path)
    if why:
        reading.refuse(why[0], node, path, why[1])
        return None
    plain = not node.style  # '' or None, as the loader likes
    if plain and _CLOCK.fullmatch(text):
        reading.refuse("CFG017", node, path, f'{text} may be read as a number by YAML; put it in quotes: "{text}"')
        return None
    if kind == "bool":
        return _boolean(reading, node, path)
    if kind in ("int", "float"):
        return _number(reading, node, path)
    if kind == "timestamp":
        return _date(reading, node, path)
    if kind in ("str", "value", "null"):
        return None if kind == "null" else text
    reading.refuse("CFG008", node, path, f"tag {node.tag.replace(_CORE, '!!')} is not allowed; write plain YAML")
    return None


def _boolean(reading: _Reading, node: yaml.ScalarNode, path: Path) -> bool | None:
    text = node.value.lower()
    if text in ("true", "false"):
        return bool(text == "true")
    meant = "true" if text in ("yes", "on", "y") else "false"
    remedy = f'write {meant}, or "{node.value}" for the text'
    reading.refuse("CFG017", node, path, f"{node.value} means {meant} in YAML; {remedy}")
    return None


def _number(reading: _Reading, node: yaml.ScalarNode, path: Path) -> int | Decimal | None:
    text = node.value
    if not _DECIMAL.fullmatch(text):
        remedy = f'write a plain decimal number, or "{text}" for the text'
        reading.refuse("CFG017", node, path, f"{text} is a number YAML readers disagree on; {remedy}")
        return None
    return int(text) if _WHOLE.fullmatch(text) else Decimal(text)


def _date(reading: _Reading, node: yaml.ScalarNode, path: Path) -> date | None:
    try:
        if _DATE.fullmatch(node.value):
            return date.fromisoformat(node.value)
    except ValueError:
        reading.refuse("CFG018", node, path, f"{node.value} is not a day of the calendar")
        return None
    reading.refuse("CFG017", node, path, f'{node.value} is a timestamp in YAML; put it in quotes: "{node.value}"')
    return None


def _mark(mark: Any) -> Mark:
    return mark.line + 1, mark.column + 1
