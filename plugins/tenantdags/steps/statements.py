"""Databricks SQL over REST: one statement in, typed rows out; and the same as a DB-API connection for Soda.

Statement Execution API: https://docs.databricks.com/api/workspace/statementexecution
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tenantdags.model.errors import DatabricksRun, DatabricksSubmit, DatabricksTimeout, RunError, TableBehind
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.manifest import utc_text
from tenantdags.steps.redact import redact

Call = Callable[[str, str, dict[str, Any]], dict[str, Any]]  # method, path, JSON body → JSON answer; raises ApiError
Parameters = Mapping[str, tuple[object, str]]  # name → (value, Databricks SQL type)

PATH = "/api/2.0/sql/statements"
_RUNNING = ("PENDING", "RUNNING")
_MISSING = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND")


class ApiError(Exception):
    """The workspace said no, or could not be reached (`status` None). Raised by the `call` that comes in."""

    def __init__(self, status: int | None, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(f"HTTP {status}: {message}" if status else message)


@dataclass(frozen=True, slots=True)
class Result:
    """`rows` hold Python values by the result types: Decimal, aware UTC datetime, date, int, float, bool, str."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def one(self) -> dict[str, Any]:
        """The only row, by column name. Raises ValueError when there is not exactly one."""
        (row,) = self.rows
        return dict(zip(self.columns, row, strict=True))


@dataclass(frozen=True, slots=True)
class Statements:
    """A SQL warehouse. `poll` is the pause between two looks at a running statement, `timeout` its whole time, in s.

    `wait` is how long the first answer may take: most statements are done by then and need no second request.
    """

    call: Call
    warehouse_id: str
    poll: float = 2.0
    timeout: float = 900.0
    wait: str = "30s"
    where: str = "databricks"
    connection_id: str = "databricks_default"

    def of(self, plan: TablePlan, window: Window | str) -> Statements:
        """The same warehouse, with errors that name the tenant, the table and the window."""
        return replace(self, where=plan.at(window), connection_id=plan.databricks.connection)

    def execute(self, sql: str, parameters: Parameters | None = None) -> Result:
        """Runs one statement to its end. Raises DatabricksSubmit, DatabricksRun, DatabricksTimeout or TableBehind."""
        answer = self._send("POST", PATH, self._body(sql, parameters or {}))
        with self._cancelled_on_error(answer["statement_id"]):
            answer = self._wait(answer)
            return Result(*self._read(answer))

    def connection(self) -> Connection:
        return Connection(self)

    def _body(self, sql: str, parameters: Parameters) -> dict[str, Any]:
        return {
            "warehouse_id": self.warehouse_id,
            "statement": sql,
            "parameters": [{"name": n, "value": _text(v), "type": t} for n, (v, t) in parameters.items()],
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
            "wait_timeout": self.wait,
            "on_wait_timeout": "CONTINUE",
        }

    def _wait(self, answer: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        while answer["status"]["state"] in _RUNNING:
            if time.monotonic() - started > self.timeout:
                what = f"a statement was still {answer['status']['state']} after {self.timeout:.0f} s."
                raise DatabricksTimeout(self.where, what, f"Look at SQL warehouse {self.warehouse_id}.")
            time.sleep(self.poll)
            answer = self._send("GET", f"{PATH}/{answer['statement_id']}")
        if answer["status"]["state"] != "SUCCEEDED":
            raise self._failed(answer["status"])
        return answer

    def _read(self, answer: dict[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
        schema = answer.get("manifest", {}).get("schema", {}).get("columns", [])
        readers = [_READERS.get(column["type_name"], str) for column in schema]
        rows = tuple(
            tuple(None if cell is None else read(cell) for read, cell in zip(readers, row, strict=True))
            for chunk in self._chunks(answer.get("result", {}))
            for row in chunk
        )
        return tuple(column["name"] for column in schema), rows

    def _chunks(self, result: dict[str, Any]) -> Iterator[list[list[Any]]]:
        yield result.get("data_array", [])
        while link := result.get("next_chunk_internal_link"):
            result = self._send("GET", link)
            yield result.get("data_array", [])

    @contextlib.contextmanager
    def _cancelled_on_error(self, statement_id: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            # A killed task must not leave its statement running; the first error is the one to report.
            with contextlib.suppress(RunError):
                self._send("POST", f"{PATH}/{statement_id}/cancel")
            raise

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            return self.call(method, path, body or {})
        except ApiError as error:
            raise self._refused(error) from None  # the cause may carry request headers

    def _refused(self, error: ApiError) -> RunError:
        if error.status in (401, 403):
            what = f"Databricks refused the token (HTTP {error.status})."
            remedy = (
                f"Put a valid token into the Airflow connection {self.connection_id!r}; its principal needs CAN USE "
                f"on SQL warehouse {self.warehouse_id}."
            )
            return DatabricksSubmit(self.where, what, remedy)
        what = f"the SQL statement API did not answer: {redact(error)}"
        return DatabricksSubmit(self.where, what, f"Look at SQL warehouse {self.warehouse_id} and the workspace.")

    def _failed(self, status: dict[str, Any]) -> RunError:
        error = status.get("error") or {}
        message = redact(error.get("message", "no message"))
        what = f"a SQL statement ended {status['state']}: {error.get('error_code', 'no code')}: {message}"
        if any(word in message for word in _MISSING):
            return TableBehind(self.where, what, "Run `tenantdags apply`.")
        return DatabricksRun(self.where, what, f"Look at the query history of SQL warehouse {self.warehouse_id}.")


class Connection:
    """The DB-API face of a warehouse, as far as Soda uses one."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def cursor(self) -> Cursor:
        return Cursor(self._statements)

    def close(self) -> None:
        """Nothing is held open between statements."""


class Cursor:
    """One statement at a time; its rows are fetched when it is executed."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.description: list[tuple[Any, ...]] = []

    def execute(self, sql: str) -> None:
        result = self._statements.execute(sql.strip().removesuffix(";"))
        self._rows = iter(result.rows)
        self.description = [(name, None, None, None, None, None, None) for name in result.columns]

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def close(self) -> None:
        self._rows = iter(())

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return utc_text(value) if isinstance(value, datetime) else str(value)


def _instant(cell: str) -> datetime:
    at = datetime.fromisoformat(cell)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


# type_name of the result manifest's columns
_READERS: dict[str, Callable[[str], Any]] = {
    "BOOLEAN": lambda cell: cell == "true",
    "BYTE": int, "SHORT": int, "INT": int, "LONG": int, "FLOAT": float, "DOUBLE": float, "DECIMAL": Decimal,
    "DATE": date.fromisoformat, "TIMESTAMP": _instant, "TIMESTAMP_NTZ": datetime.fromisoformat,
    "BINARY": base64.b64decode,
}  # fmt: skip
