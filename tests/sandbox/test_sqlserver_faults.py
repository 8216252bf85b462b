"""Faults act on the socket and in the protocol, as often as asked and on whom they are meant for."""

import threading
import time

import mssql_python
import psutil
import pymssql
import pyodbc
import pytest

from sandbox.seed import bench_table
from sandbox.sqlserver.client import ColumnSpec, SqlServerError
from tests.sandbox import sqlserver_fixture
from tests.sandbox.sqlserver_fixture import ask, refusal, with_mssql_python, with_pymssql, with_pyodbc

pytestmark = pytest.mark.sandbox
sqlserver = sqlserver_fixture.sqlserver

ROWS = 60_000
SQL = "SELECT n, text FROM dbo.Many"


@pytest.fixture(scope="module")
def filled(sqlserver):
    columns = [ColumnSpec("n", "int", nullable=False), ColumnSpec("text", "nvarchar(20)")]
    sqlserver.create_table("shared_sales", "dbo.Many", columns)
    sqlserver.execute("shared_sales", f"INSERT INTO Many SELECT i, 'row ' || i FROM range({ROWS}) AS r(i)")
    yield sqlserver
    sqlserver.drop_table("shared_sales", "dbo.Many")


@pytest.fixture
def many(filled):
    yield filled
    filled.clear_faults()


def streamed(connection, seen):
    cursor = connection.cursor()
    cursor.execute(SQL)
    for batch in cursor.arrow_reader(1_000):
        seen.append(batch.num_rows)
    return sum(seen)


@pytest.mark.parametrize("after_rows", [0, 1, 25_000])
@pytest.mark.parametrize("encrypt", [True, False])
def test_a_cut_in_mid_stream_is_an_error_not_a_short_result(many, after_rows, encrypt):
    many.fault("cut", after_rows=after_rows)
    seen: list[int] = []

    broken = with_mssql_python(many, encrypt=encrypt, autocommit=True)
    with pytest.raises(mssql_python.exceptions.Error, match="Communication link failure"):
        streamed(broken, seen)

    assert sum(seen) <= after_rows
    with with_mssql_python(many, encrypt=encrypt) as connection:
        assert streamed(connection, []) == ROWS


def test_a_cut_waits_for_the_table_it_is_meant_for(many):
    many.fault("cut", after_rows=1, table="Other")

    assert len(ask(many, SQL)) == ROWS


@pytest.mark.parametrize("after_rows", [0, 1, 25_000])
def test_a_short_result_ends_as_if_it_were_complete(many, after_rows):
    many.fault("short", after_rows=after_rows)

    with with_mssql_python(many) as connection:
        assert streamed(connection, []) == after_rows
        assert streamed(connection, []) == ROWS


def test_a_fault_strikes_as_often_as_asked(many):
    many.fault("deadlock", times=2, table="Many")

    assert [refusal(many, SQL), refusal(many, SQL)] == [1205, 1205]
    assert len(ask(many, SQL)) == ROWS


def test_a_fault_strikes_only_its_login(many):
    many.fault("deadlock", login="shared_reader")

    assert len(ask(many, SQL)) == ROWS
    assert refusal(many, SQL, login="shared_reader") == 1205


def test_a_deadlock_names_the_session_and_rolls_back(many):
    many.fault("deadlock")
    with with_mssql_python(many, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN TRANSACTION")
        with pytest.raises(mssql_python.exceptions.Error, match="chosen as the deadlock victim"):
            cursor.execute(SQL)
        cursor.execute("SELECT @@TRANCOUNT")

        assert cursor.fetchone()[0] == 0


def test_a_stall_holds_the_stream_and_then_lets_it_go(many):
    many.fault("stall", after_rows=10_000, seconds=1.0)

    started = time.monotonic()
    with with_mssql_python(many) as connection:
        rows = streamed(connection, [])

    assert rows == ROWS
    assert time.monotonic() - started >= 1.0


def test_a_query_timeout_breaks_a_stall(many):
    many.fault("stall", after_rows=0, seconds=60.0)

    started = time.monotonic()
    with with_pyodbc(many) as connection:
        connection.timeout = 1
        with pytest.raises(pyodbc.Error, match="Query timeout expired"):
            connection.cursor().execute(SQL).fetchall()
        # The attention was acknowledged, so the session goes on.
        assert connection.cursor().execute("SELECT COUNT(*) FROM dbo.Many").fetchone()[0] == ROWS

    assert time.monotonic() - started < 20


def test_a_cancel_stops_a_query_that_computes(many):
    joined = "dbo.Many a CROSS JOIN dbo.Many b CROSS JOIN dbo.Many c"
    endless = f"SELECT SUM(CAST(a.n % 9 AS bigint) * b.n % 7) FROM {joined}"
    with with_pyodbc(many) as connection:
        cursor = connection.cursor()
        timer = threading.Timer(0.5, cursor.cancel)
        timer.start()
        with pytest.raises(pyodbc.Error, match="Operation canceled"):
            cursor.execute(endless)
        timer.join()

        assert connection.cursor().execute("SELECT 1").fetchone()[0] == 1


def test_a_refused_login_is_18456_even_with_the_right_password(many):
    many.fault("refuse_login", login="shared_reader")

    with pytest.raises(pymssql.Error, match="18456"):
        with_pymssql(many, login="shared_reader")
    assert with_pymssql(many, login="sa") is not None
    assert with_pymssql(many, login="shared_reader") is not None


def test_refused_connections_never_reach_the_login(many):
    many.fault("refuse_connections", times=None)

    with pytest.raises(pymssql.Error):
        with_pymssql(many, login_timeout=2)
    many.clear_faults()
    assert ask(many, "SELECT 1") == [(1,)]


def test_an_unknown_fault_is_refused(many):
    with pytest.raises(SqlServerError, match="no such fault: earthquake"):
        many.fault("earthquake")
    with pytest.raises(SqlServerError, match="a stall needs seconds"):
        many.fault("stall")


def test_a_changed_column_shows_in_the_catalogue_and_in_the_data(sqlserver):
    columns = [ColumnSpec("a", "int"), ColumnSpec("c", "varchar(5)", nullable=False), ColumnSpec("b", "decimal(5,2)")]
    sqlserver.create_table("bench", "dbo.Changing", columns)
    sqlserver.execute("bench", "INSERT INTO Changing VALUES (1, 'x', 2.50)")

    sqlserver.rename_column("bench", "dbo.Changing", "A", "renamed")
    sqlserver.retype_column("bench", "dbo.Changing", "b", "decimal(10,4)", nullable=False)
    sqlserver.drop_column("bench", "dbo.Changing", "c")
    sqlserver.add_column("bench", "dbo.Changing", "d", "datetime2(0)")
    rows = ask(sqlserver, "SELECT * FROM dbo.Changing", database="bench")
    listed = "SELECT c.name, c.column_id, c.precision, c.scale FROM sys.columns AS c"
    mine = "WHERE c.object_id = OBJECT_ID('dbo.Changing') ORDER BY c.column_id"
    catalogue = ask(sqlserver, f"{listed} {mine}", database="bench")
    sqlserver.drop_table("bench", "dbo.Changing")

    assert [str(value) for value in rows[0]] == ["1", "2.5000", "None"]
    assert catalogue == [("renamed", 1, 10, 0), ("b", 3, 10, 4), ("d", 4, 19, 0)]


def test_sessions_are_listed_while_they_last(many):
    with with_pymssql(many, appname="a test of sessions") as connection:
        connection.cursor().execute("SELECT 1")
        deadline = time.monotonic() + 10
        while (mine := sessions_of(many, "a test of sessions")) == [("sa", "shared_sales", "running")]:
            assert time.monotonic() < deadline  # its rows arrive a moment before it counts as idle

    assert mine == [("sa", "shared_sales", "sleeping")]


def sessions_of(server, application):
    found = [each for each in server.sessions() if each["application"] == application]
    return [(each["login"], each["database"], each["state"]) for each in found]


def test_many_sessions_at_once_each_get_their_own_rows(many):
    results: dict[int, int] = {}

    def read(number):
        rows = ask(many, f"SELECT n FROM dbo.Many WHERE n % 20 = {number}")
        results[number] = sum(1 for (n,) in rows if n % 20 == number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert results == dict.fromkeys(range(20), ROWS // 20)


def peak_while_reading(sqlserver, rows):
    """The server's largest RSS in bytes while that many wide rows stream out."""
    server, peak, seen = psutil.Process(sqlserver.pid), 0, 0
    with with_mssql_python(sqlserver, "bench") as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT n, pad FROM dbo.Wide WHERE n < {rows}")
        for batch in cursor.arrow_reader(20_000):
            seen += batch.num_rows
            peak = max(peak, server.memory_info().rss)
    assert seen == rows
    return peak


def test_the_server_streams_without_keeping_the_result(sqlserver):
    sqlserver.create_table("bench", "dbo.Wide", [ColumnSpec("n", "int"), ColumnSpec("pad", "nvarchar(400)")])
    cells = "i, repeat(chr(CAST(97 + i % 26 AS INTEGER)), 400)"
    sqlserver.execute("bench", f"INSERT INTO Wide SELECT {cells} FROM range(400000) AS r(i)")

    first, whole = peak_while_reading(sqlserver, 100_000), peak_while_reading(sqlserver, 400_000)
    sqlserver.drop_table("bench", "dbo.Wide")

    # Four times the rows, 240 MB more on the wire.
    assert whole - first < 80 * 2**20


def test_a_million_rows_cost_the_server_less_than_two_seconds_and_a_half(sqlserver):
    bench_table(sqlserver, 400_000)
    server, rows = psutil.Process(sqlserver.pid), 0
    with with_mssql_python(sqlserver, "bench") as connection:
        cursor = connection.cursor()
        before = server.cpu_times()
        cursor.execute("SELECT * FROM dbo.Bench12")
        for batch in cursor.arrow_reader(20_000):
            rows += batch.num_rows
        after = server.cpu_times()

    # CPU and not wall time, so that a busy machine proves the same: 2.5 s a million are 0.4 M rows/s of one core.
    spent = after.user + after.system - before.user - before.system
    assert rows == 400_000
    assert spent < 2.5 * rows / 1_000_000
