"""What a column promises by itself: required, unique, enum, pattern, range, length; each a Check, or a problem."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

from tenantdags.model.contract import Check, CheckKind, Column, Number
from tenantdags.model.contract_file import Property, TypeOptions
from tenantdags.model.document import Path, Problems

# constructs on which Python, DuckDB (RE2) and Spark (Java) would disagree
_UNPORTABLE = re.compile(r"\\[1-9dDwWsSbBAZzpP]|\(\?[^:]|[*+?}]\+")
_WHOLE = ("tinyint", "smallint", "int", "bigint")


def column_checks(shape: Property, column: Column, index: int, problems: Problems) -> Iterator[Check]:
    """The checks of the column at `index`, in a fixed order; their ids are `<column>_<kind>`."""
    path: Path = ("schema", 0, "properties", index)
    if column.required:
        yield _check(column, "required", "is present")
    if shape.unique:
        if not column.loaded:
            problems.add(
                "CFG145", (*path, "unique"), "the column is dropped in the stream, where duplicates cannot be seen"
            )
        yield _check(column, "unique", "is unique")
    if shape.enum is not None:
        yield _check(column, "enum", "is one of the listed values", *_enum_values(shape, column, path, problems))
    if shape.logical_type_options is not None:
        yield from _option_checks(shape.logical_type_options, column, (*path, "logicalTypeOptions"), problems)


def _option_checks(options: TypeOptions, column: Column, path: Path, problems: Problems) -> Iterator[Check]:
    if options.pattern is not None and pattern_works(options.pattern, column, (*path, "pattern"), problems):
        yield _check(column, "pattern", "matches its pattern", options.pattern)
    if (options.minimum, options.maximum) != (None, None) and _range_works(options, column, path, problems):
        # as text, so that a decimal stays exact wherever the plan travels
        bounds = (None if v is None else str(v) for v in (options.minimum, options.maximum))
        yield _check(column, "range", "is in range", *bounds)
    if (options.min_length, options.max_length) != (None, None) and _length_works(options, column, path, problems):
        yield _check(column, "length", "has a legal length", options.min_length, options.max_length)
    if options.format is not None and column.type.text:
        # a promise nobody checks would be read as one that holds
        problems.add("CFG158", (*path, "format"), "is not checked by the gates; write a pattern")


def _check(column: Column, kind: CheckKind, promise: str, *arguments: str | int | None) -> Check:
    dimension = {"required": "completeness", "unique": "uniqueness"}.get(kind, "conformity")
    return Check(
        id=f"{column.name}_{kind}", kind=kind, name=f"{column.name} {promise}", dimension=dimension,
        columns=(column.name,), arguments=arguments,
    )  # fmt: skip


def _enum_values(shape: Property, column: Column, path: Path, problems: Problems) -> tuple[str | int, ...]:
    values = tuple(entry.value for entry in shape.enum or ())
    wanted: type = str if column.type.text else int
    if not values:
        problems.add("CFG154", (*path, "enum"), "lists no values, so every row would fail; list them or delete it")
    if wanted is int and column.type.name not in _WHOLE:
        problems.add("CFG154", (*path, "enum"), f"needs a text or whole number column, not {column.type}")
        return ()
    for i, value in enumerate(values):
        if type(value) is not wanted:
            kind = "text in quotes" if wanted is str else "a whole number"
            problems.add("CFG154", (*path, "enum", i, "value"), f"must be {kind} for a {column.type} column")
        elif value in values[:i]:
            problems.add("CFG154", (*path, "enum", i, "value"), f"{value!r} is listed twice")
    return values


def pattern_works(pattern: str, column: Column, path: Path, problems: Problems) -> bool:
    """Whether all engines read the pattern alike and it binds the whole value; adds a problem if not."""
    text = _pattern_problem(pattern) or (None if column.type.text else f"needs a text column, not {column.type}")
    if text:
        problems.add("CFG155", path, text)
    return text is None


def _pattern_problem(pattern: str) -> str | None:
    odd = _UNPORTABLE.search(pattern)
    if odd:
        return f"'{odd[0]}' differs between the engines that check it; write classes out, like [0-9]"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except re.error as error:
        return f"is not a regular expression: {error}"
    except FutureWarning:
        # [[a] is a class with a bracket here, and a class within a class in Java
        return "holds '[', '--', '&&', '||' or '~~' inside [ ], which engines read differently; escape it"
    if not (pattern.startswith("^") and pattern.endswith("$")) or _splits_at_the_top(pattern):
        return "must match the whole value: begin with ^, end with $, and put alternatives in ( )"
    return None


def _splits_at_the_top(pattern: str) -> bool:
    """`^a|b$` is two patterns, each bound at one end only."""
    bare = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "", pattern)
    while bare != (inner := re.sub(r"\([^()]*\)", "", bare)):
        bare = inner
    return "|" in bare


def _range_works(options: TypeOptions, column: Column, path: Path, problems: Problems) -> bool:
    before = len(problems.found)
    for name in ("minimum", "maximum"):
        value = getattr(options, name)
        if value is not None and not _is_number(value):
            problems.add("CFG156", (*path, name), f"must be a number, not {value!r}")
    if not column.type.numeric:
        problems.add("CFG156", path, f"minimum and maximum need a numeric column, not {column.type}")
    if _is_number(options.minimum) and _is_number(options.maximum) and options.minimum > options.maximum:
        problems.add("CFG156", path, "minimum is above maximum, so every row would fail")
    return len(problems.found) == before


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def _length_works(options: TypeOptions, column: Column, path: Path, problems: Problems) -> bool:
    low, high = options.min_length, options.max_length
    if not column.type.text:
        problems.add("CFG157", path, f"minLength and maxLength need a text column, not {column.type}")
    elif (low is not None and high is not None and low > high) or min(low or 0, high or 0) < 0:
        problems.add("CFG157", path, "minLength and maxLength must be 0 or more, the smaller first")
    else:
        return True
    return False
