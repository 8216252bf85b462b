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
HEX_DIGITS = 64  # of a SHA-256 digest
CHUNK_VALUES = 1_000


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
    plain = encoded.dictionary if pa.types.is_binary(values.type) else encoded.dictionary.cast(pa.string())
    return pc.take(_digests(plain.cast(pa.binary()), key.key), encoded.indices)


def _digests(values: pa.BinaryArray, key: bytes) -> pa.StringArray:
    """Written into one buffer, a few values in Python's hands at a time: lists of a whole batch cost 10 MB more."""
    text = bytearray()
    for start in range(0, len(values), CHUNK_VALUES):
        for value in values.slice(start, CHUNK_VALUES).to_pylist():
            text += binascii.hexlify(hmac.digest(key, value, "sha256"))
    offsets = array("i", range(0, len(text) + 1, HEX_DIGITS))
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))


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
