"""SNAPSHOT isolates, READ COMMITTED does not, and the errors of both are SQL Server's."""

import mssql_python
import pytest

from sandbox.sqlserver.client import ColumnSpec
from tests.sandbox import sqlserver_fixture
from tests.sandbox.sqlserver_fixture import DRIVERS, ask, pymssql_autocommit, with_mssql_python

pytestmark = pytest.mark.sandbox
sqlserver = sqlserver_fixture.sqlserver

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"
TOTALS = "SELECT COUNT_BIG(*), SUM(amount) FROM dbo.Ledger"
ROWS = "SELECT id, amount FROM dbo.Ledger ORDER BY id"


@pytest.fixture
def ledger(sqlserver):
    columns = [ColumnSpec("id", "int", nullable=False), ColumnSpec("amount", "int")]
    sqlserver.create_table("shared_sales", "dbo.Ledger", columns)
    sqlserver.execute("shared_sales", "INSERT INTO Ledger SELECT i, 10 FROM range(3) AS r(i)")
    yield sqlserver
    sqlserver.clear_faults()
    sqlserver.drop_table("shared_sales", "dbo.Ledger")


def another_writer_commits(sqlserver):
    sqlserver.execute("shared_sales", "BEGIN; INSERT INTO Ledger VALUES (99, 1); UPDATE Ledger SET amount = 11; COMMIT")


def rows_of(cursor, sql):
    cursor.execute(sql)
    return [tuple(row) for row in cursor.fetchall()]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_writer_between_totals_and_rows_changes_neither(ledger, driver):
    with DRIVERS[driver](ledger, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(SNAPSHOT)
        cursor.execute("BEGIN TRANSACTION")
        before = rows_of(cursor, TOTALS)
        another_writer_commits(ledger)
        rows, after = rows_of(cursor, ROWS), rows_of(cursor, TOTALS)
        cursor.execute("COMMIT TRANSACTION")
        fresh = rows_of(cursor, TOTALS)

    assert before == after == [(3, 30)]
    assert rows == [(0, 10), (1, 10), (2, 10)]
    assert fresh == [(4, 44)]


@pytest.mark.parametrize("driver", ["mssql-python", "pyodbc"])
def test_the_drivers_own_transactions_isolate_too(ledger, driver):
    with DRIVERS[driver](ledger, autocommit=True) as connection:
        connection.cursor().execute(SNAPSHOT)
        connection.autocommit = False
        before = rows_of(connection.cursor(), TOTALS)
        another_writer_commits(ledger)
        after = rows_of(connection.cursor(), TOTALS)
        connection.commit()
        fresh = rows_of(connection.cursor(), TOTALS)
        connection.rollback()

    assert (before, after, fresh) == ([(3, 30)], [(3, 30)], [(4, 44)])


def test_the_snapshot_begins_with_the_first_read_not_with_begin(ledger):
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute(f"{SNAPSHOT}; BEGIN TRANSACTION")
        another_writer_commits(ledger)
        found = rows_of(cursor, TOTALS)
        cursor.execute("COMMIT")

    assert found == [(4, 44)]


def test_read_committed_sees_every_commit(ledger):
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN TRANSACTION")
        before = rows_of(cursor, TOTALS)
        another_writer_commits(ledger)
        after = rows_of(cursor, TOTALS)
        cursor.execute("COMMIT")

    assert (before, after) == ([(3, 30)], [(4, 44)])


def test_rows_that_stream_in_a_snapshot_do_not_see_the_writer(sqlserver):
    sqlserver.create_table("bench", "dbo.Streamed", [ColumnSpec("n", "int"), ColumnSpec("pad", "varchar(200)")])
    sqlserver.execute("bench", "INSERT INTO Streamed SELECT i, repeat('x', 200) FROM range(200000) AS r(i)")
    with with_mssql_python(sqlserver, "bench", autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(f"{SNAPSHOT}; BEGIN TRANSACTION")
        cursor.execute("SELECT n FROM dbo.Streamed")
        batches = cursor.arrow_reader(20_000)
        seen = next(batches).num_rows
        sqlserver.execute("bench", "DELETE FROM Streamed")
        seen += sum(batch.num_rows for batch in batches)
        cursor.execute("COMMIT")
    sqlserver.drop_table("bench", "dbo.Streamed")

    assert seen == 200_000


def test_trancount_follows(ledger):
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        counts = [rows_of(cursor, "SELECT @@TRANCOUNT")]
        for statement in ("BEGIN TRAN", "BEGIN TRANSACTION", "COMMIT", "IF @@TRANCOUNT > 0 ROLLBACK TRAN"):
            cursor.execute(statement)
            counts.append(rows_of(cursor, "SELECT @@TRANCOUNT"))

    assert counts == [[(0,)], [(1,)], [(2,)], [(1,)], [(0,)]]


def failed(cursor, sql):
    with pytest.raises(Exception, match=r".") as caught:
        rows_of(cursor, sql)
    return caught.value.args[0]


def test_snapshot_off_is_3952_at_the_first_data(ledger):
    ledger.fault("snapshot_off", database="shared_sales")
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute(f"{SNAPSHOT}; BEGIN TRANSACTION")
        state = rows_of(cursor, "SELECT snapshot_isolation_state_desc FROM sys.databases WHERE name = DB_NAME()")
        number = failed(cursor, TOTALS)
        depth = rows_of(cursor, "SELECT @@TRANCOUNT")
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        committed = rows_of(cursor, TOTALS)
    ledger.clear_faults()

    assert (state, number, depth) == ([("OFF",)], 3952, [(0,)])
    assert committed == [(3, 30)]
    assert ask(ledger, "SELECT snapshot_isolation_state_desc FROM sys.databases WHERE name = DB_NAME()") == [("ON",)]


def test_snapshot_off_reaches_mssql_python_with_its_text(ledger):
    ledger.fault("snapshot_off", database="shared_sales")

    with with_mssql_python(ledger, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(SNAPSHOT)
        cursor.execute("BEGIN TRANSACTION")
        with pytest.raises(mssql_python.exceptions.Error, match="snapshot isolation is not allowed in this database"):
            cursor.execute(TOTALS)


def test_a_database_that_allows_snapshots_too_late_is_3957(ledger):
    ledger.create_table("bench", "dbo.Elsewhere", [ColumnSpec("n", "int")])
    ledger.fault("snapshot_off", database="bench")
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute(f"{SNAPSHOT}; BEGIN TRANSACTION")
        rows_of(cursor, TOTALS)
        ledger.clear_faults()
        number = failed(cursor, "SELECT n FROM bench.dbo.Elsewhere")
    ledger.drop_table("bench", "dbo.Elsewhere")

    assert number == 3957


def test_snapshot_cannot_be_chosen_in_mid_transaction(ledger):
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN TRANSACTION")
        rows_of(cursor, TOTALS)
        cursor.execute(SNAPSHOT)

        assert failed(cursor, TOTALS) == 3951


def test_a_table_altered_under_a_snapshot_is_3961(ledger):
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute(f"{SNAPSHOT}; BEGIN TRANSACTION")
        rows_of(cursor, TOTALS)
        ledger.add_column("shared_sales", "dbo.Ledger", "added", "int")

        assert failed(cursor, TOTALS) == 3961


def test_an_error_of_data_ends_the_transaction(ledger):
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute(f"{SNAPSHOT}; BEGIN TRANSACTION")
        rows_of(cursor, TOTALS)
        number = failed(cursor, "SELECT CAST('x' + CAST(id AS varchar(5)) AS int) FROM dbo.Ledger")
        cursor.execute("SELECT @@TRANCOUNT")

        assert (number, cursor.fetchall()) == (245, [(0,)])


def test_a_name_error_leaves_the_transaction_open(ledger):
    with pymssql_autocommit(ledger) as connection, connection.cursor() as cursor:
        cursor.execute(f"{SNAPSHOT}; BEGIN TRANSACTION")
        before = rows_of(cursor, TOTALS)
        number = failed(cursor, "SELECT nothing FROM dbo.Ledger")
        another_writer_commits(ledger)

        assert (number, rows_of(cursor, TOTALS)) == (207, before)


def test_what_a_procedure_sets_ends_with_it(ledger):
    with with_mssql_python(ledger, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(f"{SNAPSHOT}; SELECT ?", 1)  # parameters make it a call of sp_prepexec
        cursor.fetchall()
        cursor.execute("BEGIN TRANSACTION")
        before = rows_of(cursor, TOTALS)
        another_writer_commits(ledger)
        after = rows_of(cursor, TOTALS)
        cursor.execute("COMMIT")

    assert (before, after) == ([(3, 30)], [(4, 44)])


def drained(cursor, sql, *parameters):
    cursor.execute(sql, *parameters)
    while cursor.nextset():
        pass


def test_a_transaction_left_open_by_a_procedure_is_266(ledger):
    with with_mssql_python(ledger, autocommit=True) as connection:
        cursor = connection.cursor()
        with pytest.raises(mssql_python.exceptions.Error, match="Previous count = 0, current count = 1"):
            drained(cursor, "BEGIN TRANSACTION; SELECT ?", 1)
