"""A session's transactions: isolation levels, nesting, and what SQL Server checks when data is first touched."""

from dataclasses import dataclass
from typing import Final

import duckdb

from sandbox.sqlserver import errors, login, parameters
from sandbox.sqlserver.catalogue import Catalogue, Table
from sandbox.sqlserver.errors import SqlError

READ_COMMITTED: Final = "READ COMMITTED"
SNAPSHOT: Final = "SNAPSHOT"
LEVELS: Final = {1: "READ UNCOMMITTED", 2: READ_COMMITTED, 3: "REPEATABLE READ", 4: "SERIALIZABLE", 5: SNAPSHOT}
# Levels whose reads must not change until the end; DuckDB's transactions give exactly that.
STABLE: Final = frozenset({SNAPSHOT, "REPEATABLE READ", "SERIALIZABLE"})
BEGAN: Final = 8
COMMITTED: Final = 9
ROLLED_BACK: Final = 10
# Errors that end the transaction they happen in (with SET XACT_ABORT OFF).
ENDING: Final = frozenset({241, 242, 245, 1205, 3951, 3952, 3957, 3961, 8114, 8115, 8134, 8169, 50000})


@dataclass(slots=True)
class Transaction:
    """The open transaction; a stable one holds a DuckDB transaction, and begun_at once it has read data."""

    descriptor: int
    depth: int
    isolation: str
    stable: bool = False
    begun_at: int | None = None


class Transactions:
    """Every method that changes the state returns the ENVCHANGE tokens that tell the client."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
        self._cursor, self._catalogue = cursor, catalogue
        self._open: Transaction | None = None
        self._last_descriptor = 0
        self.isolation, self.implicit = READ_COMMITTED, False

    @property
    def depth(self) -> int:
        """@@TRANCOUNT"""
        return self._open.depth if self._open else 0

    def set_isolation(self, level: str) -> None:
        if level not in LEVELS.values():
            raise errors.syntax(level)
        self.isolation = level

    def begin(self) -> bytes:
        if self._open:
            self._open.depth += 1
            return b""
        self._last_descriptor += 1
        self._open = Transaction(self._last_descriptor, 1, self.isolation)
        return login.transaction_change(BEGAN, self._last_descriptor, began=True)

    def commit(self) -> bytes:
        if self._open is None:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        if self._open.depth > 1:
            self._open.depth -= 1
            return b""
        return self._end(COMMITTED)

    def roll_back(self) -> bytes:
        if self._open is None:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        return self._end(ROLLED_BACK)

    def after(self, error: SqlError) -> bytes:
        """Roll back if it is an error that ends the transaction it happens in."""
        return self._end(ROLLED_BACK) if self._open and error.number in ENDING else b""

    def _end(self, kind: int) -> bytes:
        ended, self._open = self._open, None
        assert ended is not None
        if ended.stable:
            self._cursor.execute("ROLLBACK")  # reads only: there is nothing to keep
        return login.transaction_change(kind, ended.descriptor, began=False)

    def manage(self, payload: bytes) -> bytes:
        """A transaction manager request, which ODBC drivers send instead of BEGIN and COMMIT (MS-TDS 2.2.6.9)."""
        cursor = parameters.Cursor(payload)
        parameters.skip_headers(cursor)
        request = cursor.number("H")
        if request == 5:
            return self._begin_at(cursor.number("B"))
        if request not in {7, 8}:
            raise errors.unserved(f"Transaction manager request {request}")
        told = self.commit() if request == 7 else self.roll_back()
        cursor.text(cursor.number("B") // 2)
        begin_next = cursor.number("B") & 1
        return told + (self._begin_at(cursor.number("B")) if begin_next else b"")

    def _begin_at(self, level: int) -> bytes:
        self.isolation = LEVELS.get(level, self.isolation)  # 0 leaves it as it is
        return self.begin()

    def touch(self, tables: list[Table], database: str) -> bytes:
        """Before a statement reads these tables: the snapshot begins here, or fails with 3951, 3952, 3957 or 3961."""
        told = self.begin() if self.implicit and self._open is None else b""
        if self.isolation == SNAPSHOT:
            self._check_snapshot(tables, database)
        current = self._open
        if current and current.isolation in STABLE and not current.stable:
            self._cursor.execute("BEGIN TRANSACTION")
            current.stable, current.begun_at = True, self._catalogue.clock
        return told

    def _check_snapshot(self, tables: list[Table], database: str) -> None:
        current = self._open
        if current and current.isolation != SNAPSHOT:
            raise errors.snapshot_late(database)
        for table in tables:
            home = self._catalogue.database(table.database)
            if home is not None and not home.snapshot_allowed:
                raise errors.snapshot_off(home.name)
            if current is None or current.begun_at is None:
                continue
            if home is not None and home.allowed_since > current.begun_at:
                raise errors.snapshot_too_new(home.name)
            if table.version > current.begun_at:
                raise errors.snapshot_ddl(table.database)
