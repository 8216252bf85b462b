"""A staged load of orders as extract leaves one, as large as asked: real parts, a real manifest, no source."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import ROOT
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant
from tenantdags.model.window import Window, day_window
from tenantdags.steps.columns import load_columns, staged_schema
from tenantdags.steps.manifest import Manifest, StreamCheck, SumTotal, Totals
from tenantdags.steps.parts import ROW_GROUP_ROWS, PartWriter
from tenantdags.steps.staging import Staging

LOAD = "20261122T020000Z-bench0"
# every value legal; hashes of 64 hex digits as extract writes them, of 50,000 customers
ROWS = """
SELECT
  i::BIGINT AS order_id,
  TIMESTAMPTZ '2026-11-20 23:00:00+00' + to_milliseconds((i * 7919) % 86400000) AS order_date,
  sha256('c' || (i * 31 % 50000)) AS customer_id,
  CASE WHEN i % 211 = 0 THEN NULL ELSE sha256('e' || (i * 31 % 50000)) END AS customer_email,
  ['NEW', 'PAID', 'SHIPPED', 'RETURNED'][1 + i % 4] AS status,
  ((i * 7907) % 1000000 / 100)::DECIMAL(18, 2) AS amount,
  ['EUR', 'USD', 'GBP'][1 + i % 3] AS currency,
  TIMESTAMPTZ '2026-11-20 23:00:00+00' + to_milliseconds((i * 104729) % 86400000) AS updated_at,
  '123' AS _source_tenant
FROM range({rows}) AS t(i)"""


def plan() -> TablePlan:
    return next(plan for plan in load_tenant(ROOT, "acme") if plan.table == "orders")


def window() -> Window:
    return day_window(date(2026, 11, 21), "Europe/Berlin")


def make_load(root: Path, rows: int) -> Manifest:
    """Writes the load under `root`/staging, with totals counted by DuckDB as the source would have counted them."""
    orders, day, staging = plan(), window(), Staging(root / "staging")
    with duckdb.connect(config={"temp_directory": str(root / "spill")}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        writer = PartWriter(staging.write_dir(orders, LOAD), staged_schema(orders))
        for batch in connection.sql(ROWS.format(rows=rows)).to_arrow_reader(ROW_GROUP_ROWS):
            writer.write(batch.cast(staged_schema(orders)))
        parts = writer.finish()
        totals = Totals(rows=rows, sums=_sums(connection, rows))
    manifest = Manifest(
        tenant=orders.tenant, table=orders.table, contract=orders.contract.ref, contract_version="1.0.0",
        window_start=day.start, window_end=day.end, as_of_date=day.as_of_date, load_id=LOAD,
        extracted_at=datetime(2026, 11, 22, 2, tzinfo=UTC), base_generation=0, rows=rows, parts=parts,
        columns=load_columns(orders), totals=totals, reconciled=True, pii_key_id="bench", run_id="benchmark",
        stream_checks=tuple(StreamCheck(rule=c.id, failing=0, rows=rows) for c in orders.checks if c.before_hashing),
    )  # fmt: skip
    staging.write_manifest(orders, manifest)
    return manifest


def _sums(connection: Any, rows: int) -> tuple[SumTotal, ...]:
    source = f"FROM ({ROWS.format(rows=rows)})"
    [(whole,)] = connection.execute(f"SELECT sum(amount) {source}").fetchall()
    groups = connection.execute(f"SELECT currency, sum(amount) {source} GROUP BY currency").fetchall()
    by_currency = (SumTotal(column="amount", by=("currency",), group=(c,), sum=str(s)) for c, s in groups)
    return (SumTotal(column="amount", by=(), group=(), sum=str(whole)), *by_currency)
