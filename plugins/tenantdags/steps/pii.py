"""Hashing of personal values: hex HMAC-SHA256 under the tenant's key. Nothing in here prints a value or a key."""

from __future__ import annotations

import base64
import binascii
import hmac
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from tenantdags.model.errors import ConnectionMissing

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class PiiKey:
    """A tenant's hashing key; `key_id` travels in the manifest, the key never leaves the task."""

    key_id: str
    key: bytes = field(repr=False)


def key_from(where: str, connection: str, password: str | None, extra: Mapping[str, object]) -> PiiKey:
    """The key of a `pii_` connection: password = base64 of 32 bytes, extra `key_id`. Raises ConnectionMissing."""
    key_id, key = extra.get("key_id"), _decoded(password or "")
    if not isinstance(key_id, str) or not key_id:
        raise ConnectionMissing(where, f"connection {connection} has no key_id.", f"Set extra key_id on {connection}.")
    if len(key) != KEY_BYTES:
        what = f"the password of connection {connection} is not base64 of {KEY_BYTES} bytes."
        raise ConnectionMissing(where, what, f"Store one made by `openssl rand -base64 {KEY_BYTES}` and a new key_id.")
    return PiiKey(key_id, key)


def hashed(values: pa.Array, key: PiiKey) -> pa.StringArray:
    """Hex digests over each value's UTF-8 text (binary: its bytes); NULL stays NULL. Equal values are hashed once."""
    encoded = values.dictionary_encode()
    digests = [_digest(value, key.key) for value in encoded.dictionary.to_pylist()]
    return pc.take(text_array(digests), encoded.indices)


def _digest(value: object, key: bytes) -> str:
    raw = value if isinstance(value, bytes) else str(value).encode()
    return hmac.digest(key, raw, "sha256").hex()


def text_array(texts: Sequence[str]) -> pa.StringArray:
    """Laid out directly: pa.array and pa.scalar would import pandas, 50 MB in a task that is to stay small."""
    encoded = [text.encode() for text in texts]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
