"""One client's session: its login, its requests, and its rows as they stream out."""

import datetime
import hmac
import logging
import ssl
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa

from sandbox.sqlserver import errors, login, parameters, wire
from sandbox.sqlserver.catalogue import Table
from sandbox.sqlserver.compiler import compile_select
from sandbox.sqlserver.conversion import Typed
from sandbox.sqlserver.encode import Bytes, Ints, encoder, rows
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.expressions import Query
from sandbox.sqlserver.faults import Fault
from sandbox.sqlserver.lexer import DEFINITIONS, UNSERVED, WRITES, Statement, check, statements
from sandbox.sqlserver.parameters import Call
from sandbox.sqlserver.procedures import TYPE_INFO, Procedures
from sandbox.sqlserver.results import (
    ACKNOWLEDGED,
    COUNTED,
    DONE,
    DONE_IN_PROC,
    DONE_PROC,
    ERROR,
    Output,
    check_arrow,
    column_metadata,
    error_token,
)
from sandbox.sqlserver.scope import Context
from sandbox.sqlserver.transactions import Transactions
from sandbox.sqlserver.typeinfo import datatype_info
from sandbox.sqlserver.wire import Cancelled, Channel, Hangup, Response
from sandbox.sqlserver.words import word_set

if TYPE_CHECKING:
    from sandbox.sqlserver.server import Server

log = logging.getLogger("sandbox.sqlserver")

SELECT: Final = 0xC1
BATCH_ROWS: Final = 16_384
SWITCHES: Final = word_set(
    """ANSI_DEFAULTS ANSI_NULLS ANSI_NULL_DFLT_ON ANSI_NULL_DFLT_OFF ANSI_PADDING ANSI_WARNINGS ARITHABORT ARITHIGNORE
    CONCAT_NULL_YIELDS_NULL CURSOR_CLOSE_ON_COMMIT NOCOUNT NO_BROWSETABLE NUMERIC_ROUNDABORT QUOTED_IDENTIFIER
    XACT_ABORT"""
)
SETTINGS: Final = word_set("DATEFIRST DATEFORMAT DEADLOCK_PRIORITY LANGUAGE LOCK_TIMEOUT TEXTSIZE ROWCOUNT")
YEAR_ONE: Final = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)


class Session:
    """Serves one socket until the client leaves."""

    def __init__(self, server: "Server", channel: Channel, number: int) -> None:
        self._server, self._channel, self.number = server, channel, number
        self._cursor = server.connection.cursor()
        self._transactions = Transactions(self._cursor, server.catalogue)
        self._procedures = Procedures()
        self.login, self.database, self.application = "", "master", ""
        self.state, self.request = "login", ""

    # -- login --

    def serve(self) -> None:
        try:
            if self._log_in():
                self._channel.interrupt = self._interrupt
                self._channel.start_reading()
                self._loop()
        except Hangup:
            log.info("session %s: the client left", self.number)
        except ssl.SSLError as error:
            log.info("session %s: no TLS, %s", self.number, error.reason)
        finally:
            self._cursor.close()
            self._channel.close()

    def _interrupt(self) -> None:
        try:
            self._cursor.interrupt()
        except duckdb.ConnectionException:
            log.debug("session %s: nothing to interrupt, it is over", self.number)

    def _log_in(self) -> bool:
        wanted = login.options(self._expect(wire.PRELOGIN)).get(1, b"\x02")[0]
        encryption = login.answered_encryption(wanted)
        answer = Response(self._channel, self.number)
        answer.write(login.prelogin_answer(encryption))
        answer.finish()
        if encryption != login.ENCRYPT_NOT_SUPPORTED:
            self._channel.secure(self._server.tls)
        payload = self._expect(wire.LOGIN7)
        if encryption == login.ENCRYPT_OFF:
            self._channel.unsecure()
        return self._greet(login.parse(payload), extended=bool(payload[27] & 0x10))

    def _expect(self, wanted: int) -> bytes:
        kind, payload = self._channel.read_message()
        if kind != wanted:
            raise Hangup
        return payload

    def _greet(self, asked: login.Login, *, extended: bool) -> bool:
        response = Response(self._channel, self.number)
        try:
            self.database = self._admitted(asked)
        except SqlError as error:
            response.write(error_token(error) + login.done(DONE, ERROR, 0, 0))
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
        self.login = asked.user
        name = self._openable(asked.database or "master")
        if name is None:
            raise errors.cannot_open(asked.database)
        return name

    def _openable(self, database: str) -> str | None:
        """The database's own spelling of its name, None when it is not there or not for this login."""
        if database.lower() == "master":
            return "master"
        found = self._server.catalogue.database(database)
        return found.name if found and self._may_open(database) else None

    def _may_open(self, database: str) -> bool:
        allowed = self._server.logins[self.login].databases
        return database.lower() == "master" or "*" in allowed or database.lower() in allowed

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
            if kind == wire.RPC:
                for call in parameters.calls(payload):
                    self._call(call, response)
                return
            if kind == wire.BATCH:
                self._batch(parameters.batch_text(payload), {}, output)
            elif kind == wire.TRANSACTION:
                output.write(self._transactions.manage(payload))
            else:
                raise errors.bad_stream()
        except SqlError as error:
            self._report(error, output)
            output.end_statement(ERROR, 0, 0)
        output.end_batch()

    def _report(self, error: SqlError, output: Output) -> None:
        log.info("session %s: %s %s", self.number, error.number, error.text)
        output.write(error_token(error) + self._transactions.after(error))

    def _call(self, call: Call, response: Response) -> None:
        """A procedure call. What it SETs ends with it; a transaction that it leaves open is 266, and stays open."""
        output, transactions = Output(response, DONE_IN_PROC), self._transactions
        before = transactions.isolation, transactions.implicit, transactions.depth
        status, returned = 0, b""
        try:
            returned = self._procedure(call, output)
            if transactions.depth != before[2]:
                raise errors.mismatched_count(before[2], transactions.depth)
        except SqlError as error:
            self._report(error, output)
            status = ERROR
        transactions.isolation, transactions.implicit = before[:2]
        output.write(struct.pack("<Bi", 0x79, 0) + returned if not status else b"")
        response.write(login.done(DONE_PROC, status, 0xE0, 0))

    def _procedure(self, call: Call, output: Output) -> bytes:
        """Run it; returns the RETURNVALUE tokens of its output parameters."""
        if call.procedure.replace("[", "").replace("]", "") == TYPE_INFO:
            self._stream(datatype_info(int(str(call.parameters[0].value))), [], output)
            return b""
        execution = self._procedures.resolve(call)
        if execution.text is not None:
            self._batch(execution.text, execution.values, output)
        return execution.returned

    # -- statements --

    def _batch(self, text: str, values: dict[str, Typed], output: Output) -> None:
        self.request = text
        log.debug("session %s: %s", self.number, text)
        found = list(statements(text))
        for statement in found:
            self._check(statement)
        for statement in found:
            self._run(statement, values, output)

    def _check(self, statement: Statement) -> None:
        """The whole batch is parsed before any of it runs."""
        words = statement.words()
        if words[0] in {"SELECT", "WITH"}:
            check(statement.tokens)
        elif words[0] not in {"SET", "BEGIN", "COMMIT", "ROLLBACK", "USE", "IF"}:
            raise self._refused(words, statement)

    def _run(self, statement: Statement, values: dict[str, Typed], output: Output) -> None:
        words = statement.words()
        if words[0] in {"SELECT", "WITH"}:
            self._select(statement, values, output)
        elif words[0] == "IF":
            self._conditional(statement, values, output)
        else:
            output.write(self._changed(words, statement))
            output.end_statement(0, 0, 0)

    def _changed(self, words: list[str], statement: Statement) -> bytes:
        """A statement that changes the session and returns no rows."""
        if words[0] == "SET":
            return self._set(words, statement)
        if words[0] in {"BEGIN", "COMMIT", "ROLLBACK"}:
            return self._transact(words, statement)
        if words[0] == "USE" and len(words) == 2:
            return self._use(statement.tokens[1].text)
        raise errors.syntax(statement.tokens[-1].text)

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
        if self._transactions.depth:
            self._run(rest, values, output)
        else:
            output.end_statement(0, 0, 0)

    def _use(self, name: str) -> bytes:
        found = self._openable(name)
        if found is None:
            raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
        old, self.database = self.database, found
        return login.database_change(found, old)

    def _set(self, words: list[str], statement: Statement) -> bytes:
        if words[1:4] == ["TRANSACTION", "ISOLATION", "LEVEL"]:
            self._transactions.set_isolation(" ".join(words[4:]))
        elif words[-1] in {"ON", "OFF"} and len(words) >= 3:
            for name in "".join(words[1:-1]).split(","):
                self._switch(name, on=words[-1] == "ON")
        elif len(words) < 3 or words[1] not in SETTINGS or (words[1] == "ROWCOUNT" and words[2:] != ["0"]):
            raise errors.unknown_option(statement.tokens[-1 if len(words) < 2 else 1].text)
        return b""

    def _switch(self, name: str, *, on: bool) -> None:
        if name == "IMPLICIT_TRANSACTIONS":
            self._transactions.implicit = on
        elif name not in SWITCHES and not (name == "FMTONLY" and not on):
            raise errors.unknown_option(name)

    def _transact(self, words: list[str], statement: Statement) -> bytes:
        kinds = {"BEGIN": ("TRAN", "TRANSACTION")}.get(words[0], ("TRAN", "TRANSACTION", "WORK"))
        named = len(words) > 1 and words[1] in kinds
        if len(words) > 3 or not (named or (len(words) == 1 and words[0] != "BEGIN")):
            raise errors.syntax(statement.tokens[-1].text)
        if words[0] == "BEGIN":
            return self._transactions.begin()
        return self._transactions.commit() if words[0] == "COMMIT" else self._transactions.roll_back()

    # -- SELECT --

    def _context(self, values: dict[str, Typed]) -> Context:
        since = datetime.datetime.now(datetime.UTC) - YEAR_ONE
        ticks = (since.days * 86400 + since.seconds) * 10_000_000 + since.microseconds * 10
        depth = self._transactions.depth
        return Context(
            self._server.catalogue, self.database, self.number, self.login, depth, values, ticks, self._may_open
        )

    def _select(self, statement: Statement, values: dict[str, Typed], output: Output) -> None:
        context = self._context(values)
        query = compile_select(statement, context)
        if context.touched:
            deadlock = self._fault("deadlock", context.touched)
            if deadlock and self._server.faults.strike(deadlock):
                raise errors.deadlock(self.number)
            output.write(self._transactions.touch(context.touched, self.database))
        self._stream(query, context.touched, output)

    def _stream(self, query: Query, tables: list[Table], output: Output) -> None:
        output.write(column_metadata(query.columns))
        count = 0
        for batch in self._batches(query):
            kept = self._shortened(batch, tables, count)
            count += self._send(kept, query, tables, count, output)
            if kept.num_rows < batch.num_rows:
                break
        output.end_statement(COUNTED, SELECT, count)

    def _batches(self, query: Query) -> Iterator[pa.RecordBatch]:
        log.debug("session %s: duckdb: %s", self.number, query.sql)
        try:
            with self._cursor.sql(query.sql).to_arrow_reader(BATCH_ROWS) as reader:
                for computed, column in zip(reader.schema, query.columns, strict=True):
                    check_arrow(computed, column.kind)
                yield from reader
        # What fails behind the first batch comes through Arrow's stream, which makes it an OSError.
        except (duckdb.Error, OSError) as error:
            if errors.is_interrupt(error):
                raise Cancelled from error
            raise errors.from_duckdb(error) from error

    def _send(self, batch: pa.RecordBatch, query: Query, tables: list[Table], before: int, output: Output) -> int:
        if self._channel.attention.is_set():
            raise Cancelled
        data, ends = rows(batch, [encoder(column.kind) for column in query.columns])
        sent = self._break(data, ends, tables, before, output) if tables else 0
        output.response.write(data[sent:])
        return len(ends)

    # -- faults --

    def _fault(self, kind: str, tables: list[Table]) -> Fault | None:
        names = [table.name.lower() for table in tables]
        return self._server.faults.find(kind, login=self.login, database=self.database, tables=names)

    def _shortened(self, batch: pa.RecordBatch, tables: list[Table], before: int) -> pa.RecordBatch:
        """The batch up to the row behind which the result is to end."""
        fault = self._fault("short", tables) if tables else None
        if fault and before <= fault.after_rows < before + batch.num_rows and self._server.faults.strike(fault):
            return batch.slice(0, fault.after_rows - before)
        return batch

    def _break(self, data: Bytes, ends: Ints, tables: list[Table], before: int, output: Output) -> int:
        """Stall or cut if their row is in this batch; returns how many of its bytes went out before that."""
        sent = 0
        for kind in ("stall", "cut"):
            fault = self._fault(kind, tables)
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
