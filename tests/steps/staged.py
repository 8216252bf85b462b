"""Loads as extract leaves them, made from rows a test writes down: real Parquet, real manifest, no source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant
from tenantdags.model.window import Window, day_window
from tenantdags.steps.manifest import LoadColumn, Manifest, Part, StreamCheck, SumTotal, Totals
from tenantdags.steps.staging import Staging

ROOT = Path(__file__).parents[2]
DAY = date(2026, 11, 21)
Row = dict[str, Any]
Sums = tuple[SumTotal, ...]


def plan_of(tenant: str, table: str) -> TablePlan:
    return next(plan for plan in load_tenant(ROOT, tenant) if plan.table == table)


def window_of_plan(plan: TablePlan, day: date = DAY) -> Window:
    return day_window(day, plan.schedule.time_zone)


def good_rows(plan: TablePlan, window: Window, count: int = 150) -> list[Row]:
    """Rows that break no rule, with every column of the contract that is loaded. Windows share no keys of events."""
    return [_MAKERS[plan.table](i, window.start + timedelta(seconds=i)) | _whose(plan) for i in range(1, count + 1)]


def stage(
    plan: TablePlan,
    window: Window,
    rows: Sequence[Row],
    staging: Staging,
    *,
    source_rows: Sequence[Row] | None = None,
    broken: dict[str, int] | None = None,
    parts: int = 2,
    load_id: str = "20261122T020000Z-abc123",
) -> Manifest:
    """Writes `rows` as the load's files; `source_rows` are what the source counted; `broken` the stream's failures."""
    folder = staging.write_dir(plan, load_id)
    step = max(1, -(-len(rows) // parts))
    chunks = [rows[i : i + step] for i in range(0, len(rows), step)]
    written = tuple(_part(folder / f"part-{i:05}.parquet", plan, chunk) for i, chunk in enumerate(chunks))
    source = rows if source_rows is None else source_rows
    manifest = Manifest(
        tenant=plan.tenant,
        table=plan.contract.table,
        contract=plan.contract.ref,
        contract_version=plan.contract.version,
        window_start=window.start,
        window_end=window.end,
        as_of_date=window.as_of_date,
        load_id=load_id,
        extracted_at=datetime(2026, 11, 22, 2, tzinfo=UTC),
        base_generation=0,
        rows=len(rows),
        parts=written,
        columns=tuple(LoadColumn(name=c.name, type=c.delta_type) for c in plan.contract.loaded_columns),
        totals=Totals(rows=len(source), sums=sums_of(plan, source)),
        reconciled=True,
        pii_key_id="k1",
        run_id="scheduled__2026-11-21",
        stream_checks=tuple(
            StreamCheck(rule=check.id, failing=(broken or {}).get(check.id, 0), rows=len(rows))
            for check in plan.checks
            if check.before_hashing
        ),
    )
    staging.write_manifest(plan, manifest)
    return manifest


def sums_of(plan: TablePlan, rows: Sequence[Row]) -> Sums:
    """Control sums as the source would give them: each measure as a whole, and per group where a rule says so."""
    wanted: set[tuple[str, tuple[str, ...]]] = {(column, ()) for column in plan.contract.measures}
    for check in plan.checks:
        if check.kind == "reconcile":
            _, column, *by = map(str, check.arguments)
            wanted.add((column, tuple(by)))
    return tuple(total for column, by in sorted(wanted) for total in _sums(rows, column, by))


def without(plan: TablePlan, *rules: str) -> TablePlan:
    """The plan without these rules; a measure's own reconciliation goes with the rule that sums it."""
    gone = [str(c.arguments[1]) for c in plan.checks if c.id in rules and c.kind == "reconcile"]
    columns = tuple(replace(c, measure=c.measure and c.name not in gone) for c in plan.contract.columns)
    checks = tuple(c for c in plan.checks if c.id not in rules)
    return replace(plan, checks=checks, contract=replace(plan.contract, columns=columns))


def arrow_schema(plan: TablePlan) -> pa.Schema:
    kinds = {
        "STRING": pa.string(), "BOOLEAN": pa.bool_(), "SMALLINT": pa.int16(), "INT": pa.int32(), "BIGINT": pa.int64(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"), "DATE": pa.date32(),
        "DECIMAL(18,2)": pa.decimal128(18, 2), "DECIMAL(19,4)": pa.decimal128(19, 4),
        "DECIMAL(5,4)": pa.decimal128(5, 4), "DECIMAL(38,10)": pa.decimal128(38, 10),
    }  # fmt: skip
    fields = [pa.field(column.name, kinds[column.delta_type]) for column in plan.contract.loaded_columns]
    return pa.schema([*fields, pa.field("_source_tenant", pa.string())])


def write_part(path: Path, table: pa.Table) -> Part:
    pq.write_table(table, path, compression="zstd")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Part(name=path.name, rows=table.num_rows, bytes=path.stat().st_size, sha256=digest)


def _part(path: Path, plan: TablePlan, rows: Sequence[Row]) -> Part:
    return write_part(path, pa.Table.from_pylist(list(rows), schema=arrow_schema(plan)))


def _sums(rows: Sequence[Row], column: str, by: tuple[str, ...]) -> list[SumTotal]:
    groups: dict[tuple[str | None, ...], Decimal] = {}
    for row in rows:
        group = tuple(None if row[name] is None else str(row[name]) for name in by)
        groups[group] = groups.get(group, Decimal(0)) + Decimal(row[column] or 0)
    return [SumTotal(column=column, by=by, group=group, sum=str(total)) for group, total in groups.items()]


def _whose(plan: TablePlan) -> Row:
    return {"_source_tenant": str(plan.source.tenant_value or plan.source.database)}


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _order(i: int, at: datetime) -> Row:
    return {
        "order_id": at.toordinal() * 1000 + i,
        "order_date": at,
        "customer_id": _hash("c", i % 7),
        "customer_email": _hash("e", i % 7),
        "status": ("NEW", "PAID", "SHIPPED", "RETURNED")[i % 4],
        "amount": Decimal(i) + Decimal("0.99"),
        "currency": ("EUR", "USD", "GBP")[i % 3],
        "updated_at": at,
    }


def _order_line(i: int, at: datetime) -> Row:
    return {
        "order_id": at.toordinal() * 1000 + i // 3,
        "line_no": i % 3 + 1,
        "sku": f"SKU-{i}",
        "quantity": i % 5 + 1,
        "unit_price": Decimal("12.3456"),
        "discount": Decimal("0.1250"),
        "created_at": at,
        "updated_at": at,
    }


def _customer(i: int, at: datetime) -> Row:
    return {
        "customer_id": _hash("c", i),
        "email": _hash("e", i),
        "phone": None if i % 9 == 0 else _hash("p", i),
        "segment": "Größe ✓" if i % 2 else None,
        "credit_limit": Decimal("9999999999999999999999999999.9999999999"),
        "is_active": i % 2 == 0,
        "created_at": at,
        "updated_at": at,
    }


_MAKERS = {"orders": _order, "order_lines": _order_line, "customers": _customer}
