"""One client's session: login, batches, procedure calls, transactions, and rows as they stream out."""

import datetime
import hmac
import logging
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa

from sandbox.sqlserver import errors, login, parameters, sqltypes, wire
from sandbox.sqlserver.catalogue import Table
from sandbox.sqlserver.compiler import Query, compile_select
from sandbox.sqlserver.conversion import Typed, convert, literal
from sandbox.sqlserver.encode import Bytes, Ints, encoder, rows
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.faults import Fault
from sandbox.sqlserver.lexer import DEFINITIONS, UNSERVED, WRITES, Statement, statements
from sandbox.sqlserver.parameters import Call, Parameter
from sandbox.sqlserver.scope import Context
from sandbox.sqlserver.sqltypes import INT, SqlType, type_info
from sandbox.sqlserver.typeinfo import datatype_info
from sandbox.sqlserver.wire import Cancelled, Channel, Hangup, Response
from sandbox.sqlserver.words import word_set

if TYPE_CHECKING:
    from sandbox.sqlserver.server import Server

log = logging.getLogger("sandbox.sqlserver")

DONE: Final = 0xFD
DONE_PROC: Final = 0xFE
DONE_IN_PROC: Final = 0xFF
MORE: Final = 0x01
ERROR: Final = 0x02
COUNTED: Final = 0x10
ACKNOWLEDGED: Final = 0x20
SELECT: Final = 0xC1
BATCH_ROWS: Final = 16_384
READ_COMMITTED: Final = "READ COMMITTED"
SNAPSHOT: Final = "SNAPSHOT"
LEVELS: Final = {1: "READ UNCOMMITTED", 2: READ_COMMITTED, 3: "REPEATABLE READ", 4: "SERIALIZABLE", 5: SNAPSHOT}
# Levels whose reads must not change until the end; DuckDB's transactions give exactly that.
STABLE: Final = frozenset({SNAPSHOT, "REPEATABLE READ", "SERIALIZABLE"})
SWITCHES: Final = word_set(
    """ANSI_DEFAULTS ANSI_NULLS ANSI_NULL_DFLT_ON ANSI_NULL_DFLT_OFF ANSI_PADDING ANSI_WARNINGS ARITHABORT ARITHIGNORE
    CONCAT_NULL_YIELDS_NULL CURSOR_CLOSE_ON_COMMIT NOCOUNT NO_BROWSETABLE NUMERIC_ROUNDABORT QUOTED_IDENTIFIER
    XACT_ABORT"""
)
SETTINGS: Final = frozenset(
    {"DATEFIRST", "DATEFORMAT", "DEADLOCK_PRIORITY", "LANGUAGE", "LOCK_TIMEOUT", "TEXTSIZE", "ROWCOUNT"}
)
EPOCH: Final = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)


@dataclass(slots=True)
class Transaction:
    """The open transaction; stable ones hold a DuckDB transaction, begun_at is set when one first reads data."""

    descriptor: int
    depth: int
    isolation: str
    stable: bool = False
    begun_at: int | None = None


@dataclass(slots=True)
class Output:
    """Where a request's tokens go; inside a procedure the DONE tokens have another number."""

    response: Response
    done: int = DONE
    pending: bytes = field(default=b"", init=False)

    def write(self, data: bytes) -> None:
        self.response.write(self.pending + data)
        self.pending = b""

    def end_statement(self, status: int, command: int, count: int) -> None:
        """A DONE that says 'more follows'; the last one of a batch is corrected by end_batch()."""
        self.response.write(self.pending)
        self.pending = login.done(self.done, status | MORE, command, count)

    def end_batch(self, status: int = 0) -> None:
        if not self.pending:
            self.pending = login.done(self.done, 0, 0, 0)
        token, old, command, count = struct.unpack("<BHHQ", self.pending)
        self.response.write(login.done(token, (old & ~MORE) | status, command, count))
        self.pending = b""


class Session:
    """Serves one socket until the client leaves."""

    def __init__(self, server: "Server", channel: Channel, number: int) -> None:
        self._server, self._channel, self.number = server, channel, number
        self._cursor = server.connection.cursor()
        self._prepared: dict[int, tuple[str, dict[str, SqlType]]] = {}
        self._transaction: Transaction | None = None
        self._isolation, self._implicit = READ_COMMITTED, False
        self.login, self.database, self.application = "", "master", ""
        self.state, self.request = "login", ""

    # -- login --

    def serve(self) -> None:
        try:
            if self._log_in():
                self._channel.interrupt = self._cursor.interrupt
                self._channel.start_reading()
                self._loop()
        except Hangup:
            log.info("session %s: the client left", self.number)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._cursor.close()
        self._channel.close()

    def _log_in(self) -> bool:
        kind, payload = self._channel.read_message()
        if kind != wire.PRELOGIN:
            raise Hangup
        wanted = login.options(payload).get(1, b"\x02")[0]
        encryption = login.answered_encryption(wanted)
        answer = Response(self._channel, self.number)
        answer.write(login.prelogin_answer(encryption))
        answer.finish()
        if encryption != login.ENCRYPT_NOT_SUPPORTED:
            self._channel.secure(self._server.tls)
        kind, payload = self._channel.read_message()
        if encryption == login.ENCRYPT_OFF:
            self._channel.unsecure()
        if kind != wire.LOGIN7:
            raise Hangup
        return self._greet(login.parse(payload), extended=bool(payload[27] & 0x10))

    def _greet(self, asked: login.Login, *, extended: bool) -> bool:
        response = Response(self._channel, self.number)
        try:
            self.database = self._admitted(asked)
        except SqlError as error:
            response.write(_error(error) + login.done(DONE, ERROR, 0, 0))
            response.finish()
            return False
        self.login, self.application = asked.user, asked.application
        size = min(max(asked.packet_size or 4096, 512), 32767)
        response.write(login.acknowledgement(self.database, size))
        response.write((b"\xae\xff" if extended else b"") + login.done(DONE, 0, 0, 0))
        response.finish()
        self._channel.packet_size = size
        return True

    def _admitted(self, asked: login.Login) -> str:
        """The database to start in; 18456 or 4060."""
        known = self._server.logins.get(asked.user)
        refusal = self._server.faults.find("refuse_login", login=asked.user)
        good = known is not None and hmac.compare_digest(known.password.encode(), asked.password.encode())
        if not good or (refusal and self._server.faults.strike(refusal)):
            raise errors.login_failed(asked.user)
        name = asked.database or "master"
        found = self._server.catalogue.database(name)
        self.login = asked.user
        if name.lower() != "master" and (found is None or not self._may_open(name)):
            raise errors.cannot_open(name)
        return found.name if found else "master"

    def _may_open(self, database: str) -> bool:
        known = self._server.logins[self.login]
        return database.lower() == "master" or "*" in known.databases or database.lower() in known.databases

    # -- requests --

    def _loop(self) -> None:
        unfinished: Response | None = None
        while True:
            self.state = "sleeping" if unfinished is None else "cancelling"
            kind, payload = self._channel.messages.get()
            if kind == wire.GONE:
                return
            self.state = "running"
            response = unfinished or Response(self._channel, self.number)
            unfinished = None
            if kind == wire.ATTENTION:
                self._channel.attention.clear()
                response.write(login.done(DONE, ACKNOWLEDGED, 0, 0))
            else:
                try:
                    self._answer(kind, payload, response)
                except Cancelled:
                    unfinished = response  # ended by the attention message that waits in the queue
                    continue
            response.finish()

    def _answer(self, kind: int, payload: bytes, response: Response) -> None:
        output = Output(response)
        try:
            if kind == wire.BATCH:
                self._batch(payload[_headers_length(payload) :].decode("utf-16-le"), {}, output)
                output.end_batch()
            elif kind == wire.RPC:
                for call in parameters.calls(payload):
                    self._call(call, response)
            elif kind == wire.TRANSACTION:
                self._manage(payload, output)
                output.end_batch()
            else:
                raise SqlError(4002, "The incoming tabular data stream (TDS) protocol stream is incorrect.")
        except SqlError as error:
            self._report(error, output)

    def _report(self, error: SqlError, output: Output) -> None:
        log.info("session %s: %s %s", self.number, error.number, error.text)
        output.write(_error(error))
        if error.number in _ENDS_TRANSACTION and self._transaction:
            output.write(self._end_transaction(10))
        output.end_statement(ERROR, 0, 0)
        output.end_batch()

    def _batch(self, text: str, values: dict[str, Typed], output: Output) -> None:
        self.request = text
        log.debug("session %s: %s", self.number, text)
        for statement in statements(text):
            self._run(statement, values, output)

    def _run(self, statement: Statement, values: dict[str, Typed], output: Output) -> None:
        words = statement.words()
        if words[0] in {"SELECT", "WITH"}:
            self._select(statement, values, output)
        elif words[0] == "SET":
            self._set(words, statement)
            output.end_statement(0, 0xBE, 0)
        elif words[0] in {"BEGIN", "COMMIT", "ROLLBACK"}:
            output.write(self._transact(words, statement))
            output.end_statement(0, 0xD4, 0)
        elif words[0] == "IF":
            self._conditional(statement, values, output)
        elif words[0] == "USE" and len(words) == 2:
            output.write(self._use(statement.tokens[1].text))
            output.end_statement(0, 0, 0)
        else:
            raise self._refused(words, statement)

    def _refused(self, words: list[str], statement: Statement) -> SqlError:
        if words[0] in WRITES:
            return errors.denied(words[0], "table", self.database)
        if words[0] in DEFINITIONS:
            what = " ".join(words[:2])
            return SqlError(262, f"{what} permission denied in database '{self.database}'.", severity=14)
        if words[0] in {"EXEC", "EXECUTE"} and len(words) > 1:
            return SqlError(2812, f"Could not find stored procedure '{statement.tokens[1].text}'.", state=62)
        return errors.unserved(words[0]) if words[0] in UNSERVED else errors.syntax(statement.tokens[0].text)

    def _conditional(self, statement: Statement, values: dict[str, Typed], output: Output) -> None:
        """IF @@TRANCOUNT > 0 <statement>, the one condition that drivers send."""
        words = statement.words()
        if words[1:6] != ["@", "@", "TRANCOUNT", ">", "0"] or len(words) < 7:
            raise errors.unserved("IF with another condition than @@TRANCOUNT > 0")
        first = statement.tokens[6]
        rest = Statement(statement.tokens[6:], statement.text[first.start - statement.tokens[0].start :])
        if self._transaction:
            self._run(rest, values, output)
        else:
            output.end_statement(0, 0, 0)

    def _use(self, name: str) -> bytes:
        found = self._server.catalogue.database(name)
        if name.lower() != "master" and (found is None or not self._may_open(name)):
            raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
        old, self.database = self.database, found.name if found else "master"
        return login.database_change(self.database, old)

    # -- SET --

    def _set(self, words: list[str], statement: Statement) -> None:
        if words[1:4] == ["TRANSACTION", "ISOLATION", "LEVEL"]:
            self._set_isolation(" ".join(words[4:]))
            return
        if words[-1] in {"ON", "OFF"} and len(words) >= 3:
            for name in " ".join(words[1:-1]).replace(" ", "").split(","):
                self._switch(name, on=words[-1] == "ON")
            return
        if words[1] not in SETTINGS or (words[1] == "ROWCOUNT" and words[2:] != ["0"]):
            raise SqlError(195, f"'{statement.tokens[1].text}' is not a recognized SET option.", severity=15, state=7)

    def _switch(self, name: str, *, on: bool) -> None:
        if name == "IMPLICIT_TRANSACTIONS":
            self._implicit = on
        elif name not in SWITCHES and not (name == "FMTONLY" and not on):
            raise SqlError(195, f"'{name}' is not a recognized SET option.", severity=15, state=7)

    def _set_isolation(self, level: str) -> None:
        if level not in LEVELS.values():
            raise errors.syntax(level)
        self._isolation = level

    # -- transactions --

    def _transact(self, words: list[str], statement: Statement) -> bytes:
        if words[0] == "BEGIN":
            if len(words) < 2 or words[1] not in {"TRAN", "TRANSACTION"} or len(words) > 3:
                raise errors.syntax(statement.tokens[-1].text)
            return self._begin()
        if len(words) > 3 or words[1:2] not in ([], ["TRAN"], ["TRANSACTION"], ["WORK"]):
            raise errors.syntax(statement.tokens[-1].text)
        return self._commit() if words[0] == "COMMIT" else self._roll_back()

    def _begin(self) -> bytes:
        if self._transaction:
            self._transaction.depth += 1
            return b""
        descriptor = self._server.next_descriptor()
        self._transaction = Transaction(descriptor, 1, self._isolation)
        return login.transaction_change(8, descriptor, began=True)

    def _commit(self) -> bytes:
        if self._transaction is None:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        if self._transaction.depth > 1:
            self._transaction.depth -= 1
            return b""
        return self._end_transaction(9)

    def _roll_back(self) -> bytes:
        if self._transaction is None:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        return self._end_transaction(10)

    def _end_transaction(self, kind: int) -> bytes:
        ended = self._transaction
        assert ended is not None
        self._transaction = None
        if ended.stable:
            self._cursor.execute("ROLLBACK")  # reads only: nothing to keep
        return login.transaction_change(kind, ended.descriptor, began=False)

    def _manage(self, payload: bytes, output: Output) -> None:
        """A transaction manager request, as ODBC drivers send instead of BEGIN and COMMIT."""
        cursor = parameters.Cursor(payload)
        parameters.skip_headers(cursor)
        request = cursor.number("H")
        if request == 5:
            self._set_level(cursor.number("B"))
            output.write(self._begin())
        elif request in {7, 8}:
            output.write(self._commit() if request == 7 else self._roll_back())
            cursor.text(cursor.number("B") // 2)
            if cursor.number("B") & 1:
                self._set_level(cursor.number("B"))
                output.write(self._begin())
        else:
            raise errors.unserved(f"Transaction manager request {request}")
        output.end_statement(0, 0xD4, 0)

    def _set_level(self, number: int) -> None:
        self._isolation = LEVELS.get(number, self._isolation)

    def _touch(self, tables: list[Table]) -> None:
        """What SQL Server checks when a statement reaches its data."""
        names = [table.name.lower() for table in tables]
        fault = self._fault("deadlock", names)
        if fault and self._server.faults.strike(fault):
            raise errors.deadlock(self.number)
        if self._implicit and self._transaction is None:
            self._transaction = Transaction(self._server.next_descriptor(), 1, self._isolation)
        if self._isolation == SNAPSHOT:
            self._check_snapshot(tables)
        transaction = self._transaction
        if transaction and transaction.isolation in STABLE and not transaction.stable:
            self._cursor.execute("BEGIN TRANSACTION")
            transaction.stable, transaction.begun_at = True, self._server.catalogue.clock

    def _check_snapshot(self, tables: list[Table]) -> None:
        transaction = self._transaction
        if transaction and transaction.isolation != SNAPSHOT:
            raise errors.snapshot_late(self.database)
        for table in tables:
            home = self._server.catalogue.database(table.database)
            if home is not None and not home.snapshot_allowed:
                raise errors.snapshot_off(home.name)
            if transaction and transaction.begun_at is not None and table.version > transaction.begun_at:
                raise errors.snapshot_ddl(table.database)

    # -- SELECT --

    def _context(self, values: dict[str, Typed]) -> Context:
        since = datetime.datetime.now(datetime.UTC) - EPOCH
        ticks = (since.days * 86400 + since.seconds) * 10_000_000 + since.microseconds * 10
        depth = self._transaction.depth if self._transaction else 0
        return Context(
            self._server.catalogue, self.database, self.number, self.login, depth, values, ticks, self._may_open
        )

    def _select(self, statement: Statement, values: dict[str, Typed], output: Output) -> None:
        context = self._context(values)
        query = compile_select(statement, context)
        if context.touched:
            self._touch(context.touched)
        self._stream(query, context.touched, output)

    def _stream(self, query: Query, tables: list[Table], output: Output) -> None:
        output.write(column_metadata(query.columns))
        count = 0
        try:
            for batch in self._batches(query):
                count += self._send(batch, query, tables, count, output)
        except duckdb.InterruptException as error:
            raise Cancelled from error
        except duckdb.Error as error:
            raise errors.from_duckdb(error) from error
        output.end_statement(COUNTED, SELECT, count)

    def _batches(self, query: Query) -> Iterator[pa.RecordBatch]:
        log.debug("session %s: duckdb: %s", self.number, query.sql)
        reader = self._cursor.sql(query.sql).to_arrow_reader(BATCH_ROWS)
        try:
            for field_, column in zip(reader.schema, query.columns, strict=True):
                _check_arrow(field_, column.kind)
            yield from reader
        finally:
            reader.close()

    def _send(self, batch: pa.RecordBatch, query: Query, tables: list[Table], before: int, output: Output) -> int:
        if self._channel.attention.is_set():
            raise Cancelled
        data, ends = rows(batch, [encoder(column.kind) for column in query.columns])
        sent = self._break(data, ends, tables, before, output)
        output.response.write(data[sent:])
        return len(ends)

    # -- faults --

    def _fault(self, kind: str, tables: list[str]) -> Fault | None:
        return self._server.faults.find(kind, login=self.login, database=self.database, tables=tables)

    def _break(self, data: Bytes, ends: Ints, tables: list[Table], before: int, output: Output) -> int:
        """Cut or stall if it is time; returns how many bytes of data went out before that."""
        if not tables:
            return 0
        names, sent = [table.name.lower() for table in tables], 0
        for kind in ("stall", "cut"):
            fault = self._fault(kind, names)
            if fault and before <= fault.after_rows <= before + len(ends) and self._server.faults.strike(fault):
                rows_here = fault.after_rows - before
                edge = int(ends[rows_here - 1]) if rows_here else 0
                output.response.write(data[sent:edge])
                output.response.flush()
                sent = edge
                self._suffer(fault)
        return sent

    def _suffer(self, fault: Fault) -> None:
        if fault.kind == "cut":
            self._channel.cut()
            raise Hangup
        if self._channel.attention.wait(fault.seconds):
            raise Cancelled

    # -- procedures --

    def _call(self, call: Call, response: Response) -> None:
        output = Output(response, DONE_IN_PROC)
        try:
            returned = self._procedure(call, output)
        except SqlError as error:
            log.info("session %s: %s %s", self.number, error.number, error.text)
            output.write(_error(error))
            if error.number in _ENDS_TRANSACTION and self._transaction:
                output.write(self._end_transaction(10))
            response.write(login.done(DONE_PROC, ERROR, 0xE0, 0))
            return
        output.write(struct.pack("<Bi", 0x79, 0) + returned)
        response.write(login.done(DONE_PROC, 0, 0xE0, 0))

    def _procedure(self, call: Call, output: Output) -> bytes:
        """Run it; returns the RETURNVALUE tokens of its output parameters."""
        given = call.parameters
        if call.procedure == "sp_executesql":
            declared = _declared(given[1].value) if len(given) > 1 else {}
            self._batch(_statement(given[0]), _bound(declared, given[2:]), output)
        elif call.procedure == "sp_prepexec":
            declared = _declared(given[1].value)
            handle = self._prepare(_statement(given[2]), declared)
            self._batch(_statement(given[2]), _bound(declared, given[3:]), output)
            return _returned(given[0].name, handle)
        elif call.procedure == "sp_prepare":
            handle = self._prepare(_statement(given[2]), _declared(given[1].value))
            return _returned(given[0].name, handle)
        elif call.procedure == "sp_execute":
            text, declared = self._handle(given[0].value)
            self._batch(text, _bound(declared, given[1:]), output)
        elif call.procedure == "sp_unprepare":
            self._prepared.pop(int(str(given[0].value)), None)
        elif call.procedure.replace("[", "").replace("]", "") == "sys.sp_datatype_info_100":
            self._stream(datatype_info(int(str(given[0].value)) if given else 0), [], output)
        else:
            raise SqlError(2812, f"Could not find stored procedure '{call.procedure}'.", state=62)
        return b""

    def _prepare(self, text: str, declared: dict[str, SqlType]) -> int:
        handle = len(self._prepared) + 1
        while handle in self._prepared:
            handle += 1
        self._prepared[handle] = text, declared
        return handle

    def _handle(self, value: object) -> tuple[str, dict[str, SqlType]]:
        found = self._prepared.get(int(str(value))) if value is not None else None
        if found is None:
            raise SqlError(8179, f"Could not find prepared statement with handle {value}.", state=2)
        return found


# Errors that end the transaction they happen in (with SET XACT_ABORT OFF).
_ENDS_TRANSACTION: Final = frozenset({241, 242, 245, 1205, 3951, 3952, 3961, 8114, 8115, 8134, 8169, 50000})


def _headers_length(payload: bytes) -> int:
    return int(struct.unpack_from("<I", payload)[0])


def _error(error: SqlError) -> bytes:
    return login.message(error.number, error.state, error.severity, error.text)


def column_metadata(columns: tuple[Typed, ...]) -> bytes:
    """COLMETADATA; bit 0 of the flags says that a column may be NULL."""
    parts = [struct.pack("<BH", 0x81, len(columns))]
    for column in columns:
        name = column.name.encode("utf-16-le")
        user_type = 80 if column.kind.name == "rowversion" else 0
        parts.append(struct.pack("<IH", user_type, 0x08 | int(column.nullable)) + type_info(column.kind))
        parts.append(bytes([len(name) // 2]) + name)
    return b"".join(parts)


def _check_arrow(field_: pa.Field, kind: SqlType) -> None:
    """A translation that computes another type than it declares would be read as garbage by the client."""
    expected = ARROW.get(sqltypes.storage(kind).partition("(")[0])
    got = str(field_.type).partition("(")[0].partition("[")[0].partition("<")[0]
    wrong_decimal = expected == "decimal128" and not str(field_.type).endswith(f", {_scale(kind)})")
    if got != expected or wrong_decimal:
        raise SqlError(50000, f"The stand-in computed {field_.type} for a column of type {kind}.", severity=20)


def _scale(kind: SqlType) -> int:
    return 4 if kind.name in sqltypes.MONEY else kind.scale


ARROW: Final = {
    "BOOLEAN": "bool", "UTINYINT": "uint8", "SMALLINT": "int16", "INTEGER": "int32", "BIGINT": "int64",
    "FLOAT": "float", "DOUBLE": "double", "DECIMAL": "decimal128", "DATE": "date32", "TIME": "time64",
    "TIMESTAMP": "timestamp", "STRUCT": "struct", "VARCHAR": "string", "BLOB": "binary", "UUID": "string",
}  # fmt: skip


def _statement(parameter: Parameter) -> str:
    if not isinstance(parameter.value, str):
        raise SqlError(214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.")
    return parameter.value


_DECLARED: Final = re.compile(r"@(\w+)\s+(?:AS\s+)?([a-z_0-9]+\s*(?:\([^)]*\))?)\s*(OUTPUT|OUT)?", re.IGNORECASE)


def _declared(text: object) -> dict[str, SqlType]:
    """'@P1 int, @P2 nvarchar(4000)' as types by name."""
    found: dict[str, SqlType] = {}
    for name, kind, output in _DECLARED.findall(str(text or "")):
        if output:
            raise errors.unserved("an output parameter of a statement")
        try:
            found[name.lower()] = sqltypes.parse(kind)
        except ValueError as error:
            raise SqlError(2715, f"Parameter '@{name}' has an invalid data type.") from error
    return found


def _bound(declared: dict[str, SqlType], given: tuple[Parameter, ...]) -> dict[str, Typed]:
    """The values by parameter name, each in its declared type."""
    names = list(declared)
    if len(given) != len(declared):
        raise SqlError(8178, "The parameterized query expects another number of parameters than was supplied.")
    bound = {}
    for place, parameter in enumerate(given):
        name = parameter.name or names[place]
        kind = declared.get(name)
        if kind is None:
            raise SqlError(8145, f"@{name} is not a parameter for the statement.")
        value = literal(parameter.kind, parameter.value)
        bound[name] = value if parameter.kind == kind else convert(value, kind)
    return bound


def _returned(name: str, handle: int) -> bytes:
    label = f"@{name}".encode("utf-16-le") if name else b""
    head = struct.pack("<BHB", 0xAC, 0, len(label) // 2) + label
    return head + struct.pack("<BIH", 1, 0, 0) + type_info(INT) + struct.pack("<Bi", 4, handle)
