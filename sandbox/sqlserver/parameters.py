"""RPC requests: which procedure, and its parameters as typed values (MS-TDS 2.2.6.6)."""

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sandbox.sqlserver.errors import SqlError, bad_stream
from sandbox.sqlserver.sqltypes import MAX, SqlType, decimal, time_bytes

PROCEDURES: Final = {10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}
DAY_TICKS: Final = 864_000_000_000
DAYS_TO_1900: Final = 693_595


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value as it came: dates as ticks since 0001, a datetimeoffset as (UTC ticks, minutes)."""

    name: str
    output: bool
    kind: SqlType
    value: object


@dataclass(frozen=True, slots=True)
class Call:
    """One procedure call."""

    procedure: str
    parameters: tuple[Parameter, ...]


class Cursor:
    """Reads little-endian values from a message."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise bad_stream()
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, kind: str) -> int:
        value: int = struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0]
        return value

    def text(self, units: int) -> str:
        return self.take(2 * units).decode("utf-16-le")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def more(self) -> bool:
        return self._at < len(self._data)

    def peek(self) -> int:
        return self._data[self._at]


def skip_headers(cursor: Cursor) -> None:
    """ALL_HEADERS: their total length, itself included, comes first."""
    cursor.take(cursor.number("I") - 4)


def batch_text(payload: bytes) -> str:
    """The statements of a SQL batch."""
    cursor = Cursor(payload)
    skip_headers(cursor)
    return cursor.rest().decode("utf-16-le")


def calls(payload: bytes) -> list[Call]:
    cursor = Cursor(payload)
    skip_headers(cursor)
    found = [_call(cursor)]
    while cursor.more():
        cursor.take(1)  # the flag between two calls
        found.append(_call(cursor))
    return found


def _call(cursor: Cursor) -> Call:
    length = cursor.number("H")
    if length == 0xFFFF:
        number = cursor.number("H")
        name = PROCEDURES.get(number, f"#{number}")
    else:
        name = cursor.text(length)
    cursor.number("H")
    parameters = []
    while cursor.more() and cursor.peek() not in {0x80, 0xFF}:
        parameters.append(_parameter(cursor))
    return Call(name.lower(), tuple(parameters))


def _parameter(cursor: Cursor) -> Parameter:
    name = cursor.text(cursor.number("B"))
    status = cursor.number("B")
    kind, value = _typed(cursor)
    return Parameter(name.lstrip("@").lower(), bool(status & 1), kind, value)


def _typed(cursor: Cursor) -> tuple[SqlType, object]:
    token = cursor.number("B")
    if token in _READERS:
        return _READERS[token](cursor)
    raise SqlError(8009, f"The incoming parameter has the data type 0x{token:02X}, which is not served.")


def _fixed(name: str, code: str) -> Callable[[Cursor], tuple[SqlType, object]]:
    return lambda cursor: (SqlType(name), cursor.number(code))


def _integer(cursor: Cursor) -> tuple[SqlType, object]:
    size = cursor.number("B")
    kind = SqlType({1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"}[size])
    length = cursor.number("B")
    return kind, cursor.number({1: "B", 2: "h", 4: "i", 8: "q"}[length]) if length else None


def _bit(cursor: Cursor) -> tuple[SqlType, object]:
    cursor.number("B")
    return SqlType("bit"), bool(cursor.number("B")) if cursor.number("B") else None


def _float(cursor: Cursor) -> tuple[SqlType, object]:
    kind = SqlType("real" if cursor.number("B") == 4 else "float")
    length = cursor.number("B")
    return kind, struct.unpack("<f" if length == 4 else "<d", cursor.take(length))[0] if length else None


def _money(cursor: Cursor) -> tuple[SqlType, object]:
    kind = SqlType("money" if cursor.number("B") == 8 else "smallmoney")
    length = cursor.number("B")
    if not length:
        return kind, None
    amount = cursor.number("i") if length == 4 else (cursor.number("i") << 32) + cursor.number("I")
    return kind, Decimal(amount).scaleb(-4)


def _decimal(cursor: Cursor) -> tuple[SqlType, object]:
    cursor.number("B")
    kind = decimal(cursor.number("B"), cursor.number("B"))
    length = cursor.number("B")
    if not length:
        return kind, None
    sign = 0 if cursor.number("B") else 1
    digits = tuple(int(digit) for digit in str(int.from_bytes(cursor.take(length - 1), "little")))
    return kind, Decimal((sign, digits, -kind.scale))


def _guid(cursor: Cursor) -> tuple[SqlType, object]:
    cursor.number("B")
    length = cursor.number("B")
    return SqlType("uniqueidentifier"), uuid.UUID(bytes_le=cursor.take(length)) if length else None


def _date(cursor: Cursor) -> tuple[SqlType, object]:
    length = cursor.number("B")
    return SqlType("date"), int.from_bytes(cursor.take(length), "little") * DAY_TICKS if length else None


def _clock(data: bytes, scale: int) -> int:
    value: int = int.from_bytes(data, "little") * 10 ** (7 - scale)
    return value


def _time(cursor: Cursor) -> tuple[SqlType, object]:
    kind = SqlType("time", scale=cursor.number("B"))
    length = cursor.number("B")
    return kind, _clock(cursor.take(length), kind.scale) if length else None


def _datetime2(cursor: Cursor) -> tuple[SqlType, object]:
    kind = SqlType("datetime2", scale=cursor.number("B"))
    length = cursor.number("B")
    return kind, _instant(cursor, kind.scale) if length else None


def _instant(cursor: Cursor, scale: int) -> int:
    clock = _clock(cursor.take(time_bytes(scale)), scale)
    return clock + int.from_bytes(cursor.take(3), "little") * DAY_TICKS


def _datetimeoffset(cursor: Cursor) -> tuple[SqlType, object]:
    kind = SqlType("datetimeoffset", scale=cursor.number("B"))
    length = cursor.number("B")
    return kind, (_instant(cursor, kind.scale), cursor.number("h")) if length else None


def _datetime(cursor: Cursor) -> tuple[SqlType, object]:
    kind = SqlType("datetime" if cursor.number("B") == 8 else "smalldatetime")
    length = cursor.number("B")
    if not length:
        return kind, None
    days = cursor.number("i" if length == 8 else "H") + DAYS_TO_1900
    clock = cursor.number("I" if length == 8 else "H")
    return kind, days * DAY_TICKS + ((clock * 100_000 + 1) // 3 if length == 8 else clock * 600_000_000)


def _sized(name: str) -> Callable[[Cursor], tuple[SqlType, object]]:
    wide, text = name.startswith("n"), "char" in name

    def read(cursor: Cursor) -> tuple[SqlType, object]:
        size = cursor.number("H")
        if text:
            cursor.take(5)
        data = _plp(cursor) if size == 0xFFFF else _short(cursor)
        kind = SqlType(name, MAX if size == 0xFFFF else max(size // 2 if wide else size, 1))
        if data is None or not text:
            return kind, data
        return kind, data.decode("utf-16-le" if wide else "cp1252")

    return read


def _short(cursor: Cursor) -> bytes | None:
    length = cursor.number("H")
    return None if length == 0xFFFF else cursor.take(length)


def _plp(cursor: Cursor) -> bytes | None:
    if cursor.number("Q") == 0xFFFF_FFFF_FFFF_FFFF:
        return None
    parts = []
    while length := cursor.number("I"):
        parts.append(cursor.take(length))
    return b"".join(parts)


def _long(name: str) -> Callable[[Cursor], tuple[SqlType, object]]:
    """TEXT, NTEXT and IMAGE, as ODBC and FreeTDS send long values: read as the (max) type of that name."""

    def read(cursor: Cursor) -> tuple[SqlType, object]:
        cursor.number("I")
        if name != "varbinary":
            cursor.take(5)
        length = cursor.number("i")
        kind = SqlType(name, MAX)
        if length < 0 or name == "varbinary":
            return kind, None if length < 0 else cursor.take(length)
        return kind, cursor.take(length).decode("utf-16-le" if name == "nvarchar" else "cp1252")

    return read


_READERS: Final[dict[int, Callable[[Cursor], tuple[SqlType, object]]]] = {
    0x26: _integer, 0x68: _bit, 0x6D: _float, 0x6E: _money, 0x6A: _decimal, 0x6C: _decimal, 0x24: _guid, 0x28: _date,
    0x29: _time, 0x2A: _datetime2, 0x2B: _datetimeoffset, 0x6F: _datetime, 0xA5: _sized("varbinary"),
    0xAD: _sized("binary"), 0xA7: _sized("varchar"), 0xAF: _sized("char"), 0xE7: _sized("nvarchar"),
    0xEF: _sized("nchar"), 0x63: _long("nvarchar"), 0x23: _long("varchar"), 0x22: _long("varbinary"),
    0x30: _fixed("tinyint", "B"), 0x34: _fixed("smallint", "h"),
    0x38: _fixed("int", "i"), 0x7F: _fixed("bigint", "q"),
}  # fmt: skip
