"""Texts of other systems without what they quote: an engine's error may quote a row's value."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"")


def redact(text: object, limit: int = 600) -> str:
    """`Could not convert string 'a@b.c'` → `Could not convert string '…'`; one line, at most `limit` characters."""
    flat = " ".join(_QUOTED.sub("'…'", str(text)).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
