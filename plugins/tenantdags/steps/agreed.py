"""A small value in the container that many processes change: read, decide, compare-and-swap, and again when beaten."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol, Self, TypeVar

from tenantdags.model.errors import LandingConflict
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.manifest import utc_text

FORMAT = 1
ATTEMPTS = 20


class Stored(Protocol):
    """A value that knows its file. Two writers must never write the same bytes: `swap` could not tell who was first."""

    def to_json(self) -> bytes: ...

    @classmethod
    def from_json(cls, data: bytes) -> Self: ...


T = TypeVar("T", bound=Stored)


def read(blobs: Blobs, path: str, kind: type[T]) -> T | None:
    """Raises ValueError for a file that is no such value."""
    found = blobs.read(path, path)
    return kind.from_json(found[0]) if found else None


def read_all(blobs: Blobs, prefix: str, kind: type[T]) -> Iterator[T]:
    found = (read(blobs, path, kind) for path in blobs.names(prefix, prefix))
    return (value for value in found if value is not None)


def change(blobs: Blobs, path: str, kind: type[T], decide: Callable[[T | None], T | None]) -> T | None:
    """The value `decide` made of what was there, once it is written; None when it had nothing to change.

    `decide` is asked again when another process wrote meanwhile. Raises LandingConflict after ATTEMPTS times.
    """
    for attempt in range(ATTEMPTS):
        found = blobs.read(path, path)
        value = decide(kind.from_json(found[0]) if found else None)
        if value is None or blobs.swap(path, path, value.to_json(), found[1] if found else None):
            return value
        time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))
    raise LandingConflict(path, "other processes change this file all the time.", "Try again.")


def dump(value: Any) -> bytes:
    """A dataclass as JSON, its format first, its instants in UTC."""
    return json.dumps({"format": FORMAT, **asdict(value)}, default=_plain, indent=1).encode()


def load(data: bytes) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(data)
    if raw.pop("format", None) != FORMAT:
        raise ValueError(f"not of format {FORMAT}")
    return raw


def _plain(value: object) -> str:
    return utc_text(value) if isinstance(value, datetime) else str(value)
