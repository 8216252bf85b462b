"""What every database declares: tables, columns with their T-SQL types, keys. DuckDB's own types are poorer."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import duckdb

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.sqltypes import SqlType, storage

FIRST_OBJECT_ID: Final = 245_575_913


class CatalogueError(Exception):
    """An admin asked for a table or column that cannot be."""


def identifier(name: str) -> str:
    """DuckDB's quoting, for any name."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Traits:
    """What sys.columns says beside the type. Declared only: nothing is computed, counted up or kept as history.

    generated is 1 for a period's start and 2 for its end, computed the expression, collation None the database's.
    masked is a masking function. No mask is computed: who would be shown one is refused the column.
    """

    collation: str | None = None
    identity: bool = False
    computed: str | None = None
    generated: int = 0
    hidden: bool = False
    masked: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One declared column; column_id stays when others are dropped."""

    name: str
    kind: SqlType
    nullable: bool
    column_id: int
    traits: Traits = Traits()


@dataclass(frozen=True, slots=True)
class Index:
    """One index: unique and primary as sys.indexes would say."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    primary: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A constraint as sys.foreign_keys shows it; nothing enforces it."""

    name: str
    columns: tuple[str, ...]
    to: str  # schema.table
    to_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table, its temporal_type and the name of its history table.

    version counts its DDL in server-wide order, so a snapshot knows what changed after it.
    """

    database: str
    schema: str
    name: str
    object_id: int
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    temporal: int = 0
    history: str | None = None
    unmask: tuple[str, ...] = ()  # logins with UNMASK on the table, beside sa
    version: int = 0

    @property
    def qualified(self) -> str:
        return ".".join(identifier(part) for part in (self.database, self.schema, self.name))

    def unmasks(self, login: str) -> bool:
        return login == "sa" or login in self.unmask

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


@dataclass(slots=True)
class Database:
    """One database and its tables by lower-case (schema, name); allowed_since counts as Table.version does."""

    name: str
    database_id: int
    snapshot_allowed: bool = True
    allowed_since: int = 0
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)


class Catalogue:
    """Every database of the server; every change is written to DuckDB and to the databases' own record of it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._clock = 0
        self.databases: dict[str, Database] = {}

    @property
    def clock(self) -> int:
        return self._clock

    def database(self, name: str) -> Database | None:
        return self.databases.get(name.lower())

    def add(self, name: str) -> Database:
        """Register an attached DuckDB database and read what it declares."""
        with self._lock:
            base = f"{identifier(name)}._sandbox"
            self._run(f"CREATE SCHEMA IF NOT EXISTS {base}")
            self._run(f"CREATE SCHEMA IF NOT EXISTS {identifier(name)}.dbo")
            self._run(f"CREATE TABLE IF NOT EXISTS {base}.columns({_COLUMNS})")
            self._run(f"CREATE TABLE IF NOT EXISTS {base}.indexes({_INDEXES})")
            self._run(f"CREATE TABLE IF NOT EXISTS {base}.declared(object_id INTEGER, what VARCHAR)")
            database = Database(name, 5 + len(self.databases))
            database.tables = {_key(table.schema, table.name): table for table in self._read(name)}
            self.databases[name.lower()] = database
            return database

    def allow_snapshot(self, database: str | None, *, allowed: bool) -> None:
        """ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION, of every database for None."""
        with self._lock:
            for home in self.databases.values() if database is None else [self._home(database)]:
                if allowed and not home.snapshot_allowed:
                    self._clock += 1
                    home.allowed_since = self._clock
                home.snapshot_allowed = allowed

    @contextmanager
    def _changing(self, database: str) -> Iterator[None]:
        """One change at a time, in DuckDB and in the record of it alike, or not at all."""
        with self._lock:
            home = self._home(database)
            self._run("BEGIN TRANSACTION")
            try:
                yield
                self._run("COMMIT")
            except (duckdb.Error, CatalogueError):
                self._run("ROLLBACK")
                home.tables = {_key(table.schema, table.name): table for table in self._read(home.name)}
                raise

    def _run(self, sql: str, values: list[object] | None = None) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = self._connection.execute(sql, values).fetchall()
        return rows

    def _read(self, name: str) -> list[Table]:
        base = f"{identifier(name)}._sandbox"
        tables: dict[int, Table] = {}
        for row in self._run(f"SELECT * FROM {base}.columns ORDER BY object_id, column_id"):
            object_id, schema, table, column_id, column, kind, nullable = row
            assert isinstance(object_id, int)
            assert isinstance(column_id, int)
            known = tables.setdefault(object_id, Table(name, str(schema), str(table), object_id, ()))
            added = Column(str(column), sqltypes.parse(str(kind)), bool(nullable), column_id)
            tables[object_id] = replace(known, columns=(*known.columns, added))
        declared = {
            row[0]: json.loads(str(row[1])) for row in self._run(f"SELECT object_id, what FROM {base}.declared")
        }
        found = [replace(table, indexes=self._indexes(base, table.object_id)) for table in tables.values()]
        return [_declared(table, declared.get(table.object_id, {})) for table in found]

    def _indexes(self, base: str, object_id: int) -> tuple[Index, ...]:
        rows = self._run(
            f"SELECT name, columns, is_unique, is_primary FROM {base}.indexes WHERE object_id = {object_id}"
        )
        return tuple(Index(str(row[0]), tuple(str(row[1]).split(",")), bool(row[2]), bool(row[3])) for row in rows)

    def create(self, database: str, schema: str, name: str, columns: list[Column], indexes: list[Index]) -> Table:
        """Create a table of declared T-SQL types; CatalogueError when it is there already."""
        with self._changing(database):
            home = self._home(database)
            if _key(schema, name) in home.tables:
                raise CatalogueError(f"{database}.{schema}.{name} exists")
            object_id = 16 + max((known.object_id for known in home.tables.values()), default=FIRST_OBJECT_ID - 16)
            table = Table(home.name, schema, name, object_id, tuple(columns), tuple(indexes))
            body = ", ".join(_definition(column) for column in columns)
            self._run(f"CREATE SCHEMA IF NOT EXISTS {identifier(home.name)}.{identifier(schema)}")
            self._run(f"CREATE TABLE {table.qualified} ({body})")
            return self._record(home, table)

    def _home(self, database: str) -> Database:
        home = self.database(database)
        if home is None:
            raise CatalogueError(f"no database {database}")
        return home

    def _record(self, home: Database, table: Table) -> Table:
        base = f"{identifier(home.name)}._sandbox"
        self._run(f"DELETE FROM {base}.columns WHERE object_id = {table.object_id}")
        self._run(f"DELETE FROM {base}.indexes WHERE object_id = {table.object_id}")
        self._run(f"DELETE FROM {base}.declared WHERE object_id = {table.object_id}")
        self._run(f"INSERT INTO {base}.declared VALUES (?, ?)", [table.object_id, json.dumps(_declaration(table))])
        for column in table.columns:
            values = [table.object_id, table.schema, table.name, column.column_id, column.name, str(column.kind)]
            self._run(f"INSERT INTO {base}.columns VALUES (?, ?, ?, ?, ?, ?, ?)", [*values, column.nullable])
        for index in table.indexes:
            row = [table.object_id, index.name, ",".join(index.columns), index.unique, index.primary]
            self._run(f"INSERT INTO {base}.indexes VALUES (?, ?, ?, ?, ?)", row)
        self._clock += 1
        home.tables[_key(table.schema, table.name)] = replace(table, version=self._clock)
        return table

    def table(self, database: str, schema: str, name: str) -> Table | None:
        home = self.database(database)
        return home.tables.get(_key(schema, name)) if home else None

    def _existing(self, database: str, schema: str, name: str) -> Table:
        table = self.table(database, schema, name)
        if table is None:
            raise CatalogueError(f"no table {database}.{schema}.{name}")
        return table

    def rename_column(self, database: str, schema: str, name: str, column: str, to: str) -> Table:
        with self._changing(database):
            table, old = self._column(database, schema, name, column)
            self._run(f"ALTER TABLE {table.qualified} RENAME COLUMN {identifier(old.name)} TO {identifier(to)}")
            return self._replace(table, old, replace(old, name=to))

    def retype_column(self, database: str, schema: str, name: str, column: str, kind: SqlType, nullable: bool) -> Table:
        """ALTER COLUMN to another type and nullability; DuckDB refuses values the type cannot hold."""
        with self._changing(database):
            table, old = self._column(database, schema, name, column)
            alter = f"ALTER TABLE {table.qualified} ALTER COLUMN {identifier(old.name)}"
            if storage(old.kind) != storage(kind):
                self._run(f"{alter} TYPE {storage(kind)}")
            if old.nullable != nullable:
                self._run(f"{alter} {'DROP' if nullable else 'SET'} NOT NULL")
            return self._replace(table, old, replace(old, kind=kind, nullable=nullable))

    def drop_column(self, database: str, schema: str, name: str, column: str) -> Table:
        with self._changing(database):
            table, old = self._column(database, schema, name, column)
            self._run(f"ALTER TABLE {table.qualified} DROP COLUMN {identifier(old.name)}")
            return self._replace(table, old, None)

    def add_column(self, database: str, schema: str, name: str, column: str, kind: SqlType) -> Table:
        """A new nullable column, NULL in every row."""
        with self._changing(database):
            table = self._existing(database, schema, name)
            if table.column(column) is not None:
                raise CatalogueError(f"{column} exists in {table.qualified}")
            self._run(f"ALTER TABLE {table.qualified} ADD COLUMN {identifier(column)} {storage(kind)}")
            last = max(known.column_id for known in table.columns)
            added = replace(table, columns=(*table.columns, Column(column, kind, True, last + 1)))
            return self._record(self._home(database), added)

    def declare(self, database: str, schema: str, name: str, what: dict[str, Any]) -> Table:
        """More of a table: columns {name: Traits}, foreign_keys, temporal, history, unmask; what is not said stays."""
        with self._changing(database):
            table = self._existing(database, schema, name)
            strangers = set(what.get("columns", {})) - {column.name for column in table.columns}
            if strangers:
                raise CatalogueError(f"no column {', '.join(sorted(strangers))} in {table.qualified}")
            return self._record(self._home(database), _declared(table, {**_declaration(table), **what}))

    def drop(self, database: str, schema: str, name: str) -> None:
        with self._changing(database):
            table, home = self._existing(database, schema, name), self._home(database)
            self._run(f"DROP TABLE {table.qualified}")
            for part in ("columns", "indexes", "declared"):
                self._run(f"DELETE FROM {identifier(home.name)}._sandbox.{part} WHERE object_id = {table.object_id}")
            self._clock += 1
            del home.tables[_key(schema, name)]

    def _column(self, database: str, schema: str, name: str, column: str) -> tuple[Table, Column]:
        table = self._existing(database, schema, name)
        found = table.column(column)
        if found is None:
            raise CatalogueError(f"no column {column} in {table.qualified}")
        return table, found

    def _replace(self, table: Table, old: Column, new: Column | None) -> Table:
        swapped = [new if column is old else column for column in table.columns]
        columns = tuple(column for column in swapped if column is not None)
        return self._record(self._home(table.database), replace(table, columns=columns))


def _declaration(table: Table) -> dict[str, Any]:
    """What the columns and indexes of `_sandbox` have no place for."""
    return {
        "columns": {column.name: asdict(column.traits) for column in table.columns},
        "foreign_keys": [asdict(key) for key in table.foreign_keys],
        "temporal": table.temporal,
        "history": table.history,
        "unmask": list(table.unmask),
    }


def _declared(table: Table, what: dict[str, Any]) -> Table:
    traits = what.get("columns", {})
    columns = [replace(c, traits=Traits(**traits[c.name])) if c.name in traits else c for c in table.columns]
    keys = [
        ForeignKey(key["name"], tuple(key["columns"]), key["to"], tuple(key["to_columns"]))
        for key in what.get("foreign_keys", [])
    ]
    return replace(
        table, columns=tuple(columns), foreign_keys=tuple(keys), temporal=what.get("temporal", 0),
        history=what.get("history"), unmask=tuple(what.get("unmask", ())),
    )  # fmt: skip


_COLUMNS: Final = (
    "object_id INTEGER, schema_name VARCHAR, table_name VARCHAR, column_id INTEGER, column_name VARCHAR, "
    "kind VARCHAR, nullable BOOLEAN"
)
_INDEXES: Final = "object_id INTEGER, name VARCHAR, columns VARCHAR, is_unique BOOLEAN, is_primary BOOLEAN"


def _key(schema: str, name: str) -> tuple[str, str]:
    return schema.lower(), name.lower()


def _definition(column: Column) -> str:
    return f"{identifier(column.name)} {storage(column.kind)}{'' if column.nullable else ' NOT NULL'}"
