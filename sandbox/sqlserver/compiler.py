"""SELECT as DuckDB: sqlglot parses the T-SQL, every node is checked against what is served, typed and translated.

A node, argument or function without a rule here is refused; nothing is passed on in the hope that it means the same.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.catalogue import Database, Table, identifier
from sandbox.sqlserver.conversion import Typed, comparable, convert
from sandbox.sqlserver.errors import SqlError, cannot_open, syntax, unknown_object, unserved
from sandbox.sqlserver.expressions import Expressions, Query, only, output_name
from sandbox.sqlserver.lexer import Statement, check, is_word
from sandbox.sqlserver.scope import Context, Scope, Source, table_source
from sandbox.sqlserver.sqltypes import INT, SqlType
from sandbox.sqlserver.systemviews import VIEWS
from sandbox.sqlserver.words import word_set

HINTS: Final = word_set(
    """NOLOCK READUNCOMMITTED READCOMMITTED READCOMMITTEDLOCK REPEATABLEREAD SERIALIZABLE HOLDLOCK ROWLOCK PAGLOCK
    TABLOCK READPAST"""
)


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
        if is_word(token) and token.text.upper() == "REAL":
            text = text[: token.start - shift] + "float(24)" + text[token.end + 1 - shift :]
    return text


def _offender(error: SqlglotError) -> str:
    details: list[dict[str, Any]] = getattr(error, "errors", [])
    return str(details[0].get("highlight") or "?") if details else "?"


class Compiler(Expressions):
    """One statement's compilation."""

    def query(self, node: exp.Expr, outer: Scope, *, top: bool = False) -> Query:
        if isinstance(node, exp.Select):
            return self._select(node, outer, top)
        if isinstance(node, exp.Union):
            return self._union(node, outer, top)
        if isinstance(node, exp.Subquery) and not node.alias:
            only(node, "this")
            return self.query(node.this, outer, top=top)
        raise unserved(type(node).__name__)

    def _union(self, node: exp.Union, outer: Scope, top: bool) -> Query:
        only(node, "this", "expression", "distinct", "order", "with_")
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
        names = ", ".join(f"{c.sql} AS {output_name(c.name, place, top)}" for place, c in enumerate(columns))
        return Query(f"{prefix}SELECT {names} FROM ({' UNION ALL '.join(halves)}) AS u{order}", columns)

    @staticmethod
    def _aligned(half: Query, kinds: list[SqlType], alias: str) -> str:
        cells = []
        for place, (column, kind) in enumerate(zip(half.columns, kinds, strict=True)):
            value = replace(column, sql=f"{alias}.{output_name(column.name, place, top=False)}")
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
        only(clause, "expressions")
        parts = []
        for cte in clause.expressions:
            only(cte, "this", "alias")
            if cte.alias.lower() in scope.ctes:
                raise SqlError(239, f"Duplicate common table expression name '{cte.alias}' was specified.")
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
        only(
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
        shown = ", ".join(f"{c.sql} AS {output_name(c.name, place, top)}" for place, c in enumerate(columns))
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
        offset = node.args.get("offset")
        if (offset or isinstance(limit, exp.Fetch)) and not node.args.get("order"):
            raise syntax("OFFSET")
        if isinstance(limit, exp.Fetch) and not offset:
            raise SqlError(153, "Invalid usage of the option NEXT in the FETCH statement.", severity=15)
        if offset and isinstance(limit, exp.Limit):
            raise SqlError(10741, "A TOP can not be used in the same query or sub-query as a OFFSET.", severity=15)
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
        only(node, "this", "side", "kind", "on")
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
        only(node, "this", "db", "catalog", "alias", "hints", "joins")
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
        scope.add(table_source(table, alias, self.context.login))
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
        only(node, "this", "alias")
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
        aggregates = bool(node.args.get("having")) or any(_own_aggregates(part) for part in node.expressions)
        if clause is None:
            scope.groups = {} if aggregates else None
            return ""
        only(clause, "expressions")
        groups, keys = {}, []
        for item in clause.expressions:
            if item.find(exp.Column) is None:
                raise SqlError(164, "Each GROUP BY expression must contain at least one column.", severity=15)
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
            only(item)
            wanted = scope.sources
        elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            wanted = [source for source in scope.sources if source.alias.lower() == item.table.lower()]
        else:
            return []
        for source in wanted:
            for name in source.masked:
                source.find(name)
        found = [replace(value, name=name) for source in wanted for name, value in source.columns.items()]
        if not found:
            raise SqlError(107, f"The column prefix '{getattr(item, 'table', '')}' does not match with a table name.")
        return found

    def _distinct(self, node: exp.Select, columns: tuple[Typed, ...]) -> str:
        clause = node.args.get("distinct")
        if not clause:
            return ""
        only(clause)
        return f"DISTINCT ON ({', '.join(comparable(column) for column in columns)}) "

    def _order(self, node: exp.Select, columns: tuple[Typed, ...], scope: Scope, *, listed_only: bool) -> str:
        order = node.args.get("order")
        if not order:
            return ""
        only(order, "expressions")
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
        only(item, "this", "desc", "nulls_first")
        if value.kind.name == "uniqueidentifier":
            raise unserved("ORDER BY a uniqueidentifier (SQL Server sorts its bytes in an order of its own)")
        # NULL is the lowest value in SQL Server.
        return f"{comparable(value)} {'DESC NULLS LAST' if item.args.get('desc') else 'ASC NULLS FIRST'}"

    def _limit(self, node: exp.Select, scope: Scope) -> str:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        parts = []
        if limit:
            only(limit, "expression", "count", "direction", "limit_options")
            options = limit.args.get("limit_options")
            if options and (options.args.get("percent") or options.args.get("with_ties")):
                raise unserved("TOP PERCENT and WITH TIES")
            count = limit.args.get("expression") or limit.args.get("count")
            parts.append(f" LIMIT {convert(self.value(count, Scope()), sqltypes.BIGINT).sql}")
        if offset:
            only(offset, "expression")
            parts.append(f" OFFSET {convert(self.value(offset.expression, Scope()), sqltypes.BIGINT).sql}")
        return "".join(parts)


def _own_name(item: exp.Expr) -> str:
    return item.name if isinstance(item, exp.Column) else ""


def _own_aggregates(node: exp.Expr) -> bool:
    """Whether the expression aggregates in its own SELECT; a subquery's aggregates are the subquery's."""
    if isinstance(node, (exp.Select, exp.Union)):
        return False
    if isinstance(node, exp.AggFunc):
        return True
    return any(_own_aggregates(child) for child in node.iter_expressions())
