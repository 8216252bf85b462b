"""Hashes of personal values, and keys that are refused."""

import base64
import hashlib
import hmac

import pyarrow as pa
import pytest

from tenantdags.model.errors import ConnectionMissing
from tenantdags.steps.pii import PiiKey, hashed, key_from

KEY = PiiKey("k1", bytes(range(32)))
SECRET = base64.b64encode(KEY.key).decode()


def test_a_hash_is_hex_hmac_sha256_of_the_utf_8_value_and_null_stays_null():
    found = hashed(pa.array(["zoë@example.de", None, "", "zoë@example.de", "🦆"]), KEY)

    expected = [hmac.new(KEY.key, v.encode(), hashlib.sha256).hexdigest() for v in ("zoë@example.de", "", "🦆")]
    assert found.type == pa.string()
    assert found.to_pylist() == [expected[0], None, expected[1], expected[0], expected[2]]


def test_numbers_and_bytes_are_hashed_too():
    assert hashed(pa.array([42]), KEY).to_pylist() == hashed(pa.array(["42"]), KEY).to_pylist()
    assert hashed(pa.array([b"\xff"]), KEY).to_pylist() == [hmac.new(KEY.key, b"\xff", hashlib.sha256).hexdigest()]


def test_nothing_and_nulls_alone_can_be_hashed():
    assert hashed(pa.array([], pa.string()), KEY).to_pylist() == []
    assert hashed(pa.array([None, None], pa.string()), KEY).to_pylist() == [None, None]


def test_another_key_gives_another_hash():
    values = pa.array(["x"])

    assert hashed(values, KEY).to_pylist() != hashed(values, PiiKey("k2", b"k" * 32)).to_pylist()


def test_a_key_comes_from_the_password_and_extra_of_its_connection():
    assert key_from("acme orders", "pii_acme", SECRET, {"key_id": "k1"}) == KEY


@pytest.mark.parametrize(
    ("password", "extra", "what"),
    [
        (None, {"key_id": "k1"}, "the password of connection pii_acme is not base64 of 32 bytes"),
        (SECRET[:-8], {"key_id": "k1"}, "the password of connection pii_acme is not base64 of 32 bytes"),
        (base64.b64encode(b"short").decode(), {"key_id": "k1"}, "is not base64 of 32 bytes"),
        ("no base64 at all!", {"key_id": "k1"}, "is not base64 of 32 bytes"),
        (SECRET, {}, "connection pii_acme has no key_id"),
        (SECRET, {"key_id": 7}, "connection pii_acme has no key_id"),
    ],
)
def test_a_missing_or_short_key_is_refused_without_showing_it(password, extra, what):
    with pytest.raises(ConnectionMissing, match=what) as caught:
        key_from("acme orders 2026-11-20", "pii_acme", password, extra)

    assert str(caught.value).startswith("acme orders 2026-11-20: config.invalid: ")
    assert not password or password not in str(caught.value)


def test_a_key_does_not_show_in_its_repr():
    assert repr(KEY) == "PiiKey(key_id='k1')"
