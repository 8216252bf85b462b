"""Predicates and values of the served T-SQL: every node has a rule here, is typed and translated, or is refused."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from sqlglot import exp

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.catalogue import identifier
from sandbox.sqlserver.conversion import Typed, comparable, convert, family, literal, quoted
from sandbox.sqlserver.errors import SqlError, clash, syntax, unserved
from sandbox.sqlserver.functions import FUNCTIONS, aggregate
from sandbox.sqlserver.scope import Context, Scope
from sandbox.sqlserver.sqltypes import INT, MAX, SqlType
from sandbox.sqlserver.zones import at_time_zone


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled SELECT: DuckDB text whose columns are those listed, in order."""

    sql: str
    columns: tuple[Typed, ...]


def only(node: exp.Expr, *served: str) -> None:
    """Refuse a node that carries more than the served arguments."""
    for name, value in node.args.items():
        if value and name not in served:
            raise unserved(f"{name.strip('_').upper()} on {type(node).__name__}")


def output_name(name: str, place: int, top: bool) -> str:
    """A column's name inside DuckDB; only inner queries need the one that T-SQL gives it."""
    return f"c{place}" if top or not name else identifier(name)


class Expressions(ABC):
    """One statement's predicates and values; the subclass knows what a subquery is."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def query(self, node: exp.Expr, outer: Scope, *, top: bool = False) -> Query:
        """A SELECT inside an expression."""

    # -- predicates --

    def predicate(self, node: exp.Expr, scope: Scope) -> str:
        rule = PREDICATES.get(type(node))
        if rule is None:
            raise SqlError(
                4145, f"An expression of non-boolean type specified in a context where a condition is expected, near "
                f"'{node.name or type(node).__name__}'.", severity=15,
            )  # fmt: skip
        return rule(self, node, scope)

    def _and_or(self, node: exp.Expr, scope: Scope) -> str:
        word = "AND" if isinstance(node, exp.And) else "OR"
        return f"({self.predicate(node.this, scope)} {word} {self.predicate(node.expression, scope)})"

    def _not(self, node: exp.Expr, scope: Scope) -> str:
        return f"(NOT {self.predicate(node.this, scope)})"

    def _paren(self, node: exp.Expr, scope: Scope) -> str:
        return f"({self.predicate(node.this, scope)})"

    def _comparison(self, node: exp.Expr, scope: Scope) -> str:
        left, right = self.paired(self.value(node.this, scope), self.value(node.expression, scope))
        sign = _SIGNS[type(node)]
        if left.kind.name == "uniqueidentifier" and sign not in {"=", "<>"}:
            raise unserved("an ordering comparison of uniqueidentifier")
        return f"({comparable(left)} {sign} {comparable(right)})"

    def paired(self, left: Typed, right: Typed) -> tuple[Typed, Typed]:
        """Both values in the type that data type precedence gives the pair."""
        if left.bare_null or right.bare_null:
            kind = right.kind if left.bare_null else left.kind
        else:
            kind = sqltypes.common(left.kind, right.kind)
        if {family(left.kind), family(right.kind)} == {"text", "binary"}:
            raise clash(str(left.kind), str(right.kind))
        return _as(left, kind), _as(right, kind)

    def _is(self, node: exp.Expr, scope: Scope) -> str:
        if not isinstance(node.expression, exp.Null):
            raise syntax("IS")
        return f"({self.value(node.this, scope).sql} IS NULL)"

    def _between(self, node: exp.Expr, scope: Scope) -> str:
        only(node, "this", "low", "high")
        value = self.value(node.this, scope)
        low_value, low = self.paired(value, self.value(node.args["low"], scope))
        high_value, high = self.paired(value, self.value(node.args["high"], scope))
        above = f"{comparable(low_value)} >= {comparable(low)}"
        return f"({above} AND {comparable(high_value)} <= {comparable(high)})"

    def _in(self, node: exp.Expr, scope: Scope) -> str:
        only(node, "this", "expressions", "query")
        value, inner = self.value(node.this, scope), node.args.get("query")
        if inner:
            query = self.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
            if len(query.columns) != 1:
                raise SqlError(116, "Only one expression can be specified in the select list when the subquery is not "
                                    "introduced with EXISTS.")  # fmt: skip
            column = replace(query.columns[0], sql=f"i.{output_name(query.columns[0].name, 0, top=False)}")
            left, right = self.paired(value, column)
            return f"({comparable(left)} IN (SELECT {comparable(right)} FROM ({query.sql}) AS i))"
        pairs = [self.paired(value, self.value(item, scope)) for item in node.expressions]
        tests = [f"{comparable(left)} = {comparable(right)}" for left, right in pairs]
        return f"({' OR '.join(tests)})"

    def _exists(self, node: exp.Expr, scope: Scope) -> str:
        inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
        return f"EXISTS ({self.query(inner, scope).sql})"

    def _like(self, node: exp.Expr, scope: Scope) -> str:
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        if family(left.kind) != "text" or family(right.kind) != "text" or "[" in right.sql:
            raise unserved("LIKE with a character class or on values that are not text")
        fold = "{}" if left.kind.bytewise else "lower({})"
        return f"({fold.format(left.sql)} LIKE {fold.format(right.sql)})"

    # -- values --

    def value(self, node: exp.Expr, scope: Scope) -> Typed:
        rule = VALUES.get(type(node))
        if rule is None:
            if type(node) in PREDICATES:
                raise syntax(_SIGNS.get(type(node), type(node).__name__.upper()))
            raise unserved(type(node).__name__)
        found = rule(self, node, scope)
        if scope.groups is not None and not scope.aggregating:
            return scope.groups.get(found.sql, found)
        return found

    def _column(self, node: exp.Expr, scope: Scope) -> Typed:
        assert isinstance(node, exp.Column)
        only(node, "this", "table", "db", "catalog")
        if isinstance(node.this, exp.Star):
            raise syntax("*")
        found, own = scope.column(node.name, node.table)
        value = _padded(found)
        if own and scope.groups is not None and not scope.aggregating and value.sql not in scope.groups:
            raise SqlError(
                8120, f"Column '{node.sql(dialect='tsql')}' is invalid in the select list because it is not contained "
                "in either an aggregate function or the GROUP BY clause.",
            )  # fmt: skip
        return value

    def _literal(self, node: exp.Expr, scope: Scope) -> Typed:
        text = str(node.this)
        if node.is_string:
            return Typed(quoted(text), sqltypes.text("varchar", len(text)), nullable=False)
        if "e" in text.lower():
            return literal(sqltypes.FLOAT, float(text))
        whole, _, fraction = text.partition(".")
        digits = len(whole.lstrip("0")) + len(fraction)
        if "." not in text and int(text) < 2**31:
            return literal(INT, int(text))
        if digits > 38:
            raise SqlError(1007, f"The number '{text}' is out of the range for numeric representation.", severity=15)
        return literal(sqltypes.decimal(max(digits, 1), len(fraction)), Decimal(text))

    def _national(self, node: exp.Expr, scope: Scope) -> Typed:
        text = str(node.this)
        return Typed(quoted(text), sqltypes.text("nvarchar", len(text)), nullable=False)

    def _hex(self, node: exp.Expr, scope: Scope) -> Typed:
        digits = str(node.this)
        data = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
        return literal(SqlType("varbinary", length=max(len(data), 1)), data)

    def _null(self, node: exp.Expr, scope: Scope) -> Typed:
        return Typed("NULL", INT, bare_null=True)

    def _parameter(self, node: exp.Expr, scope: Scope) -> Typed:
        inner = node.this
        if isinstance(inner, exp.Parameter):
            return self._global(inner.name)
        found = self.context.parameters.get(node.name.lower())
        if found is None:
            raise SqlError(137, f'Must declare the scalar variable "@{node.name}".', severity=15, state=2)
        return found

    def _global(self, name: str) -> Typed:
        context = self.context
        known: dict[str, tuple[SqlType, object]] = {
            "trancount": (INT, context.transactions), "spid": (SqlType("smallint"), context.session),
            "version": (SqlType("nvarchar", 300), VERSION), "servername": (SqlType("nvarchar", 128), "sandbox"),
            "language": (SqlType("nvarchar", 128), "us_english"), "microsoftversion": (INT, 0x10000FA1),
            "max_precision": (SqlType("tinyint"), 38), "options": (INT, 5496), "rowcount": (INT, 0), "error": (INT, 0),
            "datefirst": (SqlType("tinyint"), 7),
        }  # fmt: skip
        if name.lower() not in known:
            raise SqlError(137, f'Must declare the scalar variable "@@{name}".', severity=15, state=2)
        return literal(*known[name.lower()])

    def _negated(self, node: exp.Expr, scope: Scope) -> Typed:
        value = self.value(node.this, scope)
        if family(value.kind) not in {"int", "decimal", "float"}:
            raise SqlError(8117, f"Operand data type {value.kind.name} is invalid for minus operator.")
        return replace(value, sql=f"(-{value.sql})")

    def _value_paren(self, node: exp.Expr, scope: Scope) -> Typed:
        value = self.value(node.this, scope)
        return replace(value, sql=f"({value.sql})")

    def _arithmetic(self, node: exp.Expr, scope: Scope) -> Typed:
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        sign = _OPERATORS[type(node)]
        kinds = {family(left.kind), family(right.kind)}
        if sign == "+" and kinds == {"text"}:
            kind = sqltypes.common(left.kind, right.kind)
            longest = MAX if kind.length == MAX else left.kind.length + right.kind.length
            return Typed(f"({left.sql} || {right.sql})", replace(kind, length=longest))
        if not kinds <= {"int", "decimal", "float"}:
            raise clash(str(left.kind), str(right.kind))
        return self._calculated(sign, left, right)

    def _calculated(self, sign: str, left: Typed, right: Typed) -> Typed:
        one, other = self.paired(left, right)
        kind = one.kind
        if sign in {"/", "%"}:
            if family(kind) == "decimal":
                raise unserved(f"{sign} on decimals")
            zero = "error('#8134#Divide by zero error encountered.')"
            divisor = f"CASE WHEN {other.sql} = 0 THEN {zero} ELSE {other.sql} END"
            operator = "//" if sign == "/" and family(kind) == "int" else sign
            return Typed(f"CAST(({one.sql} {operator} ({divisor})) AS {sqltypes.storage(kind)})", kind)
        if kind.name in sqltypes.DECIMALS:
            kind = _decimal_result(sign, left.kind, right.kind)
            one, other = replace(left, kind=kind), replace(right, kind=kind)
        return Typed(f"CAST(({one.sql} {sign} {other.sql}) AS {sqltypes.storage(kind)})", kind)

    def _cast(self, node: exp.Expr, scope: Scope) -> Typed:
        only(node, "this", "to", "safe")
        kind = declared(node.args["to"], default_length=30)
        return convert(self.value(node.this, scope), kind, attempt=isinstance(node, exp.TryCast))

    def _convert(self, node: exp.Expr, scope: Scope) -> Typed:
        only(node, "this", "expression", "style", "safe")
        style = node.args.get("style")
        if style is not None and not (isinstance(style, exp.Literal) and str(style.this).isdigit()):
            raise unserved("CONVERT with a computed style")
        value, kind = self.value(node.expression, scope), declared(node.this, default_length=30)
        return convert(value, kind, attempt=bool(node.args.get("safe")), style=int(style.this) if style else None)

    def _case(self, node: exp.Expr, scope: Scope) -> Typed:
        only(node, "this", "ifs", "default")
        conditions = []
        for branch in node.args["ifs"]:
            test = exp.EQ(this=node.this, expression=branch.this) if node.this else branch.this
            conditions.append(self.predicate(test, scope))
        results = [self.value(branch.args["true"], scope) for branch in node.args["ifs"]]
        default = node.args.get("default")
        results.append(self.value(default, scope) if default else Typed("NULL", INT, bare_null=True))
        return self._chosen(conditions, results)

    def _chosen(self, conditions: list[str], results: list[Typed]) -> Typed:
        kind = _common_kind(results)
        sql = [_as(result, kind).sql for result in results]
        branches = " ".join(f"WHEN {test} THEN {then}" for test, then in zip(conditions, sql[:-1], strict=True))
        return Typed(f"CASE {branches} ELSE {sql[-1]} END", kind, any(r.nullable or r.bare_null for r in results))

    def _if(self, node: exp.Expr, scope: Scope) -> Typed:
        results = [self.value(node.args[name], scope) for name in ("true", "false")]
        return self._chosen([self.predicate(node.this, scope)], results)

    def _coalesce(self, node: exp.Expr, scope: Scope) -> Typed:
        only(node, "this", "expressions", "is_null")
        values = [self.value(item, scope) for item in (node.this, *node.expressions)]
        # ISNULL takes the type of its first argument, COALESCE the highest of all.
        kind = values[0].kind if node.args.get("is_null") else _common_kind(values)
        sql = ", ".join(value.sql if value.kind == kind else convert(value, kind).sql for value in values)
        return Typed(f"coalesce({sql})", kind, all(value.nullable for value in values))

    def _nullif(self, node: exp.Expr, scope: Scope) -> Typed:
        value = self.value(node.this, scope)
        left, right = self.paired(value, self.value(node.expression, scope))
        return Typed(f"CASE WHEN {comparable(left)} = {comparable(right)} THEN NULL ELSE {value.sql} END", value.kind)

    def _aggregate(self, node: exp.Expr, scope: Scope) -> Typed:
        if scope.groups is None or scope.aggregating:
            raise SqlError(147, "An aggregate may not appear in this place.", severity=15)
        only(node, "this", "big_int")
        operand, distinct = node.this, False
        if isinstance(operand, exp.Distinct):
            if len(operand.expressions) != 1:
                raise syntax(",")
            operand, distinct = operand.expressions[0], True
        if isinstance(operand, exp.Star):
            return aggregate(type(node), None, distinct, big=bool(node.args.get("big_int")))
        scope.aggregating = True
        value = self.value(operand, scope)
        scope.aggregating = False
        return aggregate(type(node), value, distinct, big=bool(node.args.get("big_int")))

    def _scalar_query(self, node: exp.Expr, scope: Scope) -> Typed:
        query = self.query(node.this, scope)
        if len(query.columns) != 1:
            raise SqlError(116, "Only one expression can be specified in the select list when the subquery is not "
                                "introduced with EXISTS.")  # fmt: skip
        return Typed(f"({query.sql})", query.columns[0].kind)

    def _collate(self, node: exp.Expr, scope: Scope) -> Typed:
        value, name = self.value(node.this, scope), node.expression.name
        folded = name.upper()
        if not (folded.startswith(("LATIN1_GENERAL", "SQL_LATIN1_GENERAL")) and folded.endswith(("_BIN2", "_CI_AS"))):
            raise SqlError(448, f"Invalid collation '{name}'.")
        if family(value.kind) != "text":
            raise SqlError(447, f"Expression type {value.kind.name} is invalid for COLLATE clause.")
        return replace(value, kind=replace(value.kind, bytewise=folded.endswith("_BIN2")))

    def _zoned(self, node: exp.Expr, scope: Scope) -> Typed:
        return at_time_zone(self.value(node.this, scope), node.args["zone"])

    def _function(self, node: exp.Expr, scope: Scope) -> Typed:
        name = (str(node.this) if isinstance(node, exp.Anonymous) else type(node).__name__).upper()
        rule = FUNCTIONS.get(name)
        if rule is None:
            raise unserved(f"The function {name}")
        return rule(self.context, node, lambda inner: self.value(_bare(inner), scope))


VERSION: Final = (
    "Microsoft SQL Server 2022 (RTM) - 16.0.4219.0 (X64) \n\tstand-in of the sandbox, TDS 7.4 over DuckDB on Linux"
)


def _bare(node: exp.Expr) -> exp.Expr:
    """Without the casts that sqlglot wraps around arguments by itself."""
    wrapped = isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.TEXT
    inner: exp.Expr = node.this if wrapped or isinstance(node, exp.TimeStrToTime) else node
    return inner


def _padded(value: Typed) -> Typed:
    if value.kind.name in sqltypes.PADDED:
        return replace(value, sql=f"rpad({value.sql}, {value.kind.length}, ' ')")
    return value


def _as(value: Typed, kind: SqlType) -> Typed:
    if value.kind == kind and not value.bare_null:
        return value
    if family(value.kind) == family(kind) == "text":
        return replace(value, kind=kind)
    return convert(value, kind)


def _common_kind(values: list[Typed]) -> SqlType:
    typed = [value.kind for value in values if not value.bare_null]
    if not typed:
        raise SqlError(
            8133, "At least one of the result expressions must be an expression other than the NULL constant."
        )
    kind = typed[0]
    for other in typed[1:]:
        kind = sqltypes.common(kind, other)
    return kind


def _decimal_result(sign: str, left: SqlType, right: SqlType) -> SqlType:
    one, other = sqltypes.as_decimal(left), sqltypes.as_decimal(right)
    if sign == "*":
        return sqltypes.fitted(one.precision + other.precision + 1, one.scale + other.scale)
    scale = max(one.scale, other.scale)
    return sqltypes.fitted(max(one.precision - one.scale, other.precision - other.scale) + scale + 1, scale)


_TYPE_NAMES: Final = {
    "TIMESTAMPTZ": "datetimeoffset", "UUID": "uniqueidentifier", "UTINYINT": "tinyint", "TIMESTAMP": "datetime2",
    "BOOLEAN": "bit", "DOUBLE": "float", "TINYINT": "tinyint",
}  # fmt: skip


def declared(node: exp.Expr, *, default_length: int) -> SqlType:
    """The T-SQL type that a DataType node stands for."""
    if not isinstance(node, exp.DataType) or not isinstance(node.this, exp.DataType.Type):
        raise SqlError(243, f"Type {node.sql(dialect='tsql')} is not a defined system type.")
    name = _TYPE_NAMES.get(node.this.name, node.this.name.lower())
    numbers = [str(parameter.this.name).lower() for parameter in node.expressions]
    size = MAX if numbers and numbers[0] == "max" else int(numbers[0]) if numbers else None
    try:
        return sqltypes.build(name, size, int(numbers[1]) if len(numbers) > 1 else 0, default_length=default_length)
    except ValueError as error:
        raise SqlError(243, f"Type {name} is not a defined system type.") from error


Predicate = Callable[[Expressions, Any, Scope], str]
Value = Callable[[Expressions, Any, Scope], Typed]
_SIGNS: Final[dict[type, str]] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
}  # fmt: skip
_OPERATORS: Final[dict[type, str]] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
PREDICATES: Final[dict[type, Predicate]] = {
    exp.And: Expressions._and_or, exp.Or: Expressions._and_or, exp.Not: Expressions._not, exp.Paren: Expressions._paren,
    exp.EQ: Expressions._comparison, exp.NEQ: Expressions._comparison, exp.GT: Expressions._comparison,
    exp.GTE: Expressions._comparison, exp.LT: Expressions._comparison, exp.LTE: Expressions._comparison,
    exp.Is: Expressions._is, exp.Between: Expressions._between, exp.In: Expressions._in,
    exp.Exists: Expressions._exists, exp.Like: Expressions._like,
}  # fmt: skip
VALUES: Final[dict[type, Value]] = {
    exp.Column: Expressions._column, exp.Literal: Expressions._literal, exp.National: Expressions._national,
    exp.HexString: Expressions._hex, exp.Null: Expressions._null, exp.Parameter: Expressions._parameter,
    exp.Neg: Expressions._negated, exp.Paren: Expressions._value_paren, exp.Add: Expressions._arithmetic,
    exp.Sub: Expressions._arithmetic, exp.Mul: Expressions._arithmetic, exp.Div: Expressions._arithmetic,
    exp.Mod: Expressions._arithmetic, exp.Cast: Expressions._cast, exp.TryCast: Expressions._cast,
    exp.Convert: Expressions._convert, exp.Case: Expressions._case, exp.If: Expressions._if,
    exp.Coalesce: Expressions._coalesce, exp.Nullif: Expressions._nullif, exp.Count: Expressions._aggregate,
    exp.Sum: Expressions._aggregate,
    exp.Min: Expressions._aggregate, exp.Max: Expressions._aggregate, exp.Subquery: Expressions._scalar_query,
    exp.Collate: Expressions._collate, exp.AtTimeZone: Expressions._zoned,
    **dict.fromkeys(
        (exp.Anonymous, exp.Length, exp.Left, exp.Right, exp.Upper, exp.Lower, exp.Trim, exp.Substring, exp.Concat,
         exp.Abs, exp.DateAdd, exp.DateDiff, exp.CurrentTimestamp, exp.CurrentTimestampLTZ,
         exp.CurrentUser, exp.CurrentSchema, exp.ObjectId, exp.Year, exp.Month, exp.Day),
        Expressions._function,
    ),
}  # fmt: skip
