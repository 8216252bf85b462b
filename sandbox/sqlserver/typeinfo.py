"""sp_datatype_info: how ODBC drivers ask what a type can hold (pyodbc binds parameters by the answer)."""

from typing import Final

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.conversion import Typed, literal
from sandbox.sqlserver.expressions import Query
from sandbox.sqlserver.sqltypes import INT, SYSNAME, SqlType

SMALLINT: Final = SqlType("smallint")
PREFIX: Final = SqlType("varchar", 32)
# https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-datatype-info-transact-sql
COLUMNS: Final = (
    ("TYPE_NAME", SYSNAME), ("DATA_TYPE", SMALLINT), ("PRECISION", INT), ("LITERAL_PREFIX", PREFIX),
    ("LITERAL_SUFFIX", PREFIX), ("CREATE_PARAMS", PREFIX), ("NULLABLE", SMALLINT), ("CASE_SENSITIVE", SMALLINT),
    ("SEARCHABLE", SMALLINT), ("UNSIGNED_ATTRIBUTE", SMALLINT), ("MONEY", SMALLINT), ("AUTO_INCREMENT", SMALLINT),
    ("LOCAL_TYPE_NAME", SYSNAME), ("MINIMUM_SCALE", SMALLINT), ("MAXIMUM_SCALE", SMALLINT),
    ("SQL_DATA_TYPE", SMALLINT), ("SQL_DATETIME_SUB", SMALLINT), ("NUM_PREC_RADIX", INT),
    ("INTERVAL_PRECISION", SMALLINT), ("USERTYPE", SMALLINT),
)  # fmt: skip
# ODBC type number: (name, size, prefix, create parameters, lowest scale, highest scale, type class, datetime class)
TYPES: Final = {
    12: ("varchar", 8000, "'", "max length", None, None, 12, None),
    -9: ("nvarchar", 4000, "N'", "max length", None, None, -9, None),
    -3: ("varbinary", 8000, "0x", "max length", None, None, -3, None),
    91: ("date", 10, "'", None, None, 0, 9, 1),
    93: ("datetime2", 27, "'", "scale", 0, 7, 9, 3),
    2: ("numeric", 38, None, "precision,scale", 0, 38, 2, None),
    3: ("decimal", 38, None, "precision,scale", 0, 38, 3, None),
    4: ("int", 10, None, None, 0, 0, 4, None),
    -5: ("bigint", 19, None, None, 0, 0, -5, None),
    6: ("float", 53, None, None, None, None, 6, None),
    -7: ("bit", 1, None, None, 0, 0, -7, None),
}  # fmt: skip


def datatype_info(wanted: int) -> Query:
    """One row for that ODBC type; all of them for 0 (SQL_ALL_TYPES), none for a type that is not listed."""
    numbers = sorted(TYPES) if wanted == 0 else [wanted] if wanted in TYPES else []
    rows = ", ".join(f"({', '.join(_row(number))})" for number in numbers)
    names = ", ".join(f"c{place}" for place in range(len(COLUMNS)))
    columns = tuple(Typed(f"c{place}", kind, name=name) for place, (name, kind) in enumerate(COLUMNS))
    empty = ", ".join(f"CAST(NULL AS {sqltypes.storage(kind)})" for _, kind in COLUMNS)
    source = f"VALUES {rows}" if rows else f"SELECT {empty} WHERE false"
    return Query(f"SELECT {names} FROM ({source}) AS t({names})", columns)


def _row(number: int) -> list[str]:
    name, size, prefix, create, low, high, kind, part = TYPES[number]
    text = prefix is not None and name in sqltypes.TEXTS
    radix = None if prefix else 10
    values = (
        name, number, size, prefix, "'" if prefix and prefix != "0x" else None, create, 1, int(text), 3,
        None if prefix else 0, 0, None if prefix else 0, name, low, high, kind, part, radix, None, 0,
    )  # fmt: skip
    return [literal(column, value).sql for (_, column), value in zip(COLUMNS, values, strict=True)]
