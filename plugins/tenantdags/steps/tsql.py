"""The text of every T-SQL statement the product sends. Pure: a plan and a window in, Statements out.

SQL Server 2019+ and Azure SQL Database. Each text stands in tests/golden/tsql beside the vendor's page that allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tenantdags.model.contract import Column
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType
from tenantdags.model.window import Window

SOURCE_TENANT = "_source_tenant"
WINDOW_AT = "_window_at"

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"
READ_COMMITTED = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
BEGIN = "BEGIN TRANSACTION"
COMMIT = "COMMIT TRANSACTION"

# Types whose driver form is inexact or missing leave the server in one that every driver carries as it is.
_SENT_AS = {
    "money": "decimal(19,4)", "smallmoney": "decimal(10,4)",
    "datetime": "datetime2(3)", "smalldatetime": "datetime2(0)",
    "xml": "nvarchar(max)", "text": "nvarchar(max)", "ntext": "nvarchar(max)", "image": "varbinary(max)",
    "uniqueidentifier": "char(36)",
}  # fmt: skip
_SUMMED_AS = {
    "tinyint": "decimal(38,0)", "smallint": "decimal(38,0)", "int": "decimal(38,0)", "bigint": "decimal(38,0)",
    "money": "decimal(38,4)", "smallmoney": "decimal(38,4)",
}  # fmt: skip
_BINARY_ORDER = "COLLATE Latin1_General_100_BIN2"


@dataclass(frozen=True, slots=True)
class Statement:
    """`parameters` fill the markers in order: `?` for mssql-python, `%s` in the catalogue's, which pymssql runs."""

    text: str
    parameters: tuple[object, ...] = ()


def quote(identifier: str) -> str:
    """`[name]`, a closing bracket doubled. Raises ValueError for what SQL Server would not take as a name."""
    if not 1 <= len(identifier) <= 128 or any(ord(c) < 32 for c in identifier):
        raise ValueError(f"{identifier!r} is no SQL Server identifier: 1 to 128 printable characters")
    return "[" + identifier.replace("]", "]]") + "]"


def selected_columns(plan: TablePlan) -> tuple[Column, ...]:
    """What the SELECT names: every loaded column, and a dropped one only when a rule on it needs its values."""
    examined = {name for check in plan.checks if check.before_hashing for name in check.columns}
    return tuple(c for c in plan.contract.columns if c.loaded or c.name in examined)


def finer_than_microseconds(plan: TablePlan) -> tuple[Column, ...]:
    """Loaded clocks with a seventh fractional digit, which a TIMESTAMP of microseconds cannot hold."""
    clocks = ("datetime2", "datetimeoffset")
    return tuple(c for c in plan.contract.loaded_columns if c.type.name in clocks and c.type.scale == 7)


def select_rows(plan: TablePlan, window: Window, tenant_type: SqlType | None) -> Statement:
    """The window's rows, one result column per contract column and the source's own word for whose row it is."""
    items = [f"{_sent(c)} AS {quote(c.name)}" for c in selected_columns(plan)]
    return _select([*items, f"{_source_tenant(plan)} AS {quote(SOURCE_TENANT)}"], plan, (window,), tenant_type)


def select_range(plan: TablePlan, windows: Sequence[Window], tenant_type: SqlType | None) -> Statement:
    """The rows of windows that follow each other, in their order: `select_rows` and what tells a row's window.

    In one pass over the source, and ordered by the window column, so that who splits them holds one window at a time. A
    child has its parent's: of parents that were doubled the first; a window that then lacks a child does not reconcile.
    """
    items = [f"{_sent(c)} AS {quote(c.name)}" for c in selected_columns(plan)]
    own, given = _window_at(plan, windows)
    items += [f"{_source_tenant(plan)} AS {quote(SOURCE_TENANT)}", f"{own} AS {quote(WINDOW_AT)}"]
    found = _select(items, plan, windows, tenant_type)
    return Statement(f"{found.text}\nORDER BY {quote(WINDOW_AT)}", (*given, *found.parameters))


def control_totals(plan: TablePlan, window: Window, tenant_type: SqlType | None) -> Statement:
    """One row: what `recount` counts, then the rows too fine of each too fine column."""
    return _select([*_counted(plan), *_fine(plan)], plan, (window,), tenant_type)


def totals_of(plan: TablePlan, windows: Sequence[Window], tenant_type: SqlType | None) -> Statement:
    """`control_totals` of each window, its place in `windows` before them; shaped as `recount`."""
    return _per_window([*_counted(plan), *_fine(plan)], plan, windows, tenant_type)


def recount(plan: TablePlan, windows: Sequence[Window], tenant_type: SqlType | None) -> Statement:
    """A row per window: its place in `windows`, COUNT_BIG, each sum of `summed_columns`, the newest change.

    In the words of the totals, one branch per window: each seeks its window's rows only, and a window that has none
    left still answers. SQL Server takes 2,100 parameters, so up to 700 windows.
    """
    return _per_window(_counted(plan), plan, windows, tenant_type)


def grouped_totals(plan: TablePlan, window: Window, tenant_type: SqlType | None, by: tuple[str, ...]) -> Statement:
    """One row per group: the values of `by`, then the sum of each column reconciled by exactly these columns.

    Text groups compare byte by byte, as they do downstream; the source's collation might merge 'EUR' and 'eur'.
    """
    items, groups = _grouped(plan, by)
    return _select(items, plan, (window,), tenant_type, group_by=groups)


def grouped_totals_of(
    plan: TablePlan, windows: Sequence[Window], tenant_type: SqlType | None, by: tuple[str, ...]
) -> Statement:
    """`grouped_totals` of each window, its place in `windows` before them; shaped as `recount`."""
    items, groups = _grouped(plan, by)
    return _per_window(items, plan, windows, tenant_type, group_by=groups)


def changed_column(plan: TablePlan) -> Column | None:
    """The column whose newest value tells that rows were changed. Of events only: a snapshot's window does not age."""
    changed = plan.contract.window.changed if plan.contract.mode == "event" else None
    return next((c for c in plan.contract.columns if c.source_name == changed), None)


def summed_columns(plan: TablePlan) -> tuple[Column, ...]:
    """Measures and whatever a reconcile rule without `by` names, in contract order."""
    wanted = {*plan.contract.measures, *(c.name for c in reconciled_by(plan, ()))}
    return tuple(c for c in plan.contract.columns if c.name in wanted)


def groupings(plan: TablePlan) -> tuple[tuple[str, ...], ...]:
    """The distinct `by` columns of the reconcile rules, without the empty one."""
    return tuple(sorted({by for by, _ in _reconciled(plan) if by}))


def reconciled_by(plan: TablePlan, by: tuple[str, ...]) -> tuple[Column, ...]:
    wanted = {column for found, column in _reconciled(plan) if found == by}
    return tuple(c for c in plan.contract.columns if c.name in wanted)


def catalogue_columns(plan: TablePlan) -> Statement:
    """What drift.found_columns reads, of the source and the parent table, each table's columns in their order.

    Joined on system_type_id, so that an alias type shows its base type; CLR types have none and show NULL. A view has
    no temporal_type. The server shows a login only what it has some permission on. UNMASK is a right on the database,
    and since SQL Server 2022 on a table or column as well: a server that does not know that answers NULL.
    """
    parent = plan.contract.window.parent
    return columns_of(plan.source.schema, *sorted({plan.source.table, parent.table if parent else plan.source.table}))


def columns_of(schema: str, *tables: str) -> Statement:
    text = f"""\
SELECT
    o.name AS table_name,
    c.name AS column_name,
    t.name AS type_name,
    c.max_length,
    c.precision,
    c.scale,
    c.is_nullable,
    c.collation_name,
    c.is_identity,
    c.is_computed,
    c.generated_always_type,
    b.temporal_type,
    CASE
        WHEN c.is_masked = 0 THEN 0
        WHEN HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK') = 1 THEN 0
        WHEN HAS_PERMS_BY_NAME(QUOTENAME(s.name) + '.' + QUOTENAME(o.name), 'OBJECT', 'UNMASK', c.name, 'COLUMN') = 1
            THEN 0
        ELSE 1
    END AS shows_masks
FROM sys.columns AS c
INNER JOIN sys.objects AS o ON o.object_id = c.object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN sys.tables AS b ON b.object_id = o.object_id
LEFT JOIN sys.types AS t ON t.user_type_id = c.system_type_id
WHERE s.name = %s
  AND o.name IN ({", ".join("%s" for _ in tables)})
  AND o.type IN ('U', 'V')
ORDER BY o.name, c.column_id"""
    return Statement(text, (schema, *tables))


def tables_of(schema: str) -> Statement:
    """(name, U or V) of every table and view that the login may see."""
    text = """\
SELECT
    o.name,
    o.type
FROM sys.objects AS o
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE s.name = %s
  AND o.type IN ('U', 'V')
ORDER BY o.name"""
    return Statement(text, (schema,))


def keys_of(schema: str, table: str) -> Statement:
    """(index, is_primary_key, is_unique, column) of the enabled indexes over all rows, in the order of their keys."""
    text = """\
SELECT
    i.name AS index_name,
    i.is_primary_key,
    i.is_unique,
    c.name AS column_name
FROM sys.indexes AS i
INNER JOIN sys.objects AS o ON o.object_id = i.object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
INNER JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id
INNER JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE s.name = %s
  AND o.name = %s
  AND i.type IN (1, 2, 7)
  AND i.is_disabled = 0
  AND i.has_filter = 0
  AND x.key_ordinal > 0
ORDER BY i.index_id, x.key_ordinal"""
    return Statement(text, (schema, table))


def foreign_keys_of(schema: str, table: str) -> Statement:
    """(constraint, column, schema, table, column referred to, is_not_trusted); NULL for what the login may not see."""
    text = """\
SELECT
    f.name AS constraint_name,
    c.name AS column_name,
    rs.name AS referenced_schema,
    r.name AS referenced_table,
    rc.name AS referenced_column,
    f.is_not_trusted
FROM sys.foreign_keys AS f
INNER JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id
INNER JOIN sys.objects AS o ON o.object_id = f.parent_object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
INNER JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
LEFT JOIN sys.objects AS r ON r.object_id = f.referenced_object_id
LEFT JOIN sys.schemas AS rs ON rs.schema_id = r.schema_id
LEFT JOIN sys.columns AS rc ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id
WHERE s.name = %s
  AND o.name = %s
  AND f.is_disabled = 0
ORDER BY f.name, k.constraint_column_id"""
    return Statement(text, (schema, table))


def computed_of(schema: str, table: str) -> Statement:
    """(column, is_persisted) of the computed columns. What they compute is seen with VIEW DEFINITION only."""
    text = """\
SELECT
    c.name AS column_name,
    c.is_persisted
FROM sys.computed_columns AS c
INNER JOIN sys.objects AS o ON o.object_id = c.object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE s.name = %s
  AND o.name = %s
ORDER BY c.column_id"""
    return Statement(text, (schema, table))


def snapshot_state() -> Statement:
    """(database, its snapshot isolation: ON, OFF or in transition, its collation) of the connection's database."""
    text = """\
SELECT
    d.name AS database_name,
    d.snapshot_isolation_state_desc,
    d.collation_name
FROM sys.databases AS d
WHERE d.name = DB_NAME()"""
    return Statement(text)


def indexed_columns(plan: TablePlan, table: str) -> Statement:
    """(index, key column) of the enabled row-store indexes of a table, each index's columns in key order."""
    text = """\
SELECT
    i.name AS index_name,
    c.name AS column_name
FROM sys.indexes AS i
INNER JOIN sys.objects AS o ON o.object_id = i.object_id
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
INNER JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id
INNER JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE s.name = %s
  AND o.name = %s
  AND i.type IN (1, 2)
  AND i.is_disabled = 0
  AND x.key_ordinal > 0
ORDER BY i.index_id, x.key_ordinal"""
    return Statement(text, (plan.source.schema, table))


def no_rows(plan: TablePlan) -> Statement:
    """Fails where the login may not read a column that extract reads, and reads none."""
    listed = ",\n".join(f"    t.{quote(column.source_name)}" for column in selected_columns(plan))
    return Statement(f"SELECT TOP (0)\n{listed}\nFROM {_table(plan, plan.source.table)} AS t")


def window_bounds(plan: TablePlan, window: Window) -> tuple[object, object]:
    """`[from, to)` as the window column shows them: dates, naive UTC for offsets, else naive in source.time_zone."""
    column_type = plan.contract.window.column_type
    if column_type is None:
        raise ValueError(f"{plan.at(window)}: a snapshot has no window column")
    if column_type.name == "date":
        return window.as_of_date, window.as_of_date + timedelta(days=1)
    return window.bounds_in("UTC" if column_type.name == "datetimeoffset" else plan.source.time_zone)


def _per_window(
    items: Iterable[str],
    plan: TablePlan,
    windows: Sequence[Window],
    tenant_type: SqlType | None,
    group_by: Iterable[str] = (),
) -> Statement:
    """One branch per window, each led by the window's place."""
    listed, groups = list(items), list(group_by)
    branches = [_select([f"{i} AS [window]", *listed], plan, (w,), tenant_type, groups) for i, w in enumerate(windows)]
    text = "\nUNION ALL\n".join(branch.text for branch in branches)
    return Statement(text, tuple(value for branch in branches for value in branch.parameters))


def _select(
    items: Iterable[str],
    plan: TablePlan,
    windows: Sequence[Window],
    tenant_type: SqlType | None,
    group_by: Iterable[str] = (),
) -> Statement:
    """Over windows that follow each other."""
    listed = ",\n".join(f"    {item}" for item in items)
    conditions, parameters = _scope(plan, windows, tenant_type)
    lines = [f"SELECT\n{listed}", f"FROM {_table(plan, plan.source.table)} AS t"]
    if conditions:
        lines.append("WHERE " + "\n  AND ".join(conditions))
    if groups := ", ".join(group_by):
        lines.append(f"GROUP BY {groups}")
    return Statement("\n".join(lines), parameters)


def _counted(plan: TablePlan) -> list[str]:
    """What says whether a window is still as it was."""
    sums = [f"{_sum(c)} AS {quote('sum of ' + c.name)}" for c in summed_columns(plan)]
    changed = changed_column(plan)
    newest = [f"MAX({_sent(changed)}) AS {quote('newest ' + changed.name)}"] if changed else []
    return ["COUNT_BIG(*) AS [row count]", *sums, *newest]


def _scope(
    plan: TablePlan, windows: Sequence[Window], tenant_type: SqlType | None
) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """This tenant's rows of these windows and nothing else: the same words for totals and rows."""
    conditions: list[str] = []
    parameters: list[object] = []
    if plan.source.tenant_column:
        conditions.append(f"t.{quote(plan.source.tenant_column)} = {_bound(tenant_type)}")
        parameters.append(plan.source.tenant_value)
    if plan.contract.mode == "event":
        conditions.append(_in_parents_window(plan) if plan.contract.window.parent else _in_window(plan, "t", 2))
        parameters += _bounds(plan, windows)
    return tuple(conditions), tuple(parameters)


def _bounds(plan: TablePlan, windows: Sequence[Window]) -> tuple[object, object]:
    return window_bounds(plan, windows[0])[0], window_bounds(plan, windows[-1])[1]


def _window_at(plan: TablePlan, windows: Sequence[Window]) -> tuple[str, tuple[object, ...]]:
    """(what tells in which window a row lies, its parameters)."""
    rule = plan.contract.window
    kind = rule.column_type
    if not rule.column or kind is None:
        raise ValueError(f"{plan.dag_id}: a snapshot has no window column")
    sent = _SENT_AS.get(kind.name)
    if not rule.parent:
        own = f"t.{quote(rule.column)}"
        return (f"CAST({own} AS {sent})" if sent else own), ()
    first = f"MIN(p.{quote(rule.column)})"
    first = f"CAST({first} AS {sent})" if sent else first
    inner = "\n        AND ".join([*_parent_links(plan), _in_window(plan, "p", 8)])
    table = _table(plan, rule.parent.table)
    return f"(\n      SELECT {first}\n      FROM {table} AS p\n      WHERE {inner}\n    )", _bounds(plan, windows)


def _in_window(plan: TablePlan, alias: str, indent: int) -> str:
    rule = plan.contract.window
    column = f"{alias}.{quote(rule.column or '')}"
    bound = _bound(rule.column_type)
    return f"{column} >= {bound}\n{' ' * indent}AND {column} < {bound}"


def _in_parents_window(plan: TablePlan) -> str:
    """EXISTS, never a join: a duplicated parent row must not double its children."""
    parent = plan.contract.window.parent
    assert parent is not None
    inner = "\n        AND ".join([*_parent_links(plan), _in_window(plan, "p", 8)])
    return f"EXISTS (\n      SELECT 1\n      FROM {_table(plan, parent.table)} AS p\n      WHERE {inner}\n  )"


def _parent_links(plan: TablePlan) -> list[str]:
    parent = plan.contract.window.parent
    assert parent is not None
    links = [f"p.{quote(theirs)} = t.{quote(ours)}" for ours, theirs in parent.on]
    if plan.source.tenant_column:
        tenant = quote(plan.source.tenant_column)
        links.append(f"p.{tenant} = t.{tenant}")
    return links


def _bound(column_type: SqlType | None) -> str:
    """Drivers type a parameter by its value; without this cast the column is converted and its index not used."""
    if column_type is None:
        raise ValueError("a bound needs the declared type of its column")
    return f"CAST(? AS {column_type.tsql})"


def _sent(column: Column) -> str:
    name, sent = f"t.{quote(column.source_name)}", _SENT_AS.get(column.type.name)
    return f"CAST({name} AS {sent})" if sent else name


def _source_tenant(plan: TablePlan) -> str:
    column = plan.source.tenant_column
    return f"CAST(t.{quote(column)} AS nvarchar(128))" if column else "DB_NAME()"


def _sum(column: Column) -> str:
    """Exact to 38 digits: SUM of an int or money column would overflow in its own type."""
    name, wide = f"t.{quote(column.source_name)}", _SUMMED_AS.get(column.type.name)
    return f"SUM(CAST({name} AS {wide}))" if wide else f"SUM({name})"


def _fine(plan: TablePlan) -> list[str]:
    return [f"{_too_fine(c)} AS {quote('too fine in ' + c.name)}" for c in finer_than_microseconds(plan)]


def _grouped(plan: TablePlan, by: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """(what is selected, what it is grouped by)."""
    groups = [_group(_column(plan, name)) for name in by]
    items = [f"{text} AS {quote(name)}" for text, name in zip(groups, by, strict=True)]
    return [*items, *(f"{_sum(c)} AS {quote('sum of ' + c.name)}" for c in reconciled_by(plan, by))], groups


def _too_fine(column: Column) -> str:
    name = f"t.{quote(column.source_name)}"
    return f"COUNT_BIG(CASE WHEN {name} <> CAST({name} AS {column.type.name}(6)) THEN 1 END)"


def _group(column: Column) -> str:
    """Unicode before the collation: that of another code page would lose characters."""
    name, kind = f"t.{quote(column.source_name)}", column.type
    if not kind.text:
        return name
    size = kind.length if kind.length and 0 < kind.length <= 4000 else "max"
    wide = name if kind.name in ("nchar", "nvarchar") else f"CAST({name} AS nvarchar({size}))"
    return f"{wide} {_BINARY_ORDER}"


def _reconciled(plan: TablePlan) -> tuple[tuple[tuple[str, ...], str], ...]:
    """(by columns, summed column) of each reconcile rule on a sum."""
    rules = [tuple(map(str, c.arguments)) for c in plan.checks if c.kind == "reconcile"]
    return tuple((by, column) for metric, column, *rest in rules if metric == "sum" for by in [tuple(rest)])


def _column(plan: TablePlan, name: str) -> Column:
    return next(c for c in plan.contract.columns if c.name == name)


def _table(plan: TablePlan, table: str) -> str:
    return f"{quote(plan.source.schema)}.{quote(table)}"
