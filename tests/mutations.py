"""Files made wrong on purpose: every key deleted, misspelt, given values of every type; texts cut and scribbled on."""

import random
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from typing import Any

import yaml

Path = tuple[str | int, ...]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**40, 0.5, float("inf"), float("nan"), "", " ", "x", "yes", "0", "06:00", "..",
    "{{ ds }}", "a" * 5000, "ünïcödé", "\u202e", "\x07", "\U0001f4a5", "'\"\\", "orders@1", "orders@99", "Europe",
    "[" * 60, "must_be", "2026-02-30", date(2026, 11, 1), date(1, 1, 1), b"\xff", [], {}, [None], [[]], [{}], {"": 1},
    {"x": None}, {1: 2}, {"property": "pii"}, ["a"] * 500, {"a": {"b": {"c": {"d": 1}}}},
)  # fmt: skip
SCRIBBLES = (
    "\t",
    "\x00",
    "&a ",
    "*a",
    "!x ",
    ": ",
    "- ",
    "{",
    "]",
    "'",
    '"',
    "#",
    "|",
    "\n\n---\n",
    "\ufeff",
    "%",
    "é",
    "@",
)


def of(text: str, rng: random.Random, per_place: int | None) -> Iterator[str]:
    """`per_place` mutations of each key and list item (None: all), and as many scribbles as the file has lines."""
    data = yaml.load(text, Loader=yaml.CSafeLoader)
    for path in places(data):
        changes = [*_changes(path)]
        for change in changes if per_place is None else rng.sample(changes, per_place):
            yield yaml.dump(change(deepcopy(data)), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    for _ in text.splitlines():
        yield _scribbled(text, rng)


def places(data: Any, above: Path = ()) -> Iterator[Path]:
    """Every key and list item, outermost first."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inside:
        yield (*above, key)
        yield from places(value, (*above, key))


def _changes(path: Path) -> Iterator[Any]:
    yield lambda data: _deleted(data, path)
    yield lambda data: _renamed(data, path)
    yield lambda data: _doubled(data, path)
    for value in VALUES:
        yield lambda data, value=value: _replaced(data, path, value)


def _holder(data: Any, path: Path) -> Any:
    for part in path[:-1]:
        data = data[part]
    return data


def _deleted(data: Any, path: Path) -> Any:
    del _holder(data, path)[path[-1]]
    return data


def _renamed(data: Any, path: Path) -> Any:
    holder, name = _holder(data, path), path[-1]
    if isinstance(holder, dict):
        holder[f"{name}"[:-1] + "q"] = holder.pop(name)
    return data


def _doubled(data: Any, path: Path) -> Any:
    holder, name = _holder(data, path), path[-1]
    if isinstance(holder, list):
        holder.append(deepcopy(holder[int(name)]))
    else:
        holder[f"{name}_2"] = deepcopy(holder[name])
    return data


def _replaced(data: Any, path: Path, value: Any) -> Any:
    _holder(data, path)[path[-1]] = value
    return data


def _scribbled(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    lines = text.splitlines(keepends=True)
    line = rng.randrange(len(lines))
    return rng.choice(
        (
            text[:at],
            text[:at] + rng.choice(SCRIBBLES) + text[at:],
            text[:at] + text[at + rng.randrange(1, 20) :],
            "".join([*lines[:line], *lines[line + 1 :]]),
            "".join([*lines[: line + 1], *lines[line:]]),
            "".join([*lines[:line], " " + lines[line], *lines[line + 1 :]]),
        )
    )
