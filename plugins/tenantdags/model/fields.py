"""The small types of our files: ids, durations, clocks, zones, identifiers. Each refusal says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, time, timedelta
from difflib import get_close_matches
from functools import cache, partial
from typing import Annotated, Any, LiteralString
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tenantdags.model.hours import Hours

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d{1,6})([smhd])")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_SPAN = re.compile(r"([^-]+)-([^-]+)")
_FILE_URL = re.compile(r"file:///[^?#\s]+")


class Strict(BaseModel):
    """Base of everything read from a file: unknown keys are refused, nothing is converted, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def refused(rule: LiteralString, text: str) -> PydanticCustomError:
    """An error of this rule whose text reaches the reader as it is."""
    return PydanticCustomError(rule, "{text}", {"text": text})


def suggestion(word: object, known: Iterable[str]) -> str:
    """`, did you mean 'x'?`, or the list of what is known."""
    names = sorted(known)
    close = get_close_matches(str(word).lower(), names, n=1)
    return f", did you mean '{close[0]}'?" if close else f"; known: {', '.join(names) or 'none'}"


@dataclass(frozen=True, slots=True)
class _Matching:
    """The whole text must match; the JSON schema for editors says the same pattern."""

    rule: LiteralString
    pattern: str
    text: str
    show: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fits = re.compile(self.pattern).fullmatch  # here, at import: a task that starts has no time for it
        return core_schema.no_info_after_validator_function(partial(self._check, fits), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^(?:{self.pattern})$"}

    def _check(self, fits: Callable[[str], object], value: str) -> str:
        if not fits(value):
            raise refused(self.rule, f"{value!r} {self.text}" if self.show else self.text)
        return value


def _duration(value: Any) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise refused("CFG027", f"{value!r} is not a duration; write a whole number with a unit: 90s, 45m, 2h or 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise refused("CFG027", "must be longer than zero")
    return value


def _clock(value: Any) -> time:
    if isinstance(value, str) and _CLOCK.fullmatch(value):
        return time.fromisoformat(value)
    raise refused("CFG028", f'{value!r} is not a time of day; write it in quotes with four digits: "06:00"')


def _hours(value: Any) -> Hours:
    span = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if span is None:
        raise refused("CFG028", f'{value!r} is not a part of the day; write it in quotes: "22:00-05:00"')
    hours = Hours(_clock(span[1]), _clock(span[2]))
    if hours.start == hours.end:
        raise refused("CFG028", f"{value!r} begins where it ends; leave it out if all day is meant")
    return hours


def _day(value: Any) -> date:
    if not isinstance(value, date):
        raise refused("CFG029", f"{value!r} is not a date; write it without quotes: 2026-11-01")
    if not 1990 <= value.year <= 2100:
        raise refused("CFG029", f"{value} is out of range; 1990 to 2100 are allowed")
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: 'Europe' is a folder of the zone database
        close = get_close_matches(name[:100], _zones(), n=1, cutoff=0.5)
        hint = f", did you mean '{close[0]}'?" if close else "; write it like 'Europe/Berlin'"
        raise refused("CFG030", f"{name!r} is not a time zone{hint}") from None
    return name


@cache
def _zones() -> tuple[str, ...]:
    # it walks the whole zone database, once for every misspelt zone of a fleet
    return tuple(sorted(available_timezones()))


def _in_range(low: int, high: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise refused("CFG031", f"{value} is out of range; {low} to {high} are allowed")
        return value

    return check


def _file_url(value: str) -> str:
    if not _FILE_URL.fullmatch(value):
        raise refused(
            "CFG032", f"{value!r} is not a staging URL; write file:/// and an absolute path all workers share"
        )
    return value.rstrip("/")


def _scalar(value: Any) -> str | int:
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        return value
    raise refused("CFG014", "must be text or a whole number")


def _text(pattern: str, *examples: str) -> JsonSchemaValue:
    return {"type": "string", "pattern": pattern, "examples": list(examples)}


def _whole(low: int, high: int) -> JsonSchemaValue:
    return {"type": "integer", "minimum": low, "maximum": high}


def iso_duration(value: timedelta) -> str:
    """The shortest way a file would write it: 90s, 45m, 2h, 3d."""
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Name = Annotated[
    str,
    _Matching(  # two _ in a row part tenant and table in DAG ids
        "CFG021",
        r"(?!.*__)[a-z][a-z0-9_]{0,30}",
        "is not a name: a small letter, then up to 30 small letters, digits or single _",
    ),
]
ConnectionId = Annotated[
    str,
    _Matching(
        "CFG022",
        r"[A-Za-z][A-Za-z0-9_]{0,99}",
        "is not a connection id; name an Airflow connection (letters, digits, _), never a URL or a secret",
        show=False,  # it may be a secret pasted into the wrong place
    ),
]
SqlName = Annotated[
    str,
    _Matching("CFG023", r"[A-Za-z_][A-Za-z0-9_@$# ]{0,126}[A-Za-z0-9_@$#]|[A-Za-z_]", "is not a SQL Server identifier"),
]
CatalogName = Annotated[str, _Matching("CFG025", r"[A-Za-z_][A-Za-z0-9_]{0,126}", "is not a Databricks catalog name")]
ContainerName = Annotated[
    str,
    _Matching(
        "CFG024", r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "is not an Azure container name (3 to 63 of a-z, 0-9, -)"
    ),
]
WorkspacePath = Annotated[str, _Matching("CFG025", r"/[^\s'\"]{1,250}", "is not a workspace path; it starts with /")]
WarehouseId = Annotated[
    str, _Matching("CFG025", r"[A-Za-z0-9]{1,64}", "is not a SQL warehouse id (letters and digits)")
]
Compute = Annotated[
    str,
    _Matching(
        "CFG025",
        r"serverless|\d{4}-\d{6}-[a-z0-9]+",
        "is neither serverless nor a cluster id like 1121-093000-ab12cd34",
    ),
]
ContractRef = Annotated[
    str,
    _Matching(
        "CFG026", r"[a-z][a-z0-9_]{0,30}@[1-9]\d{0,3}", "is not a contract; write <table>@<major>, like orders@1"
    ),
]
Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema(_text(r"^\d{1,6}[smhd]$", "45m", "2h", "3d"))
]
PositiveDuration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_positive),
    WithJsonSchema(_text(r"^(?!0+[smhd])\d{1,6}[smhd]$", "45m", "2h", "3d")),
]
Clock = Annotated[time, BeforeValidator(_clock), WithJsonSchema(_text(r"^([01]\d|2[0-3]):[0-5]\d$", "06:00"))]
DayPart = Annotated[
    Hours,
    BeforeValidator(_hours),
    PlainSerializer(str),
    WithJsonSchema(_text(r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$", "22:00-05:00")),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema(_text(r"^\d{4}-\d{2}-\d{2}$", "2026-11-01"))]
Zone = Annotated[str, AfterValidator(_zone), WithJsonSchema({"type": "string", "format": "time-zone"})]
Scalar = Annotated[str | int, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "integer"], "minLength": 1})]
FileUrl = Annotated[
    str, AfterValidator(_file_url), WithJsonSchema(_text(r"^file:///[^?#\s]+$", "file:///var/tmp/tenantdags"))
]
Retries = Annotated[int, AfterValidator(_in_range(0, 20)), WithJsonSchema(_whole(0, 20))]
Priority = Annotated[int, AfterValidator(_in_range(1, 1000)), WithJsonSchema(_whole(1, 1000))]
Slots = Annotated[int, AfterValidator(_in_range(1, 1000)), WithJsonSchema(_whole(1, 1000))]
Lookback = Annotated[int, AfterValidator(_in_range(0, 400)), WithJsonSchema(_whole(0, 400))]
PollSeconds = Annotated[int, AfterValidator(_in_range(1, 600)), WithJsonSchema(_whole(1, 600))]
