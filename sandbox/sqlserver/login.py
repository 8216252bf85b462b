"""The start of a TDS session: PRELOGIN and LOGIN7 as they come in, and what answers them (MS-TDS 2.2.6.4-5)."""

import struct
from dataclasses import dataclass
from typing import Final

from sandbox.sqlserver.sqltypes import COLLATION

ENCRYPT_OFF: Final = 0
ENCRYPT_ON: Final = 1
ENCRYPT_NOT_SUPPORTED: Final = 2
ENCRYPT_REQUIRED: Final = 3
SERVER_VERSION: Final = bytes([16, 0, 0x10, 0x7B, 0, 0])  # 16.0.4219, SQL Server 2022
TDS_74: Final = 0x74000004


def options(payload: bytes) -> dict[int, bytes]:
    """The option tokens of a PRELOGIN message."""
    found, at = {}, 0
    while payload[at] != 0xFF:
        token, offset, length = struct.unpack_from(">BHH", payload, at)
        found[token] = payload[offset : offset + length]
        at += 5
    return found


def answered_encryption(wanted: int) -> int:
    """Everything, the login packet alone (OFF), or nothing for a client that cannot."""
    if wanted in {ENCRYPT_ON, ENCRYPT_REQUIRED}:
        return ENCRYPT_ON
    return ENCRYPT_NOT_SUPPORTED if wanted == ENCRYPT_NOT_SUPPORTED else ENCRYPT_OFF


def prelogin_answer(encryption: int) -> bytes:
    values = {0: SERVER_VERSION, 1: bytes([encryption]), 2: b"\x00", 3: b"", 4: b"\x00"}
    head, body, offset = b"", b"", 5 * len(values) + 1
    for token, value in values.items():
        head += struct.pack(">BHH", token, offset + len(body), len(value))
        body += value
    return head + b"\xff" + body


@dataclass(frozen=True, slots=True)
class Login:
    """What a client asks for when it logs in."""

    user: str
    password: str
    database: str
    application: str
    host: str
    packet_size: int
    tds_version: int


def _unmasked(data: bytes) -> bytes:
    swapped = (byte ^ 0xA5 for byte in data)
    return bytes(((byte << 4) & 0xF0) | (byte >> 4) for byte in swapped)


def parse(payload: bytes) -> Login:
    """LOGIN7; ValueError when it is cut short."""
    if len(payload) < 94:
        raise ValueError("LOGIN7 is too short")
    _, version, packet_size = struct.unpack_from("<III", payload, 0)

    def field(at: int) -> bytes:
        offset, length = struct.unpack_from("<HH", payload, at)
        return payload[offset : offset + 2 * length]

    texts = {name: field(at).decode("utf-16-le") for name, at in _FIELDS.items()}
    password = _unmasked(field(44)).decode("utf-16-le")
    return Login(password=password, packet_size=packet_size, tds_version=version, **texts)


_FIELDS: Final = {"host": 36, "user": 40, "application": 48, "database": 68}


def _b_text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


def _us_text(text: str) -> bytes:
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def message(number: int, state: int, severity: int, text: str, *, token: int = 0xAA) -> bytes:
    """An ERROR (0xAA) or INFO (0xAB) token."""
    body = struct.pack("<iBB", number, state, severity) + _us_text(text) + _b_text("sandbox") + _b_text("")
    body += struct.pack("<I", 1)
    return struct.pack("<BH", token, len(body)) + body


def env_change(kind: int, new: bytes, old: bytes) -> bytes:
    """ENVCHANGE whose values are already B_VARCHAR or B_VARBYTE."""
    body = bytes([kind]) + new + old
    return struct.pack("<BH", 0xE3, len(body)) + body


def database_change(new: str, old: str) -> bytes:
    note = message(5701, 2, 0, f"Changed database context to '{new}'.", token=0xAB)
    return env_change(1, _b_text(new), _b_text(old)) + note


def acknowledgement(database: str, packet_size: int) -> bytes:
    """Everything a client hears after a good login, without the final DONE."""
    name = _b_text("Microsoft SQL Server")
    body = b"\x01" + struct.pack(">I", TDS_74) + name + SERVER_VERSION[:4]
    return (
        database_change(database, "master")
        + env_change(7, bytes([len(COLLATION)]) + COLLATION, b"\x00")
        + env_change(2, _b_text("us_english"), _b_text(""))
        + struct.pack("<BH", 0xAD, len(body)) + body
        + env_change(4, _b_text(str(packet_size)), _b_text("4096"))
    )  # fmt: skip


def transaction_change(kind: int, descriptor: int, *, began: bool) -> bytes:
    """ENVCHANGE 8 (begin), 9 (commit) or 10 (rollback) with the transaction's descriptor."""
    value = b"\x08" + struct.pack("<Q", descriptor)
    return env_change(kind, value, b"\x00") if began else env_change(kind, b"\x00", value)


def done(token: int, status: int, command: int, rows: int) -> bytes:
    return struct.pack("<BHHQ", token, status, command, rows)
