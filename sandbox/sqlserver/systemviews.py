"""sys.* and INFORMATION_SCHEMA.*, computed from the catalogue whenever a query names them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.catalogue import Catalogue, Column, Database, ForeignKey, Table, identifier
from sandbox.sqlserver.conversion import literal
from sandbox.sqlserver.sqltypes import COLLATION_NAME, SqlType, describe, storage

Row = tuple[object, ...]
SCHEMAS: Final = {"dbo": 1, "guest": 2, "INFORMATION_SCHEMA": 3, "sys": 4}
TEMPORAL: Final = ("NON_TEMPORAL_TABLE", "HISTORY_TABLE", "SYSTEM_VERSIONED_TEMPORAL_TABLE")
GENERATED: Final = ("NOT_APPLICABLE", "AS_ROW_START", "AS_ROW_END")
CREATED: Final = 638_712_864_000_000_000  # ticks of 2025-01-01


@dataclass(frozen=True, slots=True)
class SystemView:
    """Columns as (name, type, nullable), and the rows for one database."""

    columns: tuple[tuple[str, SqlType, bool], ...]
    rows: Callable[[Catalogue, Database], Iterator[Row]]

    def relation(self, catalogue: Catalogue, database: Database) -> str:
        """A DuckDB table expression with the rows inside."""
        kinds = [kind for _, kind, _ in self.columns]
        body = [self._row(kinds, row) for row in self.rows(catalogue, database)]
        empty = ", ".join(f"CAST(NULL AS {storage(kind)})" for kind in kinds)
        names = ", ".join(identifier(name) for name, _, _ in self.columns)
        values = f"VALUES {', '.join(body)}" if body else f"SELECT {empty} WHERE false"
        return f"(SELECT * FROM ({values}) AS v({names}))"

    @staticmethod
    def _row(kinds: list[SqlType], row: Row) -> str:
        return f"({', '.join(literal(kind, value).sql for kind, value in zip(kinds, row, strict=True))})"


def _declared(text: str) -> tuple[tuple[str, SqlType, bool], ...]:
    """'name type, name type?' where ? allows NULL."""
    pairs = (entry.split() for entry in text.split(","))
    return tuple((name, sqltypes.parse(kind.rstrip("?")), kind.endswith("?")) for name, kind in pairs)


def schema_id(schema: str) -> int:
    known = {name.lower(): number for name, number in SCHEMAS.items()}
    return known.get(schema.lower(), 5 + sum(schema.lower().encode()) % 1000)


def _tables(database: Database) -> list[Table]:
    return sorted(database.tables.values(), key=lambda table: table.object_id)


def _database_rows(catalogue: Catalogue, _: Database) -> Iterator[Row]:
    yield "master", 1, "ONLINE", 160, 1, "ON", False, COLLATION_NAME
    for known in catalogue.databases.values():
        state = (1, "ON") if known.snapshot_allowed else (0, "OFF")
        yield known.name, known.database_id, "ONLINE", 160, *state, False, COLLATION_NAME


def _schema_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    names = {**SCHEMAS, **{t.schema: schema_id(t.schema) for t in _tables(database) if t.schema.lower() != "dbo"}}
    for name, number in names.items():
        yield name, number, 1


def _object_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    for table in _tables(database):
        yield (table.name, table.object_id, schema_id(table.schema), 0, "U ", "USER_TABLE", CREATED, CREATED, False)


def _table_rows(catalogue: Catalogue, database: Database) -> Iterator[Row]:
    names = {f"{table.schema}.{table.name}".lower(): table.object_id for table in _tables(database)}
    for table, row in zip(_tables(database), _object_rows(catalogue, database), strict=True):
        history = names.get((table.history or "").lower())
        yield (*row, table.temporal, TEMPORAL[table.temporal], history)


def _no_rows(_: Catalogue, __: Database) -> Iterator[Row]:
    yield from ()


def _type_ids(column: Column) -> tuple[int, int]:
    number = sqltypes.SYSTEM_TYPE_IDS[column.kind.name]
    return number, number


def _column_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    for table in _tables(database):
        for column in table.columns:
            said = describe(column.kind)
            traits = column.traits
            collation = traits.collation or COLLATION_NAME if column.kind.name in sqltypes.TEXTS else None
            numbers = (*_type_ids(column), said.max_length, said.precision, said.scale)
            flags = (collation, column.nullable, traits.identity, traits.computed is not None)
            generated = (traits.generated, GENERATED[traits.generated], traits.hidden, traits.masked is not None)
            yield (table.object_id, column.name, column.column_id, *numbers, *flags, *generated)


def _computed_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    for table in _tables(database):
        for column in table.columns:
            if column.traits.computed is not None:
                yield table.object_id, column.name, column.column_id, column.traits.computed, False, column.nullable


def _foreign_keys(database: Database) -> Iterator[tuple[int, Table, ForeignKey, Table | None]]:
    """(object_id of the constraint, its table, itself, the table it refers to)"""
    tables = _tables(database)
    names = {f"{table.schema}.{table.name}".lower(): table for table in tables}
    for table in tables:
        for number, key in enumerate(table.foreign_keys, start=1):
            yield table.object_id + number, table, key, names.get(key.to.lower())


def _foreign_key_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    for number, table, key, parent in _foreign_keys(database):
        if parent is not None:
            schema = schema_id(table.schema)
            yield key.name, number, schema, table.object_id, "F ", parent.object_id, False, False


def _foreign_key_column_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    for number, table, key, parent in _foreign_keys(database):
        for ordinal, (mine, theirs) in enumerate(zip(key.columns, key.to_columns, strict=True), start=1):
            ours, its = table.column(mine), parent.column(theirs) if parent else None
            if ours is not None and parent is not None and its is not None:
                yield number, ordinal, table.object_id, ours.column_id, parent.object_id, its.column_id


def _bare(name: str) -> SqlType:
    """The type as sys.types lists it, at its widest."""
    if name in sqltypes.DECIMALS:
        return SqlType(name, precision=38, scale=38)
    if name in sqltypes.SCALED_TIMES:
        return SqlType(name, scale=7)
    return SqlType(name, length=4000 if name in sqltypes.WIDE else 8000)


def _type_rows(_: Catalogue, __: Database) -> Iterator[Row]:
    for name, number in sqltypes.SYSTEM_TYPE_IDS.items():
        said = describe(_bare(name))
        collation = COLLATION_NAME if name in sqltypes.TEXTS else None
        shown = sqltypes.SYSTEM_NAMES.get(name, name)
        yield (shown, number, number, 4, said.max_length, said.precision, said.scale, collation, True, False)
    yield "sysname", 231, sqltypes.SYSNAME_TYPE_ID, 4, 256, 0, 0, COLLATION_NAME, False, False


def _index_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    for table in _tables(database):
        if not any(index.primary for index in table.indexes):
            yield table.object_id, None, 0, 0, "HEAP", False, False, False, False
        for number, index in enumerate(table.indexes, start=1 if table.indexes and table.indexes[0].primary else 2):
            kind = (1, "CLUSTERED") if index.primary else (2, "NONCLUSTERED")
            yield (table.object_id, index.name, number, *kind, index.unique, index.primary, False, False)


def _index_column_rows(_: Catalogue, database: Database) -> Iterator[Row]:
    for table in _tables(database):
        for number, index in enumerate(table.indexes, start=1 if table.indexes and table.indexes[0].primary else 2):
            for ordinal, name in enumerate(index.columns, start=1):
                column = table.column(name)
                if column is not None:
                    yield table.object_id, number, ordinal, column.column_id, ordinal, False, False


def _information_tables(_: Catalogue, database: Database) -> Iterator[Row]:
    for table in _tables(database):
        yield database.name, table.schema, table.name, "BASE TABLE"


def _information_columns(_: Catalogue, database: Database) -> Iterator[Row]:
    for table in _tables(database):
        for ordinal, column in enumerate(table.columns, start=1):
            place = (database.name, table.schema, table.name, column.name, ordinal, None)
            yield (*place, "YES" if column.nullable else "NO", *_information_type(column.kind))


def _information_type(kind: SqlType) -> Row:
    """DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, COLLATION_NAME."""
    said = describe(kind)
    sized = kind.name in sqltypes.TEXTS or kind.name in {"binary", "varbinary"}
    length = kind.length if sized else -1 if kind.name == "xml" else None
    numeric = kind.name in sqltypes.INTEGERS | sqltypes.FLOATS | sqltypes.MONEY or kind.name in sqltypes.DECIMALS
    exact = numeric and kind.name not in sqltypes.FLOATS
    clock = {"date": 0, "datetime": 3, "smalldatetime": 0}.get(kind.name)
    if kind.name in sqltypes.SCALED_TIMES:
        clock = kind.scale
    collation = COLLATION_NAME if kind.name in sqltypes.TEXTS else None
    name = sqltypes.SYSTEM_NAMES.get(kind.name, kind.name)
    return name, length, said.precision if numeric else None, said.scale if exact else None, clock, collation


_OBJECTS: Final = (
    "name sysname,object_id int,schema_id int,parent_object_id int,type char(2)?,type_desc nvarchar(60)?,"
    "create_date datetime,modify_date datetime,is_ms_shipped bit"
)
VIEWS: Final = {
    "sys.databases": SystemView(
        _declared(
            "name sysname,database_id int,state_desc nvarchar(60)?,compatibility_level tinyint,"
            "snapshot_isolation_state tinyint?,snapshot_isolation_state_desc nvarchar(60)?,"
            "is_read_committed_snapshot_on bit?,collation_name sysname?"
        ),
        _database_rows,
    ),
    "sys.schemas": SystemView(_declared("name sysname,schema_id int,principal_id int?"), _schema_rows),
    "sys.tables": SystemView(
        _declared(f"{_OBJECTS},temporal_type tinyint?,temporal_type_desc nvarchar(60)?,history_table_id int?"),
        _table_rows,
    ),
    "sys.objects": SystemView(_declared(_OBJECTS), _object_rows),
    "sys.views": SystemView(_declared(_OBJECTS), _no_rows),
    "sys.columns": SystemView(
        _declared(
            "object_id int,name sysname?,column_id int,system_type_id tinyint,user_type_id int,max_length smallint,"
            "precision tinyint,scale tinyint,collation_name sysname?,is_nullable bit?,is_identity bit,is_computed bit,"
            "generated_always_type tinyint?,generated_always_type_desc nvarchar(60)?,is_hidden bit,"
            "is_masked bit"
        ),
        _column_rows,
    ),
    "sys.computed_columns": SystemView(
        _declared(
            "object_id int,name sysname?,column_id int,definition nvarchar(max)?,is_persisted bit,is_nullable bit?"
        ),
        _computed_rows,
    ),
    "sys.foreign_keys": SystemView(
        _declared(
            "name sysname,object_id int,schema_id int,parent_object_id int,type char(2)?,referenced_object_id int?,"
            "is_disabled bit,is_not_trusted bit"
        ),
        _foreign_key_rows,
    ),
    "sys.foreign_key_columns": SystemView(
        _declared(
            "constraint_object_id int,constraint_column_id int,parent_object_id int,parent_column_id int,"
            "referenced_object_id int,referenced_column_id int"
        ),
        _foreign_key_column_rows,
    ),
    "sys.types": SystemView(
        _declared(
            "name sysname,system_type_id tinyint,user_type_id int,schema_id int,max_length smallint,precision tinyint,"
            "scale tinyint,collation_name sysname?,is_nullable bit?,is_user_defined bit"
        ),
        _type_rows,
    ),
    "sys.indexes": SystemView(
        _declared(
            "object_id int,name sysname?,index_id int,type tinyint,type_desc nvarchar(60)?,is_unique bit?,"
            "is_primary_key bit?,is_disabled bit?,has_filter bit?"
        ),
        _index_rows,
    ),
    "sys.index_columns": SystemView(
        _declared(
            "object_id int,index_id int,index_column_id int,column_id int,key_ordinal tinyint,is_descending_key bit?,"
            "is_included_column bit?"
        ),
        _index_column_rows,
    ),
    "information_schema.tables": SystemView(
        _declared("TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA sysname?,TABLE_NAME sysname,TABLE_TYPE varchar(10)?"),
        _information_tables,
    ),
    "information_schema.columns": SystemView(
        _declared(
            "TABLE_CATALOG nvarchar(128)?,TABLE_SCHEMA nvarchar(128)?,TABLE_NAME sysname,COLUMN_NAME sysname?,"
            "ORDINAL_POSITION int,COLUMN_DEFAULT nvarchar(4000)?,IS_NULLABLE varchar(3)?,DATA_TYPE nvarchar(128)?,"
            "CHARACTER_MAXIMUM_LENGTH int?,NUMERIC_PRECISION tinyint?,NUMERIC_SCALE int?,DATETIME_PRECISION smallint?,"
            "COLLATION_NAME sysname?"
        ),
        _information_columns,
    ),
}
