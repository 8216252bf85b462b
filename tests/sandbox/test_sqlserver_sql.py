"""What the served T-SQL means: types of results, rounding, comparison, grouping; and the catalogue's own tables."""

import datetime as dt
from decimal import Decimal

import pytest

from sandbox.sqlserver.client import ColumnSpec, IndexSpec, SqlServerError
from tests.sandbox import sqlserver_fixture
from tests.sandbox.sqlserver_fixture import HOME, ask, refusal, value_of, with_mssql_python

pytestmark = pytest.mark.sandbox
sqlserver = sqlserver_fixture.sqlserver

EXPRESSIONS = [
    # conversions round, cut and trim as T-SQL does
    ("CAST(2.9 AS int)", 2),
    ("CAST(-2.9 AS int)", -2),
    ("CAST(CAST(2.5 AS money) AS int)", 3),
    ("CAST(CAST(2.9 AS float) AS int)", 2),
    ("CAST(1.255 AS decimal(5,2))", Decimal("1.26")),
    ("CAST(' 42 ' AS int)", 42),
    ("CAST('abcdef' AS varchar(3))", "abc"),
    ("CAST('ab' AS char(4)) + '|'", "ab  |"),
    ("CAST(CAST(1.5 AS money) AS varchar(20))", "1.50"),
    ("CONVERT(varchar(20), CAST(1.5 AS money), 2)", "1.5000"),
    ("CAST(CAST(12.5 AS decimal(10,3)) AS varchar(20))", "12.500"),
    ("TRY_CAST('x' AS int)", None),
    ("TRY_CAST('2026-02-30' AS date)", None),
    ("TRY_CAST('9.99' AS decimal(3,2))", Decimal("9.99")),
    ("TRY_CONVERT(tinyint, 300)", None),
    ("CAST(N'true' AS bit)", True),
    ("CAST(5 AS bit)", True),
    # dates
    ("CAST(CAST('2026-11-01T10:00:01.25' AS datetime2) AS datetime2(1))", dt.datetime(2026, 11, 1, 10, 0, 1, 300000)),
    ("CAST('1960-11-01 10:00:00.9996' AS datetime2(3))", dt.datetime(1960, 11, 1, 10, 0, 1)),
    ("CAST('2026-11-01 10:00:00.002' AS datetime)", dt.datetime(2026, 11, 1, 10, 0, 0, 3000)),
    ("CAST('2026-11-01 10:00:30' AS smalldatetime)", dt.datetime(2026, 11, 1, 10, 1)),
    ("CAST('20261101' AS date)", dt.date(2026, 11, 1)),
    ("CONVERT(varchar(30), CAST('2026-11-01 10:00:00.5' AS datetime2(3)), 126)", "2026-11-01T10:00:00.500"),
    ("CONVERT(varchar(30), CAST('2026-11-01 10:00:00.5' AS datetime2(3)), 121)", "2026-11-01 10:00:00.500"),
    ("CAST(CAST('2026-11-01 10:00:00 +02:00' AS datetimeoffset(0)) AS nvarchar(40))", "2026-11-01 10:00:00 +02:00"),
    ("CAST(CAST('2026-11-01 10:00:00 -00:30' AS datetimeoffset(0)) AS nvarchar(40))", "2026-11-01 10:00:00 -00:30"),
    ("CAST(CAST('2026-11-01 10:00:00 +02:00' AS datetimeoffset(3)) AS datetime2(3))", dt.datetime(2026, 11, 1, 10)),
    ("DATEADD(day, 1, CAST('2026-12-31' AS date))", dt.date(2027, 1, 1)),
    ("DATEDIFF(day, '2026-12-31 23:59:59', '2027-01-01 00:00:00')", 1),
    ("DATEDIFF(second, '2026-12-31', '2027-01-01')", 86400),
    ("YEAR(CAST('2026-12-31' AS date)) + MONTH('2026-12-31')", 2038),
    # numbers
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % 3", 1),
    ("0.1 + 0.2", Decimal("0.3")),
    ("1.10 * 1.1", Decimal("1.210")),
    ("ABS(-3)", 3),
    ("2147483648", Decimal("2147483648")),
    ("1e3", 1000.0),
    # text
    ("LEN('abc  ')", 3),
    ("LEN(N'')", 0),
    ("DATALENGTH(N'abc')", 6),
    ("DATALENGTH(N'😀')", 4),
    ("DATALENGTH('abc  ')", 5),
    ("DATALENGTH(CAST(1 AS bigint))", 8),
    ("LEFT('abcdef', 2) + RIGHT('abcdef', 2)", "abef"),
    ("SUBSTRING('abcdef', 2, 3)", "bcd"),
    ("SUBSTRING('abcdef', 0, 3)", "ab"),
    ("UPPER('ab') + LOWER('CD') + LTRIM('  x') + RTRIM('y  ') + TRIM(' z ')", "ABcdxyz"),
    ("CONCAT('a', NULL, 1, N'ö')", "a1ö"),
    ("ISNULL(CAST(NULL AS varchar(2)), 'abcdef')", "ab"),
    ("COALESCE(NULL, CAST(NULL AS int), 7)", 7),
    ("NULLIF('a', 'A')", None),
    ("CASE WHEN 'a' = 'A ' THEN 'same' ELSE 'other' END", "same"),
    ("CASE WHEN 'a' COLLATE Latin1_General_BIN2 = 'A' THEN 'same' ELSE 'other' END", "other"),
    ("CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "two"),
    ("IIF(1 < 2, 'yes', 'no')", "yes"),
    ("CASE WHEN NULL IS NULL AND NOT 1 = 2 THEN 1 END", 1),
    ("CASE WHEN 'Abc' LIKE 'a_C%' THEN 1 ELSE 0 END", 1),
    ("CASE WHEN 2 BETWEEN 1 AND 3 AND 2 IN (1, 2) AND 5 NOT IN (1, 2) THEN 1 END", 1),
    ("CAST(1.5 AS real)", 1.5),
    ("CASE WHEN 'real' = 'REAL' THEN 'real' END", "real"),
    ("0xFF", b"\xff"),
    ("CONVERT(varchar(10), 0x1F, 1)", "0x1F"),
    # the session
    ("DB_NAME()", "shared_sales"),
    ("@@TRANCOUNT", 0),
    ("LEFT(@@VERSION, 20)", "Microsoft SQL Server"),
    ("SUSER_SNAME()", "sa"),
    ("SCHEMA_NAME(1)", "dbo"),
    ("TYPE_NAME(42)", "datetime2"),
    ("CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128))", "16.0.4219.0"),
    ("OBJECT_ID('dbo.nothing')", None),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_an_expression_has_the_value_it_has_in_sql_server(sqlserver, expression, expected):
    found = value_of(sqlserver, expression)

    assert found == expected
    assert type(found) is type(expected)


def test_the_clock_is_utc(sqlserver):
    now = value_of(sqlserver, "SYSUTCDATETIME()")

    assert abs(now - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(seconds=10)


@pytest.fixture(scope="module")
def shop(sqlserver):
    columns = [
        ColumnSpec("id", "bigint", nullable=False), ColumnSpec("at", "datetime2(3)", nullable=False),
        ColumnSpec("Currency", "char(3)"), ColumnSpec("amount", "decimal(18,2)"), ColumnSpec("price", "money"),
        ColumnSpec("small", "int"), ColumnSpec("moved", "datetimeoffset(7)"), ColumnSpec("note", "nvarchar(max)"),
    ]  # fmt: skip
    indexes = [IndexSpec("PK_Shop", ("id",), unique=True, primary=True), IndexSpec("IX_Shop_at", ("at", "id"))]
    sqlserver.create_table("shared_sales", "dbo.Shop", columns, indexes)
    values = ", ".join(
        f"({i}, TIMESTAMP '2026-11-01' + INTERVAL ({i}) HOUR, '{'EUR' if i % 2 else 'eur'}', "
        f"{'9999999999999999.99' if i < 2 else i}, {i}.5, {i if i != 3 else 'NULL'}, "
        f"{{'t': 639000000000000000 + {i}, 'o': {60 * i}}}, NULL)"
        for i in range(6)
    )
    sqlserver.execute("shared_sales", f"INSERT INTO Shop VALUES {values}")
    yield sqlserver
    sqlserver.drop_table("shared_sales", "dbo.Shop")


def test_a_window_is_half_open_and_parameterised(shop):
    sql = (
        "SELECT [o].[id] FROM [dbo].[Shop] AS [o] WHERE [o].[at] >= CAST(? AS datetime2(3)) "
        "AND [o].[at] < CAST(? AS datetime2(3)) ORDER BY [o].[id]"
    )
    with with_mssql_python(shop) as connection:
        cursor = connection.cursor()
        cursor.execute(sql, dt.datetime(2026, 11, 1, 1), dt.datetime(2026, 11, 1, 3))

        assert [row[0] for row in cursor.fetchall()] == [1, 2]


def test_sums_of_decimals_have_38_digits(shop):
    with with_mssql_python(shop) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT COUNT_BIG(*) AS n, SUM(amount) AS total, SUM(price) AS paid, SUM(small) AS s FROM dbo.Shop"
        )
        row, described = cursor.fetchone(), cursor.description

    assert tuple(row) == (6, Decimal("20000000000000013.98"), Decimal("18.0000"), 12)
    assert [(column[0], column[4], column[5]) for column in described][:3] == [
        ("n", 19, 0), ("total", 38, 2), ("paid", 19, 4),
    ]  # fmt: skip


def test_an_int_sum_overflows(shop):
    assert refusal(shop, "SELECT SUM(CAST(2000000000 AS int)) FROM dbo.Shop") == 8115


def test_groups_ignore_case_and_trailing_blanks(shop):
    rows = ask(shop, "SELECT Currency, COUNT(*), MAX(at) FROM dbo.Shop GROUP BY Currency HAVING COUNT(*) > 1")

    assert [(row[0].lower(), row[1]) for row in rows] == [("eur", 6)]
    assert len(ask(shop, "SELECT DISTINCT Currency FROM dbo.Shop")) == 1
    assert ask(shop, "SELECT COUNT(DISTINCT currency) FROM DBO.SHOP WHERE CURRENCY = 'Eur '") == [(1,)]
    assert len(ask(shop, "SELECT Currency FROM dbo.Shop GROUP BY Currency COLLATE Latin1_General_BIN2, Currency")) == 2


def test_null_sorts_lowest(shop):
    assert ask(shop, "SELECT TOP (1) id FROM dbo.Shop ORDER BY small") == [(3,)]
    assert ask(shop, "SELECT TOP 1 id FROM dbo.Shop ORDER BY small DESC") == [(5,)]
    page = ask(shop, "SELECT id FROM dbo.Shop ORDER BY id OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY")
    assert page == [(2,), (3,)]


def test_offsets_compare_by_instant(shop):
    newest = ask(shop, "SELECT TOP 1 id FROM dbo.Shop ORDER BY moved DESC")
    same = ask(shop, "SELECT COUNT(*) FROM dbo.Shop WHERE moved = CAST('2025-11-29 08:00:00 +00:00' AS datetimeoffset)")

    assert (newest, same) == ([(5,)], [(1,)])


def test_a_zone_shows_its_offset(shop):
    sql = (
        "SELECT CAST(CAST('{} 12:00:00' AS datetime2(0)) AT TIME ZONE 'UTC' AT TIME ZONE 'W. Europe Standard Time' "
        "AS nvarchar(40))"
    )

    assert ask(shop, sql.format("2026-07-01")) == [("2026-07-01 14:00:00 +02:00",)]
    assert ask(shop, sql.format("2026-12-01")) == [("2026-12-01 13:00:00 +01:00",)]


QUERIES = [
    ("SELECT COUNT(*) FROM dbo.Shop a INNER JOIN dbo.Shop b ON a.id = b.id AND a.Currency = 'EUR'", [(6,)]),
    ("SELECT COUNT(*) FROM dbo.Shop a LEFT JOIN dbo.Shop b ON b.id = a.id + 3 WHERE b.id IS NULL", [(3,)]),
    ("SELECT id FROM dbo.Shop a WHERE EXISTS (SELECT 1 FROM dbo.Shop b WHERE b.id = a.id + 5)", [(0,)]),
    ("SELECT id FROM dbo.Shop WHERE id = (SELECT MAX(id) FROM dbo.Shop)", [(5,)]),
    ("SELECT COUNT(*) FROM dbo.Shop WHERE id IN (SELECT small FROM dbo.Shop)", [(5,)]),
    (
        "SELECT id n FROM dbo.Shop WHERE id < 2 UNION ALL SELECT small FROM dbo.Shop WHERE small > 3 ORDER BY n DESC",
        [(5,), (4,), (1,), (0,)],
    ),
    (
        "WITH big AS (SELECT id, amount FROM dbo.Shop WHERE id > 3) SELECT COUNT(*), SUM(t.amount) FROM big AS t",
        [(2, Decimal("9.00"))],
    ),
    ("SELECT t.n FROM (SELECT id + 1 AS n FROM dbo.Shop) AS t WHERE t.n > 5", [(6,)]),
    ("SELECT COUNT(*) FROM shared_sales.dbo.Shop WITH (NOLOCK)", [(6,)]),
]


@pytest.mark.parametrize(("sql", "expected"), QUERIES, ids=[sql for sql, _ in QUERIES])
def test_joins_subqueries_unions_and_ctes(shop, sql, expected):
    assert ask(shop, sql) == expected


def test_several_statements_make_several_results(shop):
    with with_mssql_python(shop) as connection:
        cursor = connection.cursor()
        cursor.execute("SET NOCOUNT ON SELECT 1 AS a; SELECT 'two' AS b")
        first = cursor.fetchall()
        assert cursor.nextset()
        second = cursor.fetchall()

    assert ([tuple(row) for row in first], [tuple(row) for row in second]) == ([(1,)], [("two",)])


def test_the_catalogue_describes_what_was_declared(shop):
    sql = """
        SELECT c.name, t.name, c.max_length, c.precision, c.scale, c.is_nullable
        FROM sys.columns AS c
        INNER JOIN sys.types AS t ON t.user_type_id = c.user_type_id
        INNER JOIN sys.tables AS o ON o.object_id = c.object_id
        INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
        WHERE s.name = 'dbo' AND o.name = 'shop'
        ORDER BY c.column_id"""

    assert ask(shop, sql) == [
        ("id", "bigint", 8, 19, 0, False),
        ("at", "datetime2", 7, 23, 3, False),
        ("Currency", "char", 3, 0, 0, True),
        ("amount", "decimal", 9, 18, 2, True),
        ("price", "money", 8, 19, 4, True),
        ("small", "int", 4, 10, 0, True),
        ("moved", "datetimeoffset", 10, 34, 7, True),
        ("note", "nvarchar", -1, 0, 0, True),
    ]
    assert ask(shop, "SELECT OBJECT_NAME(OBJECT_ID('dbo.Shop')), OBJECT_ID(N'[dbo].[missing]')") == [("Shop", None)]


def test_the_information_schema_agrees(shop):
    sql = (
        "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, "
        "DATETIME_PRECISION, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS "
        "WHERE TABLE_NAME = 'Shop' AND ORDINAL_POSITION IN (2, 3, 4)"
    )

    assert ask(shop, sql) == [
        ("at", "datetime2", None, None, None, 3, "NO"),
        ("Currency", "char", 3, None, None, None, "YES"),
        ("amount", "decimal", None, 18, 2, None, "YES"),
    ]
    tables = ask(
        shop, "SELECT TABLE_TYPE FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'dbo' AND TABLE_NAME = 'Shop'"
    )
    assert tables == [("BASE TABLE",)]


def test_indexes_show_the_window_column(shop):
    sql = """
        SELECT i.name, i.type_desc, i.is_unique, k.key_ordinal, c.name
        FROM sys.indexes AS i
        INNER JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
        INNER JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
        WHERE i.object_id = OBJECT_ID('dbo.Shop')
        ORDER BY i.index_id, k.key_ordinal"""

    assert ask(shop, sql) == [
        ("PK_Shop", "CLUSTERED", True, 1, "id"),
        ("IX_Shop_at", "NONCLUSTERED", False, 1, "at"),
        ("IX_Shop_at", "NONCLUSTERED", False, 2, "id"),
    ]


def test_databases_say_whether_they_allow_snapshots(sqlserver):
    sql = "SELECT name, snapshot_isolation_state_desc FROM sys.databases WHERE name = DB_NAME()"

    assert ask(sqlserver, sql, database="globex_sales") == [("globex_sales", "ON")]


@pytest.mark.parametrize("rows", [0, 1, 16_383, 16_384, 16_385, 50_000])
def test_row_counts_around_a_batch_are_exact(sqlserver, rows):
    sqlserver.create_table("bench", "dbo.Counted", [ColumnSpec("n", "int"), ColumnSpec("text", "nvarchar(20)")])
    sqlserver.execute(
        "bench", f"INSERT INTO Counted SELECT i, CASE WHEN i % 3 > 0 THEN 'ß' || i END FROM range({rows}) r(i)"
    )

    found = ask(sqlserver, "SELECT n, text FROM dbo.Counted", database="bench")
    sqlserver.drop_table("bench", "dbo.Counted")

    assert sorted(found) == [(i, f"ß{i}" if i % 3 else None) for i in range(rows)]


def test_a_column_that_is_all_null_streams(sqlserver):
    kinds = [
        "nvarchar(10)",
        "varchar(max)",
        "varbinary(max)",
        "decimal(38,10)",
        "datetimeoffset(7)",
        "uniqueidentifier",
    ]
    columns = [ColumnSpec(f"c{place}", kind) for place, kind in enumerate(kinds)]
    sqlserver.create_table("bench", "dbo.Empty", columns)
    sqlserver.execute("bench", f"INSERT INTO Empty SELECT {', '.join('NULL' for _ in kinds)} FROM range(10)")

    found = ask(sqlserver, "SELECT * FROM dbo.Empty", database="bench")
    sqlserver.drop_table("bench", "dbo.Empty")

    assert found == [(None,) * len(kinds)] * 10


def test_an_error_behind_the_first_batch_is_the_same_error(sqlserver):
    sqlserver.create_table("bench", "dbo.Late", [ColumnSpec("text", "varchar(20)")])
    sqlserver.execute(
        "bench", "INSERT INTO Late SELECT CASE i WHEN 59999 THEN 'x' ELSE i::VARCHAR END FROM range(60000) AS r(i)"
    )

    number = refusal(sqlserver, "SELECT CAST(text AS int) FROM dbo.Late", database="bench")
    sqlserver.drop_table("bench", "dbo.Late")

    assert number == 245


def test_what_is_declared_of_a_table_shows_in_the_catalogue_and_changes_no_row(sqlserver):
    for table, columns in (("Parents", ("id",)), ("Children", ("id", "parent", "born", "name"))):
        kinds = {"id": "int", "parent": "int", "born": "datetime2(7)", "name": "varchar(9)"}
        sqlserver.create_table(HOME, f"dbo.{table}", [ColumnSpec(name, kinds[name]) for name in columns])
    sqlserver.execute(HOME, "INSERT INTO Children (id, parent, name) VALUES (1, 7, 'Ann')")
    sqlserver.declare(
        HOME, "dbo.Children", temporal=2, history="dbo.Parents",
        columns={
            "id": {"identity": True}, "born": {"generated": 1, "hidden": True},
            "name": {"collation": "Greek_CI_AS", "computed": "(upper([x]))"},
        },
        foreign_keys=[{"name": "FK_c", "columns": ["parent"], "to": "dbo.Parents", "to_columns": ["id"]}],
    )  # fmt: skip
    sqlserver.rename_column(HOME, "dbo.Children", "name", "called")

    def rows(sql):
        return [tuple(row) for row in ask(sqlserver, sql)]

    traits = "collation_name, is_identity, is_computed, generated_always_type, is_hidden"
    children = "sys.columns WHERE object_id = OBJECT_ID('dbo.Children')"
    assert rows(f"SELECT name, {traits} FROM {children} ORDER BY name") == [
        ("born", None, False, False, 1, True), ("called", "Greek_CI_AS", False, True, 0, False),
        ("id", None, True, False, 0, False), ("parent", None, False, False, 0, False),
    ]  # fmt: skip
    assert rows("SELECT name, definition FROM sys.computed_columns") == [("called", "(upper([x]))")]
    assert rows(
        "SELECT t.temporal_type, h.name FROM sys.tables AS t INNER JOIN sys.tables AS h ON "
        "h.object_id = t.history_table_id WHERE t.name = 'Children'"
    ) == [(2, "Parents")]
    assert rows(
        "SELECT f.name, c.name, o.name, r.name FROM sys.foreign_keys AS f "
        "INNER JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id "
        "INNER JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id "
        "INNER JOIN sys.objects AS o ON o.object_id = f.referenced_object_id "
        "INNER JOIN sys.columns AS r ON r.object_id = k.referenced_object_id AND r.column_id = k.referenced_column_id"
    ) == [("FK_c", "parent", "Parents", "id")]
    assert rows("SELECT id, parent, called FROM Children") == [(1, 7, "Ann")]


def test_a_masked_column_is_shown_to_whoever_has_unmask_and_to_nobody_else(sqlserver):
    sqlserver.create_table(HOME, "dbo.Masked", [ColumnSpec("id", "int"), ColumnSpec("email", "varchar(40)")])
    sqlserver.execute(HOME, "INSERT INTO Masked (id, email) VALUES (1, 'ann@example.com')")
    sqlserver.declare(HOME, "dbo.Masked", columns={"email": {"masked": "email()"}})
    may = "HAS_PERMS_BY_NAME(QUOTENAME('dbo') + '.' + QUOTENAME('Masked'), 'OBJECT', 'UNMASK', 'email', 'COLUMN')"
    rights = f"SELECT {may}, HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK')"
    masked = "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Masked') AND is_masked = 1"

    def rows(sql):
        return [tuple(row) for row in ask(sqlserver, sql, login="shared_reader")]

    assert rows(masked) == [("email",)]
    assert rows(rights) == [(0, 0)]
    for sql in ("SELECT email FROM Masked", "SELECT * FROM Masked", "SELECT id FROM Masked WHERE email LIKE 'a%'"):
        assert refusal(sqlserver, sql, login="shared_reader") == 40515
    sqlserver.declare(HOME, "dbo.Masked", unmask=["shared_reader"])
    assert rows(rights) == [(1, 0)]
    assert rows("SELECT * FROM Masked") == [(1, "ann@example.com")]


def test_a_declaration_of_a_column_that_is_not_there_is_refused(sqlserver):
    sqlserver.create_table(HOME, "dbo.Lonely", [ColumnSpec("id", "int")])

    with pytest.raises(SqlServerError, match=r"no column nobody in .*Lonely"):
        sqlserver.declare(HOME, "dbo.Lonely", columns={"nobody": {"identity": True}})
