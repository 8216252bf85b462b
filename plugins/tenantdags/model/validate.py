"""From a document to a model of ours: pydantic's errors said in our words, at their line and column."""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from tenantdags.model.document import Document, Path
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.fields import suggestion

M = TypeVar("M", bound=BaseModel)


def validate(document: Document, model: type[M]) -> M:
    """The document as a `model`. Raises ConfigError with every problem pydantic found."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError([_problem(document, model, e) for e in error.errors(include_url=False)]) from None


def _problem(document: Document, model: type[BaseModel], error: ErrorDetails) -> Problem:
    if error["loc"][-1:] == ("[key]",):
        return document.problem(error["type"], _path_in(document, error["loc"][:-1]), error["msg"], at_key=True)
    path = _path_in(document, error["loc"])
    if error["type"] == "extra_forbidden":
        hint = suggestion(path[-1], _keys_at(model, error["loc"]))
        return document.problem("CFG012", path, f"unknown key{hint}", at_key=True)
    if error["type"] == "missing":
        return document.problem("CFG013", path, f"is missing: {_described(model, error['loc'])}")
    if error["type"] in _SAID:
        rule, said = _SAID[error["type"]]
        return document.problem(rule, path, said(error))
    return document.problem(error["type"], path, error["msg"])


def _path_in(document: Document, loc: Path) -> Path:
    """`loc` without the parts pydantic adds for unions, which no file holds; the last part may be a missing key."""
    path: Path = ()
    for i, part in enumerate(loc):
        if (*path, part) in document.values or (i == len(loc) - 1 and isinstance(_at(document.data, path), dict)):
            path = (*path, part)
    return path


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _wrong_type(wanted: str) -> Callable[[ErrorDetails], str]:
    def said(error: ErrorDetails) -> str:
        value = error["input"]
        quote = f'; put it in quotes: "{value}"' if wanted == "text" and isinstance(value, int | date) else ""
        return f"must be {wanted}, not {_kind(value)}{quote}"

    return said


def _kind(value: Any) -> str:
    kinds = {
        str: "the text",
        bool: "the switch",
        int: "the number",
        dict: "a mapping",
        tuple: "a list",
        date: "the date",
    }
    kind = kinds.get(type(value), "the value")
    return kind if isinstance(value, dict | tuple) else f"{kind} {value!s}"


def _one_of(error: ErrorDetails) -> str:
    known = [word.strip("'\" ") for word in error["ctx"]["expected"].replace(" or ", ", ").split(",")]
    return f"{error['input']!r} is not allowed{suggestion(error['input'], known)}"


def _unknown_tag(error: ErrorDetails) -> str:
    known = [word.strip("' ") for word in error["ctx"]["expected_tags"].split(",")]
    tag = error["ctx"]["tag"]
    known = [k for k in known if k != "other"]
    return f"{tag!r} is unknown{suggestion(tag, known)} (a property of another tool names its vendor)"


# what `refused` raises has the rule as its type; these are pydantic's own
_SAID: dict[str, tuple[str, Callable[[ErrorDetails], str]]] = {
    "string_type": ("CFG014", _wrong_type("text")),
    "int_type": ("CFG014", _wrong_type("a whole number")),
    "is_instance_of": ("CFG014", _wrong_type("a number")),
    "bool_type": ("CFG014", _wrong_type("true or false")),
    "dict_type": ("CFG014", _wrong_type("a mapping")),
    "model_type": ("CFG014", _wrong_type("a mapping")),
    "model_attributes_type": ("CFG014", _wrong_type("a mapping")),
    "tuple_type": ("CFG014", _wrong_type("a list")),
    "too_short": ("CFG016", lambda error: "is empty; it needs at least one entry"),
    "string_too_short": ("CFG016", lambda error: "is empty; it needs some text"),
    "string_too_long": ("CFG016", lambda error: f"is too long; {error['ctx']['max_length']} characters are allowed"),
    "literal_error": ("CFG015", _one_of),
    "union_tag_invalid": ("CFG117", _unknown_tag),
    "union_tag_not_found": ("CFG117", lambda error: "must be a mapping with a key 'property'"),
}


def _keys_at(model: type[BaseModel], loc: Path) -> list[str]:
    found = _annotation_at(model, loc[:-1])
    return known_keys(found) if isinstance(found, type) and issubclass(found, BaseModel) else []


def known_keys(model: type[BaseModel]) -> list[str]:
    """Every key a mapping may hold, as the file writes it."""
    named = [f.alias or name for name, f in model.model_fields.items()]
    return [*named, *getattr(model, "ignored", ())]


def _described(model: type[BaseModel], loc: Path) -> str:
    found = _annotation_at(model, loc[:-1])
    for name, field in found.model_fields.items():
        if (field.alias or name) == loc[-1]:
            return field.description or "it is required"
    return "it is required"


def _annotation_at(annotation: Any, loc: Path) -> Any:
    for part in loc:
        annotation = _step(_bare(annotation), part)
    return _bare(annotation)


def _bare(annotation: Any) -> Any:
    """Without Annotated and `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            rest = [a for a in get_args(annotation) if a is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation


def _step(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {f.alias or name: f.annotation for name, f in annotation.model_fields.items()}
        return fields.get(str(part))
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0]
    return next((a for a in get_args(annotation) if _tag(a) == part), None)


def _tag(annotation: Any) -> str | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((m.tag for m in get_args(annotation)[1:] if isinstance(m, Tag)), None)
