"""The SQL Statement Execution API: POST, GET, chunks and cancel, each statement on a Spark session of its own."""

import asyncio
import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.errors.exceptions.base import PySparkException
from pyspark.sql.connect.session import SparkSession
from sqlglot import exp

from sandbox.databricks import information_schema, results
from sandbox.databricks.catalog import Catalog
from sandbox.databricks.ddl import Ddl, full_name, unsupported
from sandbox.databricks.errors import ApiError, SqlError, invalid
from sandbox.databricks.parameters import bind, parse
from sandbox.databricks.sessions import Session, Sessions

WAREHOUSES = ("abc123",)
THREADS = 4
CHUNK_ROWS = 10_000
# INLINE results are cut off at 25 MiB: https://docs.databricks.com/api/workspace/statementexecution/executestatement
INLINE_BYTES = 25 * 1024 * 1024
KEEP = 500
FIELDS = {
    "statement", "warehouse_id", "catalog", "schema", "parameters", "wait_timeout", "on_wait_timeout", "disposition",
    "format", "row_limit", "byte_limit", "query_tags",
}  # fmt: skip
# Taken by Sail or by the parser, but no Databricks SQL.
FOREIGN = (exp.SimilarTo, exp.Lock)
CATALOGUE_STATEMENTS = (exp.Create, exp.Alter, exp.Drop, exp.Comment, exp.Grant, exp.Revoke, exp.Describe, exp.Command)


@dataclass
class Statement:
    """One statement from its submission on; `rows` are what JSON_ARRAY shows."""

    body: dict[str, Any]
    statement_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "PENDING"
    error: dict[str, str] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    rows: list[list[str | None]] = field(default_factory=list)
    truncated: bool = False
    spark: SparkSession | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def settle(self, state: str, **outcome: Any) -> None:
        """End the statement, unless it was cancelled meanwhile."""
        if not self.done.is_set():
            self.state = state
            for name, value in outcome.items():
                setattr(self, name, value)
            self.done.set()


class Statements:
    """Runs statements in THREADS threads and remembers the last KEEP of them."""

    def __init__(self, sessions: Sessions, catalog: Catalog) -> None:
        self.sessions, self.catalog, self.ddl = sessions, catalog, Ddl(catalog)
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="statement")
        self.known: dict[str, Statement] = {}
        self.jobs: set[asyncio.Task[None]] = set()

    async def submit(self, body: dict[str, Any], warehouse_delay: float = 0.0) -> dict[str, Any]:
        """Start a statement and wait for it as long as the request says."""
        wait = check_request(body)
        statement = Statement(body)
        self.known[statement.statement_id] = statement
        while len(self.known) > KEEP:
            self.known.pop(next(iter(self.known)))
        job = asyncio.create_task(self._carry_out(statement, warehouse_delay))
        self.jobs.add(job)
        job.add_done_callback(self.jobs.discard)
        if wait:
            await asyncio.wait([asyncio.ensure_future(statement.done.wait())], timeout=wait)
            if not statement.done.is_set() and body.get("on_wait_timeout") == "CANCEL":
                self._cancel(statement)
        return answer(statement)

    def get(self, statement_id: str) -> dict[str, Any]:
        return answer(self._statement(statement_id))

    def chunk(self, statement_id: str, index: int) -> dict[str, Any]:
        statement = self._statement(statement_id)
        if statement.state != "SUCCEEDED" or not 0 <= index < max(1, len(chunks(statement))):
            raise invalid(f"Statement {statement_id} has no chunk {index}.")
        return result(statement, index)

    def cancel(self, statement_id: str) -> dict[str, Any]:
        self._cancel(self._statement(statement_id))
        return {}

    def _statement(self, statement_id: str) -> Statement:
        if statement_id not in self.known:
            raise ApiError(404, "NOT_FOUND", f"The statement {statement_id} was not found.")
        return self.known[statement_id]

    def _cancel(self, statement: Statement) -> None:
        if statement.done.is_set():
            return
        statement.settle("CANCELED")
        # In a thread of its own: a busy Sail answers late, and the API must not wait for it.
        threading.Thread(target=_interrupt, args=(statement,), daemon=True).start()

    async def _carry_out(self, statement: Statement, warehouse_delay: float) -> None:
        await asyncio.sleep(warehouse_delay)
        if statement.done.is_set():
            return
        statement.state = "RUNNING"
        try:
            table, schema = await asyncio.get_running_loop().run_in_executor(self.threads, self._execute, statement)
            rows = limited(results.rows(table), statement)
        except SqlError as error:
            statement.settle("FAILED", error={"error_code": error.error_code, "message": str(error)})
        else:
            statement.settle("SUCCEEDED", schema=schema, rows=rows)
        finally:
            # Whatever else was raised, nobody would otherwise learn that the statement ended.
            message = "[INTERNAL_ERROR] The stand-in failed; see its log."
            statement.settle("FAILED", error={"error_code": "INTERNAL_ERROR", "message": message})

    def _execute(self, statement: Statement) -> tuple[pa.Table, dict[str, Any]]:
        body = statement.body
        parsed = parse(body["statement"])
        sql = bind(body["statement"], parsed, body.get("parameters") or []).strip().rstrip(";")
        with self.sessions.session() as session:
            statement.spark = session.spark
            try:
                if statement.done.is_set():
                    raise SqlError("OPERATION_CANCELED", "The statement was cancelled.")
                table = self._run(sql, parsed, session)
            except (PySparkException, DeltaError) as error:
                raise spark_error(error) from error
            finally:
                statement.spark = None
        return table, results.schema(table)

    def _run(self, sql: str, parsed: exp.Expression, session: Session) -> pa.Table:
        spark = session.spark
        if isinstance(parsed, CATALOGUE_STATEMENTS):
            return self.ddl.run(sql, parsed, spark)
        kind = spark_kind(parsed)
        self._check_tables(parsed, session)
        if kind == "Delete":
            table = self.catalog.table(full_name(parsed.this))
            if table.properties.get("delta.appendOnly") == "true":
                raise SqlError("DELTA_CANNOT_MODIFY_APPEND_ONLY", "This table is configured to only allow appends.")
            return self._delete(sql, table.location, spark)
        result = spark.sql(sql).toArrow()
        if kind == "Insert":
            return written(result.column(0)[0].as_py(), "num_affected_rows", "num_inserted_rows")
        return result

    def _delete(self, sql: str, location: str, spark: SparkSession) -> pa.Table:
        """Sail answers with the rows it wrote again; how many it removed is in its commit, if it made one."""
        before = DeltaTable(location).version()
        spark.sql(sql).toArrow()
        new = [each for each in DeltaTable(location).history(50) if each["version"] > before]
        removed = [each["operationMetrics"]["numDeletedRows"] for each in new if each["operation"] == "DELETE"]
        return written(removed[0] if removed else 0, "num_affected_rows")

    def _check_tables(self, parsed: exp.Expression, session: Session) -> None:
        """Every table must be in the catalogue under its full name, as Unity Catalog would have it."""
        local = {cte.alias for cte in parsed.find_all(exp.CTE)}
        for table in parsed.find_all(exp.Table):
            if not isinstance(table.this, exp.Identifier) or (not table.db and table.name in local):
                continue  # range(…), or a name that WITH gave
            name = full_name(table)
            if name.split(".")[1] == "information_schema":
                session.ask(information_schema.views(self.catalog))
            elif self.catalog.kind(name) not in ("TABLE", "VIEW"):
                raise SqlError("TABLE_OR_VIEW_NOT_FOUND", f"The table or view `{name}` cannot be found.")


def _interrupt(statement: Statement) -> None:
    """Again until it has ended: Sail may not have begun it yet."""
    while (spark := statement.spark) is not None:
        spark.interruptAll()
        time.sleep(0.2)


def check_request(body: dict[str, Any]) -> float:
    """The seconds to wait; raises ApiError for a request that the API would not take."""
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        raise invalid(f"The stand-in does not know these fields: {', '.join(unknown)}")
    if not isinstance(body.get("statement"), str) or not body["statement"].strip():
        raise invalid("statement is required.")
    if body.get("warehouse_id") not in WAREHOUSES:
        raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"SQL warehouse {body.get('warehouse_id')} does not exist.")
    if body.get("disposition", "INLINE") != "INLINE" or body.get("format", "JSON_ARRAY") != "JSON_ARRAY":
        raise invalid("The stand-in answers INLINE and JSON_ARRAY only.")
    if body.get("on_wait_timeout", "CONTINUE") not in ("CONTINUE", "CANCEL"):
        raise invalid("on_wait_timeout must be CONTINUE or CANCEL.")
    found = re.fullmatch(r"(\d+)s", str(body.get("wait_timeout", "10s")))
    seconds = int(found[1]) if found else -1
    if seconds != 0 and not 5 <= seconds <= 50:
        raise invalid("wait_timeout must be 0s or between 5s and 50s.")
    return float(seconds)


def spark_error(error: Exception) -> SqlError:
    """The failure of a statement, in the form in which Databricks words it."""
    text = str(error)
    known = re.match(r"(?:[\w ]+: )?\[([A-Z0-9_.]+)\] (.*)", text, re.DOTALL)
    if known:
        return SqlError(known[1], known[2])
    for pattern, error_class in (
        (r"missing from the schema|cannot resolve", "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION"),
        (r"unknown function", "UNRESOLVED_ROUTINE"),
        (r"Cannot cast|Cast error", "CAST_INVALID_INPUT"),
        (r"divide by zero", "DIVIDE_BY_ZERO"),
        (r"expected something else|found .* at \d+:\d+", "PARSE_SYNTAX_ERROR"),
    ):
        if re.search(pattern, text, re.IGNORECASE):
            return SqlError(error_class, text)
    return SqlError("INTERNAL_ERROR", text, "INTERNAL_ERROR")


def spark_kind(parsed: exp.Expression) -> str:
    """Query, Insert or Delete: what is handed to Spark; raises SqlError for all else."""
    foreign = parsed.find(*FOREIGN)
    if foreign is not None:
        raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near {foreign.sql('databricks')[:60]!r}.")
    if isinstance(parsed, exp.Query):
        return "Query"
    # Sail overwrites the whole table where Databricks would replace some rows: see rewrites.md.
    blind = isinstance(parsed, exp.Insert) and not parsed.args.get("overwrite") and not parsed.args.get("where")
    if not blind and not isinstance(parsed, exp.Delete):
        raise unsupported(parsed)
    return "Insert" if blind else "Delete"


def written(count: int, *columns: str) -> pa.Table:
    """What Databricks answers to a statement that writes: how many rows."""
    return pa.table(dict.fromkeys(columns, pa.array([count], pa.int64())))


def limited(rows: list[list[str | None]], statement: Statement) -> list[list[str | None]]:
    """The rows that row_limit leaves; raises SqlError for more than INLINE can carry."""
    count = int(statement.body.get("row_limit") or len(rows))
    statement.truncated = count < len(rows)
    rows = rows[:count]
    size = sum(len(value or "") + 3 for row in rows for value in row)
    if size > INLINE_BYTES:
        raise SqlError("RESULT_TOO_LARGE", "Inline byte limit exceeded. Statements executed with disposition=INLINE "
                       "can have a result size of at most 26214400 bytes.")  # fmt: skip
    return rows


def chunks(statement: Statement) -> list[dict[str, int]]:
    total = len(statement.rows)
    starts = range(0, total, CHUNK_ROWS)
    return [
        {"chunk_index": index, "row_offset": start, "row_count": min(CHUNK_ROWS, total - start)}
        for index, start in enumerate(starts)
    ]


def result(statement: Statement, index: int) -> dict[str, Any]:
    """One chunk; a result without rows has no data_array, as on Databricks."""
    every = chunks(statement)
    if not every:
        return {"chunk_index": 0, "row_offset": 0, "row_count": 0}
    chunk = every[index]
    start = chunk["row_offset"]
    part: dict[str, Any] = {**chunk, "data_array": statement.rows[start : start + chunk["row_count"]]}
    if index + 1 < len(every):
        link = f"/api/2.0/sql/statements/{statement.statement_id}/result/chunks/{index + 1}"
        part |= {"next_chunk_index": index + 1, "next_chunk_internal_link": link}
    return part


def answer(statement: Statement) -> dict[str, Any]:
    """The statement as POST and GET show it."""
    status: dict[str, Any] = {"state": statement.state}
    if statement.error:
        status["error"] = statement.error
    if statement.state != "SUCCEEDED":
        return {"statement_id": statement.statement_id, "status": status}
    manifest: dict[str, Any] = {
        "format": "JSON_ARRAY",
        "schema": statement.schema,
        "total_row_count": len(statement.rows),
        "total_chunk_count": len(chunks(statement)),
        "truncated": statement.truncated,
    }
    if statement.rows:
        manifest["chunks"] = chunks(statement)
    return {
        "statement_id": statement.statement_id,
        "status": status,
        "manifest": manifest,
        "result": result(statement, 0),
    }
