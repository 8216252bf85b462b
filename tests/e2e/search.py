"""Finds thousands of secrets in many files at once: plain, JSON-escaped and URL-quoted, also inside Parquet."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HEAD = 8  # bytes of a secret that are compared at every position at once


class Search:
    """Knows all secrets; `in_file` returns those that stand in a file."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._short: dict[bytes, str] = {}
        self._by_head: dict[bytes, list[tuple[bytes, str]]] = defaultdict(list)
        for secret in filter(None, secrets):
            for form in {secret, json.dumps(secret)[1:-1], quote(secret), quote(secret, safe="")}:
                self._learn(form.encode(), secret)
        self._heads = np.sort(np.frombuffer(b"".join(self._by_head), dtype="<u8"))

    def _learn(self, form: bytes, secret: str) -> None:
        if len(form) < HEAD:
            self._short[form] = secret
        else:
            self._by_head[form[:HEAD]].append((form, secret))

    def in_file(self, file: Path) -> set[str]:
        content = file.read_bytes()
        if content[:4] == b"PAR1":
            content += _texts_of_parquet(file)
        return self.in_bytes(content)

    def in_bytes(self, content: bytes) -> set[str]:
        found = {secret for form, secret in self._short.items() if form in content}
        for shift in range(min(HEAD, max(len(content) - HEAD + 1, 0))):
            words = np.frombuffer(content, dtype="<u8", offset=shift, count=(len(content) - shift) // HEAD)
            at = np.searchsorted(self._heads, words).clip(max=len(self._heads) - 1)
            for index in np.flatnonzero(self._heads[at] == words):
                start = int(index) * HEAD + shift
                forms = self._by_head[content[start : start + HEAD]]
                found.update(secret for form, secret in forms if content.startswith(form, start))
        return found


def _texts_of_parquet(file: Path) -> bytes:
    """Every text of every column, for compression hides them from a search of the bytes."""
    texts: set[str | None] = set()
    for column in pq.read_table(file).columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts.update(column.unique().to_pylist())
    return "\n".join(filter(None, texts)).encode()
