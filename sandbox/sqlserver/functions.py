"""The T-SQL functions that are served, each with its result type and its meaning in DuckDB."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sqlglot import exp

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.conversion import Typed, comparable, convert, family, from_ticks, literal, quoted, ticks
from sandbox.sqlserver.errors import SqlError, unserved
from sandbox.sqlserver.scope import Context
from sandbox.sqlserver.sqltypes import BIGINT, INT, MAX, SYSNAME, SqlType
from sandbox.sqlserver.systemviews import SCHEMAS, schema_id

Value = Callable[[exp.Expr], Typed]
Rule = Callable[[Context, Any, Value], Typed]


def aggregate(kind: type, value: Typed | None, distinct: bool, *, big: bool) -> Typed:
    """COUNT, COUNT_BIG, SUM, MIN or MAX; value is None for COUNT(*)."""
    if kind is exp.Count:
        return _count(value, distinct, BIGINT if big else INT)
    assert value is not None
    if kind is exp.Sum:
        return _sum(value, distinct)
    return _extreme("min" if kind is exp.Min else "max", value)


def _count(value: Typed | None, distinct: bool, kind: SqlType) -> Typed:
    inner = "*" if value is None else f"{'DISTINCT ' if distinct else ''}{comparable(value)}"
    return Typed(f"CAST(count({inner}) AS {sqltypes.storage(kind)})", kind)


def _sum(value: Typed, distinct: bool) -> Typed:
    """https://learn.microsoft.com/sql/t-sql/functions/sum-transact-sql#return-types"""
    rules = {"int": INT, "decimal": sqltypes.decimal(38, value.kind.scale), "float": sqltypes.FLOAT}
    kind = rules.get(family(value.kind))
    if kind is None or value.bare_null:
        raise SqlError(8117, f"Operand data type {value.kind.name} is invalid for sum operator.")
    if value.kind.name == "bigint":
        kind = BIGINT
    elif value.kind.name in sqltypes.MONEY:
        kind = SqlType("money")
    inner = f"{'DISTINCT ' if distinct else ''}{value.sql}"
    return Typed(f"CAST(sum({inner}) AS {sqltypes.storage(kind)})", kind)


def _extreme(name: str, value: Typed) -> Typed:
    if value.kind.name in {"bit", "uniqueidentifier", "xml", "sql_variant"}:
        raise SqlError(8117, f"Operand data type {value.kind.name} is invalid for {name} operator.")
    key = comparable(value)
    sql = f"{name}({value.sql})" if key == value.sql else f"arg_{name}({value.sql}, {key})"
    return Typed(sql, value.kind)


def _text(value: Typed) -> Typed:
    if family(value.kind) != "text":
        return convert(value, sqltypes.text("varchar", 8000))
    return value


def _len(context: Context, node: Any, value: Value) -> Typed:
    """Characters without trailing blanks; bigint for (max)."""
    operand = _text(value(node.this))
    kind = BIGINT if operand.kind.length == MAX else INT
    return Typed(f"CAST(length(rtrim({operand.sql}, ' ')) AS {sqltypes.storage(kind)})", kind)


def _datalength(context: Context, node: Any, value: Value) -> Typed:
    operand = value(node.expressions[0])
    kind = BIGINT if operand.kind.length == MAX else INT
    if operand.kind.name in sqltypes.WIDE:
        # Characters beyond the basic plane take two UTF-16 units.
        pairs = f"length(regexp_replace({operand.sql}, '[^\\x{{10000}}-\\x{{10FFFF}}]', '', 'g'))"
        sql = f"2 * (length({operand.sql}) + {pairs})"
    elif family(operand.kind) == "text":
        sql = f"length({operand.sql})"
    elif family(operand.kind) == "binary":
        sql = f"octet_length({operand.sql})"
    else:
        size = sqltypes.describe(operand.kind).max_length
        sql = f"CASE WHEN {operand.sql} IS NULL THEN NULL ELSE {size} END"
    return Typed(f"CAST({sql} AS {sqltypes.storage(kind)})", kind)


def _folded(name: str) -> Rule:
    def rule(context: Context, node: Any, value: Value) -> Typed:
        operand = _text(value(node.this))
        kind = (
            operand.kind
            if name in {"upper", "lower"}
            else sqltypes.SqlType("nvarchar" if operand.kind.name in sqltypes.WIDE else "varchar", operand.kind.length)
        )
        return replace(operand, sql=f"{name}({operand.sql})", kind=kind, name="")

    return rule


def _trim(context: Context, node: Any, value: Value) -> Typed:
    if node.args.get("expression"):
        raise unserved("TRIM of chosen characters")
    operand = _text(value(node.this))
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    kind = SqlType("nvarchar" if operand.kind.name in sqltypes.WIDE else "varchar", operand.kind.length)
    return replace(operand, sql=f"{name}({operand.sql}, ' ')", kind=kind, name="")


def _part(context: Context, node: Any, value: Value) -> Typed:
    """LEFT and RIGHT."""
    operand, count = _text(value(node.this)), convert(value(node.expression), INT)
    name = "left" if isinstance(node, exp.Left) else "right"
    negative = "error('#536#Invalid length parameter passed to the left or right function.')"
    sql = f"{name}({operand.sql}, CASE WHEN {count.sql} < 0 THEN {negative} ELSE {count.sql} END)"
    return Typed(sql, SqlType("nvarchar" if operand.kind.name in sqltypes.WIDE else "varchar", operand.kind.length))


def _substring(context: Context, node: Any, value: Value) -> Typed:
    operand = _text(value(node.this))
    start, length = (convert(value(node.args[name]), INT).sql for name in ("start", "length"))
    # A start before 1 eats into the length.
    first, last = f"greatest({start}, 1)", f"({start} + {length})"
    sql = f"substr({operand.sql}, {first}, greatest({last} - {first}, 0))"
    return Typed(sql, SqlType("nvarchar" if operand.kind.name in sqltypes.WIDE else "varchar", operand.kind.length))


def _concat(context: Context, node: Any, value: Value) -> Typed:
    parts = [_unwrapped(value, item) for item in node.expressions]
    wide = any(part.kind.name in sqltypes.WIDE for part in parts)
    total = MAX if any(part.kind.length == MAX for part in parts) else sum(part.kind.length or 30 for part in parts)
    sql = " || ".join(f"coalesce({_text(part).sql}, '')" for part in parts)
    return Typed(f"({sql})", sqltypes.text("nvarchar" if wide else "varchar", total), nullable=False)


def _unwrapped(value: Value, item: exp.Expr) -> Typed:
    return value(item.this if isinstance(item, exp.Coalesce) and not item.args.get("is_null") else item)


def _abs(context: Context, node: Any, value: Value) -> Typed:
    operand = value(node.this)
    if family(operand.kind) not in {"int", "decimal", "float"}:
        raise SqlError(8116, f"Argument data type {operand.kind.name} is invalid for argument 1 of abs function.")
    return replace(operand, sql=f"abs({operand.sql})", name="")


# Fixed-length parts of DATEADD and DATEDIFF in ticks of 100 ns.
_UNITS: Final = {
    "DAY": 864_000_000_000, "DD": 864_000_000_000, "D": 864_000_000_000, "HOUR": 36_000_000_000, "HH": 36_000_000_000,
    "MINUTE": 600_000_000, "MI": 600_000_000, "N": 600_000_000, "SECOND": 10_000_000, "SS": 10_000_000,
    "S": 10_000_000, "MILLISECOND": 10_000, "MS": 10_000, "MICROSECOND": 10, "MCS": 10,
}  # fmt: skip


def _unit(node: Any) -> int:
    name = str(node.args["unit"].name).upper()
    if name not in _UNITS:
        raise unserved(f"the date part {name}")
    return _UNITS[name]


def _moment(value: Typed) -> Typed:
    """A date or time; text is read as datetime2(7)."""
    if family(value.kind) == "text":
        return convert(value, SqlType("datetime2", scale=7))
    if family(value.kind) not in {"instant", "date"}:
        raise unserved(f"date arithmetic on {value.kind.name}")
    return value


def _dateadd(context: Context, node: Any, value: Value) -> Typed:
    moment, count = _moment(value(node.this)), convert(value(node.expression), INT)
    kind = moment.kind
    if kind.name == "date" and _unit(node) < _UNITS["DAY"]:
        raise SqlError(9810, "The datepart is not supported by date function dateadd for data type date.")
    return Typed(from_ticks(f"({ticks(moment)} + CAST({count.sql} AS BIGINT) * {_unit(node)})", kind), kind)


def _datediff(context: Context, node: Any, value: Value) -> Typed:
    """Boundaries crossed, not time elapsed."""
    later, earlier = _moment(_inner(value, node.this)), _moment(_inner(value, node.expression))
    unit = _unit(node)
    kind = BIGINT if node.args.get("big_int") else INT
    sql = f"({ticks(later)}) // {unit} - ({ticks(earlier)}) // {unit}"
    return Typed(f"CAST({sql} AS {sqltypes.storage(kind)})", kind)


def _inner(value: Value, node: exp.Expr) -> Typed:
    return value(node.this if isinstance(node, exp.TimeStrToTime) else node)


def _calendar(name: str) -> Rule:
    def rule(context: Context, node: Any, value: Value) -> Typed:
        inner = node.this.this if isinstance(node.this, exp.TsOrDsToDate) else node.this
        return Typed(f"CAST({name}({convert(_moment(value(inner)), sqltypes.DATE).sql}) AS INTEGER)", INT)

    return rule


def _now(kind: SqlType) -> Rule:
    def rule(context: Context, node: Any, value: Value) -> Typed:
        return Typed(from_ticks(f"CAST({context.now_ticks} AS BIGINT)", kind), kind, nullable=False)

    return rule


def _now_offset(context: Context, node: Any, value: Value) -> Typed:
    return literal(SqlType("datetimeoffset", scale=7), (context.now_ticks, 0))


def _arguments(node: Any) -> list[exp.Expr]:
    return list(node.expressions) or ([node.this] if isinstance(node, (exp.ObjectId, exp.CurrentSchema)) else [])


def _text_argument(node: Any) -> str:
    arguments = _arguments(node)
    if not arguments or not isinstance(arguments[0], (exp.National, exp.Literal)):
        raise unserved(f"{node.this} without a literal argument")
    return str(arguments[0].this)


def _db_name(context: Context, node: Any, value: Value) -> Typed:
    if _arguments(node):
        raise unserved("DB_NAME of another database")
    return literal(SYSNAME, context.database)


def _db_id(context: Context, node: Any, value: Value) -> Typed:
    name = _text_argument(node) if _arguments(node) else context.database
    found = context.catalogue.database(name)
    return literal(SqlType("smallint"), found.database_id if found else None)


def _has_dbaccess(context: Context, node: Any, value: Value) -> Typed:
    name = _text_argument(node)
    known = context.catalogue.database(name) is not None
    return literal(INT, int(context.may_open(name)) if known else None)


def _quotename(context: Context, node: Any, value: Value) -> Typed:
    """In brackets, up to 128 characters."""
    if len(_arguments(node)) != 1:
        raise unserved("QUOTENAME with another quote")
    name = convert(value(_arguments(node)[0]), SYSNAME)
    return Typed(f"('[' || replace({name.sql}, ']', ']]') || ']')", sqltypes.text("nvarchar", 258), name.nullable)


def _has_perms(context: Context, node: Any, value: Value) -> Typed:
    """UNMASK alone: sa has it on every database, others on the tables that were declared so; NULL for no such table."""
    asked = [value(argument) for argument in _arguments(node)]
    if len(asked) not in (3, 5):
        raise unserved(f"HAS_PERMS_BY_NAME of {len(asked)} arguments")
    kind, permission = (_constant(argument).upper() for argument in asked[1:3])
    if (kind, permission, len(asked)) == ("DATABASE", "UNMASK", 3) and _constant(asked[0]) == context.database:
        return literal(INT, int(context.login == "sa"))
    if (kind, permission, len(asked)) != ("OBJECT", "UNMASK", 5) or _constant(asked[4]).upper() != "COLUMN":
        raise unserved(f"HAS_PERMS_BY_NAME of {permission} on this {kind}")
    database = context.catalogue.database(context.database)
    known = {f"[{t.schema}].[{t.name}]".lower(): t for t in database.tables.values()} if database else {}
    branches = [f"WHEN {quoted(name)} THEN {int(t.unmasks(context.login))}" for name, t in known.items()]
    if not branches:
        return literal(INT, None)
    return Typed(f"CASE lower({asked[0].sql}) {' '.join(branches)} ELSE NULL END", INT)


def _login(context: Context, node: Any, value: Value) -> Typed:
    return literal(SYSNAME, context.login)


def _object_id(context: Context, node: Any, value: Value) -> Typed:
    """Of a literal one- to three-part name or a parameter's; NULL when there is none."""
    argument = value(_arguments(node)[0])
    parts = _constant(argument).replace("[", "").replace("]", "").split(".")
    if len(parts) > 3:
        return literal(INT, None)
    database, schema, name = [*[""] * (3 - len(parts)), *parts]
    table = context.catalogue.table(database or context.database, schema or "dbo", name)
    return literal(INT, table.object_id if table else None)


def _constant(value: Typed) -> str:
    text = value.sql
    if not (text.startswith("'") and text.endswith("'")):
        raise unserved("a metadata function of a computed name")
    return text[1:-1].replace("''", "'")


def _names_of(pairs: Callable[[Context], list[tuple[int, str]]]) -> Rule:
    """The function that maps an id to its name, for a computed id."""

    def rule(context: Context, node: Any, value: Value) -> Typed:
        number = convert(value(_arguments(node)[0]), INT).sql
        branches = " ".join(f"WHEN {known} THEN {quoted(name)}" for known, name in pairs(context))
        return Typed(f"CASE {number} {branches} ELSE NULL END", SYSNAME)

    return rule


def _tables(context: Context) -> list[tuple[int, str]]:
    database = context.catalogue.database(context.database)
    return [(t.object_id, t.name) for t in database.tables.values()] if database else [(0, "")]


def _schemas(context: Context) -> list[tuple[int, str]]:
    return [(number, name) for name, number in SCHEMAS.items()]


def _types(context: Context) -> list[tuple[int, str]]:
    known = [(number, sqltypes.SYSTEM_NAMES.get(name, name)) for name, number in sqltypes.SYSTEM_TYPE_IDS.items()]
    return [*known, (sqltypes.SYSNAME_TYPE_ID, "sysname")]


def _schema_id(context: Context, node: Any, value: Value) -> Typed:
    name = _text_argument(node) if _arguments(node) else "dbo"
    return literal(INT, schema_id(name))


_PROPERTIES: Final = {
    "PRODUCTVERSION": "16.0.4219.0", "PRODUCTLEVEL": "RTM", "EDITION": "Developer Edition (64-bit)",
    "SERVERNAME": "sandbox", "MACHINENAME": "sandbox", "COLLATION": sqltypes.COLLATION_NAME,
    "PRODUCTMAJORVERSION": "16", "ENGINEEDITION": "3",
}  # fmt: skip


def _server_property(context: Context, node: Any, value: Value) -> Typed:
    return literal(SqlType("sql_variant"), _PROPERTIES.get(_text_argument(node).upper()))


_DATETIME2: Final = SqlType("datetime2", scale=7)
FUNCTIONS: Final[dict[str, Rule]] = {
    "LENGTH": _len, "DATALENGTH": _datalength, "UPPER": _folded("upper"), "LOWER": _folded("lower"), "TRIM": _trim,
    "LEFT": _part, "RIGHT": _part, "SUBSTRING": _substring, "CONCAT": _concat, "ABS": _abs, "DATEADD": _dateadd,
    "DATEDIFF": _datediff, "YEAR": _calendar("year"), "MONTH": _calendar("month"), "DAY": _calendar("day"),
    "CURRENTTIMESTAMP": _now(sqltypes.DATETIME), "GETUTCDATE": _now(sqltypes.DATETIME),
    "SYSUTCDATETIME": _now(_DATETIME2), "CURRENTTIMESTAMPLTZ": _now_offset,
    "DB_NAME": _db_name, "DB_ID": _db_id, "HAS_DBACCESS": _has_dbaccess, "CURRENTUSER": _login,
    "QUOTENAME": _quotename, "HAS_PERMS_BY_NAME": _has_perms, "OBJECTID": _object_id,
    "OBJECT_NAME": _names_of(_tables), "CURRENTSCHEMA": _names_of(_schemas),
    "SCHEMA_ID": _schema_id, "TYPE_NAME": _names_of(_types), "SERVERPROPERTY": _server_property,
}  # fmt: skip
