"""Turns Arrow into what the Statement Execution API answers: types by name and every value as a string."""

import base64
import datetime as dt
import decimal
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

SIMPLE = {
    "bool": ("BOOLEAN", "BOOLEAN"),
    "int8": ("BYTE", "TINYINT"),
    "int16": ("SHORT", "SMALLINT"),
    "int32": ("INT", "INT"),
    "int64": ("LONG", "BIGINT"),
    "float": ("FLOAT", "FLOAT"),
    "double": ("DOUBLE", "DOUBLE"),
    "string": ("STRING", "STRING"),
    "large_string": ("STRING", "STRING"),
    "string_view": ("STRING", "STRING"),
    "binary": ("BINARY", "BINARY"),
    "large_binary": ("BINARY", "BINARY"),
    "binary_view": ("BINARY", "BINARY"),
    "date32[day]": ("DATE", "DATE"),
    "null": ("NULL", "VOID"),
}


def type_text(kind: pa.DataType) -> str:
    """The Databricks SQL name of an Arrow type, e.g. DECIMAL(18,2); raises ValueError for one it has not."""
    if str(kind) in SIMPLE:
        return SIMPLE[str(kind)][1]
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "TIMESTAMP_NTZ"
    if pa.types.is_map(kind):
        return f"MAP<{type_text(kind.key_type)}, {type_text(kind.item_type)}>"
    if pa.types.is_list(kind):
        return f"ARRAY<{type_text(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"STRUCT<{', '.join(f'{each.name}: {type_text(each.type)}' for each in kind)}>"
    raise ValueError(f"no Databricks type for {kind}")


def column(position: int, name: str, kind: pa.DataType) -> dict[str, Any]:
    """One column of the manifest's schema."""
    text = type_text(kind)
    short = SIMPLE[str(kind)][0] if str(kind) in SIMPLE else text.partition("(")[0].partition("<")[0]
    answer: dict[str, Any] = {"name": name, "type_text": text, "type_name": short, "position": position}
    if short == "DECIMAL":
        answer |= {"type_precision": kind.precision, "type_scale": kind.scale}
    return answer


def schema(table: pa.Table) -> dict[str, Any]:
    columns = [column(position, each.name, each.type) for position, each in enumerate(table.schema)]
    return {"column_count": len(columns), "columns": columns}


def rows(table: pa.Table) -> list[list[str | None]]:
    """The rows as JSON_ARRAY has them: strings, or null."""
    columns = [[None if value is None else text(value) for value in each.to_pylist()] for each in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def text(value: object) -> str:
    """One value as the API writes it."""
    for kind, write in WRITERS:
        if isinstance(value, kind):
            return write(value)
    return json.dumps(value, default=text, separators=(",", ":"))


def timestamp(value: dt.datetime) -> str:
    """ISO 8601 with milliseconds, or microseconds where there are any; Z for an instant, nothing for TIMESTAMP_NTZ."""
    fraction = f"{value.microsecond:06d}" if value.microsecond % 1000 else f"{value.microsecond // 1000:03d}"
    local = value.astimezone(dt.UTC) if value.tzinfo else value
    return f"{local:%Y-%m-%dT%H:%M:%S}.{fraction}{'Z' if value.tzinfo else ''}"


WRITERS: list[tuple[type, Callable[[Any], str]]] = [
    (str, str),
    (bool, lambda value: "true" if value else "false"),
    (int, str),
    (float, repr),
    (decimal.Decimal, lambda value: f"{value:f}"),
    (dt.datetime, timestamp),
    (dt.date, dt.date.isoformat),
    (bytes, lambda value: base64.b64encode(value).decode()),
]
