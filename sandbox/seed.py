"""Fills the sources: deterministic, additive by day, and safe to repeat. Also breaks and repairs one window."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from sandbox import seed_rows
from sandbox.seed_rows import COMPANIES, COMPANY, TABLES, Company, Row, bounds, company_of, naive
from sandbox.services import read_json, write_private
from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.client import ColumnSpec, SqlServer

FIXED_DAYS: Final = (  # nights in which the clocks change in Europe and in America
    *(date(2026, 3, day) for day in (28, 29, 30)),
    *(date(2026, 10, day) for day in (24, 25, 26, 31)),
    *(date(2026, 11, day) for day in (1, 2)),
)
BENCH: Final = (
    ("id", "bigint", "i"),
    ("code", "int", "CAST(i % 100000 AS INTEGER)"),
    ("flag", "bit", "i % 3 = 0"),
    ("ratio", "float", "i / 7.0"),
    ("amount", "decimal(18,2)", "CAST(i % 1000000 / 100 AS DECIMAL(18,2))"),
    ("price", "money", "CAST(i % 10000 AS DECIMAL(19,4))"),
    ("day", "date", "DATE '2026-01-01' + CAST(i % 365 AS INTEGER)"),
    ("happened_at", "datetime2(3)", "TIMESTAMP '2026-01-01' + to_milliseconds(i * 997)"),
    ("updated_at", "datetime2(3)", "TIMESTAMP '2026-06-01' + to_milliseconds(i * 13)"),
    ("status", "varchar(12)", "['NEW', 'PAID', 'SHIPPED', 'RETURNED'][1 + i % 4]"),
    ("email", "nvarchar(320)", "'person' || i || '@example.com'"),
    ("note", "nvarchar(100)", "CASE WHEN i % 5 > 0 THEN 'note ' || (i * 7919 % 100003) END"),
)


def seed(
    sqlserver: SqlServer, anchor: date, days: int = 12, orders_per_day: int = 200, *, customers: int = 300
) -> None:
    """Fill every company's days `[anchor - days, anchor]` and the fixed ones; days that are there stay as they are."""
    if not 20 <= orders_per_day <= seed_rows.ORDERS_PER_DAY_LIMIT:
        raise ValueError(f"orders_per_day must be between 20 and {seed_rows.ORDERS_PER_DAY_LIMIT}")
    wanted = sorted({*FIXED_DAYS, *(anchor - timedelta(days=back) for back in range(days + 1))})
    for database, companies in groupby(COMPANIES, key=lambda company: company.database):
        _prepare(sqlserver, database)
        done = {(name, day) for name, day in sqlserver.execute(database, "SELECT company, day FROM _sandbox.seeded")}
        for company in companies:
            missing = [day for day in wanted if (company.name, str(day)) not in done]
            people = (company.name, "customers") not in done
            _seed_company(sqlserver, company, missing, orders_per_day, customers, with_customers=people)
    _note_secrets(sqlserver, customers)


def _prepare(sqlserver: SqlServer, database: str) -> None:
    there = sqlserver.tables(database)
    shared = database == "shared_sales"
    for table, columns in TABLES.items():
        if f"dbo.{table}" not in there:
            declared = (COMPANY, *columns) if shared else columns
            sqlserver.create_table(database, f"dbo.{table}", declared, seed_rows.indexes(table, shared=shared))
    sqlserver.execute(database, "CREATE TABLE IF NOT EXISTS _sandbox.seeded(company VARCHAR, day VARCHAR)")
    shape = "SELECT CAST(NULL AS VARCHAR) AS broken_window, o.* FROM dbo.Orders o LIMIT 0"
    sqlserver.execute(database, f"CREATE TABLE IF NOT EXISTS _sandbox.broken AS {shape}")


def _seed_company(
    sqlserver: SqlServer, company: Company, days: Sequence[date], count: int, people: int, *, with_customers: bool
) -> None:
    orders = [order for day in days for order in seed_rows.orders(company, day, count, people)]
    lines = [line for order in orders for line in seed_rows.order_lines(company, order)]
    bought = {"Orders": orders, "OrderLines": lines} if days else {}
    if with_customers:
        bought["Customers"] = list(seed_rows.customers(company, people))
    marks = [*map(str, days), *(["customers"] if with_customers else [])]
    if marks:
        _insert(sqlserver, company, bought, marks)


def _insert(sqlserver: SqlServer, company: Company, tables: dict[str, list[Row]], marks: Sequence[str]) -> None:
    """All of it or nothing: rows and the marks that say they are there commit together."""
    folder = sqlserver.run_dir / "sqlserver"
    statements, files = [], []
    for table, rows in tables.items():
        path = folder / f"seed-{company.name}-{table}.parquet"
        pq.write_table(_arrow(table, company, rows), path)
        files.append(path)
        statements.append(f"INSERT INTO dbo.{table} BY NAME SELECT * FROM read_parquet('{_text(path)}')")
    values = ", ".join(f"('{company.name}', '{mark}')" for mark in marks)
    statements.append(f"INSERT INTO _sandbox.seeded VALUES {values}")
    try:
        sqlserver.execute(company.database, f"BEGIN; {'; '.join(statements)}; COMMIT")
    finally:
        for path in files:
            path.unlink()


def _text(path: Path) -> str:
    return str(path).replace("'", "''")


def _arrow(table: str, company: Company, rows: Iterable[Row]) -> pa.Table:
    columns = TABLES[table] if company.company_id is None else (COMPANY, *TABLES[table])
    schema = pa.schema([(column.name, _arrow_type(column)) for column in columns])
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)


def _arrow_type(column: ColumnSpec) -> pa.DataType:
    """The Arrow twin of the column's storage."""
    kind = sqltypes.parse(column.type)
    stored = sqltypes.storage(kind)
    numbers = re.findall(r"\d+", stored)
    if stored.startswith("DECIMAL"):
        return pa.decimal128(int(numbers[0]), int(numbers[1]))
    if stored.startswith("STRUCT"):
        return pa.struct([("t", pa.int64()), ("o", pa.int16())])
    simple = {
        "BIGINT": pa.int64(), "INTEGER": pa.int32(), "BOOLEAN": pa.bool_(), "VARCHAR": pa.string(),
        "TIMESTAMP": pa.timestamp("us"),
    }  # fmt: skip
    return simple[stored]


def _in_window(company: Company, as_of_date: date, alias: str = "") -> str:
    start, end = (naive(edge).isoformat(sep=" ") for edge in bounds(company, as_of_date))
    prefix = f"{alias}." if alias else ""
    mine = "" if company.company_id is None else f"{prefix}company_id = {company.company_id} AND "
    return f"{mine}{prefix}order_date >= TIMESTAMP '{start}' AND {prefix}order_date < TIMESTAMP '{end}'"


def break_window(sqlserver: SqlServer, tenant: str, as_of_date: date, *, rows: int = 5) -> None:
    """Duplicate the keys of some orders of that local day and null the status of others; twice breaks no more."""
    company, mark = company_of(tenant), f"{tenant}/{as_of_date.isoformat()}"
    if _broken(sqlserver, company, mark):
        return
    window = _in_window(company, as_of_date)
    found = sqlserver.execute(company.database, f"SELECT count(DISTINCT order_id) FROM dbo.Orders WHERE {window}")
    if found[0][0] < 2 * rows:
        raise ValueError(f"{tenant}: fewer than {2 * rows} orders on {as_of_date}, seed the day first")
    ordered = f"SELECT order_id FROM dbo.Orders WHERE {window} ORDER BY order_id LIMIT {rows}"
    copied = f"SELECT '{mark}', o.* FROM dbo.Orders o WHERE {_in_window(company, as_of_date, 'o')}"
    statements = (
        f"INSERT INTO _sandbox.broken {copied}",
        f"UPDATE dbo.Orders SET status = NULL WHERE {window} AND order_id IN ({ordered} OFFSET {rows})",
        f"INSERT INTO dbo.Orders SELECT * FROM dbo.Orders WHERE {window} AND order_id IN ({ordered})",
    )
    sqlserver.execute(company.database, f"BEGIN; {'; '.join(statements)}; COMMIT")


def _broken(sqlserver: SqlServer, company: Company, mark: str) -> bool:
    counted = sqlserver.execute(
        company.database, f"SELECT count(*) FROM _sandbox.broken WHERE broken_window = '{mark}'"
    )
    return bool(counted[0][0])


def repair_window(sqlserver: SqlServer, tenant: str, as_of_date: date) -> None:
    """Put the window's orders back as they were before break_window(); a whole window stays as it is."""
    company, mark = company_of(tenant), f"{tenant}/{as_of_date.isoformat()}"
    if not _broken(sqlserver, company, mark):
        return
    window = _in_window(company, as_of_date)
    kept = f"SELECT * EXCLUDE (broken_window) FROM _sandbox.broken WHERE broken_window = '{mark}'"
    sqlserver.execute(
        company.database,
        f"BEGIN; DELETE FROM dbo.Orders WHERE {window}; INSERT INTO dbo.Orders {kept}; "
        f"DELETE FROM _sandbox.broken WHERE broken_window = '{mark}'; COMMIT",
    )


def late_row(sqlserver: SqlServer, tenant: str, as_of_date: date) -> int:
    """One more order in the middle of an old local day, changed just now; returns its order_id."""
    company = company_of(tenant)
    start, end = bounds(company, as_of_date)
    placed = naive(start + (end - start) / 2)
    last = f"SELECT max(order_id) FROM dbo.Orders WHERE {_in_window(company, as_of_date)}"
    order_id = int(sqlserver.execute(company.database, last)[0][0] or as_of_date.toordinal() * 100_000) + 1
    values: dict[str, Any] = {
        "order_id": order_id,
        "order_date": f"TIMESTAMP '{placed.isoformat(sep=' ')}'",
        "customer_id": "'C0000001'",
        "customer_email": f"'{seed_rows.email(company, 1)}'",
        "status": "'NEW'",
        "amount": "12.34",
        "currency": "'EUR'",
        "updated_at": "date_trunc('millisecond', CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP))",
        "legacy_flags": "0",
    }
    if company.company_id is not None:
        values["company_id"] = company.company_id
    names, cells = ", ".join(values), ", ".join(str(value) for value in values.values())
    sqlserver.execute(company.database, f"INSERT INTO dbo.Orders ({names}) VALUES ({cells})")
    return order_id


def bench_table(sqlserver: SqlServer, rows: int = 1_000_000) -> None:
    """bench.dbo.Bench12: 12 columns of mixed types, made inside DuckDB; made anew when the number of rows differs."""
    if "dbo.Bench12" in sqlserver.tables("bench"):
        if sqlserver.execute("bench", "SELECT count(*) FROM Bench12")[0][0] == rows:
            return
        sqlserver.drop_table("bench", "dbo.Bench12")
    columns = [ColumnSpec(name, kind, nullable=name != "id") for name, kind, _ in BENCH]
    sqlserver.create_table("bench", "dbo.Bench12", columns)
    cells = ", ".join(sql for _, _, sql in BENCH)
    sqlserver.execute("bench", f"INSERT INTO Bench12 SELECT {cells} FROM range({rows}) AS r(i)")


def _note_secrets(sqlserver: SqlServer, customers: int) -> None:
    """Remember every e-mail and phone that was seeded, for those who must prove that none of them leaked."""
    path = sqlserver.run_dir / "sqlserver" / "seeded.json"
    known = set(read_json(path).get("personal", []))
    known |= {text for company in COMPANIES for text in _personal(company, customers)}
    write_private(path, json.dumps({"personal": sorted(known)}))


def _personal(company: Company, customers: int) -> Iterator[str]:
    for number in range(1, customers + 1):
        yield seed_rows.email(company, number)
        yield seed_rows.phone(company, number)


def seeded_secrets(run_dir: Path | str) -> set[str]:
    """Every seeded e-mail, phone, password and key of the run directory, whether or not its servers run."""
    home = Path(run_dir)
    logins = read_json(home / "sqlserver" / "logins.json")
    passwords = {entry["password"] for entry in logins.values()}
    keys = set(read_json(home / "pii.json").values())
    personal = set(read_json(home / "sqlserver" / "seeded.json").get("personal", []))
    return personal | passwords | keys | _connection_secrets(home / "env")


def _connection_secrets(path: Path) -> set[str]:
    """The passwords inside the AIRFLOW_CONN_* lines of the sandbox's env file."""
    if not path.exists():
        return set()
    found = re.findall(r'"password": "((?:[^"\\]|\\.)+)"', path.read_text(encoding="utf-8"))
    return {str(json.loads(f'"{text}"')) for text in found}
