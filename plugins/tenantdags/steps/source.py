"""The connection to SQL Server: how it is opened, isolated and read, and what its errors mean to who must act."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, cast

import mssql_python
import mssql_python.exceptions
import pyarrow as pa
import pymssql

from tenantdags.model.errors import (
    BadValue,
    ConnectionMissing,
    DriftBreaking,
    RunError,
    SnapshotOff,
    SourceBusy,
    SourcePermission,
    SourceUnreachable,
)
from tenantdags.steps import tsql
from tenantdags.steps.redact import redact

T = TypeVar("T")

QUEUED_BATCHES = 1  # beside the one being fetched and the one in work


class Connection(Protocol):
    """What we use of an mssql-python connection."""

    def cursor(self) -> Any: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLogin:
    """What an Airflow connection of type mssql says, for mssql-python. `encrypt` in ODBC's words, yes or no."""

    host: str
    port: int
    database: str
    login: str
    password: str = field(repr=False)
    encrypt: str = "yes"
    trust_server_certificate: bool = False
    application_intent: Literal["ReadOnly", "ReadWrite"] = "ReadWrite"
    login_timeout: int = 15  # seconds
    query_timeout: int = 3600  # seconds until a statement's first answer

    @classmethod
    def from_connection(
        cls, *, host: str, port: int | None, database: str, login: str, password: str, extra: Mapping[str, Any]
    ) -> SourceLogin:
        """The same extra keys that pymssql.connect takes, with the same meaning for mssql-python.

        pymssql's `encryption: require` checks no certificate and neither do we then; without the key we do.
        """
        encryption = extra.get("encryption")
        return cls(
            host=host,
            port=port or 1433,
            database=database,
            login=login,
            password=password,
            encrypt={"off": "no"}.get(str(encryption), "yes"),
            trust_server_certificate=encryption in ("require", "request"),
            application_intent="ReadOnly" if extra.get("read_only") else "ReadWrite",
            login_timeout=int(extra.get("login_timeout", 15)),
            query_timeout=int(extra.get("timeout", 0)) or 3600,
        )


# Of a TDS packet, the most with TLS; the usual 4,096 were measured to cost an eighth more CPU per row:
# https://learn.microsoft.com/sql/database-engine/configure-windows/configure-the-network-packet-size-server-configuration-option
PACKET_BYTES = 16_383


def connect(login: SourceLogin) -> Connection:
    """One unpooled connection in autocommit mode; transactions are said in T-SQL. Raises the driver's errors."""
    # The other provider is alpha and was seen to return a previous query's rows.
    os.environ["MSSQL_PYTHON_NATIVE_PROVIDER"] = "msodbcsql18"
    mssql_python.pooling(enabled=False)
    connection = mssql_python.connect(
        autocommit=True,
        timeout=login.login_timeout,
        server=f"{login.host},{login.port}",
        database=login.database,
        uid=login.login,
        pwd=login.password,
        encrypt=login.encrypt,
        trustservercertificate="yes" if login.trust_server_certificate else "no",
        applicationintent=login.application_intent,
        connectretrycount="0",  # a resumed session would be outside its transaction
        packetsize=str(PACKET_BYTES),
    )
    connection.timeout = login.query_timeout
    return connection


class Session:
    """One connection inside one transaction: everything it reads is of one instant (under SNAPSHOT).

    The driver waits in threads of its own and the caller in Python, where a timeout or a termination reaches it.
    """

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()

    def run(self, text: str) -> None:
        """A statement outside any prepared scope: SET inside one would end with it."""
        self._waited(lambda: self._cursor.execute(text))

    def rows(self, statement: tsql.Statement) -> list[tuple[Any, ...]]:
        return self._waited(lambda: [tuple(row) for row in self._execute(statement).fetchall()])

    def stream(self, statement: tsql.Statement, batch_rows: int) -> Generator[pa.RecordBatch, None, None]:
        """Batches of at most `batch_rows`, fetched ahead while the caller works on the last one."""
        return _fetched(self._waited(lambda: self._execute(statement).arrow_reader(batch_rows)))

    def _execute(self, statement: tsql.Statement) -> Any:
        self._cursor.execute(statement.text, *statement.parameters)
        return self._cursor

    def _waited(self, call: Callable[[], T]) -> T:
        answers: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue()
        thread = threading.Thread(target=_answer, args=(call, answers), name="statement", daemon=True)
        thread.start()
        try:
            answer, error = _next(answers)
        except BaseException:
            self._cursor.hstmt._cancel()  # the driver has no public way to take a running statement back
            thread.join(timeout=10)
            raise
        if error is not None:
            raise error
        return cast("T", answer)


@contextmanager
def session(connect: Callable[[], Connection], isolation: str, where: str, connection_id: str) -> Iterator[Session]:
    """A transaction at the plan's isolation, its errors typed. Left by an exception, it is rolled back by closing."""
    with typed_errors(where, connection_id):
        connection = connect()
        try:
            opened = Session(connection)
            opened.run(tsql.SNAPSHOT if isolation == "snapshot" else tsql.READ_COMMITTED)
            opened.run(tsql.BEGIN)
            yield opened
            opened.run(tsql.COMMIT)
        finally:
            # what went wrong before is the news, not that a dead connection cannot be closed
            with suppress(mssql_python.Error):
                connection.close()


@contextmanager
def typed_errors(where: str, connection_id: str) -> Iterator[None]:
    """Turns what pymssql and mssql-python raise into our errors, which name the Airflow connection."""
    try:
        yield
    except (mssql_python.exceptions.Exception, pymssql.Error) as error:
        raise typed(error, where, connection_id) from None  # the driver's text may quote a row's value


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: type[RunError]
    numbers: tuple[int, ...]
    phrases: tuple[str, ...]
    what: str
    remedy: str


# pymssql gives SQL Server's error number; mssql-python only the SQLSTATE's name and the text, which is matched then.
# Numbers: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
_RULES = (
    _Rule(
        SnapshotOff,
        (3952, 3953, 3956, 3957),
        ("because snapshot isolation is not allowed", "did not allow snapshot isolation", "is in transition"),
        "the source database does not allow SNAPSHOT isolation.",
        "ALTER DATABASE [{database}] SET ALLOW_SNAPSHOT_ISOLATION ON; or set source.isolation: read_committed.",
    ),
    _Rule(
        SourceBusy,
        (1204, 1205, 1222, 3958, 3959, 3960, 3961, 701, 8645, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920),
        ("Serialization failure", "deadlock victim", "Lock request time out", "Timeout expired", "version store"),
        "the source is busy: {text}.",
        "The task is retried; if it stays so, look for blocking sessions and load at the source.",
    ),
    _Rule(
        SourcePermission,
        (229, 230, 300, 916, 4060, 18452, 18456, 18470, 18486, 18487, 18488, 40615),
        ("Invalid authorization specification", "Login failed", "permission was denied", "Cannot open database"),
        "the source refused the login or the read: {text}.",
        "Correct login and password of connection {connection}, or grant it CONNECT and SELECT on the table.",
    ),
    _Rule(
        DriftBreaking,
        (207, 208),
        ("Base table or view not found", "Column not found", "Invalid object name", "Invalid column name"),
        "the source changed after the preflight check: {text}.",
        "Clear `extract`: the check will name what changed.",
    ),
    _Rule(
        BadValue,
        (220, 241, 242, 244, 245, 295, 517, 8114, 8115, 8134, 8169),
        ("Conversion failed", "Arithmetic overflow", "Numeric value out of range", "Invalid character value for cast",
         "Error converting data type", "Datetime field overflow", "Invalid datetime format"),
        "a source value does not fit its contract type: {text}.",
        "Correct the value at the source, or widen the type in a new contract version.",
    ),
)  # fmt: skip
_UNREACHABLE = _Rule(
    SourceUnreachable,
    (),
    ("Unable to connect", "Net-Lib error", "DBPROCESS is dead", "Client unable to establish connection",
     "Communication link failure", "Login timeout expired", "Connection timeout expired"),
    "the source could not be read to the end: {text}.",
    "The task is retried; if it stays so, check host, port, firewall and TLS settings of connection {connection}.",
)  # fmt: skip


def typed(error: Exception, where: str, connection_id: str) -> RunError:
    """Our error for a driver's. Anything unknown counts as unreachable: retried, never half a file.

    Broken connections are told by their text alone: pymssql then repeats the number of some earlier error.
    """
    number, text = _number(error), _text(error)
    rule = next(
        (r for r in (_UNREACHABLE, *_RULES) if number in r.numbers or any(p in text for p in r.phrases)), _UNREACHABLE
    )
    shown = (redact(text, 300) if rule.kind is BadValue or rule is _UNREACHABLE else text[:300]).rstrip(". ")
    remedy = rule.remedy.format(database=_database(text), connection=connection_id)
    return rule.kind(where, rule.what.format(text=shown), remedy)


def snapshot_off(where: str, database: str, state: str) -> SnapshotOff:
    """The same error, found before any row is read."""
    what = f"the source database {database} does not allow SNAPSHOT isolation (snapshot_isolation_state {state})."
    return SnapshotOff(where, what, _RULES[0].remedy.format(database=database))


def wrong_database(where: str, connection: str, found: str, wanted: str) -> ConnectionMissing:
    what = f"connection {connection} opens database {found}, the plan reads {wanted}."
    return ConnectionMissing(where, what, f"Set the schema field of connection {connection} to {wanted}.")


def _number(error: Exception) -> int | None:
    """pymssql: args are (number, text) or ((number, text),)."""
    first = error.args[0] if error.args else None
    first = first[0] if isinstance(first, tuple) and first else first
    return first if isinstance(first, int) else None


def _text(error: Exception) -> str:
    if isinstance(error, mssql_python.exceptions.Exception):
        parts = [error.driver_error, error.ddbc_error.replace("[Microsoft]", "").replace("[SQL Server]", "")]
        return ": ".join(part for part in parts if part)
    told = error.args[0] if error.args and isinstance(error.args[0], tuple) else error.args
    texts = (p.decode("utf-8", "replace") if isinstance(p, bytes) else str(p) for p in told[1:] or told)
    return " ".join(" ".join(texts).split())


def _database(text: str) -> str:
    after = text.partition("accessing database '")[2] or text.partition("database '")[2]
    return after.partition("'")[0] or "…"


def _answer(call: Callable[[], T], answers: queue.Queue[tuple[T | None, Exception | None]]) -> None:
    try:
        answers.put((call(), None))
    except Exception as error:  # noqa: BLE001  # handed over: the caller's thread raises it
        answers.put((None, error))


def _fetched(reader: Any) -> Generator[pa.RecordBatch, None, None]:
    """The reader's batches, read ahead by QUEUED_BATCHES."""
    waiting: queue.Queue[pa.RecordBatch | Exception | None] = queue.Queue(maxsize=QUEUED_BATCHES)
    abandoned = threading.Event()
    thread = threading.Thread(target=_fetch, args=(reader, waiting, abandoned), name="fetch", daemon=True)
    thread.start()
    try:
        while (item := _next(waiting)) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        abandoned.set()
        reader.close()  # cancels a fetch that is still waiting for the server
        thread.join(timeout=30)


def _fetch(reader: Any, waiting: queue.Queue[Any], abandoned: threading.Event) -> None:
    try:
        for batch in reader:
            _put(waiting, batch, abandoned)
            if abandoned.is_set():
                return
    except Exception as error:  # noqa: BLE001  # handed over: the caller's thread raises it
        _put(waiting, error, abandoned)
    else:
        _put(waiting, None, abandoned)


def _put(waiting: queue.Queue[Any], item: object, abandoned: threading.Event) -> None:
    while not abandoned.is_set():
        with suppress(queue.Full):
            waiting.put(item, timeout=0.5)
            return


def _next(waiting: queue.Queue[Any]) -> Any:
    while True:
        with suppress(queue.Empty):
            return waiting.get(timeout=0.5)
