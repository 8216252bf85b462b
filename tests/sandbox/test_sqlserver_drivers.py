"""Every driver, with and without TLS, gets every declared type back as what it is."""

import datetime as dt
import json
import stat
import struct
import uuid
from decimal import Decimal
from itertools import product

import connectorx
import mssql_python
import pymssql
import pytest

from sandbox.sqlserver.client import ColumnSpec, SqlServerError
from tests.sandbox import sqlserver_fixture
from tests.sandbox.sqlserver_fixture import DRIVERS, ask, start_sqlserver, with_mssql_python

pytestmark = pytest.mark.sandbox
sqlserver = sqlserver_fixture.sqlserver

# declared type, DuckDB literal of its storage, what a driver makes of it
CELLS = [
    ("bit", "true", True),
    ("tinyint", "255", 255),
    ("smallint", "-32768", -32768),
    ("int", "-2147483648", -(2**31)),
    ("bigint", "9223372036854775807", 2**63 - 1),
    ("real", "1.5", 1.5),
    ("float", "-2.25e300", -2.25e300),
    ("decimal(38,10)", "-9999999999999999999999999999.9999999999", Decimal("-9999999999999999999999999999.9999999999")),
    ("decimal(9,2)", "-1234567.89", Decimal("-1234567.89")),
    ("decimal(19,0)", "9999999999999999999", Decimal("9999999999999999999")),
    ("decimal(28,4)", "-0.0001", Decimal("-0.0001")),
    ("numeric(18,4)", "12.3456", Decimal("12.3456")),
    ("money", "-922337203685477.5808", Decimal("-922337203685477.5808")),
    ("smallmoney", "214748.3647", Decimal("214748.3647")),
    ("date", "DATE '0001-01-01'", dt.date(1, 1, 1)),
    ("time(0)", "TIME '23:59:59'", dt.time(23, 59, 59)),
    ("time(3)", "TIME '12:34:56.789'", dt.time(12, 34, 56, 789000)),
    ("time(7)", "452967890120", dt.time(12, 34, 56, 789012)),
    ("datetime", "TIMESTAMP '1753-01-01 00:00:00.007'", dt.datetime(1753, 1, 1, 0, 0, 0, 7000)),
    ("smalldatetime", "TIMESTAMP '2079-06-06 23:59:00'", dt.datetime(2079, 6, 6, 23, 59)),
    ("datetime2(0)", "TIMESTAMP '9999-12-31 23:59:59'", dt.datetime(9999, 12, 31, 23, 59, 59)),
    ("datetime2(3)", "TIMESTAMP '2026-10-25 00:59:59.999'", dt.datetime(2026, 10, 25, 0, 59, 59, 999000)),
    ("datetime2(6)", "TIMESTAMP '0001-01-01 00:00:00.000001'", dt.datetime(1, 1, 1, 0, 0, 0, 1)),
    ("datetime2(7)", "3155378975999999990", dt.datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("char(3)", "'EUR'", "EUR"),
    ("varchar(20)", "'héllo €'", "héllo €"),
    ("nchar(4)", "'ß'", "ß   "),
    ("nvarchar(30)", "'李小龍 😀 Ñ'", "李小龍 😀 Ñ"),
    ("varchar(max)", "repeat('long é', 3000)", "long é" * 3000),
    ("nvarchar(max)", "repeat('😀ab', 4000)", "😀ab" * 4000),
    ("nvarchar(10)", "''", ""),
    ("varbinary(10)", "'\\x01\\xFF'::BLOB", b"\x01\xff"),
    ("varbinary(max)", "repeat('a', 9000)::BLOB", b"a" * 9000),
    ("binary(4)", "'\\x01\\x02\\x03\\x04'::BLOB", b"\x01\x02\x03\x04"),
    ("uniqueidentifier", "'01234567-89ab-cdef-0123-456789abcdef'", uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")),
    ("xml", "'<a>ü</a>'", "<a>ü</a>"),
    ("rowversion", "'\\x00\\x00\\x00\\x00\\x00\\x00\\x07\\xD1'::BLOB", b"\x00\x00\x00\x00\x00\x00\x07\xd1"),
]
OFFSETS = [
    ("datetimeoffset(0)", "{'t': 639000000000000000, 'o': 120}", dt.datetime(2025, 11, 29, 8, tzinfo=dt.UTC)),
    ("datetimeoffset(7)", "{'t': 639000000000000010, 'o': -330}", dt.datetime(2025, 11, 29, 8, 0, 0, 1, tzinfo=dt.UTC)),
]


@pytest.fixture(scope="module")
def typed(sqlserver):
    """Columns c0, c1, …; the first row is all values, the second all NULL, the third the values again."""
    cells = CELLS + OFFSETS
    columns = [ColumnSpec(f"c{place}", kind) for place, (kind, _, _) in enumerate(cells)]
    sqlserver.create_table("shared_sales", "dbo.Typed", [ColumnSpec("id", "int", nullable=False), *columns])
    values, nulls = ", ".join(sql for _, sql, _ in cells), ", ".join("NULL" for _ in cells)
    sqlserver.execute("shared_sales", f"INSERT INTO Typed VALUES (1, {values}), (2, {nulls}), (3, {values})")
    yield sqlserver
    sqlserver.drop_table("shared_sales", "dbo.Typed")


@pytest.mark.parametrize(("name", "encrypt"), list(product(DRIVERS, (True, False))))
def test_every_type_comes_back_as_itself(typed, name, encrypt):
    names = ", ".join(f"c{place}" for place in range(len(CELLS)))
    with DRIVERS[name](typed, encrypt=encrypt) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT id, {names} FROM dbo.Typed ORDER BY id")
        full, empty, again = (tuple(row) for row in cursor.fetchall())

    assert [_plain(value) for value in full[1:]] == [_plain(expected) for _, _, expected in CELLS]
    assert empty == (2, *[None] * len(CELLS))
    assert again[1:] == full[1:]


def _plain(value):
    """pyodbc and Arrow show a uniqueidentifier as text."""
    return str(value).lower() if isinstance(value, uuid.UUID) or _looks_like_guid(value) else value


def _looks_like_guid(value):
    return isinstance(value, str) and len(value) == 36 and value.count("-") == 4


@pytest.mark.parametrize("name", ["mssql-python", "pymssql"])
def test_offsets_keep_the_instant(typed, name):
    with DRIVERS[name](typed) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT c{len(CELLS)}, c{len(CELLS) + 1} FROM dbo.Typed WHERE id = 1")
        row = cursor.fetchone()

    assert [value.astimezone(dt.UTC) for value in row] == [expected for _, _, expected in OFFSETS]
    assert [value.utcoffset() for value in row] == [dt.timedelta(minutes=120), dt.timedelta(minutes=-330)]


def test_pyodbc_reads_the_offset_token_by_a_converter(typed):
    with DRIVERS["pyodbc"](typed) as connection:
        connection.add_output_converter(-155, lambda raw: struct.unpack("<6hI2h", raw))
        row = connection.cursor().execute(f"SELECT c{len(CELLS)} FROM dbo.Typed WHERE id = 1").fetchone()

    assert row[0] == (2025, 11, 29, 10, 0, 0, 0, 2, 0)


@pytest.mark.parametrize("encrypt", [True, False])
def test_arrow_has_the_declared_types(typed, encrypt):
    with with_mssql_python(typed, encrypt=encrypt) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM dbo.Typed WHERE id > ? ORDER BY id", 0)
        reader = cursor.arrow_reader(20_000)
        batches = list(reader)

    rows = [row for batch in batches for row in batch.to_pylist()]
    types = {name: str(batches[0].schema.field(f"c{place}").type) for place, (name, _, _) in enumerate(CELLS)}
    first = [_plain(value) for value in list(rows[0].values())[1 : len(CELLS) + 1]]
    # The driver's Arrow path takes the blanks off nchar(4).
    assert first == [_plain("ß" if value == "ß   " else value) for _, _, value in CELLS]
    assert set(list(rows[1].values())[1:]) == {None}
    assert types["decimal(38,10)"] == "decimal128(38, 10)"
    assert types["money"] == "decimal128(19, 4)"
    assert types["datetime2(3)"] == "timestamp[us]"
    assert types["bit"] == "bool"


@pytest.mark.parametrize("encrypt", ["true", "false"])
def test_connectorx_reads_a_table(typed, encrypt):
    secret = typed.logins["sa"]
    options = f"encrypt={encrypt}&trust_server_certificate=true"
    url = f"mssql://sa:{secret}@127.0.0.1:{typed.port}/shared_sales?{options}"

    table = connectorx.read_sql(url, "SELECT id, c4, c8, c27 FROM dbo.Typed", return_type="arrow")

    assert table.to_pylist()[0] == {
        "id": 1, "c4": 2**63 - 1, "c8": Decimal("-1234567.89"), "c27": "李小龍 😀 Ñ",
    }  # fmt: skip


PARAMETERS = [
    ("int", 5),
    ("bigint", 2**40),
    ("nvarchar(40)", "o'héé 😀"),
    ("decimal(20,4)", Decimal("-12345.6789")),
    ("float", 1.25),
    ("bit", True),
    ("date", dt.date(2026, 11, 1)),
    ("datetime2(3)", dt.datetime(2026, 10, 25, 0, 59, 59, 999000)),
    ("varbinary(10)", b"\x00\xff"),
    ("nvarchar(max)", "long ä" * 2000),
    ("varbinary(max)", b"long" * 3000),
    ("time(3)", dt.time(23, 59, 59)),
]


@pytest.mark.parametrize(("name", "cell"), list(product(["mssql-python", "pyodbc"], PARAMETERS)))
def test_parameters_arrive_as_they_were_sent(sqlserver, name, cell):
    kind, value = cell
    with DRIVERS[name](sqlserver) as connection:
        cursor = connection.cursor()
        for _ in range(3):  # prepared once, executed again by its handle
            cursor.execute(f"SELECT CAST(? AS {kind}) AS back", value)
            assert cursor.fetchone()[0] == value


def test_a_null_parameter_arrives(sqlserver):
    with with_mssql_python(sqlserver) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT CAST(? AS int), COALESCE(CAST(? AS nvarchar(5)), N'none')", None, None)

        assert tuple(cursor.fetchone()) == (None, "none")


def test_a_wrong_password_is_18456(sqlserver):
    with pytest.raises(pymssql.OperationalError) as caught:
        pymssql.connect(server="127.0.0.1", port=str(sqlserver.port), user="sa", password="wrong", database="bench")

    assert "18456" in str(caught.value)


@pytest.mark.parametrize("login", ["sa", "nobody"])
def test_an_unknown_login_looks_like_a_wrong_password(sqlserver, login):
    said = sqlserver.connection_string("bench").replace(sqlserver.logins["sa"], "wrong").replace("=sa;", f"={login};")

    with pytest.raises(mssql_python.exceptions.Error, match=f"Login failed for user '{login}'"):
        mssql_python.connect(said)


@pytest.mark.parametrize("database", ["globex_sales", "nowhere"])
def test_a_reader_opens_only_its_own_database(sqlserver, database):
    with pytest.raises(mssql_python.exceptions.Error, match=f'Cannot open database "{database}"'):
        mssql_python.connect(sqlserver.connection_string(database, "shared_reader"))


def test_a_reader_cannot_reach_into_another_database(sqlserver):
    with pytest.raises(pymssql.Error) as caught:
        ask(sqlserver, "SELECT * FROM globex_sales.dbo.Orders", login="shared_reader")

    assert caught.value.args[0] == 916


def test_connections_work_as_airflow_hands_them_over(sqlserver, monkeypatch):
    from airflow.providers.microsoft.mssql.hooks.mssql import MsSqlHook

    connection = sqlserver.connection("mssql_shared1")
    monkeypatch.setenv("AIRFLOW_CONN_MSSQL_SHARED1", json.dumps(connection))

    rows = MsSqlHook(mssql_conn_id="mssql_shared1").get_records("SELECT DB_NAME(), %s", parameters=("héllo",))

    assert [tuple(row) for row in rows] == [("shared_sales", "héllo")]


def test_secrets_are_for_their_owner_only(sqlserver):
    home = sqlserver.run_dir / "sqlserver"

    modes = {name: stat.S_IMODE((home / name).stat().st_mode) for name in ("logins.json", "certificate.pem")}

    assert modes == {"logins.json": 0o600, "certificate.pem": 0o600}


def test_state_survives_a_restart(tmp_path):
    from sandbox.sqlserver.client import SqlServer

    service = start_sqlserver(tmp_path)
    server = SqlServer(tmp_path)
    server.create_table("bench", "dbo.Kept", [ColumnSpec("price", "money"), ColumnSpec("at", "datetimeoffset(7)")])
    server.execute("bench", "INSERT INTO Kept VALUES (1.5, {'t': 639000000000000000, 'o': 60})")
    before = server.tables("bench"), server.logins
    assert service.stop()
    with pytest.raises(SqlServerError, match="no SQL Server stand-in runs"):
        _ = server.port

    service = start_sqlserver(tmp_path)
    rows = ask(server, "SELECT price FROM dbo.Kept", database="bench")
    after = server.tables("bench"), server.logins
    service.stop()

    assert rows == [(Decimal("1.5000"),)]
    assert after == before


def test_a_client_that_checks_certificates_is_not_let_in_unseen(sqlserver):
    checking = sqlserver.connection_string("bench").replace("TrustServerCertificate=yes", "TrustServerCertificate=no")

    with pytest.raises(mssql_python.exceptions.Error, match=r"(?i)certificate"):
        mssql_python.connect(checking)
    with with_mssql_python(sqlserver, "bench") as connection:
        assert connection.cursor().execute("SELECT 1").fetchone()[0] == 1
