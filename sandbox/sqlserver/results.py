"""What a request's answer is made of: COLMETADATA, DONE tokens, and a check of every computed column's type."""

import struct
from typing import Final

import pyarrow as pa

from sandbox.sqlserver import login, sqltypes
from sandbox.sqlserver.conversion import Typed
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sqltypes import SqlType, type_info
from sandbox.sqlserver.wire import Response

DONE: Final = 0xFD
DONE_PROC: Final = 0xFE
DONE_IN_PROC: Final = 0xFF
MORE: Final = 0x01
ERROR: Final = 0x02
COUNTED: Final = 0x10
ACKNOWLEDGED: Final = 0x20


class Output:
    """Where a request's tokens go; inside a procedure its DONE tokens have another number."""

    def __init__(self, response: Response, done: int = DONE) -> None:
        self.response = response
        self._done, self._pending = done, b""

    def write(self, data: bytes) -> None:
        self.response.write(self._pending + data)
        self._pending = b""

    def end_statement(self, status: int, command: int, count: int) -> None:
        """A DONE that says 'more follows'; end_batch() corrects the last one."""
        self.response.write(self._pending)
        self._pending = login.done(self._done, status | MORE, command, count)

    def end_batch(self) -> None:
        token, status, command, count = struct.unpack("<BHHQ", self._pending or login.done(self._done, 0, 0, 0))
        self.response.write(login.done(token, status & ~MORE, command, count))
        self._pending = b""


def error_token(error: SqlError) -> bytes:
    return login.message(error.number, error.state, error.severity, error.text)


def column_metadata(columns: tuple[Typed, ...]) -> bytes:
    """COLMETADATA; bit 0 of the flags says that a column may be NULL."""
    parts = [struct.pack("<BH", 0x81, len(columns))]
    for column in columns:
        name = column.name.encode("utf-16-le")
        user_type = 80 if column.kind.name == "rowversion" else 0
        parts.append(struct.pack("<IH", user_type, 0x08 | int(column.nullable)) + type_info(column.kind))
        parts.append(bytes([len(name) // 2]) + name)
    return b"".join(parts)


def check_arrow(computed: pa.Field, kind: SqlType) -> None:
    """A translation that computes another type than it declares would be read as garbage by the client."""
    expected = ARROW[sqltypes.storage(kind).partition("(")[0]]
    got = str(computed.type).partition("(")[0].partition("[")[0].partition("<")[0]
    scale = 4 if kind.name in sqltypes.MONEY else kind.scale
    wrong_scale = expected == "decimal128" and not str(computed.type).endswith(f", {scale})")
    if got != expected or wrong_scale:
        raise SqlError(50000, f"The stand-in computed {computed.type} for a column of type {kind}.", severity=20)


ARROW: Final = {
    "BOOLEAN": "bool", "UTINYINT": "uint8", "SMALLINT": "int16", "INTEGER": "int32", "BIGINT": "int64",
    "FLOAT": "float", "DOUBLE": "double", "DECIMAL": "decimal128", "DATE": "date32", "TIME": "time64",
    "TIMESTAMP": "timestamp", "STRUCT": "struct", "VARCHAR": "string", "BLOB": "binary", "UUID": "string",
}  # fmt: skip
