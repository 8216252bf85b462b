"""AT TIME ZONE for the zones the examples live in; SQL Server knows zones by their Windows names."""

from dataclasses import replace
from typing import Final

from sqlglot import exp

from sandbox.sqlserver.conversion import EPOCH_TICKS, MINUTE_TICKS, Typed, bound, family, ticks
from sandbox.sqlserver.errors import SqlError, clash, unserved
from sandbox.sqlserver.sqltypes import SqlType

# unicode.org CLDR windowsZones.xml, territory 001.
ZONES: Final = {
    "UTC": "UTC", "W. EUROPE STANDARD TIME": "Europe/Berlin", "CENTRAL EUROPEAN STANDARD TIME": "Europe/Warsaw",
    "ROMANCE STANDARD TIME": "Europe/Paris", "GMT STANDARD TIME": "Europe/London",
    "EASTERN STANDARD TIME": "America/New_York", "CENTRAL STANDARD TIME": "America/Chicago",
    "PACIFIC STANDARD TIME": "America/Los_Angeles", "TOKYO STANDARD TIME": "Asia/Tokyo",
}  # fmt: skip


def at_time_zone(value: Typed, zone: exp.Expr) -> Typed:
    """A datetimeoffset: an instant placed in the zone, or an offset's instant shown in it."""
    name = ZONES.get(str(zone.name).upper()) if isinstance(zone, (exp.Literal, exp.National)) else None
    if name is None:
        raise SqlError(9820, f"The time zone parameter '{zone.name}' provided to AT TIME ZONE clause is invalid.")
    if family(value.kind) not in {"instant", "datetimeoffset"}:
        raise clash(str(value.kind), "datetimeoffset")
    if value.kind.name != "datetimeoffset" and name != "UTC":
        raise unserved("AT TIME ZONE of a local time in a zone with clock changes")
    kind = SqlType("datetimeoffset", scale={"datetime": 3, "smalldatetime": 0}.get(value.kind.name, value.kind.scale))
    return Typed(bound(value.sql, lambda sql: _placed(replace(value, sql=sql), name)), kind, value.nullable)


def _placed(value: Typed, name: str) -> str:
    utc = f"({value.sql}).t" if value.kind.name == "datetimeoffset" else ticks(value)
    # DuckDB's zones are exact to the minute, so the microseconds that it holds are enough to find the offset.
    micros = f"make_timestamp(({utc}) // 10 - {EPOCH_TICKS // 10})"
    local = f"(timezone('{name}', timezone('UTC', {micros})))"
    minutes = f"((epoch_us({local}) - epoch_us({micros})) // {MINUTE_TICKS // 10})"
    pair = f"{{'t': CAST({utc} AS BIGINT), 'o': CAST({minutes} AS SMALLINT)}}"
    return f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {pair} END"
