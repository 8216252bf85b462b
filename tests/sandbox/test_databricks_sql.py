"""The SQL Statement Execution API of the stand-in, and the catalogue behind it."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import httpx
import psutil
import pytest
from deltalake import DeltaTable

from sandbox.databricks.client import Databricks
from sandbox.services import SandboxError

pytestmark = pytest.mark.sandbox
PATH = "/api/2.0/sql/statements"


def call(databricks: Databricks, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {databricks.token}"}
    return httpx.request(method, databricks.url + path, json=body, headers=headers, timeout=60, verify=False)


@pytest.fixture
def execute(cloud) -> Callable[..., dict[str, Any]]:
    """POST one statement and return the answer; keyword arguments are fields of the request."""

    def run(sql: str, **fields: Any) -> dict[str, Any]:
        body = {"statement": sql, "warehouse_id": "abc123", "wait_timeout": "50s", **fields}
        answer: dict[str, Any] = call(cloud.databricks, "POST", PATH, body).json()
        return answer

    return run


@pytest.fixture
def rows(execute) -> Callable[..., list[list[str | None]]]:
    """The rows of a statement that must succeed."""

    def run(sql: str, *parameters: dict[str, Any], **fields: Any) -> list[list[str | None]]:
        answer = execute(sql, parameters=list(parameters), **fields)
        assert answer["status"]["state"] == "SUCCEEDED", answer
        found: list[list[str | None]] = answer["result"].get("data_array", [])
        return found

    return run


@pytest.fixture
def error(execute) -> Callable[..., str]:
    """The message of a statement that must fail."""

    def run(sql: str, *parameters: dict[str, Any]) -> str:
        answer = execute(sql, parameters=list(parameters))
        assert answer["status"]["state"] == "FAILED", answer
        return str(answer["status"]["error"]["message"])

    return run


@pytest.fixture
def schema(rows) -> str:
    """A schema of the test's own."""
    name = f"prod.s{uuid.uuid4().hex[:10]}"
    rows(f"CREATE SCHEMA {name}")
    return name


def parameter(name: str, value: str | None, kind: str | None = None) -> dict[str, Any]:
    return {"name": name, "value": value, **({"type": kind} if kind else {})}


def test_values_come_back_as_databricks_writes_them(execute):
    answer = execute(
        "SELECT CAST(12.50 AS DECIMAL(18,2)) AS d, 7 AS i, CAST(7 AS BIGINT) AS l, true AS b, 'ü' AS s, "
        "TIMESTAMP'2026-11-21T10:00:00.123Z' AS t, TIMESTAMP'2026-11-21 10:00:00.123456' AS u, "
        "TIMESTAMP_NTZ'2026-11-21 10:00:00' AS n, DATE'2026-11-21' AS day, CAST(1.5 AS DOUBLE) AS f, "
        "X'00FF' AS x, CAST(NULL AS STRING) AS nothing, array(1, 2) AS a"
    )

    assert answer["result"]["data_array"] == [
        ["12.50", "7", "7", "true", "ü", "2026-11-21T10:00:00.123Z", "2026-11-21T10:00:00.123456Z",
         "2026-11-21T10:00:00.000", "2026-11-21", "1.5", "AP8=", None, "[1,2]"]
    ]  # fmt: skip
    kinds = [(each["type_name"], each["type_text"]) for each in answer["manifest"]["schema"]["columns"]]
    assert kinds == [
        ("DECIMAL", "DECIMAL(18,2)"), ("INT", "INT"), ("LONG", "BIGINT"), ("BOOLEAN", "BOOLEAN"), ("STRING", "STRING"),
        ("TIMESTAMP", "TIMESTAMP"), ("TIMESTAMP", "TIMESTAMP"), ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"), ("DATE", "DATE"),
        ("DOUBLE", "DOUBLE"), ("BINARY", "BINARY"), ("STRING", "STRING"), ("ARRAY", "ARRAY<INT>"),
    ]  # fmt: skip
    first = answer["manifest"]["schema"]["columns"][0]
    assert (first["type_precision"], first["type_scale"], first["position"]) == (18, 2, 0)


def test_named_parameters_are_typed(rows):
    text = 'it\'s \\ "ü"\n:x'

    (row,) = rows(
        "SELECT :s AS s, :i + 1 AS i, :d AS d, :t AS t, :day AS day, :n IS NULL AS n, ':s' AS literal -- :s",
        parameter("s", text),
        parameter("i", "41", "INT"),
        parameter("d", "0.10", "DECIMAL(18,2)"),
        parameter("t", "2026-11-21T10:00:00Z", "TIMESTAMP"),
        parameter("day", "2026-11-21", "DATE"),
        parameter("n", None, "BIGINT"),
    )

    assert row == [text, "42", "0.10", "2026-11-21T10:00:00.000Z", "2026-11-21", "true", ":s"]


def test_an_unbound_parameter_is_an_error(error):
    assert error("SELECT :a AS x") == "[UNBOUND_SQL_PARAMETER] Found the unbound parameter: a."


def test_a_parameter_of_the_wrong_type_is_an_error(error):
    assert "CAST_INVALID_INPUT" in error("SELECT :a AS x", parameter("a", "x", "INT"))


@pytest.mark.parametrize(
    ("sql", "error_class"),
    [
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", "PARSE_SYNTAX_ERROR"),
        ("SELECT FROM WHERE", "PARSE_SYNTAX_ERROR"),
        ("SELECT a FROM prod.curated.nothing", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT * FROM nothing", "UNSUPPORTED_FEATURE"),
        ("SELECT no_such_function(1)", "UNRESOLVED_ROUTINE"),
        ("SELECT CAST('x' AS INT) AS i", "CAST_INVALID_INPUT"),
        ("SELECT 1/0 AS i", "DIVIDE_BY_ZERO"),
        ("CREATE TABLE prod.nowhere.t (a INT)", "SCHEMA_NOT_FOUND"),
        ("CREATE SCHEMA nowhere.t", "NO_SUCH_CATALOG_EXCEPTION"),
        ("INSERT OVERWRITE prod.x.y SELECT 1 AS a", "UNSUPPORTED_FEATURE"),
        ("UPDATE prod.x.y SET a = 1", "UNSUPPORTED_FEATURE"),
        ("OPTIMIZE prod.x.y", "UNSUPPORTED_FEATURE"),
        ("SET x = 1", "UNSUPPORTED_FEATURE"),
        ("USE CATALOG prod", "UNSUPPORTED_FEATURE"),
        ("CREATE FUNCTION prod.x.f() RETURNS INT RETURN 1", "UNSUPPORTED_FEATURE"),
        ("SHOW FUNCTIONS", "UNSUPPORTED_FEATURE"),
        ("SELECT 1 AS a WHERE 'x' SIMILAR TO 'x'", "PARSE_SYNTAX_ERROR"),
        ("SELECT TOP 3 id FROM range(9)", "PARSE_SYNTAX_ERROR"),
        ("SELECT [id] FROM range(9)", "PARSE_SYNTAX_ERROR"),
        ("SELECT id FROM range(9) WITH (NOLOCK)", "PARSE_SYNTAX_ERROR"),
        ("SELECT COUNT_BIG(*) FROM range(9)", "UNRESOLVED_ROUTINE"),
        ("SELECT GETUTCDATE()", "UNRESOLVED_ROUTINE"),
        ("CREATE TABLE prod.default.t (a DECIMAL(39,2))", "UNSUPPORTED_DATATYPE"),
        ("CREATE TABLE prod.default.t (a DATETIME2)", "PARSE_SYNTAX_ERROR"),
        ("CREATE TABLE prod.default.t (a INT) USING PARQUET", "UNSUPPORTED_FEATURE"),
        ("CREATE VIEW prod.default.v AS SELECT 1 AS a, 2 AS A", "COLUMN_ALREADY_EXISTS"),
        ("DESCRIBE HISTORY prod.x.y", "UNSUPPORTED_FEATURE"),
    ],
)
def test_what_is_wrong_or_unknown_fails_loudly(error, sql, error_class):
    message = error(sql)

    assert message.startswith(f"[{error_class}"), message


def test_an_unknown_column_is_named(rows, error, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")

    message = error(f"SELECT b FROM {schema}.t")

    assert message.startswith("[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION]")
    assert "b" in message


def test_a_table_is_delta_and_readable_by_others(cloud, rows, schema):
    rows(
        f"CREATE TABLE IF NOT EXISTS {schema}.t (id BIGINT NOT NULL COMMENT 'the key', amount DECIMAL(18,2), "
        "at TIMESTAMP, day DATE) USING DELTA CLUSTER BY (day) COMMENT 'a table' TBLPROPERTIES ('team' = 'sales')"
    )

    done = rows(
        f"INSERT INTO {schema}.t (id, amount, at, day) VALUES (:i, 1.25, current_timestamp(), :d)",
        parameter("i", "9007199254740993", "BIGINT"),
        parameter("d", "2026-11-21", "DATE"),
    )
    assert done == [["1", "1"]]

    path = cloud.databricks.table_path(f"{schema}.t")
    with duckdb.connect() as duck:
        found = duck.execute(f"SELECT id, amount::VARCHAR, day::VARCHAR FROM '{path}/*.parquet'").fetchall()
    assert found == [(9007199254740993, "1.25", "2026-11-21")]
    assert DeltaTable(path).count() == 1
    assert rows(f"DESCRIBE TABLE {schema}.t")[:2] == [["id", "bigint", "the key"], ["amount", "decimal(18,2)", None]]
    assert rows(f"DESCRIBE TABLE {schema}.t")[4:] == [
        ["# Clustering Information", "", ""], ["# col_name", "data_type", "comment"], ["day", "date", None]
    ]  # fmt: skip
    assert rows(f"SHOW TBLPROPERTIES {schema}.t") == [["team", "sales"]]


def test_not_null_is_enforced(rows, error, schema):
    rows(f"CREATE TABLE {schema}.t (id BIGINT NOT NULL)")

    assert error(f"INSERT INTO {schema}.t (id) VALUES (NULL)").startswith("[DELTA_NOT_NULL_CONSTRAINT_VIOLATED]")


def test_create_twice_needs_if_not_exists(rows, error, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")

    rows(f"CREATE TABLE IF NOT EXISTS {schema}.t (b INT)")

    assert rows(f"DESCRIBE {schema}.t") == [["a", "int", None]]
    assert error(f"CREATE TABLE {schema}.t (a INT)").startswith("[TABLE_OR_VIEW_ALREADY_EXISTS]")


def test_added_columns_are_null_in_old_rows(rows, error, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")
    rows(f"INSERT INTO {schema}.t (a) VALUES (1)")

    rows(f"ALTER TABLE {schema}.t ADD COLUMNS (b STRING COMMENT 'new', c DECIMAL(9,3))")
    rows(f"INSERT INTO {schema}.t (a, b, c) VALUES (2, 'x', 1.5)")

    assert rows(f"SELECT a, b, c FROM {schema}.t ORDER BY a") == [["1", None, None], ["2", "x", "1.500"]]
    assert error(f"ALTER TABLE {schema}.t ADD COLUMNS (B INT)").startswith("[FIELD_ALREADY_EXISTS]")


def test_readers_see_the_append_of_the_highest_generation(rows, schema):
    rows(f"CREATE TABLE {schema}.data (id INT, tenant_id STRING, window_start TIMESTAMP, _append_id STRING)")
    rows(f"CREATE TABLE {schema}.log (tenant_id STRING, window_start TIMESTAMP, append_id STRING, generation BIGINT)")
    rows(
        f"CREATE OR REPLACE VIEW {schema}.seen COMMENT 'x AS SELECT y' AS SELECT d.id FROM {schema}.data AS d JOIN "
        f"(SELECT tenant_id, window_start, max_by(append_id, generation) AS append_id FROM {schema}.log "
        "GROUP BY tenant_id, window_start) AS p ON d.tenant_id = p.tenant_id AND d.window_start = p.window_start "
        "AND d._append_id = p.append_id"
    )
    rows(
        f"INSERT INTO {schema}.data (id, tenant_id, window_start, _append_id) VALUES "
        "(1, 'acme', TIMESTAMP'2026-11-21T00:00:00Z', 'old'), (2, 'acme', TIMESTAMP'2026-11-21T00:00:00Z', 'new')"
    )
    publish = f"INSERT INTO {schema}.log VALUES ('acme', TIMESTAMP'2026-11-21T00:00:00Z', :a, :g)"

    assert rows(f"SELECT id FROM {schema}.seen") == []
    rows(publish, parameter("a", "old"), parameter("g", "1", "BIGINT"))
    assert rows(f"SELECT id FROM {schema}.seen") == [["1"]]
    rows(publish, parameter("a", "new"), parameter("g", "2", "BIGINT"))
    assert rows(f"SELECT id FROM {schema}.seen") == [["2"]]


def test_a_view_can_be_replaced_and_rename_its_columns(rows, error, schema):
    rows(f"CREATE VIEW {schema}.v AS SELECT 1 AS a")
    rows(f"CREATE OR REPLACE VIEW {schema}.v (x COMMENT 'renamed') AS SELECT 'b' AS a")

    assert rows(f"SELECT x FROM {schema}.v") == [["b"]]
    assert rows(f"DESCRIBE {schema}.v") == [["x", "string", "renamed"]]
    assert error(f"CREATE VIEW {schema}.v AS SELECT 1 AS a").startswith("[TABLE_OR_VIEW_ALREADY_EXISTS]")
    assert error(f"CREATE OR REPLACE VIEW {schema}.w AS SELECT a FROM {schema}.nothing").startswith("[TABLE_OR_VIEW")


def test_drop_forgets_a_table_in_every_session(rows, error, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")
    rows(f"SELECT * FROM {schema}.t")

    rows(f"DROP TABLE {schema}.t")

    assert error(f"SELECT * FROM {schema}.t").startswith("[TABLE_OR_VIEW_NOT_FOUND]")
    rows(f"CREATE TABLE {schema}.t (b STRING)")
    assert rows(f"DESCRIBE {schema}.t") == [["b", "string", None]]
    assert error(f"DROP SCHEMA {schema}").startswith("[SCHEMA_NOT_EMPTY]")


def test_information_schema_shows_tables_and_columns(rows, schema):
    short = schema.removeprefix("prod.")
    rows(f"CREATE TABLE {schema}.t (a BIGINT NOT NULL, b DECIMAL(18,2) COMMENT 'sum')")
    rows(f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t")

    assert rows(
        "SELECT column_name, full_data_type, is_nullable, comment FROM `prod`.information_schema.columns "
        "WHERE table_schema = :s AND table_name = 't' ORDER BY ordinal_position", parameter("s", short)
    ) == [["a", "bigint", "NO", None], ["b", "decimal(18,2)", "YES", "sum"]]  # fmt: skip
    assert rows(
        "SELECT table_name, table_type FROM prod.information_schema.tables WHERE table_schema = :s ORDER BY 1",
        parameter("s", short),
    ) == [["t", "MANAGED"], ["v", "VIEW"]]


def test_grants_are_kept_and_shown(rows, error, schema):
    rows(f"CREATE VIEW {schema}.v AS SELECT 1 AS a")

    rows(f"GRANT SELECT ON VIEW {schema}.v TO `readers`")
    rows(f"GRANT USE SCHEMA ON SCHEMA {schema} TO `readers`")

    assert rows(f"SHOW GRANTS ON VIEW {schema}.v") == [["readers", "SELECT", "TABLE", f"{schema}.v"]]
    rows(f"REVOKE SELECT ON VIEW {schema}.v FROM `readers`")
    assert rows(f"SHOW GRANTS ON VIEW {schema}.v") == []
    assert error(f"GRANT SELECT ON TABLE {schema}.nothing TO `readers`").startswith("[TABLE_OR_VIEW_NOT_FOUND]")
    assert error(f"GRANT FLY ON VIEW {schema}.v TO `readers`").startswith("[PARSE_SYNTAX_ERROR]")


def test_delete_counts_what_it_removed(rows, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")
    rows(f"INSERT INTO {schema}.t (a) VALUES (1), (2), (3)")

    assert rows(f"DELETE FROM {schema}.t WHERE a > :a", parameter("a", "1", "INT")) == [["2"]]
    assert rows(f"DELETE FROM {schema}.t WHERE a > 1") == [["0"]]
    assert rows(f"SELECT count(*) FROM {schema}.t") == [["1"]]


def test_of_a_table_for_appends_alone_nothing_is_deleted(rows, error, schema):
    rows(f"CREATE TABLE {schema}.t (a INT) USING DELTA TBLPROPERTIES ('delta.appendOnly' = 'true')")
    rows(f"INSERT INTO {schema}.t (a) VALUES (1)")

    assert error(f"DELETE FROM {schema}.t WHERE a = 1").startswith("[DELTA_CANNOT_MODIFY_APPEND_ONLY]")
    assert rows(f"SELECT count(*) FROM {schema}.t") == [["1"]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*), SUM(CASE WHEN NOT (s RLIKE '^C[0-9]{{7}}$') THEN 1 ELSE 0 END) AS m FROM {t}",
        "SELECT COUNT(DISTINCT i), COUNT(i), SUM(d), MIN(at), MAX(at), AVG(i) FROM {t} WHERE _append_id = 'x'",
        "SELECT i, COUNT(*) AS frequency FROM {t} GROUP BY i HAVING COUNT(*) > 1 ORDER BY frequency DESC LIMIT 5",
        "WITH `_soda_filtered_dataset` AS (SELECT * FROM {t} WHERE _append_id = 'x') "
        "SELECT COUNT(*), COUNT(CASE WHEN `s` IS NULL THEN 1 END), SUM(CASE WHEN NOT `s` IS NULL AND NOT `s` IN "
        "('NEW', 'PAID') THEN 1 ELSE 0 END) FROM `_soda_filtered_dataset`",
        "SELECT COUNT(*) FROM (SELECT DISTINCT i, s FROM {t}) AS u",
        "SELECT COUNT(*) FROM {t} WHERE REGEXP_LIKE(s, '^[a-z]+$') AND LENGTH(s) > 3 AND s <=> :p",
    ],
)
def test_the_shapes_that_checks_send_are_answered(rows, schema, sql):
    rows(f"CREATE TABLE {schema}.t (i INT, s STRING, d DECIMAL(18,2), at TIMESTAMP, _append_id STRING)")

    rows(sql.format(t=f"{schema}.t"), parameter("p", "x"))


def test_backslashes_mean_what_they_mean_on_databricks(rows):
    assert rows(r"SELECT 'a\'b' AS a, 'a\\b' AS b, 'x1' RLIKE '\\d' AS c") == [["a'b", "a\\b", "true"]]


def test_a_long_result_comes_in_chunks(cloud, execute):
    answer = execute("SELECT id FROM range(25000)")

    assert answer["manifest"]["total_row_count"] == 25_000
    assert answer["manifest"]["total_chunk_count"] == 3
    found, result = list(answer["result"]["data_array"]), answer["result"]
    while "next_chunk_internal_link" in result:
        result = call(cloud.databricks, "GET", result["next_chunk_internal_link"]).json()
        found += result["data_array"]
    assert [int(row[0]) for row in found] == list(range(25_000))


def test_row_limit_truncates(execute):
    answer = execute("SELECT id FROM range(10)", row_limit=3)

    assert (len(answer["result"]["data_array"]), answer["manifest"]["truncated"]) == (3, True)


def test_a_result_without_rows_has_no_data_array(execute, schema):
    answer = execute(f"CREATE TABLE {schema}.t (a INT)")

    assert answer["status"] == {"state": "SUCCEEDED"}
    assert answer["manifest"]["total_row_count"] == 0
    assert "data_array" not in answer["result"]


def test_a_statement_can_be_polled(cloud, execute):
    answer = execute("SELECT 1 AS a", wait_timeout="0s")
    assert answer["status"]["state"] in ("PENDING", "RUNNING")

    deadline = time.monotonic() + 10
    while answer["status"]["state"] in ("PENDING", "RUNNING"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
        answer = call(cloud.databricks, "GET", f"{PATH}/{answer['statement_id']}").json()

    assert answer["result"]["data_array"] == [["1"]]


SLOW = "SELECT count(*) AS n FROM range(300000000000) WHERE id % 7 = 3"


def test_cancel_ends_a_running_statement(cloud, execute):
    statement_id = execute(SLOW, wait_timeout="0s")["statement_id"]

    assert call(cloud.databricks, "POST", f"{PATH}/{statement_id}/cancel", {}).json() == {}

    state = call(cloud.databricks, "GET", f"{PATH}/{statement_id}").json()["status"]
    assert state == {"state": "CANCELED"}
    sail = next(child for child in psutil.Process(cloud.databricks.info["pid"]).children() if is_sail(child))
    wait_until_idle(sail)


def is_sail(process: psutil.Process) -> bool:
    return "sandbox.databricks.sail" in process.cmdline()


def wait_until_idle(process: psutil.Process, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while process.cpu_percent(interval=0.5) > 20:
        assert time.monotonic() < deadline, "the cancelled statement still runs"


def test_on_wait_timeout_cancels(execute):
    answer = execute(SLOW, wait_timeout="5s", on_wait_timeout="CANCEL")

    assert answer["status"] == {"state": "CANCELED"}


def test_a_stopped_warehouse_keeps_a_statement_pending(cloud, execute):
    cloud.databricks.fault("warehouse_stopped", seconds=1)

    answer = execute("SELECT 1 AS a", wait_timeout="0s")
    time.sleep(0.3)

    poll = call(cloud.databricks, "GET", f"{PATH}/{answer['statement_id']}").json()
    assert poll["status"] == {"state": "PENDING"}


def test_a_statement_cut_after_its_commit_is_carried_out(cloud, execute, rows, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")
    cloud.databricks.fault("sql_after_commit", path="INSERT")

    with pytest.raises(httpx.RemoteProtocolError):
        execute(f"INSERT INTO {schema}.t (a) VALUES (1)")

    assert rows(f"SELECT count(*) FROM {schema}.t") == [["1"]]


def test_a_statement_that_fails_with_500_is_not_carried_out(cloud, execute, rows, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")
    cloud.databricks.fault("sql_500", path="INSERT")

    assert execute(f"INSERT INTO {schema}.t (a) VALUES (1)")["error_code"] == "INTERNAL_ERROR"

    assert rows(f"SELECT count(*) FROM {schema}.t") == [["0"]]


def test_blind_appends_at_once_all_commit(cloud, rows, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda n: rows(f"INSERT INTO {schema}.t (a) VALUES ({n})"), range(16)))

    assert done == [[["1", "1"]]] * 16
    assert DeltaTable(cloud.databricks.table_path(f"{schema}.t")).count() == 16


def test_statements_and_definitions_at_once(rows, schema):
    def work(n: int) -> list[list[str | None]]:
        rows(f"CREATE TABLE {schema}.t{n} (a INT)")
        rows(f"INSERT INTO {schema}.t{n} (a) VALUES ({n})")
        found: list[list[str | None]] = rows(f"SELECT a FROM {schema}.t{n}")
        return found

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(work, range(6))) == [[[str(n)]] for n in range(6)]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"warehouse_id": "nothing"}, 404),
        ({"wait_timeout": "3s"}, 400),
        ({"disposition": "EXTERNAL_LINKS"}, 400),
        ({"statement": " "}, 400),
        ({"paramters": []}, 400),
    ],
)
def test_a_request_that_the_api_would_not_take_is_refused(cloud, fields, status):
    body = {"statement": "SELECT 1", "warehouse_id": "abc123", **fields}

    assert call(cloud.databricks, "POST", PATH, body).status_code == status


def test_an_unknown_statement_is_404(cloud):
    assert call(cloud.databricks, "GET", f"{PATH}/{uuid.uuid4()}").status_code == 404


def test_the_client_names_the_tables_there_are(cloud, rows, schema):
    rows(f"CREATE TABLE {schema}.t (a INT)")

    with pytest.raises(SandboxError, match=f"{schema}.t"):
        cloud.databricks.table_path(f"{schema}.nothing")


def test_a_type_that_the_stand_in_cannot_show_fails_instead_of_hanging(error):
    assert error("SELECT INTERVAL '1' DAY AS i").startswith("[INTERNAL_ERROR] The stand-in failed; see its log")
