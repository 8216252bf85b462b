"""Texts of other systems without what they quote: an engine's error may quote a row's value."""

from __future__ import annotations

import re

# From the first opening quote to the last one: a value may hold quotes itself. An apostrophe in a word opens none.
_SINGLE = re.compile(r"(?<![A-Za-z]{2})'(?:.*'|[^']*$)")
_DOUBLE = re.compile(r'"(?:[^"\\]|\\.|"")*(?:"|$)')


def redact(text: object, limit: int = 600) -> str:
    """`Could not convert string 'a@b.c'` → `Could not convert string '…'`; one line, at most `limit` characters."""
    flat = _DOUBLE.sub("'…'", _SINGLE.sub("'…'", " ".join(str(text).split())))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
