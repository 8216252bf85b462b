"""SQL Server column types: parsed from text, printed as T-SQL, mapped to Databricks SQL.

Type names, precisions and storage: https://learn.microsoft.com/sql/t-sql/data-types/data-types-transact-sql
Databricks types: https://docs.databricks.com/sql/language-manual/sql-ref-datatypes.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLAIN = {
    "bit": "BOOLEAN", "tinyint": "SMALLINT", "smallint": "SMALLINT", "int": "INT", "bigint": "BIGINT",
    "real": "FLOAT", "money": "DECIMAL(19,4)", "smallmoney": "DECIMAL(10,4)",
    "date": "DATE", "datetime": "TIMESTAMP", "smalldatetime": "TIMESTAMP",
    "uniqueidentifier": "STRING", "xml": "STRING", "text": "STRING", "ntext": "STRING",
    "rowversion": "BINARY", "timestamp": "BINARY", "image": "BINARY",
}  # fmt: skip
_SIZED = {"char": 8000, "varchar": 8000, "nchar": 4000, "nvarchar": 4000, "binary": 8000, "varbinary": 8000}
_CLOCKS = {"datetime2": "TIMESTAMP", "datetimeoffset": "TIMESTAMP", "time": "STRING"}
_NAIVE = ("datetime", "smalldatetime", "datetime2")
_TEXT = re.compile(r"^\s*([a-z0-9]+)\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SqlType:
    """`length` is in characters (n…) or bytes, -1 for max; `precision`/`scale` for decimals; `scale` for clocks."""

    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None

    @classmethod
    def parse(cls, text: str) -> SqlType:
        """`decimal(18,2)`, `nvarchar(max)`, `datetime2(3)`, `int`. Raises ValueError with the remedy."""
        match = _TEXT.match(text)
        if not match:
            raise ValueError(f"{text!r} is not a SQL Server type; write it like 'decimal(18,2)' or 'nvarchar(320)'")
        name, first, second = match[1].lower(), match[2], match[3]
        name = {"numeric": "decimal", "integer": "int", "dec": "decimal"}.get(name, name)
        return _build(name, first.lower() if first else None, int(second) if second else None, text)

    @property
    def tsql(self) -> str:
        if self.name in _SIZED:
            return f"{self.name}({'max' if self.length == -1 else self.length})"
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return f"{self.name}({self.scale})" if self.name in _CLOCKS else self.name

    @property
    def delta(self) -> str:
        """The Databricks SQL type that holds every value; money is exact, clocks become UTC instants."""
        if self.name == "decimal":
            return f"DECIMAL({self.precision},{self.scale})"
        if self.name == "float":
            return "FLOAT" if (self.precision or 53) <= 24 else "DOUBLE"
        if self.name in _SIZED:
            return "BINARY" if "binary" in self.name else "STRING"
        return _CLOCKS.get(self.name) or _PLAIN[self.name]

    @property
    def naive_clock(self) -> bool:
        """True for date-and-times without an offset: what they mean is `source.time_zone`."""
        return self.name in _NAIVE

    @property
    def clock(self) -> bool:
        """True for what may be a window column: date, datetime, smalldatetime, datetime2, datetimeoffset."""
        return self.naive_clock or self.name in ("datetimeoffset", "date")

    @property
    def numeric(self) -> bool:
        return self.name in ("tinyint", "smallint", "int", "bigint", "decimal", "money", "smallmoney", "real", "float")

    @property
    def text(self) -> bool:
        return self.name in ("char", "varchar", "nchar", "nvarchar", "text", "ntext")

    @property
    def unbounded(self) -> bool:
        """True where one value may have megabytes."""
        return self.length == -1 or self.name in ("xml", "text", "ntext", "image")

    @property
    def buffer_bytes(self) -> int:
        """Of one value in an ODBC driver's row buffer: text in UTF-16 with its end, the rest at most a struct."""
        return 2 * self.length + 2 if self.length and self.length > 0 else 20

    def __str__(self) -> str:
        return self.tsql


def _build(name: str, first: str | None, second: int | None, text: str) -> SqlType:
    if name == "decimal":
        return _decimal(int(first) if first else 18, second or 0, text)
    if second is not None or (first == "max" and name not in ("varchar", "nvarchar", "varbinary")):
        raise ValueError(f"{text!r}: {name} takes no such size")
    if name in _SIZED:
        return _sized(name, first, text)
    if name in _CLOCKS:
        return _scaled(name, int(first) if first else 7, text)
    if name == "float":
        return SqlType("float", precision=int(first) if first else 53)
    if name not in _PLAIN or first:
        known = ", ".join(sorted({*_PLAIN, *_SIZED, *_CLOCKS, "decimal", "float"}))
        raise ValueError(f"{text!r}: unknown SQL Server type or size; known are {known}")
    return SqlType(name)


def _decimal(precision: int, scale: int, text: str) -> SqlType:
    if not (1 <= precision <= 38 and scale <= precision):
        raise ValueError(f"{text!r}: precision must be 1 to 38 and scale at most the precision")
    return SqlType("decimal", precision=precision, scale=scale)


def _sized(name: str, first: str | None, text: str) -> SqlType:
    length = -1 if first == "max" else int(first or 1)
    if not (length == -1 or 1 <= length <= _SIZED[name]):
        raise ValueError(f"{text!r}: length must be 1 to {_SIZED[name]}, or max")
    return SqlType(name, length=length)


def _scaled(name: str, scale: int, text: str) -> SqlType:
    if scale > 7:
        raise ValueError(f"{text!r}: fractional seconds have 0 to 7 digits")
    return SqlType(name, scale=scale)
