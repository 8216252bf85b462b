"""T-SQL's types: what a declaration means, how DuckDB stores it, how sys.columns and TDS describe it."""

import re
import struct
from dataclasses import dataclass, replace
from typing import Final

MAX: Final = -1
# SQL_Latin1_General_CP1_CI_AS: LCID 0x0409, case-insensitive, code page 1252 (MS-TDS 2.2.5.1.2).
COLLATION: Final = bytes.fromhex("0904d00034")
COLLATION_NAME: Final = "SQL_Latin1_General_CP1_CI_AS"

INTEGERS: Final = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
MONEY: Final = {"money": 8, "smallmoney": 4}
FLOATS: Final = {"real": 4, "float": 8}
DECIMALS: Final = frozenset({"decimal", "numeric"})
STRINGS: Final = frozenset({"char", "varchar", "nchar", "nvarchar", "xml", "sql_variant"})
TEXTS: Final = frozenset({"char", "varchar", "nchar", "nvarchar"})
WIDE: Final = frozenset({"nchar", "nvarchar"})
PADDED: Final = frozenset({"char", "nchar"})
BINARIES: Final = frozenset({"binary", "varbinary", "rowversion"})
INSTANTS: Final = frozenset({"datetime2", "datetime", "smalldatetime"})
SCALED_TIMES: Final = frozenset({"time", "datetime2", "datetimeoffset"})
NAMES: Final = (
    frozenset({"bit", "date", "uniqueidentifier"}) | INTEGERS.keys() | MONEY.keys() | FLOATS.keys() | DECIMALS
    | STRINGS | BINARIES | INSTANTS | SCALED_TIMES
)  # fmt: skip

# https://learn.microsoft.com/sql/t-sql/data-types/data-type-precedence-transact-sql: highest first.
PRECEDENCE: Final = (
    "sql_variant", "xml", "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real",
    "decimal", "numeric", "money", "smallmoney", "bigint", "int", "smallint", "tinyint", "bit", "rowversion",
    "uniqueidentifier", "nvarchar", "nchar", "varchar", "char", "varbinary", "binary",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SqlType:
    """One declared type. Length counts characters of text and bytes of binary, MAX for (max)."""

    name: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    bytewise: bool = False  # compared under a _BIN2 collation

    def __str__(self) -> str:
        if self.name in DECIMALS:
            return f"{self.name}({self.precision},{self.scale})"
        if self.name in SCALED_TIMES:
            return f"{self.name}({self.scale})"
        if self.name in TEXTS or self.name in {"binary", "varbinary"}:
            return f"{self.name}({'max' if self.length == MAX else self.length})"
        return self.name


INT: Final = SqlType("int")
BIGINT: Final = SqlType("bigint")
BIT: Final = SqlType("bit")
DATETIME: Final = SqlType("datetime")
DATE: Final = SqlType("date")
FLOAT: Final = SqlType("float")
SYSNAME: Final = SqlType("nvarchar", length=128)


def decimal(precision: int, scale: int) -> SqlType:
    return SqlType("decimal", precision=precision, scale=scale)


def text(name: str, length: int) -> SqlType:
    limit = 4000 if name in WIDE else 8000
    return SqlType(name, length=MAX if length > limit else max(length, 1))


DECLARATION: Final = re.compile(r"\s*\[?([a-z_0-9]+)\]?\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", re.IGNORECASE)
SYNONYMS: Final = {"integer": "int", "dec": "decimal", "sysname": "nvarchar", "timestamp": "rowversion"}


def parse(declaration: str) -> SqlType:
    """`decimal(18,2)` and the like; ValueError when it is no T-SQL type or out of its bounds."""
    match = DECLARATION.fullmatch(declaration)
    if match is None:
        raise ValueError(f"no T-SQL type: {declaration!r}")
    name = match[1].lower()
    if name == "sysname":
        return SYSNAME
    size = MAX if (match[2] or "").lower() == "max" else int(match[2]) if match[2] else None
    return build(SYNONYMS.get(name, name), size, int(match[3]) if match[3] else 0)


def build(name: str, size: int | None, scale: int, *, default_length: int = 1) -> SqlType:
    """The type of that name and its one or two numbers, with T-SQL's defaults."""
    if name not in NAMES or (scale and name not in DECIMALS):
        raise ValueError(f"no T-SQL type: {name!r}")
    if name in DECIMALS:
        return _decimal(name, 18 if size is None else size, scale)
    if name in SCALED_TIMES:
        return _in_bounds(SqlType(name, scale=7 if size is None else size), 0 <= (7 if size is None else size) <= 7)
    if name == "float":
        _in_bounds(SqlType(name), size is None or 1 <= size <= 53)
        return SqlType("real" if size is not None and size <= 24 else "float")
    if name in TEXTS or name in {"binary", "varbinary"}:
        return _sized(name, default_length if size is None else size)
    return _in_bounds(SqlType(name), size is None)


def _decimal(name: str, precision: int, scale: int) -> SqlType:
    fits = 1 <= precision <= 38 and 0 <= scale <= precision
    return _in_bounds(SqlType(name, precision=precision, scale=scale), fits)


def _sized(name: str, length: int) -> SqlType:
    limit = 4000 if name in WIDE else 8000
    may_be_max = length == MAX and name in {"varchar", "nvarchar", "varbinary"}
    return _in_bounds(SqlType(name, length=length), may_be_max or 1 <= length <= limit)


def _in_bounds(kind: SqlType, fits: bool) -> SqlType:
    if not fits:
        raise ValueError(f"out of bounds: {kind}")
    return kind


def storage(kind: SqlType) -> str:
    """The DuckDB type that holds every value of the T-SQL type exactly.

    datetime2(7) and time(7) count 100 ns ticks and datetimeoffset keeps UTC ticks beside its offset in minutes,
    because DuckDB's timestamps stop at microseconds or at the year 2262.
    """
    if kind.name in DECIMALS:
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.name in {"datetime2", "time"} and kind.scale == 7:
        return "BIGINT"
    return STORAGE[kind.name]


STORAGE: Final = {
    "bit": "BOOLEAN", "tinyint": "UTINYINT", "smallint": "SMALLINT", "int": "INTEGER", "bigint": "BIGINT",
    "real": "FLOAT", "float": "DOUBLE", "money": "DECIMAL(19,4)", "smallmoney": "DECIMAL(10,4)", "date": "DATE",
    "time": "TIME", "datetime": "TIMESTAMP", "smalldatetime": "TIMESTAMP", "datetime2": "TIMESTAMP",
    "datetimeoffset": "STRUCT(t BIGINT, o SMALLINT)", "char": "VARCHAR", "varchar": "VARCHAR", "nchar": "VARCHAR",
    "nvarchar": "VARCHAR", "xml": "VARCHAR", "sql_variant": "VARCHAR", "binary": "BLOB", "varbinary": "BLOB",
    "rowversion": "BLOB", "uniqueidentifier": "UUID",
}  # fmt: skip


def decimal_bytes(precision: int) -> int:
    """Bytes of a decimal on the wire, its sign included (MS-TDS 2.2.5.5.1.6)."""
    return 5 if precision <= 9 else 9 if precision <= 19 else 13 if precision <= 28 else 17


def time_bytes(scale: int) -> int:
    return 3 if scale <= 2 else 4 if scale <= 4 else 5


def type_info(kind: SqlType) -> bytes:
    """TYPE_INFO of a result column (MS-TDS 2.2.5.6)."""
    name = kind.name
    if name in FIXED_INFO:
        return FIXED_INFO[name]
    if name in DECIMALS:
        token = 0x6A if name == "decimal" else 0x6C
        return bytes([token, decimal_bytes(kind.precision), kind.precision, kind.scale])
    if name in SCALED_TIMES:
        return bytes([{"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}[name], kind.scale])
    size = 0xFFFF if kind.length == MAX else kind.length * (2 if name in WIDE else 1)
    collation = COLLATION if name in TEXTS else b""
    return struct.pack("<BH", SIZED_TOKEN[name], size) + collation


FIXED_INFO: Final = {
    "bit": b"\x68\x01", "tinyint": b"\x26\x01", "smallint": b"\x26\x02", "int": b"\x26\x04", "bigint": b"\x26\x08",
    "real": b"\x6d\x04", "float": b"\x6d\x08", "money": b"\x6e\x08", "smallmoney": b"\x6e\x04", "date": b"\x28",
    "datetime": b"\x6f\x08", "smalldatetime": b"\x6f\x04", "uniqueidentifier": b"\x24\x10", "xml": b"\xf1\x00",
    "rowversion": b"\xad\x08\x00",
}  # fmt: skip
SIZED_TOKEN: Final = {
    "char": 0xAF, "varchar": 0xA7, "nchar": 0xEF, "nvarchar": 0xE7, "binary": 0xAD, "varbinary": 0xA5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Described:
    """What sys.columns and sys.types say of a type."""

    system_type_id: int
    max_length: int
    precision: int
    scale: int


SYSTEM_TYPE_IDS: Final = {
    "uniqueidentifier": 36, "date": 40, "time": 41, "datetime2": 42, "datetimeoffset": 43, "tinyint": 48,
    "smallint": 52, "int": 56, "smalldatetime": 58, "real": 59, "money": 60, "datetime": 61, "float": 62,
    "sql_variant": 98, "bit": 104, "decimal": 106, "numeric": 108, "smallmoney": 122, "bigint": 127,
    "varbinary": 165, "varchar": 167, "binary": 173, "char": 175, "rowversion": 189, "nvarchar": 231, "nchar": 239,
    "xml": 241,
}  # fmt: skip
SYSNAME_TYPE_ID: Final = 256
SYSTEM_NAMES: Final = {"rowversion": "timestamp"}
# name: (max_length, precision, scale) as sys.types lists them.
_FIXED_DESCRIPTION: Final = {
    "bit": (1, 1, 0), "tinyint": (1, 3, 0), "smallint": (2, 5, 0), "int": (4, 10, 0), "bigint": (8, 19, 0),
    "real": (4, 24, 0), "float": (8, 53, 0), "money": (8, 19, 4), "smallmoney": (4, 10, 4), "date": (3, 10, 0),
    "datetime": (8, 23, 3), "smalldatetime": (4, 16, 0), "uniqueidentifier": (16, 0, 0), "xml": (-1, 0, 0),
    "rowversion": (8, 0, 0), "sql_variant": (8016, 0, 0),
}  # fmt: skip


def describe(kind: SqlType) -> Described:
    """max_length counts bytes, -1 for (max), as sys.columns does."""
    number = SYSTEM_TYPE_IDS[kind.name]
    if kind.name in _FIXED_DESCRIPTION:
        return Described(number, *_FIXED_DESCRIPTION[kind.name])
    if kind.name in DECIMALS:
        return Described(number, decimal_bytes(kind.precision), kind.precision, kind.scale)
    if kind.name in SCALED_TIMES:
        return _described_time(kind, number)
    return Described(number, kind.length * (2 if kind.name in WIDE and kind.length > 0 else 1), 0, 0)


def _described_time(kind: SqlType, number: int) -> Described:
    width = time_bytes(kind.scale) + {"time": 0, "datetime2": 3, "datetimeoffset": 5}[kind.name]
    digits = {"time": 8, "datetime2": 19, "datetimeoffset": 26}[kind.name]
    return Described(number, width, digits + (kind.scale + 1 if kind.scale else 0), kind.scale)


def rank(kind: SqlType) -> int:
    return PRECEDENCE.index(kind.name)


def common(left: SqlType, right: SqlType) -> SqlType:
    """The type both sides of a comparison, CASE or UNION take (data type precedence)."""
    if left.name in DECIMALS | MONEY.keys() | INTEGERS.keys() and right.name in DECIMALS:
        return _common_decimal(as_decimal(left), right)
    if left.name in DECIMALS and right.name in MONEY.keys() | INTEGERS.keys():
        return _common_decimal(left, as_decimal(right))
    winner, other = (left, right) if rank(left) <= rank(right) else (right, left)
    if winner.name in TEXTS and other.name in TEXTS:
        length = MAX if MAX in (winner.length, other.length) else max(winner.length, other.length)
        name = winner.name if winner.name not in PADDED or winner.name == other.name else f"{winner.name[:-4]}varchar"
        return SqlType(name, length=length, bytewise=left.bytewise or right.bytewise)
    if winner.name in BINARIES and other.name in BINARIES:
        return SqlType("varbinary", length=MAX if MAX in (left.length, right.length) else 8000)
    if winner.name in SCALED_TIMES and other.name in SCALED_TIMES:
        return replace(winner, scale=max(winner.scale, other.scale))
    return winner


def as_decimal(kind: SqlType) -> SqlType:
    if kind.name in DECIMALS:
        return kind
    digits = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19, "bit": 1}
    money = {"money": decimal(19, 4), "smallmoney": decimal(10, 4)}
    return money[kind.name] if kind.name in money else decimal(digits[kind.name], 0)


def _common_decimal(left: SqlType, right: SqlType) -> SqlType:
    scale = max(left.scale, right.scale)
    whole = max(left.precision - left.scale, right.precision - right.scale)
    return fitted(whole + scale, scale)


def fitted(precision: int, scale: int) -> SqlType:
    """At most 38 digits; the scale gives way, down to 6 (precision-scale-and-length-transact-sql)."""
    if precision <= 38:
        return decimal(precision, scale)
    whole = precision - scale
    return decimal(38, max(38 - whole, min(scale, 6)))
