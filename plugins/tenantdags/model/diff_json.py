"""A diff as JSON for other tools. `format` counts up when a key changes its meaning or goes."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from tenantdags.model.diff import Diff

FORMAT = 1


def to_json(diff: Diff) -> str:
    """Keys are the fields of Diff, in their order; instants are ISO 8601."""
    said: dict[str, Any] = {"format": FORMAT, **asdict(diff)}
    return json.dumps(said, default=_instant, ensure_ascii=False, indent=2) + "\n"


def _instant(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a diff")
