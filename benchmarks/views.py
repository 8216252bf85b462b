"""What the readers' view costs: its join over a publish log of a million rows, on the engines we have here."""

import os
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from benchmarks.child import Work
from benchmarks.measure import Measurement, interleave
from benchmarks.page import stamp, table
from tenantdags.model.plan import TablePlan
from tenantdags.steps.reader_views import Shown, create_views
from tests.steps.staged import plan_of

TABLES, DAYS, TENANTS = 20, 100, 20  # tables in the log; days of each window; tenants with rows in the measured table
FIRST = date(2026, 1, 1)
REPEATS = 5
ENGINES = ("duckdb", "sail")
LOGS = ("small", "clustered", "unsorted")
QUERIES = {
    "day": "SELECT count(*), sum(amount) FROM {v} WHERE tenant_id = 't00007' AND as_of_date = DATE '2026-03-01'",
    "tenant": "SELECT count(*), sum(amount) FROM {v} WHERE tenant_id = 't00007'",
    "all": "SELECT count(*), sum(amount) FROM {v}",
}


def section(log_rows: int, rows: int, rounds: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        make_world(Path(folder), log_rows, rows)
        contenders: dict[str, dict[str, Any]] = {
            f"{engine}, {kind}": {"contender": f"benchmarks.views:{engine}", "folder": folder, "kind": kind}
            for engine in ENGINES
            for kind in (*LOGS, "no view")
        }
        return _text(interleave(contenders, rounds), log_rows, rows, rounds)


def make_world(folder: Path, log_rows: int, rows: int) -> None:
    """The curated table of orders, and the log three times: of its windows alone, sorted as clustered, and shuffled."""
    write_deltalake(str(folder / "curated"), _orders(rows))
    small = _log(1, TENANTS)
    write_deltalake(str(folder / "small"), small)
    whole = _log(TABLES, log_rows // (TABLES * DAYS))
    write_deltalake(str(folder / "clustered"), whole.sort_by([("table_name", "ascending"), ("tenant_id", "ascending")]))
    shuffled = np.random.default_rng(1).permutation(whole.num_rows)
    write_deltalake(str(folder / "unsorted"), whole.take(pa.array(shuffled)))


def _log(tables: int, tenants: int) -> pa.Table:
    """One generation of every day of every tenant's tables, orders_v1 being the first of them."""
    count = tables * tenants * DAYS
    names, whose, days = np.unravel_index(np.arange(count), (tables, tenants, DAYS))
    known = pa.array(["orders_v1", *(f"other{n}_v1" for n in range(1, tables))])
    ids = pa.array([f"t{n:05}" for n in range(tenants)])
    starts = pa.array([_start(n) for n in range(DAYS)], pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "table_name": known.take(pa.array(names)),
            "tenant_id": ids.take(pa.array(whose)),
            "window_start": starts.take(pa.array(days)),
            "generation": pa.array(np.ones(count, dtype=np.int64)),
            "append_id": pa.array([f"{n}-{t}-{d}" for n, t, d in zip(names, whose, days, strict=True)]),
        }
    )


def _orders(rows: int) -> pa.Table:
    """So many orders over all days of all tenants, all columns of the view among them."""
    each = np.arange(rows)
    days, whose = each % DAYS, each // DAYS % TENANTS
    starts = pa.array([_start(n) for n in range(DAYS)], pa.timestamp("us", tz="UTC")).take(pa.array(days))
    dates = pa.array([FIRST + timedelta(days=n) for n in range(DAYS)], pa.date32()).take(pa.array(days))
    text = pa.array(["x" * 64]).take(pa.array(np.zeros(rows, dtype=np.int64)))
    amounts = pa.array([Decimal(n) for n in range(100)], pa.decimal128(18, 2)).take(pa.array(each % 100))
    columns = {
        "order_id": pa.array(each), "order_date": starts, "customer_id": text, "customer_email": text, "status": text,
        "amount": amounts, "currency": text, "updated_at": starts,
        "tenant_id": pa.array([f"t{n:05}" for n in range(TENANTS)]).take(pa.array(whose)),
        "as_of_date": dates, "window_start": starts,
        "_append_id": pa.array([f"0-{t}-{d}" for t, d in zip(whose, days, strict=True)]),
    }  # fmt: skip
    return pa.table(columns).sort_by([("tenant_id", "ascending"), ("as_of_date", "ascending")])


def _start(day: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=day)


def duckdb(folder: str, kind: str) -> Work:
    """The view's own text, on the files of the newest snapshot."""
    import duckdb as library

    connection = library.connect()
    connection.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS prod")
    connection.execute("CREATE SCHEMA prod.curated; CREATE SCHEMA prod.ops")
    for name, path in _places(folder, kind).items():
        files = [uri.removeprefix("file://") for uri in DeltaTable(path).file_uris()]
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files!r}, hive_partitioning = false)")
    query = _query(kind).replace("`", '"')
    return lambda: _measured(lambda sql: connection.execute(sql).fetchone(), f"({query})")


def sail(folder: str, kind: str) -> Work:
    """The view as the product makes it, on Delta."""
    from pysail.spark import SparkConnectServer
    from pyspark.sql.connect.session import SparkSession

    os.environ["SAIL_CATALOG__LIST"] = '[{type="memory",name="prod",initial_database=["default"]}]'
    os.environ["SAIL_CATALOG__DEFAULT_CATALOG"] = "prod"
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").create()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    for schema in ("curated", "ops"):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS prod.{schema}")
    for name, path in _places(folder, kind).items():
        spark.sql(f"CREATE TABLE {name} USING DELTA LOCATION '{path}'")

    def work() -> dict[str, Any]:
        try:
            return _measured(lambda sql: tuple(spark.sql(sql).toArrow().to_pylist()[0].values()), f"({_query(kind)})")
        finally:  # an open session would keep the process waiting
            spark.stop()
            server.stop()

    return work


def _places(folder: str, kind: str) -> dict[str, str]:
    log = "small" if kind == "no view" else kind
    return {"prod.curated.orders_v1": f"{folder}/curated", "prod.ops.publish_log": f"{folder}/{log}"}


def _query(kind: str) -> str:
    plan: TablePlan = plan_of("acme", "orders")
    if kind == "no view":
        return f"SELECT * FROM {plan.curated}"
    (text,) = create_views(plan, Shown(contracts=(plan.contract,), lowest=1))
    return text.partition("\nAS ")[2]


def _measured(ask: Callable[[str], Any], view: str) -> dict[str, Any]:
    """Every query once to warm up, then the middle of REPEATS; what they answered is the result."""
    result, numbers = {}, {}
    for name, sql in QUERIES.items():
        text = sql.format(v=f"{view} AS v")
        result[name] = [str(value) for value in ask(text)]
        seconds = []
        for _ in range(REPEATS):
            started = perf_counter()
            ask(text)
            seconds.append(perf_counter() - started)
        numbers[name] = median(seconds)
    return {**result, "numbers": numbers}


def _text(found: dict[str, Measurement], log_rows: int, rows: int, rounds: int) -> str:
    answers = {str(one.result) for one in found.values()}
    assert len(answers) == 1, f"the contenders do not answer the same: {answers}"
    lines = [
        [label, *(f"{one.numbers[name] * 1000:.0f}" for name in QUERIES), f"{one.cpu_seconds:.1f}"]
        for label, one in found.items()
    ]
    head = ["engine and log", "one day of a tenant, ms", "a tenant, ms", "all, ms", "CPU-s of the process"]
    return f"""## The readers' view

{stamp()} Medians of {rounds} rounds, each of {REPEATS} queries.

`serving.orders` over {rows:,} rows of {TENANTS} tenants and {DAYS} days, joined with a publish log of {log_rows:,} rows
({TABLES} tables): sorted by table and tenant, as `CLUSTER BY` keeps it, or not. "small" is a log of these windows
alone, "no view" the table without the join. Databricks itself was not measured: these are DuckDB and Sail on the Delta
tables' files, on one machine. Every contender gave the same rows and sums.

{table(head, lines)}
"""
