"""SQL over REST: typed rows, named parameters, errors that say what to do and quote no value."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tenantdags.model.errors import DatabricksRun, DatabricksSubmit, DatabricksTimeout, TableBehind
from tenantdags.steps.redact import redact
from tenantdags.steps.statements import ApiError, Statements


class Warehouse:
    """A warehouse that answers from a script, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, method, path, body):
        self.asked.append((method, path, body))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return {"statement_id": "s1", **answer}


def state(name, **error):
    return {"status": {"state": name} | ({"error": error} if error else {})}


def warehouse(*answers, **how):
    call = Warehouse(*answers)
    return call, Statements(call, "abc123", poll=0, where="acme orders 2026-11-21", **how)


def test_a_statement_is_sent_inline_with_named_and_typed_parameters():
    call, statements = warehouse(state("SUCCEEDED"))
    at = datetime(2026, 11, 21, 1, 2, 3, 400, timezone(timedelta(hours=1)))
    values = {
        "a": (None, "STRING"), "b": (True, "BOOLEAN"), "c": (Decimal("1.50"), "DECIMAL(5,2)"), "d": (7, "BIGINT"),
        "e": (at, "TIMESTAMP"), "f": (date(2026, 11, 21), "DATE"), "g": ("x", "STRING"),
    }  # fmt: skip

    statements.execute("SELECT 1", values)

    (method, path, body), *rest = call.asked
    assert (method, path, rest) == ("POST", "/api/2.0/sql/statements", [])
    assert [(p["name"], p["value"], p["type"]) for p in body.pop("parameters")] == [
        ("a", None, "STRING"), ("b", "true", "BOOLEAN"), ("c", "1.50", "DECIMAL(5,2)"), ("d", "7", "BIGINT"),
        ("e", "2026-11-21T00:02:03.000400Z", "TIMESTAMP"), ("f", "2026-11-21", "DATE"), ("g", "x", "STRING"),
    ]  # fmt: skip
    assert body == {
        "warehouse_id": "abc123", "statement": "SELECT 1", "disposition": "INLINE", "format": "JSON_ARRAY",
        "wait_timeout": "30s", "on_wait_timeout": "CONTINUE",
    }  # fmt: skip


def test_a_running_statement_is_looked_at_until_it_is_done():
    call, statements = warehouse(state("PENDING"), state("RUNNING"), state("SUCCEEDED"))

    statements.execute("SELECT 1")

    assert [(m, p) for m, p, _ in call.asked[1:]] == [("GET", "/api/2.0/sql/statements/s1")] * 2


def test_a_statement_that_does_not_end_is_cancelled():
    call, statements = warehouse(state("RUNNING"), {}, timeout=-1.0)

    with pytest.raises(DatabricksTimeout, match="a statement was still RUNNING after -1 s"):
        statements.execute("SELECT 1")

    assert call.asked[-1][:2] == ("POST", "/api/2.0/sql/statements/s1/cancel")


def test_a_killed_task_cancels_its_statement_even_if_that_fails():
    call, statements = warehouse(state("RUNNING"), KeyboardInterrupt(), ApiError(500, "no"))

    with pytest.raises(KeyboardInterrupt):
        statements.execute("SELECT 1")

    assert call.asked[-1][:2] == ("POST", "/api/2.0/sql/statements/s1/cancel")


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (
            state("FAILED", error_code="BAD_REQUEST", message="[CAST_INVALID_INPUT] The value 'a@b.c' of \"STRING\" …"),
            DatabricksRun,
            "acme orders 2026-11-21: databricks.run: a SQL statement ended FAILED: BAD_REQUEST: [CAST_INVALID_INPUT] "
            "The value '…' of '…' … Remedy: Look at the query history of SQL warehouse abc123.",
        ),
        (
            state("FAILED", error_code="BAD_REQUEST", message="[TABLE_OR_VIEW_NOT_FOUND] `prod`.`ops`.`publish_log`"),
            TableBehind,
            "acme orders 2026-11-21: config.invalid: a SQL statement ended FAILED: BAD_REQUEST: "
            "[TABLE_OR_VIEW_NOT_FOUND] `prod`.`ops`.`publish_log` Remedy: Run `tenantdags apply`.",
        ),
        (
            state("CANCELED"),
            DatabricksRun,
            "acme orders 2026-11-21: databricks.run: a SQL statement ended CANCELED: no code: no message Remedy: Look "
            "at the query history of SQL warehouse abc123.",
        ),
    ],
)
def test_a_failed_statement_says_why_without_quoting_a_value(answer, error, text):
    _, statements = warehouse(answer, {})

    with pytest.raises(error) as caught:
        statements.execute("SELECT 1")

    assert str(caught.value) == text


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_names_the_connection(status):
    _, statements = warehouse(ApiError(status, "Authorization: Bearer dapi123"), connection_id="databricks_eu")

    with pytest.raises(DatabricksSubmit) as caught:
        statements.execute("SELECT 1")

    assert str(caught.value) == (
        f"acme orders 2026-11-21: databricks.submit: Databricks refused the token (HTTP {status}). Remedy: Put a valid "
        "token into the Airflow connection 'databricks_eu'; its principal needs CAN USE on SQL warehouse abc123."
    )
    assert caught.value.__cause__ is None


def test_a_workspace_that_cannot_be_reached_is_said_so():
    _, statements = warehouse(ApiError(None, "ConnectError"))

    with pytest.raises(DatabricksSubmit, match="the SQL statement API did not answer: ConnectError"):
        statements.execute("SELECT 1")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Could not convert string 'a@b.c' to INT32", "Could not convert string '…' to INT32"),
        ("can't convert 'O'Brien' to 'x', it's text", "can't convert '…'s text"),
        ("value N'a@b.c'", "value N'…'"),
        ("cut off in 'a@b", "cut off in '…'"),
        ('cut off in "a@b', "cut off in '…'"),
        ('value "x \\" y" of `column`', "value '…' of `column`"),
        ("two\n  lines", "two lines"),
        ("x" * 700, "x" * 599 + "…"),
    ],
)
def test_texts_of_other_systems_lose_what_they_quote(text, redacted):
    assert redact(text) == redacted


@pytest.mark.sandbox
def test_rows_come_back_as_python_values(lakehouse):
    sql = (
        "SELECT CAST('12345678901234567.89' AS DECIMAL(19,2)) AS a, TIMESTAMP '2026-11-21 23:00:00.123456' AS b, "
        "DATE '2026-11-21' AS c, CAST(NULL AS STRING) AS d, true AS e, CAST(7 AS BIGINT) AS f, CAST(1.5 AS DOUBLE) "
        "AS g, 'ünï' AS h, CAST(3 AS SMALLINT) AS i"
    )

    assert lakehouse.statements().execute(sql).one() == {
        "a": Decimal("12345678901234567.89"), "b": datetime(2026, 11, 21, 23, 0, 0, 123456, UTC),
        "c": date(2026, 11, 21), "d": None, "e": True, "f": 7, "g": 1.5, "h": "ünï", "i": 3,
    }  # fmt: skip


@pytest.mark.sandbox
def test_all_chunks_of_a_long_result_are_read(lakehouse):
    result = lakehouse.statements().execute("SELECT id FROM range(25000) ORDER BY id")

    assert [row[0] for row in result.rows] == list(range(25_000))


@pytest.mark.sandbox
def test_a_missing_table_names_the_command_that_makes_it(lakehouse):
    with pytest.raises(TableBehind, match="Run `tenantdags apply`"):
        lakehouse.statements().execute("SELECT count(*) FROM prod.curated.nothing_v1")


@pytest.mark.sandbox
def test_a_warehouse_that_has_to_start_first_is_waited_for(lakehouse):
    lakehouse.databricks.fault("warehouse_stopped", seconds=1.0)

    assert replace(lakehouse.statements(), wait="0s").execute("SELECT 1 AS one").rows == ((1,),)


@pytest.mark.sandbox
def test_a_warehouse_that_does_not_start_in_time_is_a_timeout(lakehouse):
    lakehouse.databricks.fault("warehouse_stopped", seconds=30.0)
    started = time.monotonic()

    with pytest.raises(DatabricksTimeout):
        replace(lakehouse.statements(), wait="0s", timeout=0.3).execute("SELECT 1 AS one")

    assert time.monotonic() - started < 10


@pytest.mark.sandbox
def test_the_db_api_face_gives_rows_once_and_names_columns(lakehouse):
    with lakehouse.statements().connection().cursor() as cursor:
        cursor.execute("SELECT 1 AS one, 'x' AS two UNION ALL SELECT 2, 'y' ORDER BY one")
        first, rest, then = cursor.fetchone(), cursor.fetchall(), cursor.fetchone()

    assert [column[0] for column in cursor.description] == ["one", "two"]
    assert (first, rest, then) == ((1, "x"), [(2, "y")], None)
