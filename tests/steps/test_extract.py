"""extract against the SQL Server stand-in through the real drivers: what is staged, and what stops it."""

import hashlib
import hmac
import json
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.sqlserver.client import SqlServer
from tenantdags.model.errors import (
    BadValue,
    ConnectionMissing,
    DriftBreaking,
    LandingUnreachable,
    SnapshotOff,
    SourceBusy,
    SourcePermission,
    SourceUnreachable,
    StagingUnavailable,
    WindowRefused,
)
from tenantdags.model.sqltype import SqlType
from tenantdags.model.window import day_window
from tenantdags.steps.columns import staged_schema
from tenantdags.steps.extract import extract
from tenantdags.steps.manifest import DriftLine, Manifest, Newest, SourceDrift, StreamCheck, SumTotal, Totals
from tenantdags.steps.pii import PiiKey
from tenantdags.steps.source import connect
from tenantdags.steps.staging import Staging
from tests.steps import source_world as world
from tests.steps.tsql_golden import EVERY_TYPE, WINDOW_TYPES, every_type, windowed_by

pytestmark = pytest.mark.sandbox

KEY = PiiKey("key-2026", bytes(range(32)))
WINDOW = world.WINDOW
NEW_YORK = day_window(date(2026, 11, 20), "America/New_York")  # 05:00Z to 05:00Z


class Watched(SqlServer):
    """Notes whether the shared database was changed."""

    changed = True

    def _post(self, action, **body):
        if action not in ("fault", "clear_faults", "tables") and body.get("database") == "shared_sales":
            self.changed = True
        return super()._post(action, **body)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("sqlserver")
    service, _ = world.start(run_dir)
    yield Watched(run_dir)
    service.stop()


@pytest.fixture
def server(running: Watched):
    """The shared database as filled by source_world, whatever the test before did to it."""
    if running.changed:
        world.fill_shared(running)
        running.changed = False
    yield running
    running.clear_faults()


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path / "staging")


def run(server, plan, staging, window=WINDOW, **changes) -> Manifest:
    options = {
        "connect": world.connecting(server, plan),
        "catalogue": world.catalogue_of(server, plan),
        "files": world.Files(),
        "staging": staging,
        "key": KEY,
        "base_generation": 0,
        "run_id": "run-1",
        "now": lambda: world.NOW,
        **changes,
    }
    return extract(plan, window, **options)


def table_of(staging, plan, manifest) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in staging.parts(plan, manifest)])


def hashed(value: str) -> str:
    return hmac.new(KEY.key, value.encode(), hashlib.sha256).hexdigest()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def staged_loads(staging, plan) -> list[str]:
    folder = staging.path(plan, "x").parent
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- what is staged


def test_a_window_of_a_shared_table_holds_this_tenants_rows_from_start_to_end(server, staging):
    plan = world.plan_of("orders")

    manifest = run(server, plan, staging)

    rows = sorted(table_of(staging, plan, manifest).to_pylist(), key=lambda row: row["order_id"])
    assert rows == [
        {
            "order_id": 1001, "order_date": at("2026-11-19T23:00:00"), "customer_id": hashed("C0000001"),
            "customer_email": hashed("anna@example.de"), "status": "NEW", "amount": Decimal("10.10"), "currency": "EUR",
            "updated_at": at("2026-11-20T01:02:03.004"), "_source_tenant": "123",
        },
        {
            "order_id": 1002, "order_date": at("2026-11-20T22:59:59.999"), "customer_id": hashed("C0000002"),
            "customer_email": None, "status": "PAID", "amount": Decimal("0.05"), "currency": "USD",
            "updated_at": at("2026-11-20T23:00:00"), "_source_tenant": "123",
        },
        {
            "order_id": 1005, "order_date": at("2026-11-20T12:00:00"), "customer_id": hashed("C0000001"),
            "customer_email": hashed("zoë@example.de"), "status": "NEW", "amount": Decimal("9999999999999999.99"),
            "currency": "EUR", "updated_at": at("2026-11-20T12:00:00"), "_source_tenant": "123",
        },
    ]  # fmt: skip


def test_the_manifest_says_what_was_staged_and_what_the_source_said(server, staging):
    plan = world.plan_of("orders")

    manifest = run(server, plan, staging, base_generation=4)

    [part] = manifest.parts
    data = staging.parts(plan, manifest)[0].read_bytes()
    assert manifest.load_id.startswith("20261121T020013Z-")
    assert (part.name, part.rows, part.bytes) == ("part-00000.parquet", 3, len(data))
    assert part.sha256 == hashlib.sha256(data).hexdigest()
    assert manifest == Manifest(
        tenant="acme", table="orders", contract="orders@1", contract_version="1.0.0", window_start=WINDOW.start,
        window_end=WINDOW.end, as_of_date=date(2026, 11, 20), load_id=manifest.load_id, extracted_at=world.NOW,
        base_generation=4, rows=3, parts=(part,), columns=manifest.columns, reconciled=True, pii_key_id="key-2026",
        run_id="run-1",
        totals=Totals(
            rows=3,
            sums=(
                SumTotal(column="amount", by=(), group=(), sum="10000000000000010.14"),
                SumTotal(column="amount", by=("currency",), group=("EUR",), sum="10000000000000010.09"),
                SumTotal(column="amount", by=("currency",), group=("USD",), sum="0.05"),
            ),
            newest=Newest(column="updated_at", value="2026-11-20T23:00:00"),
        ),
        stream_checks=(StreamCheck(rule="customer_id_pattern", failing=0, rows=3),),
        warnings=("source columns outside the contract, not extracted: internal_note nvarchar(max)",),
        drift=SourceDrift(
            lines=(
                DriftLine(
                    change="added", column="internal_note", fingerprint=manifest.drift.lines[0].fingerprint, new=True,
                    text="internal_note: nvarchar(max), which the contract does not have; it is not extracted",
                ),
            ),
            to_paste="- {id: internal_note, name: internal_note, logicalType: string, physicalType: nvarchar(max)}",
        ),
    )  # fmt: skip
    assert [(c.name, c.type) for c in manifest.columns][:5] == [
        ("order_id", "BIGINT"), ("order_date", "TIMESTAMP"), ("customer_id", "STRING"), ("customer_email", "STRING"),
        ("status", "STRING"),
    ]  # fmt: skip
    assert staging.read_manifest(plan, manifest.load_id) == manifest
    assert pq.read_schema(staging.parts(plan, manifest)[0]).equals(staged_schema(plan))


def test_children_come_with_the_parents_window_once_each(server, staging):
    plan = world.plan_of("order_lines")
    server.execute("shared_sales", "INSERT INTO Orders SELECT * FROM Orders WHERE order_id = 1001")

    manifest = run(server, plan, staging)

    rows = table_of(staging, plan, manifest).select(["order_id", "line_no", "unit_price", "created_at"]).to_pylist()
    assert sorted(rows, key=lambda row: row["line_no"]) == [
        {
            "order_id": 1001, "line_no": 1, "unit_price": Decimal("3.1415"),
            "created_at": at("2026-11-20T11:30:00.123456"),
        },
        {
            "order_id": 1001, "line_no": 2, "unit_price": Decimal("922337203685477.5807"),
            "created_at": at("2026-11-20T11:30:00"),
        },
    ]  # fmt: skip
    assert {(s.column, s.sum) for s in manifest.totals.sums} == {
        ("quantity", "3"),
        ("unit_price", "922337203685480.7222"),
    }


def test_a_snapshot_holds_the_whole_table_of_this_tenant(server, staging):
    plan = world.plan_of("customers")

    manifest = run(server, plan, staging)

    table = table_of(staging, plan, manifest)
    assert table.num_rows == manifest.totals.rows == 3
    assert "name" not in table.column_names
    assert set(table["credit_limit"].to_pylist()) == {
        Decimal("1234567890123456789012345678.0123456789"), None, Decimal("0.0000000000"),
    }  # fmt: skip
    assert {c.rule: c.failing for c in manifest.stream_checks} == {
        "customer_id_pattern": 1, "email_shape": 1, "phone_pattern": 1,
    }  # fmt: skip


def test_no_personal_value_reaches_staging_or_the_manifest(server, staging):
    plan = world.plan_of("customers")

    manifest = run(server, plan, staging)

    text = staging.manifest_text(plan, manifest.load_id) + json.dumps(
        table_of(staging, plan, manifest).to_pylist(), default=str
    )
    footer = str(pq.read_metadata(staging.parts(plan, manifest)[0]).to_dict())
    for value in ("anna@example.de", "+49 30 1234567", "Anna", "C0000001", KEY.key.hex()):
        assert value not in text + footer
    assert hashed("anna@example.de") in text


def test_an_empty_window_stages_a_manifest_and_no_part(server, staging):
    plan = world.plan_of("orders")

    manifest = run(server, plan, staging, day_window(date(2026, 11, 10), "Europe/Berlin"))

    assert (manifest.rows, manifest.parts, manifest.totals.rows) == (0, (), 0)
    assert manifest.totals.sums == (SumTotal(column="amount", by=(), group=(), sum=None),)
    assert staging.read_manifest(plan, manifest.load_id) == manifest


def test_each_attempt_is_a_load_of_its_own(server, staging):
    plan = world.plan_of("orders")

    first, second = run(server, plan, staging), run(server, plan, staging)

    assert first.load_id != second.load_id
    assert staged_loads(staging, plan) == sorted([first.load_id, second.load_id])


def test_a_dropped_column_is_examined_in_the_stream_and_then_gone(server, staging):
    plan = world.plan_of("customers")
    rule = replace(
        next(c for c in plan.checks if c.id == "phone_pattern"), id="name_known", kind="required", columns=("name",)
    )
    plan = replace(plan, checks=(rule,))

    manifest = run(server, plan, staging)

    assert manifest.stream_checks == (StreamCheck(rule="name_known", failing=1, rows=3),)
    assert "name" not in table_of(staging, plan, manifest).column_names


# --- every type and every window column


SERVED = tuple(kind for kind in EVERY_TYPE if kind not in ("text", "ntext", "image"))  # obsolete, not in the stand-in
ODD_VALUES = {
    "bit": "true", "tinyint": "255", "smallint": "-32768", "int": "-2147483648", "bigint": "9223372036854775807",
    "real": "1.5", "float": "0.1", "decimal(38,10)": "9999999999999999999999999999.9999999999",
    "money": "-922337203685477.5808", "smallmoney": "214748.3647", "date": "'9999-12-31'", "time(0)": "'23:59:59'",
    "time(7)": "863999999999", "datetime": "'1753-01-01 00:00:00.003'", "smalldatetime": "'2079-06-06 23:59:00'",
    "datetime2(0)": "'2026-11-20 01:02:03'", "datetime2(7)": str(world.ticks("2026-11-20T01:02:03.456789")),
    "datetimeoffset(3)": f"{{'t': {world.ticks('2026-11-20T01:02:03.456')}, 'o': -330}}",
    "datetimeoffset(7)": f"{{'t': {world.ticks('2026-11-20T01:02:03.456789')}, 'o': 840}}",
    "char(3)": "'a  '", "varchar(20)": "'it''s'", "varchar(max)": "repeat('x', 9000)", "nchar(3)": "'日本語'",
    "nvarchar(20)": "'🦆 ü'", "nvarchar(max)": "repeat('ü', 5000)",
    "binary(4)": r"'\x00\x01\x02\x03'::BLOB", "varbinary(4)": r"'\xFF'::BLOB", "varbinary(max)": "''::BLOB",
    "uniqueidentifier": "'0e984725-c51c-4bf4-9960-e1c80e27aba0'", "xml": "'<a>1</a>'",
    "rowversion": r"'\x00\x00\x00\x00\x00\x00\x07\xD1'::BLOB",
}  # fmt: skip
ODD_STAGED = {
    "bit": True, "tinyint": 255, "smallint": -32768, "int": -2147483648, "bigint": 9223372036854775807, "real": 1.5,
    "float": 0.1, "decimal(38,10)": Decimal("9999999999999999999999999999.9999999999"),
    "money": Decimal("-922337203685477.5808"), "smallmoney": Decimal("214748.3647"), "date": date(9999, 12, 31),
    "time(0)": "23:59:59", "time(7)": "23:59:59.9999999", "datetime": at("1753-01-01T00:00:00.003"),
    "smalldatetime": at("2079-06-06T23:59:00"), "datetime2(0)": at("2026-11-20T01:02:03"),
    "datetime2(7)": at("2026-11-20T01:02:03.456789"), "datetimeoffset(3)": at("2026-11-20T01:02:03.456"),
    "datetimeoffset(7)": at("2026-11-20T01:02:03.456789"), "char(3)": "a  ", "varchar(20)": "it's",
    "varchar(max)": "x" * 9000, "nchar(3)": "日本語", "nvarchar(20)": "🦆 ü", "nvarchar(max)": "ü" * 5000,
    "binary(4)": b"\0\1\2\3", "varbinary(4)": b"\xff", "varbinary(max)": b"",
    "uniqueidentifier": "0E984725-C51C-4BF4-9960-E1C80E27ABA0", "xml": "<a>1</a>", "rowversion": b"\0\0\0\0\0\0\7\xd1",
}  # fmt: skip


def test_every_type_is_staged_exactly_and_null_stays_null(server, staging):
    plan = every_type(world.plan_of("customers", "globex"), SERVED)
    plan = replace(plan, source=replace(plan.source, table="EveryType"))
    columns = [(f"c{n}", kind, True) for n, kind in enumerate(SERVED)]
    world.make_table(server, "globex_sales", "dbo.EveryType", columns)
    server.execute("globex_sales", f"INSERT INTO EveryType VALUES ({', '.join(ODD_VALUES[k] for k in SERVED)})")
    server.execute("globex_sales", f"INSERT INTO EveryType VALUES ({', '.join('NULL' for _ in SERVED)})")

    manifest = run(server, plan, staging, NEW_YORK, now=lambda: NEW_YORK.end)

    table = table_of(staging, plan, manifest)
    assert table.schema.equals(staged_schema(plan))
    found = {kind: sorted(table[f"c{n}"].to_pylist(), key=lambda v: v is None) for n, kind in enumerate(SERVED)}
    assert {kind: values[0] for kind, values in found.items()} == ODD_STAGED
    assert {kind for kind, values in found.items() if values[1] is not None} == set()
    assert set(table["_source_tenant"].to_pylist()) == {"globex_sales"}


@pytest.mark.parametrize("kind", WINDOW_TYPES)
def test_every_type_of_window_column_finds_exactly_its_rows(server, staging, kind):
    plan = windowed_by(world.plan_of("orders", "globex"), kind)
    plan = replace(plan, source=replace(plan.source, table="Windowed"))
    world.make_table(server, "globex_sales", "dbo.Windowed", [("id", "int", False), ("placed", kind, False)])
    inside: tuple[str, ...] = ("2026-11-20 05:00:00", "2026-11-20 23:59:00", "2026-11-21 04:59:00")
    outside: tuple[str, ...] = ("2026-11-20 04:59:00", "2026-11-21 05:00:00")
    if kind == "date":  # a date has no time: the tenant's calendar day
        inside, outside = ("2026-11-20",), ("2026-11-19", "2026-11-21")
    for n, text in enumerate((*inside, *outside)):
        server.execute("globex_sales", f"INSERT INTO Windowed VALUES ({n}, {_stored(kind, text)})")

    manifest = run(server, plan, staging, NEW_YORK, now=lambda: NEW_YORK.end)

    assert sorted(table_of(staging, plan, manifest)["id"].to_pylist()) == list(range(len(inside)))
    assert manifest.totals.rows == len(inside)


def _stored(kind: str, text: str) -> str:
    if kind.startswith("datetimeoffset"):
        return f"{{'t': {world.ticks(text)}, 'o': -300}}"
    return str(world.ticks(text)) if kind == "datetime2(7)" else f"'{text}'"


def test_naive_clocks_mean_the_sources_zone_and_the_first_pass_of_a_doubled_hour(server, staging):
    plan = windowed_by(world.plan_of("orders", "globex"), "datetime2(3)", "Europe/Berlin")
    plan = replace(plan, source=replace(plan.source, table="Clocks"))
    night = day_window(date(2026, 10, 25), "Europe/Berlin")
    world.make_table(server, "globex_sales", "dbo.Clocks", [("id", "int", False), ("placed", "datetime2(3)", False)])
    server.execute(
        "globex_sales",
        "INSERT INTO Clocks VALUES (1, '2026-10-25 00:00'), (2, '2026-10-25 02:30'), (3, '2026-10-25 23:59:59.999')",
    )

    manifest = run(server, plan, staging, night)

    assert dict(zip(*(table_of(staging, plan, manifest)[c].to_pylist() for c in ("id", "placed")), strict=True)) == {
        1: at("2026-10-24T22:00:00"), 2: at("2026-10-25T00:30:00"), 3: at("2026-10-25T22:59:59.999"),
    }  # fmt: skip


def test_a_time_that_its_zone_skips_is_a_bad_value(server, staging):
    plan = windowed_by(world.plan_of("orders", "globex"), "datetime2(3)", "Europe/Berlin")
    plan = replace(plan, source=replace(plan.source, table="Clocks"))
    world.make_table(server, "globex_sales", "dbo.Clocks", [("id", "int", False), ("placed", "datetime2(3)", False)])
    server.execute("globex_sales", "INSERT INTO Clocks VALUES (1, '2026-03-29 02:30')")

    with pytest.raises(BadValue) as caught:
        run(server, plan, staging, day_window(date(2026, 3, 29), "Europe/Berlin"))

    assert str(caught.value) == (
        "globex orders 2026-03-29: quality.value: a value of placed (datetime2(3)) is no time in Europe/Berlin. "
        "Remedy: Correct it at the source, or change the type in a new contract version."
    )
    assert staged_loads(staging, plan) == []


def test_a_seventh_digit_stops_the_run_before_it_would_be_cut(server, staging):
    plan = world.plan_of("order_lines")
    fine = world.ticks("2026-11-20T11:30:00") + 1
    server.execute("shared_sales", f"UPDATE OrderLines SET created_at = {{'t': {fine}, 'o': 60}} WHERE line_no = 2")

    with pytest.raises(BadValue, match=r"seventh fractional digit.*created_at \(datetimeoffset\(7\)\) in 1 rows"):
        run(server, plan, staging)


# --- drift


def _drifted(server, staging, plan=None) -> str:
    plan = plan or world.plan_of("orders")
    with pytest.raises(DriftBreaking) as caught:
        run(server, plan, staging, connect=_never)
    assert staged_loads(staging, plan) == []
    return str(caught.value)


def _never():
    raise AssertionError("no row may be read after a failed preflight")


def test_a_renamed_column_stops_the_run_before_a_row_is_read(server, staging):
    server.rename_column("shared_sales", "dbo.Orders", "amount", "total")

    assert _drifted(server, staging) == (
        "acme orders 2026-11-20: drift.breaking: dbo.Orders is not what orders@1 says: "
        "amount: contract decimal(18,2), the source has no such column; total stands in its place and looks renamed. "
        "Remedy: Restore dbo.Orders, or publish a contract version that matches it. A draft stands in landing: "
        "_qa/tenant_id=acme/table=orders/as_of_date=2026-11-20/orders.v2.odcs.yaml."
    )


def test_a_retyped_and_a_widened_column_are_both_named(server, staging):
    server.retype_column("shared_sales", "dbo.Orders", "amount", "decimal(19,2)")
    server.retype_column("shared_sales", "dbo.Orders", "status", "nvarchar(12)")

    text = _drifted(server, staging)

    assert "status: contract varchar(12), source nvarchar(12)" in text
    assert "amount: contract decimal(18,2), source decimal(19,2)" in text


def test_a_missing_table_is_drift(server, staging):
    server.drop_table("shared_sales", "dbo.Orders")

    assert "dbo.Orders: no such table, or the login may not see it" in _drifted(server, staging)
    assert "dbo.Orders: no such parent table" in _drifted(server, staging, world.plan_of("order_lines"))


def test_a_window_column_that_may_be_null_is_drift(server, staging):
    server.retype_column("shared_sales", "dbo.Orders", "order_date", "datetime2(3)", nullable=True)

    assert "Orders.order_date: the window column may be NULL at the source" in _drifted(server, staging)


def test_a_shared_table_without_its_tenant_column_is_drift(server, staging):
    server.rename_column("shared_sales", "dbo.Orders", "company_id", "firm")

    assert "Orders.company_id: the tenant column is missing" in _drifted(server, staging)


def test_a_new_column_is_a_warning_or_stops_as_the_contract_says(server, staging):
    server.add_column("shared_sales", "dbo.Orders", "channel", "varchar(10)")
    plan = world.plan_of("orders")

    assert run(server, plan, staging).warnings == (
        "source columns outside the contract, not extracted: internal_note nvarchar(max), channel varchar(10)",
    )
    strict = replace(plan, contract=replace(plan.contract, additive="stop"))
    with pytest.raises(DriftBreaking, match="allows no additions"):
        run(server, strict, staging)


def test_breaking_drift_leaves_a_draft_of_the_next_version_and_nothing_else(server, staging):
    server.retype_column("shared_sales", "dbo.Orders", "amount", "decimal(19,2)")
    server.drop_column("shared_sales", "dbo.Orders", "currency")
    files = world.Files()

    with pytest.raises(DriftBreaking, match=r"A draft stands in landing: _qa/tenant_id=acme/.*/orders.v2.odcs.yaml"):
        run(server, world.plan_of("orders"), staging, files=files)

    [path] = files.found
    before = (world.ROOT / "include/contracts/orders.v1.odcs.yaml").read_text().splitlines()
    drafted = files.text(path).splitlines()
    assert drafted[:4] == [
        "# Draft: orders@1 as dbo.Orders of acme looks now:",
        "#   amount: contract decimal(18,2), source decimal(19,2), which is wider",
        "#   currency: contract char(3), the source has no such column",
        "# Review it: `tenantdags check` names what else has to change with it.",
    ]
    assert [line for line in drafted[4:] if line not in before] == [
        "version: 2.0.0", next(line for line in before if "name: amount" in line).replace("(18,2)", "(19,2)"),
    ]  # fmt: skip
    assert [line.split(",")[0] for line in before if line not in drafted] == [
        "version: 1.0.0", "      - {id: amount", "      - {id: currency",
    ]  # fmt: skip


def test_a_draft_that_cannot_be_written_does_not_hide_the_drift(server, staging):
    class Refusing(world.Files):
        def write(self, where, path, data):
            raise LandingUnreachable(where, "landing answered 403.", "Ask.")

    server.drop_column("shared_sales", "dbo.Orders", "amount")

    with pytest.raises(DriftBreaking, match=r"or publish a contract version that matches it\.$"):
        run(server, world.plan_of("orders"), staging, files=Refusing())


def test_what_stops_for_an_addition_is_drafted_as_a_minor_version(server, staging):
    plan, files = world.plan_of("orders"), world.Files()
    plan = replace(plan, contract=replace(plan.contract, additive="stop"))

    with pytest.raises(DriftBreaking, match=r"Add the columns to the contract, .*orders.v1.odcs.yaml"):
        run(server, plan, staging, files=files)
    [path] = files.found
    assert "\nversion: 1.1.0\n" in files.text(path)
    assert "physicalType: datetime2(3), required: true}\n      - {id: internal_note, name" in files.text(path)


def test_a_narrower_column_goes_on_with_a_warning(server, staging):
    server.retype_column("shared_sales", "dbo.Orders", "status", "varchar(10)")
    plan = world.plan_of("orders")

    manifest = run(server, plan, staging)

    assert "status: source varchar(10) is narrower than contract varchar(12); every value fits" in manifest.warnings
    assert table_of(staging, plan, manifest).schema.equals(staged_schema(plan))


def test_a_difference_is_new_in_the_run_that_meets_it_and_known_in_every_later_one(server, staging):
    plan, files = world.plan_of("orders"), world.Files()
    first, again = (run(server, plan, staging, files=files).drift for _ in range(2))
    later = run(server, plan, staging, files=files, run_id="run-2").drift
    server.add_column("shared_sales", "dbo.Orders", "channel", "varchar(10)")
    added = run(server, plan, staging, files=files, run_id="run-3").drift

    assert [line.new for line in (*first.lines, *again.lines, *later.lines)] == [True, True, False]
    assert [(line.column, line.new) for line in added.lines] == [("internal_note", False), ("channel", True)]
    assert list(files.found) == ["_ops/drift/acme/orders/v1.json"]


def test_a_column_that_comes_to_allow_null_or_gets_another_collation_is_told_from_then_on(server, staging):
    plan, files = world.plan_of("orders"), world.Files()
    server.retype_column("shared_sales", "dbo.Orders", "status", "varchar(12)", nullable=False)
    before = run(server, plan, staging, files=files)
    server.retype_column("shared_sales", "dbo.Orders", "status", "varchar(12)", nullable=True)
    server.declare("shared_sales", "dbo.Orders", columns={"currency": {"collation": "Greek_100_CI_AS"}})
    server.declare("shared_sales", "dbo.Orders", columns={"amount": {"computed": "([net]*[rate])"}})
    after = run(server, plan, staging, files=files, run_id="run-2")

    assert len(before.warnings) == 1
    assert [line.change for line in after.drift.lines] == ["nullable", "computed", "collation", "added"]
    assert after.warnings[2] == ("currency: its collation was SQL_Latin1_General_CP1_CI_AS and is Greek_100_CI_AS")


def test_a_temporal_table_is_read_and_its_history_table_is_not(server, staging):
    plan = world.plan_of("orders")
    server.add_column("shared_sales", "dbo.Orders", "valid_from", "datetime2(7)")
    server.declare("shared_sales", "dbo.Orders", temporal=2, columns={"valid_from": {"generated": 1, "hidden": True}})

    assert run(server, plan, staging).drift.lines[1].text == (
        "valid_from: period column datetime2(7), which the contract does not have; it is not extracted"
    )
    server.declare("shared_sales", "dbo.Orders", temporal=1)
    with pytest.raises(DriftBreaking, match="is the history table of a temporal table"):
        run(server, plan, staging)


def test_a_masked_column_is_not_read_by_a_login_that_is_shown_masks(server, staging):
    plan = world.plan_of("orders")
    server.declare("shared_sales", "dbo.Orders", columns={"customer_email": {"masked": "email()"}})

    with pytest.raises(DriftBreaking) as caught:
        run(server, plan, staging)

    assert str(caught.value).partition(": drift.breaking: ")[2] == (
        "dbo.Orders is not what orders@1 says: customer_email: is masked at the source, and the login has no UNMASK: "
        "it would read masks. Remedy: GRANT UNMASK ON dbo.Orders to the login; before SQL Server 2022: GRANT UNMASK "
        "in the database."
    )
    server.declare("shared_sales", "dbo.Orders", unmask=["shared_reader"])
    assert run(server, plan, staging).rows > 0


# --- isolation


class Between:
    """A connection that lets another writer commit before the statement that begins with `before`."""

    def __init__(self, connection, before, act):
        self._connection, self._before, self._act = connection, before, act

    def cursor(self):
        cursor, before, act = self._connection.cursor(), self._before, self._act

        class Watched:
            def execute(self, text, *parameters):
                if before in text:
                    act()
                return cursor.execute(text, *parameters)

            def __getattr__(self, name):
                return getattr(cursor, name)

        return Watched()

    def close(self):
        self._connection.close()


ONE_MORE = """INSERT INTO Orders VALUES
(123, 2000, '2026-11-20 13:00:00', 'C0000009', NULL, 'NEW', 5, 'EUR', '2026-11-20 13:00:00', NULL)"""


def _interrupted(server, plan):
    login = world.login_of(server, plan)
    return lambda: Between(connect(login), "[_source_tenant]", lambda: server.execute("shared_sales", ONE_MORE))


def test_a_writer_between_totals_and_rows_changes_neither(server, staging):
    plan = world.plan_of("orders")

    manifest = run(server, plan, staging, connect=_interrupted(server, plan))

    assert (manifest.totals.rows, manifest.rows, manifest.reconciled) == (3, 3, True)
    assert run(server, plan, staging).rows == 4


def test_read_committed_says_that_its_totals_are_not_reconciled(server, staging):
    plan = world.plan_of("orders")
    plan = replace(plan, source=replace(plan.source, isolation="read_committed"))

    manifest = run(server, plan, staging, connect=_interrupted(server, plan))

    assert (manifest.totals.rows, manifest.rows, manifest.reconciled) == (3, 4, False)


def test_a_database_without_snapshot_isolation_is_told_with_its_cure(server, staging):
    plan = world.plan_of("orders")
    server.fault("snapshot_off", database="shared_sales")

    with pytest.raises(SnapshotOff) as caught:
        run(server, plan, staging, connect=_never)
    assert str(caught.value) == (
        "acme orders 2026-11-20: source.snapshot_off: the source database shared_sales does not allow SNAPSHOT "
        "isolation (snapshot_isolation_state OFF). "
        "Remedy: ALTER DATABASE [shared_sales] SET ALLOW_SNAPSHOT_ISOLATION ON; "
        "or set source.isolation: read_committed."
    )


def test_snapshot_isolation_switched_off_after_the_preflight_is_the_same_error(server, staging):
    plan = world.plan_of("orders")
    records = world.catalogue_of(server, plan)

    def catalogue(statement):
        found = records(statement)
        if "snapshot_isolation" in statement.text:
            server.fault("snapshot_off", database="shared_sales")
        return found

    with pytest.raises(SnapshotOff, match=r"ALTER DATABASE \[shared_sales\] SET ALLOW_SNAPSHOT_ISOLATION ON"):
        run(server, plan, staging, catalogue=catalogue)
    assert staged_loads(staging, plan) == []


# --- a source that refuses or breaks


def test_a_stream_cut_short_leaves_nothing_behind(server, staging):
    plan = world.plan_of("orders")
    server.execute(
        "shared_sales",
        "INSERT INTO Orders SELECT 123, 10000 + i, TIMESTAMP '2026-11-20 06:00:00', 'C0000001', NULL, 'NEW', 1, 'EUR',"
        " TIMESTAMP '2026-11-20 06:00:00', NULL FROM range(60000) r(i)",
    )
    server.fault("cut", after_rows=30_000, table="Orders", times=1)

    with pytest.raises(SourceUnreachable, match=r"acme orders 2026-11-20: source.unreachable: .*could not be read"):
        run(server, plan, staging)
    assert staged_loads(staging, plan) == []
    assert run(server, plan, staging).rows == 60_003


def test_a_deadlock_is_a_busy_source(server, staging):
    server.fault("deadlock", times=1, table="Orders")

    with pytest.raises(SourceBusy, match=r"source.busy: the source is busy: .*deadlock victim"):
        run(server, world.plan_of("orders"), staging)


def test_a_wrong_password_is_a_matter_of_permission_and_is_not_shown(server, staging):
    plan, wrong = world.plan_of("orders"), "Wr0ng;Pass}word"

    for part in ("connect", "catalogue"):
        how = world.connecting if part == "connect" else world.catalogue_of
        with pytest.raises(SourcePermission) as caught:
            run(server, plan, staging, **{part: how(server, plan, password=wrong)})
        # pymssql says whose login failed at a process's first refusal only
        assert part == "catalogue" or "Login failed for user 'shared_reader'" in str(caught.value)
        assert "Correct login and password of connection mssql_shared1" in str(caught.value)
        assert wrong not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_database_the_login_may_not_open_is_a_matter_of_permission(server, staging):
    plan = world.plan_of("orders")
    elsewhere = replace(plan, source=replace(plan.source, database="globex_sales"))

    with pytest.raises(SourcePermission):
        run(server, elsewhere, staging)


def test_nobody_at_the_port_is_unreachable(server, staging):
    plan = world.plan_of("orders")

    for part in ("connect", "catalogue"):
        how = world.connecting if part == "connect" else world.catalogue_of
        with pytest.raises(SourceUnreachable):
            run(server, plan, staging, **{part: how(server, plan, port=9, extra={"login_timeout": 1})})


def test_a_connection_to_another_database_than_the_plans_is_refused(server, staging):
    plan = world.plan_of("orders", "globex")
    other = replace(plan, source=replace(plan.source, database="northwind_sales"))

    with pytest.raises(ConnectionMissing, match="connection mssql_globex opens database globex_sales"):
        run(server, other, staging, NEW_YORK, catalogue=world.catalogue_of(server, plan), now=lambda: NEW_YORK.end)


@pytest.mark.parametrize("after_rows", [0, 1, 2])
def test_a_mute_server_does_not_hold_the_task_against_its_end(server, staging, after_rows):
    """Airflow's execution timeout and a termination are exceptions in the main thread: they must get through."""
    plan = world.plan_of("orders")
    server.fault("stall", seconds=20, after_rows=after_rows, table="Orders", times=1)

    def end(*_):
        raise TimeoutError("the task's time is over")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    started = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match="the task's time is over"):
            run(server, plan, staging)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 12
    assert staged_loads(staging, plan) == []


# --- keys, windows, staging


def test_a_hashed_column_without_a_key_is_refused(server, staging):
    with pytest.raises(ConnectionMissing, match="customer_id, customer_email are hashed, but there is no key"):
        run(server, world.plan_of("orders"), staging, key=None, connect=_never)


def test_a_window_that_has_not_ended_is_refused(server, staging):
    with pytest.raises(WindowRefused, match="still to come"):
        run(server, world.plan_of("orders"), staging, now=lambda: WINDOW.end - timedelta(seconds=1), connect=_never)


def test_a_snapshot_is_observed_until_its_time_is_over(server, staging):
    plan = world.plan_of("customers")
    last = WINDOW.end + timedelta(hours=48)

    assert run(server, plan, staging, now=lambda: last).rows == 3
    with pytest.raises(WindowRefused, match="could be taken until 2026-11-22T23:00:00Z"):
        run(server, plan, staging, now=lambda: last + timedelta(seconds=1), connect=_never)


@contextmanager
def files_of_at_most(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_given_back(server, staging):
    plan = world.plan_of("orders")

    with pytest.raises(StagingUnavailable, match=r"staging.unavailable: .*cannot be used"), files_of_at_most(512):
        run(server, plan, staging)
    assert staged_loads(staging, plan) == []


def test_a_folder_that_cannot_be_made_is_told_before_a_row_is_read(server, tmp_path):
    (tmp_path / "staging").write_text("a file stands in the way")

    with pytest.raises(StagingUnavailable, match=r"acme orders 2026-11-20: staging.unavailable"):
        run(server, world.plan_of("orders"), Staging(tmp_path / "staging"), connect=_never)


KILLED = """
import os, sys, threading
sys.path[:0] = [{root!r}, {plugins!r}]
from pathlib import Path
from sandbox.sqlserver.client import SqlServer
from tenantdags.steps import extract as module
from tenantdags.steps.staging import Staging
from tests.steps import source_world as world, test_extract as tests
server, plan = SqlServer(Path({run_dir!r})), world.plan_of("orders")
module.Conform.__call__ = lambda self, batch: os.kill(os.getpid(), 9)
tests.run(server, plan, Staging(Path({staging!r})))
"""


def test_what_a_killed_attempt_left_is_never_read(server, staging):
    plan = world.plan_of("orders")
    script = KILLED.format(
        root=str(world.ROOT),
        plugins=str(world.ROOT / "plugins"),
        run_dir=str(server.run_dir),
        staging=str(staging.root),
    )

    assert subprocess.run([sys.executable, "-c", script], cwd=world.ROOT, timeout=60).returncode == -9

    [left] = staged_loads(staging, plan)
    with pytest.raises(StagingUnavailable):
        staging.read_manifest(plan, left)
    manifest = run(server, plan, staging)
    assert manifest.load_id != left
    assert table_of(staging, plan, manifest).num_rows == 3


def test_memory_stays_flat_however_many_rows(server, staging):
    """At 0.1 and at 0.4 million rows, hashed: at most 80 MB above idle, and no more for the many than for the few."""
    peaks = []
    for rows in (100_000, 400_000):
        server.execute("shared_sales", "DELETE FROM Orders WHERE order_id >= 10000")
        server.execute(
            "shared_sales",
            f"INSERT INTO Orders SELECT 123, 10000 + i, TIMESTAMP '2026-11-20 06:00:00' + to_milliseconds(i % 60000),"
            f" 'C' || lpad(i::VARCHAR, 7, '0'), 'user' || i || '@example.de', 'NEW', i / 100, 'EUR',"
            f" TIMESTAMP '2026-11-20 06:00:00', 'note' FROM range({rows}) r(i)",
        )
        script = MEASURED.format(
            root=str(world.ROOT), plugins=str(world.ROOT / "plugins"), run_dir=str(server.run_dir),
            staging=str(staging.root),
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=world.ROOT, timeout=120, capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        assert (found["rows"], found["pandas"]) == (rows + 3, False)
        assert found["peak"] - found["idle"] <= 80, found
        assert found["peak"] <= 260, found
        peaks.append(found["peak"])
    assert peaks[1] - peaks[0] <= 15


MEASURED = """
import json, sys, threading, time
sys.path[:0] = [{root!r}, {plugins!r}]
from pathlib import Path
import psutil
from sandbox.sqlserver.client import SqlServer
from tenantdags.steps.staging import Staging
from tests.steps import source_world as world, test_extract as tests
process, peak = psutil.Process(), [0]
def watch():
    while True:
        peak[0] = max(peak[0], process.memory_info().rss)
        time.sleep(0.01)
server, plan = SqlServer(Path({run_dir!r})), world.plan_of("orders")
idle = process.memory_info().rss
threading.Thread(target=watch, daemon=True).start()
manifest = tests.run(server, plan, Staging(Path({staging!r})))
pandas = "pandas" in sys.modules
print(json.dumps({{"rows": manifest.rows, "pandas": pandas, "idle": idle / 1e6, "peak": peak[0] / 1e6}}))
"""


def test_threads_of_a_finished_extract_are_gone(server, staging):
    before = threading.active_count()

    run(server, world.plan_of("orders"), staging)

    assert threading.active_count() == before


def test_the_kind_of_the_tenant_column_is_the_sources_own(server, staging):
    """The bound is cast to what the catalogue says, so an index on the tenant column serves."""
    plan = world.plan_of("orders")
    server.retype_column("shared_sales", "dbo.Orders", "company_id", "smallint", nullable=False)
    seen = []

    def connecting():
        connection = world.connecting(server, plan)()
        return Between(connection, "SELECT", lambda: seen.append(True))

    manifest = run(server, plan, staging, connect=connecting)

    assert manifest.rows == 3
    assert seen == [True] * 3
    assert SqlType("smallint").tsql == "smallint"
