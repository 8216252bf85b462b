"""CAST and CONVERT with T-SQL's meaning, as DuckDB expressions that raise and round where T-SQL does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.errors import SqlError, clash, unserved
from sandbox.sqlserver.sqltypes import DECIMALS, FLOATS, INSTANTS, INTEGERS, MAX, MONEY, PADDED, SqlType, storage

EPOCH_TICKS: Final = 621_355_968_000_000_000  # 1970-01-01 in 100 ns since 0001-01-01
EPOCH_US: Final = EPOCH_TICKS // 10
DAY_TICKS: Final = 864_000_000_000
MINUTE_TICKS: Final = 600_000_000
DATETIME_MIN: Final = 552_877_920_000_000_000  # 1753-01-01, the first day of datetime


@dataclass(frozen=True, slots=True)
class Typed:
    """A compiled expression: DuckDB text, the T-SQL type its value has, and the name its column would get."""

    sql: str
    kind: SqlType
    nullable: bool = True
    name: str = ""
    bare_null: bool = False  # the literal NULL, which takes any type


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def family(kind: SqlType) -> str:
    """The group of types that convert alike."""
    if kind.name in INTEGERS:
        return "int"
    if kind.name in DECIMALS or kind.name in MONEY:
        return "decimal"
    if kind.name in FLOATS:
        return "float"
    if kind.name in sqltypes.TEXTS:
        return "text"
    if kind.name in INSTANTS:
        return "instant"
    return "binary" if kind.name in sqltypes.BINARIES else kind.name


def convert(value: Typed, to: SqlType, *, attempt: bool = False, style: int | None = None) -> Typed:
    """The value as that type; attempt is TRY_CAST, NULL instead of an error. Raises SqlError 206 for no such cast."""
    if value.bare_null:
        return Typed(f"CAST(NULL AS {storage(to)})", to)
    sql = _converted(value, to, attempt, style)
    return Typed(sql, to, value.nullable or attempt)


def _converted(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    source, target = family(value.kind), family(to)
    if source == target and source not in {"text", "decimal", "instant", "int", "float", "binary"}:
        return _same(value, to)
    rule = _RULES.get((source, target))
    if rule is None:
        raise clash(str(value.kind), str(to))
    return bound(value.sql, lambda sql: rule(replace(value, sql=sql), to, attempt, style))


def bound(sql: str, body: Callable[[str], str]) -> str:
    """The body over an expression that it may repeat: a long one is computed once, or nesting would multiply it."""
    if len(sql) < 120:
        return body(sql)
    name = f"v{len(sql)}"  # an inner expression is shorter, so its name differs
    return f"list_transform([{sql}], lambda {name}: {body(name)})[1]"


def _same(value: Typed, to: SqlType) -> str:
    if to.name == "datetimeoffset" and to.scale < value.kind.scale:
        return _if_present(value.sql, _offset(_rounded(f"({value.sql}).t", to.scale), f"({value.sql}).o"))
    if to.name == "time" and to != value.kind:
        return from_ticks(ticks(value), to)
    return value.sql


def _cast(sql: str, to: SqlType, attempt: bool) -> str:
    return f"{'TRY_CAST' if attempt else 'CAST'}({sql} AS {storage(to)})"


def _if_present(sql: str, then: str) -> str:
    return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {then} END"


def _guarded(sql: str, pattern: str, then: str, number: int, message: str, attempt: bool) -> str:
    """then where the text has the pattern, the tagged error elsewhere. message is a DuckDB text expression."""
    failure = "NULL" if attempt else f"error('#{number}#' || {message})"
    return (
        f"CASE WHEN {sql} IS NULL THEN NULL WHEN regexp_full_match({sql}, {quoted(pattern)}) THEN {then} "
        f"ELSE {failure} END"
    )


def _plain(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return value.sql if storage(value.kind) == storage(to) else _cast(value.sql, to, attempt)


def _truncated(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    """decimal and float lose their fraction on the way to an integer, money rounds."""
    whole = "round" if value.kind.name in MONEY else "trunc"
    return _cast(f"{whole}({value.sql})", to, attempt)


def _nonzero(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return f"(({value.sql}) <> 0)"


_NUMBER: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"


def _text_to_int(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    trimmed = f"trim({value.sql})"
    message = f"{quoted(f'Conversion failed when converting the {value.kind.name} value ')} || chr(39) || {value.sql} "
    message += f"|| chr(39) || {quoted(f' to data type {to.name}.')}"
    return _guarded(trimmed, "[+-]?[0-9]+", _cast(trimmed, to, attempt), 245, message, attempt)


def _text_to_number(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    trimmed = f"trim({value.sql})"
    pattern = _NUMBER + ("([eE][+-]?[0-9]+)?" if to.name in FLOATS else "")
    label = "numeric" if to.name in DECIMALS else to.name
    message = quoted(f"Error converting data type {value.kind.name} to {label}.")
    return _guarded(trimmed, pattern, _cast(trimmed, to, attempt), 8114, message, attempt)


def _text_to_bit(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    folded = f"lower(trim({value.sql}))"
    message = quoted(f"Conversion failed when converting the {value.kind.name} value to data type bit.")
    return _guarded(folded, "true|false|0|1", f"({folded} IN ('true', '1'))", 245, message, attempt)


def _text_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    cut = to.length != MAX and (value.kind.length == MAX or value.kind.length > to.length)
    sql = f"substr({value.sql}, 1, {to.length})" if cut else value.sql
    return f"rpad({sql}, {to.length}, ' ')" if to.name in PADDED else sql


def _shown(sql: str, value: Typed, to: SqlType, attempt: bool) -> str:
    """Text of a number or a date, refused (8115) where it would not fit."""
    if to.length == MAX:
        return sql
    failure = "NULL" if attempt else f"error('#8115#Arithmetic overflow error converting {value.kind.name} to text.')"
    fitted = f"CASE WHEN {sql} IS NULL THEN NULL WHEN length({sql}) <= {to.length} THEN {sql} ELSE {failure} END"
    return f"rpad({fitted}, {to.length}, ' ')" if to.name in PADDED else fitted


def _number_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    sql = value.sql
    if value.kind.name in MONEY:
        sql = sql if style == 2 else f"CAST({sql} AS DECIMAL(19,2))"
    elif value.kind.name == "bit":
        sql = f"CAST({sql} AS INTEGER)"
    return _shown(f"CAST({sql} AS VARCHAR)", value, to, attempt)


def _guid_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return _shown(f"upper(CAST({value.sql} AS VARCHAR))", value, to, attempt)


def _text_to_guid(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    message = quoted("Conversion failed when converting from a character string to uniqueidentifier.")
    pattern = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    return _guarded(value.sql, pattern, _cast(value.sql, to, attempt), 8169, message, attempt)


def _binary_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    if style not in {1, 2}:
        raise unserved("CONVERT of binary to text without style 1 or 2")
    digits = f"hex({value.sql})"
    return _text_to_text(
        Typed(f"'0x' || {digits}" if style == 1 else digits, SqlType("varchar", MAX)), to, attempt, style
    )


def _binary_to_binary(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    if to == value.kind or to.length == MAX:
        return value.sql
    if to.name != "varbinary":
        raise unserved(f"CAST of {value.kind} to {to}")
    return f"unhex(substr(hex({value.sql}), 1, {2 * to.length}))"


# -- dates and times: all through ticks of 100 ns since 0001-01-01 --


def ticks(value: Typed) -> str:
    """Local ticks of an instant, ticks of the day of a time."""
    kind, sql = value.kind, value.sql
    if kind.name == "datetimeoffset":
        return f"(({sql}).t + CAST(({sql}).o AS BIGINT) * {MINUTE_TICKS})"
    if kind.name in {"datetime2", "time"} and kind.scale == 7:
        return sql
    if kind.name == "time":
        return f"(epoch_us({sql}) * 10)"
    if kind.name == "datetime":
        # .003 and .007 stand for thirds of 10 ms, and compare so since compatibility level 130.
        return f"CAST(((epoch_us({sql}) + {EPOCH_US}) * 3 + 5000) // 10000 * 100000 + 1 AS BIGINT) // 3"
    return f"(epoch_us(CAST({sql} AS TIMESTAMP)) * 10 + {EPOCH_TICKS})"


def _rounded(sql: str, scale: int) -> str:
    step = 10 ** (7 - scale)
    return sql if step == 1 else f"(({sql}) + {step // 2}) // {step} * {step}"


def _offset(utc: str, minutes: str) -> str:
    return f"{{'t': CAST({utc} AS BIGINT), 'o': CAST({minutes} AS SMALLINT)}}"


def from_ticks(sql: str, to: SqlType) -> str:
    """Storage of the type from ticks, rounded to its scale."""
    if to.name == "date":
        return f"(DATE '0001-01-01' + CAST(({sql}) // {DAY_TICKS} AS INTEGER))"
    if to.name == "datetime":
        checked = f"CASE WHEN {sql} >= {DATETIME_MIN} THEN CAST({sql} AS HUGEINT) ELSE error({_OUT_OF_DATETIME}) END"
        millis = f"(({checked} * 3 + 50000) // 100000 * 10 + 1) // 3"
        return f"make_timestamp(CAST({millis} * 1000 - {EPOCH_US} AS BIGINT))"
    if to.name == "smalldatetime":
        return f"make_timestamp((({sql}) + {MINUTE_TICKS // 2}) // {MINUTE_TICKS} * {MINUTE_TICKS // 10} - {EPOCH_US})"
    rounded = _rounded(sql, to.scale)
    if to.scale == 7:
        return rounded
    if to.name == "time":
        return f"CAST(make_timestamp(({rounded}) // 10) AS TIME)"
    return f"make_timestamp(({rounded}) // 10 - {EPOCH_US})"


_OUT_OF_DATETIME: Final = quoted(
    "#242#The conversion of a datetime2 data type to a datetime data type resulted in an out-of-range value."
)


def _instant_to_instant(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    kind = value.kind
    exact = to.name == "datetime2" and kind.name in {"datetime2", "smalldatetime"} and kind.scale <= to.scale < 7
    return value.sql if exact or kind == to else from_ticks(ticks(value), to)


def _instant_to_date(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return from_ticks(ticks(value), to) if storage(value.kind) == "BIGINT" else f"CAST({value.sql} AS DATE)"


def _date_to_instant(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    exact = to.name == "datetime2" and to.scale < 7
    return f"CAST({value.sql} AS TIMESTAMP)" if exact else from_ticks(ticks(value), to)


def _by_ticks(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return from_ticks(ticks(value), to)


def _to_time(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return from_ticks(f"({ticks(value)}) % {DAY_TICKS}", to)


def _to_offset(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return _if_present(value.sql, _offset(_rounded(ticks(value), to.scale), "0"))


_DATE: Final = r"([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})"
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,7})?)?"
_ZONE: Final = r" ?(Z|[+-][0-9]{2}:[0-9]{2})"
_NO_DATE: Final = quoted("Conversion failed when converting date and/or time from character string.")


def _dashed(sql: str) -> str:
    return f"regexp_replace(trim({sql}), '^([0-9]{{4}})([0-9]{{2}})([0-9]{{2}})', '\\1-\\2-\\3')"


def _real_date(sql: str) -> str:
    """The trimmed text, or one that is no date when it names a day or an hour that does not exist."""
    head = f"substr(regexp_replace({_dashed(sql)}, '{_ZONE}$', ''), 1, 26)"
    return f"CASE WHEN TRY_CAST({head} AS TIMESTAMP) IS NULL THEN left({sql}, 0) ELSE trim({sql}) END"


def _real_clock(sql: str) -> str:
    return f"CASE WHEN TRY_CAST(substr(trim({sql}), 1, 15) AS TIME) IS NULL THEN left({sql}, 0) ELSE trim({sql}) END"


def _text_ticks(dashed: str) -> str:
    """Ticks of 'YYYY-MM-DD[ hh:mm[:ss[.fffffff]]]'; the seventh digit is beyond DuckDB and added apart."""
    seventh = f"coalesce(TRY_CAST(substr({dashed}, 27, 1) AS BIGINT), 0)"
    return f"(epoch_us(CAST(substr({dashed}, 1, 26) AS TIMESTAMP)) * 10 + {EPOCH_TICKS} + {seventh})"


def _text_to_instant(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    then = from_ticks(_text_ticks(_dashed(value.sql)), to)
    return _guarded(_real_date(value.sql), f"{_DATE}([ T]{_CLOCK})?", then, 241, _NO_DATE, attempt)


def _text_to_date(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    then = _cast(_dashed(value.sql), to, attempt)
    return _guarded(_real_date(value.sql), _DATE, then, 241, _NO_DATE, attempt)


def _text_to_offset(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    dashed = _dashed(value.sql)
    local = f"regexp_replace({dashed}, '{_ZONE}$', '')"
    sign, *parts = (f"regexp_extract({dashed}, '([+-])([0-9]{{2}}):([0-9]{{2}})$', {group})" for group in (1, 2, 3))
    hours, minutes = (f"coalesce(TRY_CAST({part} AS INTEGER), 0)" for part in parts)
    offset = f"(CASE WHEN {sign} = '-' THEN -1 ELSE 1 END * ({hours} * 60 + {minutes}))"
    utc = f"{_rounded(_text_ticks(local), to.scale)} - CAST({offset} AS BIGINT) * {MINUTE_TICKS}"
    pattern = f"{_DATE}([ T]{_CLOCK})?({_ZONE})?"
    return _guarded(_real_date(value.sql), pattern, _offset(utc, offset), 241, _NO_DATE, attempt)


def _text_to_time(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    dated = f"'1970-01-01 ' || trim({value.sql})"
    then = from_ticks(f"({_text_ticks(dated)}) % {DAY_TICKS}", to)
    return _guarded(_real_clock(value.sql), _CLOCK, then, 241, _NO_DATE, attempt)


def _digits(total: str, scale: int) -> str:
    """The fraction of a second as '.fff'."""
    step = 10 ** (7 - scale)
    return f" || '.' || lpad(CAST(({total}) % 10000000 // {step} AS VARCHAR), {scale}, '0')" if scale else ""


def _instant_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    scale = {"datetime": 3, "smalldatetime": 0}.get(value.kind.name, value.kind.scale)
    if style not in {None, 120, 121, 126} or (style is None and value.kind.name in {"datetime", "smalldatetime"}):
        raise unserved(f"CONVERT of {value.kind.name} to text in style {style or 0}")
    whole = ticks(value)
    separator = "T" if style == 126 else " "
    seconds = f"make_timestamp(({whole}) // 10000000 * 1000000 - {EPOCH_US})"
    shown = f"strftime({seconds}, '%Y-%m-%d{separator}%H:%M:%S'){'' if style == 120 else _digits(whole, scale)}"
    return _shown(_if_present(value.sql, f"({shown})"), value, to, attempt)


def _date_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    forms = {None: "%Y-%m-%d", 23: "%Y-%m-%d", 120: "%Y-%m-%d", 121: "%Y-%m-%d", 126: "%Y-%m-%d", 112: "%Y%m%d"}
    if style not in forms:
        raise unserved(f"CONVERT of date to text in style {style}")
    return _shown(f"strftime({value.sql}, '{forms[style]}')", value, to, attempt)


def _offset_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    if style not in {None, 121, 126}:
        raise unserved(f"CONVERT of datetimeoffset to text in style {style}")
    sql = value.sql
    local = _instant_to_text(
        Typed(ticks(value), SqlType("datetime2", scale=7)), SqlType("varchar", MAX), attempt, style
    )
    cut = f"substr({local}, 1, {19 + (value.kind.scale + 1 if value.kind.scale else 0)})"
    sign = f"CASE WHEN ({sql}).o < 0 THEN '-' ELSE '+' END"
    zone = f"{sign} || format('{{:02d}}:{{:02d}}', abs(({sql}).o) // 60, abs(({sql}).o) % 60)"
    separator = "" if style == 126 else "' ' || "
    return _shown(_if_present(sql, f"({cut} || {separator}{zone})"), value, to, attempt)


def _variant_to_text(value: Typed, to: SqlType, attempt: bool, style: int | None) -> str:
    return _text_to_text(Typed(value.sql, SqlType("nvarchar", MAX)), to, attempt, style)


_RULES: Final = {
    ("bit", "int"): _plain, ("bit", "decimal"): _plain, ("bit", "float"): _plain, ("bit", "text"): _number_to_text,
    ("int", "int"): _plain, ("int", "decimal"): _plain, ("int", "float"): _plain, ("int", "bit"): _nonzero,
    ("int", "text"): _number_to_text,
    ("decimal", "decimal"): _plain, ("decimal", "int"): _truncated, ("decimal", "float"): _plain,
    ("decimal", "bit"): _nonzero, ("decimal", "text"): _number_to_text,
    ("float", "float"): _plain, ("float", "int"): _truncated, ("float", "decimal"): _plain, ("float", "bit"): _nonzero,
    ("text", "text"): _text_to_text, ("text", "int"): _text_to_int, ("text", "decimal"): _text_to_number,
    ("text", "float"): _text_to_number, ("text", "bit"): _text_to_bit, ("text", "date"): _text_to_date,
    ("text", "instant"): _text_to_instant, ("text", "datetimeoffset"): _text_to_offset, ("text", "time"): _text_to_time,
    ("text", "uniqueidentifier"): _text_to_guid, ("uniqueidentifier", "text"): _guid_to_text,
    ("text", "xml"): _text_to_text, ("xml", "text"): _variant_to_text, ("sql_variant", "text"): _variant_to_text,
    ("date", "instant"): _date_to_instant, ("date", "datetimeoffset"): _to_offset, ("date", "text"): _date_to_text,
    ("instant", "instant"): _instant_to_instant, ("instant", "date"): _instant_to_date, ("instant", "time"): _to_time,
    ("instant", "datetimeoffset"): _to_offset, ("instant", "text"): _instant_to_text,
    ("datetimeoffset", "instant"): _by_ticks, ("datetimeoffset", "date"): _by_ticks,
    ("datetimeoffset", "time"): _to_time, ("datetimeoffset", "text"): _offset_to_text,
    ("binary", "binary"): _binary_to_binary, ("binary", "text"): _binary_to_text,
}  # fmt: skip


def literal(kind: SqlType, value: object) -> Typed:
    """A value as a constant of its type's storage; instants come as ticks, offsets as (UTC ticks, minutes)."""
    if value is None:
        return Typed(f"CAST(NULL AS {storage(kind)})", kind)
    return Typed(_constant(kind, value), kind, nullable=False)


def _constant(kind: SqlType, value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bytes):
        return f"CAST({quoted(''.join(f'{chr(92)}x{byte:02X}' for byte in value))} AS BLOB)"
    if isinstance(value, tuple):
        return _offset(str(value[0]), str(value[1]))
    if family(kind) in {"instant", "date", "time"}:
        return from_ticks(f"CAST({value} AS BIGINT)", kind)
    if kind.name == "uniqueidentifier":
        return f"CAST({quoted(str(value))} AS UUID)"
    return f"CAST({quoted(str(value))} AS {storage(kind)})"


def comparable(value: Typed) -> str:
    """The expression that sorts and compares as T-SQL does: text without case and trailing blanks, offsets by UTC."""
    if value.kind.name in {"sql_variant", "xml", "uniqueidentifier"} and value.kind.name != "uniqueidentifier":
        raise SqlError(305, f"The {value.kind.name} data type cannot be compared or sorted.")
    if value.kind.name in sqltypes.TEXTS:
        return f"rtrim({value.sql}, ' ')" if value.kind.bytewise else f"rtrim(lower({value.sql}), ' ')"
    return f"({value.sql}).t" if value.kind.name == "datetimeoffset" else value.sql
