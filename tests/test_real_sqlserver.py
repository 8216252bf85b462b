"""The stand-in against a real SQL Server: the same rows must become the same files, and every statement must parse.

Needs TENANTDAGS_TEST_MSSQL_HOST, _PORT, _LOGIN and _PASSWORD of a server this may create a database on. The hosted CI
has one; elsewhere these tests are skipped, and say so.
"""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pymssql
import pytest

from sandbox.sqlserver.client import SqlServer
from tenantdags.steps.extract import extract
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.pii import PiiKey
from tenantdags.steps.staging import Staging
from tests.steps import source_world as world
from tests.steps.tsql_golden import goldens

pytestmark = pytest.mark.sandbox

SETTINGS = {name: os.environ.get(f"TENANTDAGS_TEST_MSSQL_{name}") for name in ("HOST", "PORT", "LOGIN", "PASSWORD")}
DATABASE = "shared_sales"
KEY = PiiKey("key-2026", bytes(range(32)))
TABLES = {"dbo.Orders": world.ORDERS, "dbo.OrderLines": world.LINES, "dbo.Customers": world.CUSTOMERS}
LINE_ROWS = """INSERT INTO OrderLines VALUES
(123, 1001, 1, 'A-1', 2, 3.1415, 0.1, '2026-11-20T12:30:00.1234560+01:00', '2026-11-20'),
(123, 1001, 2, 'A-2', 1, 922337203685477.5807, NULL, '2026-11-20T06:30:00-05:00', '2026-11-20'),
(123, 1003, 1, 'A-3', 5, 1, 0, '2026-11-20T06:30:00-05:00', '2026-11-20'),
(123, 9999, 1, 'A-4', 5, 1, 0, '2026-11-20T06:30:00-05:00', '2026-11-20'),
(7, 1001, 1, 'S-7', 9, 9, 0, '2026-11-20T06:30:00-05:00', '2026-11-20'),
(1230, 1005, 1, 'S-1230', 9, 9, 0, '2026-11-20T06:30:00-05:00', '2026-11-20')"""


class RealServer(SqlServer):
    """Answers for the stand-in's connections with the real server's."""

    def __init__(self) -> None:
        """No run directory: nothing of the stand-in is used."""

    def connection(self, conn_id):
        return {
            "conn_type": "mssql", "host": SETTINGS["HOST"], "port": int(SETTINGS["PORT"] or 1433),
            "login": SETTINGS["LOGIN"], "password": SETTINGS["PASSWORD"], "schema": DATABASE,
            "extra": {"encryption": "require"},
        }  # fmt: skip

    def run(self, *statements: str, database: str = DATABASE) -> None:
        said = self.connection("mssql_shared1")
        with pymssql.connect(
            server=said["host"], port=str(said["port"]), user=said["login"], password=said["password"],
            database=database, autocommit=True, login_timeout=60, **said["extra"],
        ) as connection, connection.cursor() as cursor:  # fmt: skip
            for statement in statements:
                cursor.execute(statement)


def in_tsql(rows: str) -> str:
    """The stand-in's rows are filled in DuckDB's words; T-SQL has no TRUE, and Unicode literals begin with N."""
    return rows.replace(" true", " 1").replace(" false", " 0").replace("'zoë", "N'zoë")


def create_table(table: str, columns) -> str:
    listed = ", ".join(f"[{name}] {kind} {'NULL' if nullable else 'NOT NULL'}" for name, kind, nullable in columns)
    return f"CREATE TABLE {table} ({listed})"


@pytest.fixture(scope="module")
def real():
    missing = [f"TENANTDAGS_TEST_MSSQL_{name}" for name, value in SETTINGS.items() if not value]
    if missing:
        pytest.skip(f"no real SQL Server: {', '.join(missing)} not set")
    server = RealServer()
    server.run(f"IF DB_ID('{DATABASE}') IS NULL CREATE DATABASE {DATABASE}", database="master")
    server.run(f"ALTER DATABASE {DATABASE} SET ALLOW_SNAPSHOT_ISOLATION ON", database="master")
    server.run(*(f"DROP TABLE IF EXISTS {table}" for table in TABLES))
    server.run(*(create_table(table, columns) for table, columns in TABLES.items()))
    server.run(in_tsql(world.ORDER_ROWS), in_tsql(world.CUSTOMER_ROWS), LINE_ROWS)
    return server


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    service, server = world.start(tmp_path_factory.mktemp("sqlserver"))
    world.fill_shared(server)
    yield server
    service.stop()


def staged(server: SqlServer, table: str, staging: Staging) -> tuple[Manifest, pa.Table]:
    plan = world.plan_of(table)
    manifest = extract(
        plan, world.WINDOW, connect=world.connecting(server, plan), catalogue=world.catalogue_of(server, plan),
        files=world.Files(), staging=staging, key=KEY, base_generation=0, run_id="run-1", now=lambda: world.NOW,
    )  # fmt: skip
    rows = pa.concat_tables([pq.read_table(path) for path in staging.parts(plan, manifest)])
    return manifest, rows.sort_by([(key, "ascending") for key in plan.contract.keys])


def facts(manifest: Manifest) -> tuple[object, ...]:
    return manifest.rows, manifest.totals, manifest.columns, manifest.stream_checks, manifest.reconciled


@pytest.mark.parametrize("table", ["customers", "orders", "order_lines"])
def test_a_real_server_and_the_stand_in_give_the_same_files(real, stand_in, table, tmp_path):
    its_manifest, its_rows = staged(real, table, Staging(tmp_path / "real"))
    manifest, rows = staged(stand_in, table, Staging(tmp_path / "stand_in"))

    assert facts(its_manifest) == facts(manifest)
    assert its_rows.schema == rows.schema
    assert its_rows.to_pylist() == rows.to_pylist()


@pytest.mark.parametrize("golden", list(goldens()), ids=lambda golden: golden.name)
def test_a_real_server_can_parse_every_statement(real, golden):
    text = golden.statement.text.replace("?", "@p").replace("%s", "@p")

    # PARSEONLY looks at the syntax alone, so the statement's tables need not exist.
    real.run("SET PARSEONLY ON", f"DECLARE @p sql_variant; {text}")


def test_a_real_server_refuses_what_does_not_parse(real):
    with pytest.raises(pymssql.Error):
        real.run("SET PARSEONLY ON", "SELECT * FROM Orders LIMIT 1")
