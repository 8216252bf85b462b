"""Is a contract valid for everyone else too? The standard's own JSON schema, for `tenantdags check`, never for runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

from tenantdags.model.document import Document
from tenantdags.model.errors import Problem


def standard_problems(document: Document) -> Iterator[Problem]:
    """What Open Data Contract Standard 3.2.0 refuses in this document."""
    for error in _validator().iter_errors(_json(document.data)):
        deepest = _deepest(error)
        path = tuple(deepest.absolute_path)
        yield document.problem(path, f"is not valid ODCS 3.2.0: {_short(deepest)}")


@cache
def _validator() -> Any:
    # a quarter of a second of imports that only `check` pays
    from jsonschema import Draft201909Validator  # type: ignore[import-untyped]  # ships no types
    from open_data_contract_standard.model import OpenDataContractStandard

    text = OpenDataContractStandard.json_schema()  # type: ignore[no-untyped-call]  # theirs has no annotations
    return Draft201909Validator(json.loads(text))


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
