"""A stand-in SQL Server of the tests' own, with few rows that are known by heart, and the product's ways into it."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pymssql

from sandbox.services import Service
from sandbox.sqlserver.client import ColumnSpec, SqlServer
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant
from tenantdags.model.window import day_window
from tenantdags.steps.source import Connection, SourceLogin, connect
from tenantdags.steps.tsql import Statement

ROOT = Path(__file__).parent.parent.parent
WINDOW = day_window(date(2026, 11, 20), "Europe/Berlin")  # 23:00Z of the day before to 23:00Z
NOW = datetime(2026, 11, 21, 2, 0, 13, tzinfo=UTC)
TICKS_1970 = 621_355_968_000_000_000

ORDERS = (
    ("company_id", "int", False), ("order_id", "bigint", False), ("order_date", "datetime2(3)", False),
    ("customer_id", "varchar(8)", True), ("customer_email", "nvarchar(320)", True), ("status", "varchar(12)", True),
    ("amount", "decimal(18,2)", True), ("currency", "char(3)", True), ("updated_at", "datetime2(3)", True),
    ("internal_note", "nvarchar(max)", True),
)  # fmt: skip
LINES = (
    ("company_id", "int", False), ("order_id", "bigint", False), ("line_no", "int", False),
    ("sku", "varchar(20)", True),
    ("quantity", "int", True), ("unit_price", "money", True), ("discount", "decimal(5,4)", True),
    ("created_at", "datetimeoffset(7)", True), ("updated_at", "datetime2(3)", True),
)  # fmt: skip
CUSTOMERS = (
    ("company_id", "int", False), ("customer_id", "varchar(8)", False), ("name", "nvarchar(200)", True),
    ("email", "nvarchar(320)", True), ("phone", "varchar(32)", True), ("segment", "varchar(20)", True),
    ("credit_limit", "decimal(38,10)", True), ("is_active", "bit", True), ("created_at", "datetime2(3)", True),
    ("updated_at", "datetime2(3)", True),
)  # fmt: skip

ORDER_ROWS = """INSERT INTO Orders VALUES
(123, 1001, '2026-11-19 23:00:00.000', 'C0000001', 'anna@example.de', 'NEW', 10.10, 'EUR', '2026-11-20 01:02:03.004',
 'secret note'),
(123, 1002, '2026-11-20 22:59:59.999', 'C0000002', NULL, 'PAID', 0.05, 'USD', '2026-11-20 23:00:00', NULL),
(123, 1005, '2026-11-20 12:00:00', 'C0000001', 'zoë@example.de', 'NEW', 9999999999999999.99, 'EUR',
 '2026-11-20 12:00:00', NULL),
(123, 1003, '2026-11-20 23:00:00.000', 'C0000003', 'late@example.de', 'NEW', 1, 'EUR', '2026-11-20 23:00:00', NULL),
(123, 1004, '2026-11-19 22:59:59.999', 'C0000004', 'early@example.de', 'NEW', 1, 'EUR', '2026-11-19 23:00:00', NULL),
(7, 1001, '2026-11-20 10:00:00', 'C0000007', 'other7@example.de', 'NEW', 777, 'EUR', '2026-11-20 10:00:00', NULL),
(1230, 1002, '2026-11-20 10:00:00', 'C0000008', 'o1230@example.de', 'NEW', 888, 'EUR', '2026-11-20 10:00:00', NULL)"""
CUSTOMER_ROWS = """INSERT INTO Customers VALUES
(123, 'C0000001', 'Anna', 'anna@example.de', '+49 30 1234567', 'gold', 1234567890123456789012345678.0123456789, true,
 '2026-01-01', '2026-02-01'),
(123, 'C0000002', NULL, NULL, NULL, '', NULL, NULL, '2026-01-01', '2026-02-01'),
(123, 'BAD', 'Bob', 'bob', 'call me', NULL, 0, false, '2026-01-01', '2026-02-01'),
(7, 'C0000007', 'Otto', 'other7@example.de', '+49 30 7777777', 'gold', 7, true, '2026-01-01', '2026-02-01')"""


def ticks(text: str) -> int:
    """100 ns since 0001-01-01, as the stand-in stores datetime2(7) and datetimeoffset."""
    gone = datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (gone.days * 86_400_000_000 + gone.seconds * 1_000_000 + gone.microseconds) * 10 + TICKS_1970


class Files:
    """A container of small files in memory, with the compare-and-swap of the real one."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[bytes, str]] = {}

    def read(self, where: str, path: str) -> tuple[bytes, str] | None:
        return self.found.get(path)

    def swap(self, where: str, path: str, data: bytes, etag: str | None) -> str | None:
        there = self.found.get(path)
        if (there[1] if there else None) != etag:
            return None
        self.write(where, path, data)
        return self.found[path][1]

    def write(self, where: str, path: str, data: bytes) -> None:
        self.found[path] = (data, f"etag{len(self.found)}-{hash(data)}")

    def text(self, path: str) -> str:
        return self.found[path][0].decode()


def start(run_dir: Path) -> tuple[Service, SqlServer]:
    service = Service("sqlserver", run_dir)
    service.start()
    service.wait_ready()
    return service, SqlServer(run_dir)


def fill_shared(server: SqlServer) -> None:
    """acme is company 123 of shared_sales, among 7 and 1230. Tables that are there are made anew."""
    for table, columns in (("dbo.Orders", ORDERS), ("dbo.OrderLines", LINES), ("dbo.Customers", CUSTOMERS)):
        make_table(server, "shared_sales", table, columns)
    server.execute("shared_sales", ORDER_ROWS)
    server.execute("shared_sales", CUSTOMER_ROWS)
    created = f"{{'t': {ticks('2026-11-20T11:30:00.123456')}, 'o': 60}}"
    late = f"{{'t': {ticks('2026-11-20T11:30:00')}, 'o': -300}}"
    server.execute(
        "shared_sales",
        f"""INSERT INTO OrderLines VALUES
        (123, 1001, 1, 'A-1', 2, 3.1415, 0.1, {created}, '2026-11-20'),
        (123, 1001, 2, 'A-2', 1, 922337203685477.5807, NULL, {late}, '2026-11-20'),
        (123, 1003, 1, 'A-3', 5, 1, 0, {late}, '2026-11-20'),
        (123, 9999, 1, 'A-4', 5, 1, 0, {late}, '2026-11-20'),
        (7, 1001, 1, 'S-7', 9, 9, 0, {late}, '2026-11-20'),
        (1230, 1005, 1, 'S-1230', 9, 9, 0, {late}, '2026-11-20')""",
    )


def make_table(server: SqlServer, database: str, table: str, columns: Sequence[tuple[str, str, bool]]) -> None:
    if table in server.tables(database):
        server.drop_table(database, table)
    server.create_table(database, table, [ColumnSpec(name, kind, nullable) for name, kind, nullable in columns])


def plan_of(table: str, tenant: str = "acme") -> TablePlan:
    return next(plan for plan in load_tenant(ROOT, tenant) if plan.table == table)


def login_of(server: SqlServer, plan: TablePlan, **changes: Any) -> SourceLogin:
    said = {**server.connection(plan.source.connection), **changes}
    return SourceLogin.from_connection(
        host=said["host"], port=said["port"], database=plan.source.database, login=said["login"],
        password=said["password"], extra=said["extra"],
    )  # fmt: skip


def connecting(server: SqlServer, plan: TablePlan, **changes: Any) -> Callable[[], Connection]:
    return lambda: connect(login_of(server, plan, **changes))


def catalogue_of(server: SqlServer, plan: TablePlan, **changes: Any) -> Callable[[Statement], list[tuple[Any, ...]]]:
    """What MsSqlHook.get_records does, without an Airflow connection."""

    def records(statement: Statement) -> list[tuple[Any, ...]]:
        said = {**server.connection(plan.source.connection), **changes}
        with (
            pymssql.connect(
                server=said["host"], port=str(said["port"]), user=said["login"], password=said["password"],
                database=plan.source.database, **{"login_timeout": 5, **said["extra"]},
            ) as connection,
            connection.cursor() as cursor,
        ):  # fmt: skip
            cursor.execute(statement.text, tuple(map(str, statement.parameters)))
            return [tuple(row) for row in cursor.fetchall()]

    return records
