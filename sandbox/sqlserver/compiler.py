"""SELECT as DuckDB: sqlglot parses the T-SQL, every node is checked against what is served, typed and translated.

A node, argument or function without a rule here is refused; nothing is passed on in the hope that it means the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.catalogue import Database, Table, identifier
from sandbox.sqlserver.conversion import Typed, comparable, convert, family, literal, quoted
from sandbox.sqlserver.errors import SqlError, cannot_open, clash, syntax, unknown_object, unserved
from sandbox.sqlserver.functions import FUNCTIONS, aggregate
from sandbox.sqlserver.lexer import Statement, check
from sandbox.sqlserver.scope import Context, Scope, Source, table_source
from sandbox.sqlserver.sqltypes import INT, MAX, SqlType
from sandbox.sqlserver.systemviews import VIEWS
from sandbox.sqlserver.words import word_set
from sandbox.sqlserver.zones import at_time_zone

HINTS: Final = word_set(
    """NOLOCK READUNCOMMITTED READCOMMITTED READCOMMITTEDLOCK REPEATABLEREAD SERIALIZABLE HOLDLOCK ROWLOCK PAGLOCK
    TABLOCK READPAST"""
)


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled SELECT: DuckDB text whose columns are those listed, in order."""

    sql: str
    columns: tuple[Typed, ...]


def compile_select(statement: Statement, context: Context) -> Query:
    """Raises SqlError as SQL Server would, or 40515 for what is not served."""
    check(statement.tokens)
    try:
        # sqlglot has one type for REAL and FLOAT; float(24) is REAL's other name.
        tree = sqlglot.parse_one(_real_as_float(statement), dialect="tsql")
    except SqlglotError as error:
        raise syntax(_offender(error)) from error
    return Compiler(context).query(tree, Scope(), top=True)


def _real_as_float(statement: Statement) -> str:
    text, shift = statement.text, statement.tokens[0].start
    for token in reversed(statement.tokens):
        if token.text.upper() == "REAL" and text[token.start - shift] != "[":
            text = text[: token.start - shift] + "float(24)" + text[token.end + 1 - shift :]
    return text


def _offender(error: SqlglotError) -> str:
    details: list[dict[str, Any]] = getattr(error, "errors", [])
    return str(details[0].get("highlight") or "?") if details else "?"


def _only(node: exp.Expr, *served: str) -> None:
    for name, value in node.args.items():
        if value and name not in served:
            raise unserved(f"{name.strip('_').upper()} on {type(node).__name__}")


class Compiler:
    """One statement's compilation."""

    def __init__(self, context: Context) -> None:
        self.context = context

    # -- queries --

    def query(self, node: exp.Expr, outer: Scope, *, top: bool = False) -> Query:
        if isinstance(node, exp.Select):
            return self._select(node, outer, top)
        if isinstance(node, exp.Union):
            return self._union(node, outer, top)
        if isinstance(node, exp.Subquery) and not node.alias:
            _only(node, "this")
            return self.query(node.this, outer, top=top)
        raise unserved(type(node).__name__)

    def _union(self, node: exp.Union, outer: Scope, top: bool) -> Query:
        _only(node, "this", "expression", "distinct", "order", "with_")
        if node.args.get("distinct"):
            raise unserved("UNION without ALL")
        scope = Scope(parent=outer)
        prefix = self._ctes(node, scope)
        left, right = self.query(node.this, scope), self.query(node.expression, scope)
        if len(left.columns) != len(right.columns):
            raise SqlError(205, "All queries combined using a UNION operator must have an equal number of expressions.")
        pairs = zip(left.columns, right.columns, strict=True)
        kinds = [sqltypes.common(one.kind, other.kind) for one, other in pairs]
        halves = [self._aligned(half, kinds, alias) for half, alias in ((left, "l"), (right, "r"))]
        columns = tuple(
            Typed(f"u.c{place}", kind, one.nullable or other.nullable, one.name)
            for place, (kind, one, other) in enumerate(zip(kinds, left.columns, right.columns, strict=True))
        )
        order = self._union_order(node, columns)
        names = ", ".join(f"{c.sql} AS {_output(c.name, place, top)}" for place, c in enumerate(columns))
        return Query(f"{prefix}SELECT {names} FROM ({' UNION ALL '.join(halves)}) AS u{order}", columns)

    @staticmethod
    def _aligned(half: Query, kinds: list[SqlType], alias: str) -> str:
        cells = []
        for place, (column, kind) in enumerate(zip(half.columns, kinds, strict=True)):
            value = replace(column, sql=f"{alias}.{_output(column.name, place, top=False)}")
            cells.append(f"{convert(value, kind).sql} AS c{place}")
        return f"SELECT {', '.join(cells)} FROM ({half.sql}) AS {alias}"

    def _union_order(self, node: exp.Union, columns: tuple[Typed, ...]) -> str:
        order = node.args.get("order")
        if not order:
            return ""
        keys = []
        for item in order.expressions:
            chosen = self._select_item(item.this, columns)
            if chosen is None:
                raise SqlError(104, "ORDER BY items must appear in the select list if the statement contains a UNION.")
            keys.append(self._order_key(item, chosen))
        return f" ORDER BY {', '.join(keys)}"

    def _ctes(self, node: exp.Expr, scope: Scope) -> str:
        clause = node.args.get("with_")
        if not clause:
            return ""
        _only(clause, "expressions")
        parts = []
        for cte in clause.expressions:
            _only(cte, "this", "alias")
            inner = self.query(cte.this, scope)
            columns = self._exposed(inner, cte.alias)
            scope.ctes[cte.alias.lower()] = Source(cte.alias, columns)
            parts.append(f"{identifier(cte.alias)} AS ({inner.sql})")
        return f"WITH {', '.join(parts)} "

    def _exposed(self, inner: Query, alias: str) -> dict[str, Typed]:
        """A derived table's columns under its alias: all named, all different."""
        columns: dict[str, Typed] = {}
        for place, column in enumerate(inner.columns, start=1):
            if not column.name:
                raise SqlError(8155, f"No column name was specified for column {place} of '{alias}'.")
            if column.name.lower() in {name.lower() for name in columns}:
                raise SqlError(8156, f"The column '{column.name}' was specified multiple times for '{alias}'.")
            columns[column.name] = replace(column, sql=f"{identifier(alias)}.{identifier(column.name)}")
        return columns

    def _select(self, node: exp.Select, outer: Scope, top: bool) -> Query:
        _only(
            node, "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct",
            "with_", "options",
        )  # fmt: skip
        scope = Scope(parent=outer)
        prefix = self._ctes(node, scope)
        source = self._from(node, scope)
        where = self._clause(node, "where", "WHERE", scope)
        group = self._group(node, scope)
        columns = self._projection(node, scope)
        having = self._clause(node, "having", "HAVING", scope)
        distinct = self._distinct(node, columns)
        self._check_order(node, top)
        order, limit = self._order(node, columns, scope, listed_only=bool(distinct)), self._limit(node, scope)
        shown = ", ".join(f"{c.sql} AS {_output(c.name, place, top)}" for place, c in enumerate(columns))
        return Query(f"{prefix}SELECT {distinct}{shown}{source}{where}{group}{having}{order}{limit}", columns)

    def _check_order(self, node: exp.Select, top: bool) -> None:
        limit = node.args.get("limit")
        if node.args.get("order") and not top and not limit:
            raise SqlError(
                1033,
                "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common "
                "table expressions, unless TOP, OFFSET or FOR XML is also specified.",
                severity=15,
            )
        if (node.args.get("offset") or isinstance(limit, exp.Fetch)) and not node.args.get("order"):
            raise syntax("OFFSET")
        for option in node.args.get("options") or []:
            if str(option.this).upper() not in {"RECOMPILE"}:
                raise unserved(f"OPTION ({option.this})")

    def _clause(self, node: exp.Select, name: str, keyword: str, scope: Scope) -> str:
        clause = node.args.get(name)
        return f" {keyword} {self.predicate(clause.this, scope)}" if clause else ""

    # -- FROM --

    def _from(self, node: exp.Select, scope: Scope) -> str:
        clause = node.args.get("from_")
        if not clause:
            return ""
        parts = [f" FROM {self._relation(clause.this, scope)}"]
        for join in node.args.get("joins") or []:
            parts.append(self._join(join, scope))
        return "".join(parts)

    def _join(self, node: exp.Join, scope: Scope) -> str:
        _only(node, "this", "side", "kind", "on")
        side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
        if side not in {"", "LEFT"} or kind not in {"", "INNER", "OUTER", "CROSS"}:
            raise unserved(f"{side} {kind} JOIN".strip())
        relation = self._relation(node.this, scope)
        if side == "LEFT":
            source = scope.sources[-1]
            source.columns = {name: replace(value, nullable=True) for name, value in source.columns.items()}
        condition = node.args.get("on")
        if condition is None and kind in {"", "CROSS"} and not side:
            return f" CROSS JOIN {relation}"
        if condition is None or kind == "CROSS":
            raise syntax("JOIN")
        return f" {side} JOIN {relation} ON {self.predicate(condition, scope)}"

    def _relation(self, node: exp.Expr, scope: Scope) -> str:
        if isinstance(node, exp.Subquery):
            return self._derived(node, scope)
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise unserved(f"{type(node).__name__} in FROM")
        _only(node, "this", "db", "catalog", "alias", "hints", "joins")
        self._hints(node)
        alias = node.alias or node.name
        sql = self._named(node, alias, scope)
        joined = "".join(self._join(join, scope) for join in node.args.get("joins") or [])
        return f"{sql} AS {identifier(alias)}{joined}"

    def _named(self, node: exp.Table, alias: str, scope: Scope) -> str:
        cte = None if node.db else scope.cte(node.name)
        if cte is not None:
            prefix = identifier(alias)
            named = {n: replace(v, sql=f"{prefix}.{identifier(n)}") for n, v in cte.columns.items()}
            scope.add(Source(alias, named))
            return identifier(cte.alias)
        view = VIEWS.get(f"{node.db}.{node.name}".lower())
        if view is not None:
            columns = {n: Typed(f"{identifier(alias)}.{identifier(n)}", k, null, n) for n, k, null in view.columns}
            scope.add(Source(alias, columns))
            return self._view(node.catalog, view.relation)
        table = self.table(node.name, node.db, node.catalog)
        self.context.touched.append(table)
        scope.add(table_source(table, alias))
        return table.qualified

    def _view(self, catalog: str, relation: Callable[..., str]) -> str:
        name = catalog or self.context.database
        database = self.context.catalogue.database(name)
        if database is None and name.lower() == "master":
            database = Database("master", 1)
        if database is None or not self.context.may_open(name):
            raise cannot_open(name)
        return relation(self.context.catalogue, database)

    def table(self, name: str, schema: str, catalog: str) -> Table:
        """The table of that name; 208, or 916 for a database that is closed to this login."""
        database = catalog or self.context.database
        said = ".".join(part for part in (catalog, schema, name) if part)
        if catalog and self.context.catalogue.database(catalog) and not self.context.may_open(catalog):
            who = f'The server principal "{self.context.login}" is not able to access the database "{catalog}"'
            raise SqlError(916, f"{who} under the current security context.", severity=14)
        table = self.context.catalogue.table(database, schema or "dbo", name)
        if table is None:
            raise unknown_object(said)
        return table

    @staticmethod
    def _hints(node: exp.Table) -> None:
        for hint in node.args.get("hints") or []:
            names = hint.expressions if isinstance(hint, exp.WithTableHint) else [hint]
            for name in names:
                if str(name.name).upper() not in HINTS:
                    raise SqlError(321, f'"{name.name}" is not a recognized table hints option.', severity=15)

    def _derived(self, node: exp.Subquery, scope: Scope) -> str:
        _only(node, "this", "alias")
        if not node.alias:
            raise syntax(")")
        if node.args["alias"].args.get("columns"):
            raise unserved("a column list after a derived table's alias")
        # A derived table sees the outer query's CTEs but none of its neighbours in FROM.
        inner = self.query(node.this, Scope(parent=scope.parent, ctes=scope.ctes))
        scope.add(Source(node.alias, self._exposed(inner, node.alias)))
        return f"({inner.sql}) AS {identifier(node.alias)}"

    # -- GROUP BY, the select list, DISTINCT, ORDER BY, TOP --

    def _group(self, node: exp.Select, scope: Scope) -> str:
        clause = node.args.get("group")
        aggregates = any(_own_aggregates(part) for part in (*node.expressions, node.args.get("having")) if part)
        if clause is None:
            scope.groups = {} if aggregates else None
            return ""
        _only(clause, "expressions")
        groups, keys = {}, []
        for item in clause.expressions:
            value = self.value(item, scope)
            key = comparable(value)
            # Values that T-SQL finds equal ('EUR', 'eur ') fall into one group, shown by one of them.
            shown = value.sql if key == value.sql else f"min({value.sql})"
            groups[value.sql] = replace(value, sql=shown)
            keys.append(key)
        scope.groups = groups
        return f" GROUP BY {', '.join(keys)}"

    def _projection(self, node: exp.Select, scope: Scope) -> tuple[Typed, ...]:
        columns: list[Typed] = []
        for item in node.expressions:
            columns += self._starred(item, scope) or [self._item(item, scope)]
        for column in columns:
            if column.kind.name == "sql_variant":
                raise unserved("a sql_variant column in a result (CAST it)")
        return tuple(columns)

    def _item(self, item: exp.Expr, scope: Scope) -> Typed:
        value = self.value(item.unalias(), scope)
        if value.bare_null:
            value = convert(value, INT)
        return replace(value, name=item.alias if isinstance(item, exp.Alias) else _own_name(item))

    @staticmethod
    def _starred(item: exp.Expr, scope: Scope) -> list[Typed]:
        if isinstance(item, exp.Star):
            _only(item)
            wanted = scope.sources
        elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            wanted = [source for source in scope.sources if source.alias.lower() == item.table.lower()]
        else:
            return []
        found = [replace(value, name=name) for source in wanted for name, value in source.columns.items()]
        if not found:
            raise SqlError(107, f"The column prefix '{getattr(item, 'table', '')}' does not match with a table name.")
        return found

    def _distinct(self, node: exp.Select, columns: tuple[Typed, ...]) -> str:
        clause = node.args.get("distinct")
        if not clause:
            return ""
        _only(clause)
        return f"DISTINCT ON ({', '.join(comparable(column) for column in columns)}) "

    def _order(self, node: exp.Select, columns: tuple[Typed, ...], scope: Scope, *, listed_only: bool) -> str:
        order = node.args.get("order")
        if not order:
            return ""
        _only(order, "expressions")
        keys = []
        for item in order.expressions:
            chosen = self._select_item(item.this, columns) or self.value(item.this, scope)
            if listed_only and all(chosen.sql != column.sql for column in columns):
                raise SqlError(145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.")
            keys.append(self._order_key(item, chosen))
        return f" ORDER BY {', '.join(keys)}"

    @staticmethod
    def _select_item(node: exp.Expr, columns: tuple[Typed, ...]) -> Typed | None:
        """The select-list entry that an ORDER BY item names by alias or by number."""
        if isinstance(node, exp.Literal) and not node.is_string:
            place = int(node.this) if node.this.isdigit() else 0
            if not 1 <= place <= len(columns):
                raise SqlError(108, f"The ORDER BY position number {node.this} is out of range of the select list.")
            return columns[place - 1]
        if isinstance(node, exp.Column) and not node.table:
            return next((column for column in columns if column.name.lower() == node.name.lower()), None)
        return None

    @staticmethod
    def _order_key(item: exp.Ordered, value: Typed) -> str:
        _only(item, "this", "desc", "nulls_first")
        if value.kind.name == "uniqueidentifier":
            raise unserved("ORDER BY a uniqueidentifier (SQL Server sorts its bytes in an order of its own)")
        # NULL is the lowest value in SQL Server.
        return f"{comparable(value)} {'DESC NULLS LAST' if item.args.get('desc') else 'ASC NULLS FIRST'}"

    def _limit(self, node: exp.Select, scope: Scope) -> str:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        parts = []
        if limit:
            _only(limit, "expression", "count", "direction", "limit_options")
            options = limit.args.get("limit_options")
            if options and (options.args.get("percent") or options.args.get("with_ties")):
                raise unserved("TOP PERCENT and WITH TIES")
            count = limit.args.get("expression") or limit.args.get("count")
            parts.append(f" LIMIT {convert(self.value(count, Scope()), sqltypes.BIGINT).sql}")
        if offset:
            _only(offset, "expression")
            parts.append(f" OFFSET {convert(self.value(offset.expression, Scope()), sqltypes.BIGINT).sql}")
        return "".join(parts)

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
        _only(node, "this", "low", "high")
        value = self.value(node.this, scope)
        low_value, low = self.paired(value, self.value(node.args["low"], scope))
        high_value, high = self.paired(value, self.value(node.args["high"], scope))
        above = f"{comparable(low_value)} >= {comparable(low)}"
        return f"({above} AND {comparable(high_value)} <= {comparable(high)})"

    def _in(self, node: exp.Expr, scope: Scope) -> str:
        _only(node, "this", "expressions", "query")
        value, inner = self.value(node.this, scope), node.args.get("query")
        if inner:
            query = self.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
            if len(query.columns) != 1:
                raise SqlError(116, "Only one expression can be specified in the select list when the subquery is not "
                                    "introduced with EXISTS.")  # fmt: skip
            column = replace(query.columns[0], sql=f"i.{_output(query.columns[0].name, 0, top=False)}")
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
        _only(node, "this", "table", "db", "catalog")
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
        _only(node, "this", "to", "safe")
        kind = declared(node.args["to"], default_length=30)
        return convert(self.value(node.this, scope), kind, attempt=isinstance(node, exp.TryCast))

    def _convert(self, node: exp.Expr, scope: Scope) -> Typed:
        _only(node, "this", "expression", "style", "safe")
        style = node.args.get("style")
        if style is not None and not (isinstance(style, exp.Literal) and str(style.this).isdigit()):
            raise unserved("CONVERT with a computed style")
        value, kind = self.value(node.expression, scope), declared(node.this, default_length=30)
        return convert(value, kind, attempt=bool(node.args.get("safe")), style=int(style.this) if style else None)

    def _case(self, node: exp.Expr, scope: Scope) -> Typed:
        _only(node, "this", "ifs", "default")
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
        _only(node, "this", "expressions", "is_null")
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
        _only(node, "this", "big_int")
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


def _own_name(item: exp.Expr) -> str:
    return item.name if isinstance(item, exp.Column) else ""


def _output(name: str, place: int, top: bool) -> str:
    return f"c{place}" if top or not name else identifier(name)


def _own_aggregates(node: exp.Expr) -> bool:
    """Whether the expression aggregates in its own SELECT; a subquery's aggregates are the subquery's."""
    if isinstance(node, (exp.Select, exp.Union)):
        return False
    if isinstance(node, exp.AggFunc):
        return True
    return any(_own_aggregates(child) for child in node.iter_expressions())


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


_SIGNS: Final[dict[type, str]] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
}  # fmt: skip
_OPERATORS: Final[dict[type, str]] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
PREDICATES: Final[dict[type, Callable[[Compiler, Any, Scope], str]]] = {
    exp.And: Compiler._and_or, exp.Or: Compiler._and_or, exp.Not: Compiler._not, exp.Paren: Compiler._paren,
    exp.EQ: Compiler._comparison, exp.NEQ: Compiler._comparison, exp.GT: Compiler._comparison,
    exp.GTE: Compiler._comparison, exp.LT: Compiler._comparison, exp.LTE: Compiler._comparison, exp.Is: Compiler._is,
    exp.Between: Compiler._between, exp.In: Compiler._in, exp.Exists: Compiler._exists, exp.Like: Compiler._like,
}  # fmt: skip
VALUES: Final[dict[type, Callable[[Compiler, Any, Scope], Typed]]] = {
    exp.Column: Compiler._column, exp.Literal: Compiler._literal, exp.National: Compiler._national,
    exp.HexString: Compiler._hex, exp.Null: Compiler._null, exp.Parameter: Compiler._parameter,
    exp.Neg: Compiler._negated, exp.Paren: Compiler._value_paren, exp.Add: Compiler._arithmetic,
    exp.Sub: Compiler._arithmetic, exp.Mul: Compiler._arithmetic, exp.Div: Compiler._arithmetic,
    exp.Mod: Compiler._arithmetic, exp.Cast: Compiler._cast, exp.TryCast: Compiler._cast,
    exp.Convert: Compiler._convert, exp.Case: Compiler._case, exp.If: Compiler._if, exp.Coalesce: Compiler._coalesce,
    exp.Nullif: Compiler._nullif, exp.Count: Compiler._aggregate, exp.Sum: Compiler._aggregate,
    exp.Min: Compiler._aggregate, exp.Max: Compiler._aggregate, exp.Subquery: Compiler._scalar_query,
    exp.Collate: Compiler._collate, exp.AtTimeZone: Compiler._zoned,
    **dict.fromkeys(
        (exp.Anonymous, exp.Length, exp.Left, exp.Right, exp.Upper, exp.Lower, exp.Trim, exp.Substring, exp.Concat,
         exp.Abs, exp.DateAdd, exp.DateDiff, exp.CurrentTimestamp, exp.CurrentTimestampLTZ,
         exp.CurrentUser, exp.CurrentSchema, exp.ObjectId, exp.Year, exp.Month, exp.Day),
        Compiler._function,
    ),
}  # fmt: skip
