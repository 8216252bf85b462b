"""Is a contract valid for everyone else too? The standard's own JSON schema, for `tenantdags check`, never for runs."""

from __future__ import annotations

import json
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from tenantdags.model.document import parse
from tenantdags.model.errors import Problem


@lru_cache(maxsize=512)
def standard_problems(file: str, text: str) -> tuple[Problem, ...]:
    """What Open Data Contract Standard 3.2.0 refuses in this text. Raises ConfigError when it cannot be read at all."""
    document = parse(file, text)
    errors = (_deepest(error) for error in _validator().iter_errors(_json(document.data)))
    return tuple(
        document.problem("CFG101", tuple(e.absolute_path), f"is not valid ODCS 3.2.0: {_short(e)}") for e in errors
    )


@cache
def _validator() -> Any:
    from jsonschema import Draft201909Validator  # type: ignore[import-untyped]  # ships no types

    schema = files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    return Draft201909Validator(json.loads(schema))


def _deepest(error: Any) -> Any:
    """The branch that came closest: of all alternatives the one whose error lies deepest."""
    while error.context:
        error = max(error.context, key=lambda e: len(e.absolute_path))
    return error


def _short(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= 200 else f"{error.validator} {error.validator_value!s:.100}"


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
