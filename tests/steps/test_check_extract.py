"""The gate over staged files: good loads pass, each rule alone turns a bad one red, and nothing passes unasked."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from tenantdags.model.contract import Check, Threshold
from tenantdags.model.errors import GateError, GateRed, ReconcileMismatch, StagingUnavailable
from tenantdags.model.project import load_tenant
from tenantdags.model.sqltype import SqlType
from tenantdags.steps.gates import check_extract, require_open
from tenantdags.steps.report import CheckResult, GateReport
from tenantdags.steps.staging import Staging
from tests.steps.staged import (
    ROOT,
    Row,
    arrow_schema,
    good_rows,
    plan_of,
    stage,
    sums_of,
    window_of_plan,
    without,
    write_part,
)

TABLES = ("customers", "orders", "order_lines")


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path)


def outcomes(report: GateReport) -> dict[str, str]:
    return {r.rule: r.outcome for r in report.results}


def judged(plan, staging, rows=None, **how) -> GateReport:
    window = window_of_plan(plan)
    manifest = stage(plan, window, good_rows(plan, window) if rows is None else rows, staging, **how)
    return check_extract(plan, window, manifest, staging)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("tenant", ["acme", "globex", "northwind"])
def test_a_good_load_passes_every_rule_of_the_plan(tenant, table, staging):
    plan = plan_of(tenant, table)

    report = judged(plan, staging)

    assert set(outcomes(report).values()) == {"pass"}
    assert {check.id for check in plan.checks} - set(outcomes(report)) == {r for t, r in APPENDED if t == table}
    assert {"manifest", "files", "schema", "tenant_purity", "rows_reconcile", "not_empty"} <= set(outcomes(report))
    assert report.not_evaluated == ()
    require_open(plan, window_of_plan(plan), report)


Spoil = Callable[[list[Row]], None]


def setting(**values: object) -> Spoil:
    def spoil(rows: list[Row]) -> None:
        rows[3].update(values)

    return spoil


def doubling(rows: list[Row]) -> None:
    rows[5] = dict(rows[4])


def shrinking(rows: list[Row]) -> None:
    del rows[100:]


def emptying(rows: list[Row]) -> None:
    rows.clear()


def losing_emails(rows: list[Row]) -> None:
    for row in rows[:3]:
        row["customer_email"] = None


# (table, rule) → how a window becomes one that only this rule finds
SPOILS: dict[tuple[str, str], Spoil] = {
    ("orders", "order_id_required"): setting(order_id=None),
    ("orders", "order_date_required"): setting(order_date=None),
    ("orders", "customer_id_required"): setting(customer_id=None),
    ("orders", "status_required"): setting(status=None),
    ("orders", "status_enum"): setting(status="LOST"),
    ("orders", "amount_required"): setting(amount=None),
    ("orders", "amount_range"): setting(amount=Decimal("-0.01")),
    ("orders", "currency_required"): setting(currency=None),
    ("orders", "currency_enum"): setting(currency="eur"),
    ("orders", "updated_at_required"): setting(updated_at=None),
    ("orders", "email_null_pct"): losing_emails,
    ("orders", "pk_unique"): doubling,
    ("orders", "volume_floor"): shrinking,
    ("order_lines", "order_id_required"): setting(order_id=None),
    ("order_lines", "line_no_required"): setting(line_no=None),
    ("order_lines", "line_no_range"): setting(line_no=0),
    ("order_lines", "sku_required"): setting(sku=None),
    ("order_lines", "quantity_required"): setting(quantity=None),
    ("order_lines", "quantity_range"): setting(quantity=-1),
    ("order_lines", "unit_price_required"): setting(unit_price=None),
    ("order_lines", "unit_price_range"): setting(unit_price=Decimal("-0.0001")),
    ("order_lines", "discount_range"): setting(discount=Decimal("1.0001")),
    ("order_lines", "updated_at_required"): setting(updated_at=None),
    ("order_lines", "pk_unique"): doubling,
    ("customers", "customer_id_required"): setting(customer_id=None),
    ("customers", "credit_limit_range"): setting(credit_limit=Decimal("-0.0000000001")),
    ("customers", "is_active_required"): setting(is_active=None),
    ("customers", "created_at_required"): setting(created_at=None),
    ("customers", "updated_at_required"): setting(updated_at=None),
    ("customers", "pk_unique"): doubling,
    ("customers", "volume_floor"): emptying,
}
# rules that only the stream sees, as many failures as break them
STREAM = {
    ("orders", "customer_id_pattern"): 1,
    ("customers", "customer_id_pattern"): 1,
    ("customers", "phone_pattern"): 2,
    ("customers", "email_shape"): 8,
}


def swapping_currencies(rows: list[Row]) -> None:
    rows[0]["currency"], rows[1]["currency"] = rows[1]["currency"], rows[0]["currency"]


def trading(column: str) -> Spoil:
    def spoil(rows: list[Row]) -> None:
        rows[0][column] += 1

    return spoil


# rules that compare the load with what the source said: the rows change, the source's sums do not
RECONCILED = {
    ("orders", "reconcile_amount"): swapping_currencies,
    ("order_lines", "reconcile_quantity"): trading("quantity"),
    ("order_lines", "reconcile_unit_price"): trading("unit_price"),
}


# rules that only the warehouse can answer; tests/steps/test_check_load.py has their windows
APPENDED = {("order_lines", "order_exists"), ("orders", "volume_as_usual")}


def test_every_rule_of_the_seed_contracts_has_a_window_that_it_alone_finds():
    known = {*SPOILS, *STREAM, *RECONCILED, *APPENDED}

    assert known == {
        (plan.table, c.id)
        for t in ("acme", "globex", "northwind")
        for plan in load_tenant(ROOT, t)
        for c in plan.checks
    }


def with_and_without(plan, rule, staging, rows, **how) -> tuple[str, str]:
    """The gate's outcome on a bad window with the rule and, the same load, without it."""
    window = window_of_plan(plan)
    manifest = stage(plan, window, rows, staging, **how)
    loose = without(plan, rule)
    return check_extract(plan, window, manifest, staging).outcome, check_extract(
        loose, window, manifest, staging
    ).outcome


@pytest.mark.parametrize(("table", "rule"), SPOILS, ids=str)
def test_a_rule_alone_turns_its_window_red_and_without_it_the_window_passes(table, rule, staging):
    plan = plan_of("acme", table)
    if (table, rule) == ("customers", "volume_floor"):
        contract = replace(plan.contract, window=replace(plan.contract.window, allow_empty=True))
        plan = replace(plan, contract=contract)
    rows = good_rows(plan, window_of_plan(plan))
    SPOILS[table, rule](rows)

    found = with_and_without(plan, rule, staging, rows)

    severity = next(c.severity for c in plan.checks if c.id == rule)
    assert found == ("warn" if severity == "warning" else "fail", "pass")


@pytest.mark.parametrize(("table", "rule"), STREAM, ids=str)
def test_a_rule_of_the_stream_turns_its_window_red_and_without_it_the_window_passes(table, rule, staging):
    plan = plan_of("acme", table)
    rows = good_rows(plan, window_of_plan(plan))

    found = with_and_without(plan, rule, staging, rows, broken={rule: STREAM[table, rule]})

    assert found == ("warn" if rule == "email_shape" else "fail", "pass")


@pytest.mark.parametrize(("table", "rule"), RECONCILED, ids=str)
def test_a_reconciliation_alone_finds_a_sum_that_moved(table, rule, staging):
    plan = plan_of("acme", table)
    rows = good_rows(plan, window_of_plan(plan))
    source = [dict(row) for row in rows]
    RECONCILED[table, rule](rows)

    found = with_and_without(plan, rule, staging, rows, source_rows=source)

    assert found == ("fail", "pass")


def test_a_red_gate_says_which_rules_broke_and_what_to_do(staging):
    plan = plan_of("acme", "orders")
    rows = good_rows(plan, window_of_plan(plan))
    doubling(rows)
    rows[9]["status"] = None
    report = judged(plan, staging, rows)

    with pytest.raises(GateRed) as caught:
        require_open(plan, window_of_plan(plan), report)

    assert caught.value.rule == "status_required"
    assert str(caught.value) == (
        "acme orders 2026-11-21: quality.status_required: status_required: 1 missing status (expected 0); "
        "pk_unique: 1 duplicate key (expected 0). Remedy: Mend the rows of dbo.Orders at the source, then clear "
        "`extract`. Readers keep the last published version until then."
    )


@pytest.mark.parametrize(
    ("rule", "gate", "remedy"),
    [
        ("files", "check_extract", "Clear `extract` to take a fresh load"),
        ("schema", "check_extract", "Clear `extract` to take a fresh load"),
        ("schema", "check_load", "Run `tenantdags apply`, then clear `load`."),
        ("reconcile_amount", "check_load", "Clear `extract` to take a fresh load"),
        ("tenant_purity", "check_extract", "Check the source's database and tenant_column in config/tenants/acme.yaml"),
        ("not_empty", "check_extract", "Find out why dbo.Orders has no rows"),
        ("key_in_other_window", "check_load", "Clear `extract` of the windows it names first"),
        ("pk_unique", "check_load", "Mend the rows of dbo.Orders at the source"),
    ],
)
def test_each_broken_rule_has_the_remedy_that_mends_it(rule, gate, remedy):
    plan = plan_of("acme", "orders")
    results = (CheckResult(rule=rule, outcome="fail", value="x", expected="y"),)
    report = GateReport(gate=gate, rows=1, results=results, seconds=0, load_id="L")

    with pytest.raises((GateRed, ReconcileMismatch), match=f"Remedy: {remedy}"):
        require_open(plan, window_of_plan(plan), report)


def test_a_strangers_row_is_found(staging):
    plan = plan_of("acme", "orders")
    rows = good_rows(plan, window_of_plan(plan))
    rows[0]["_source_tenant"] = "124"
    rows[1]["_source_tenant"] = None

    report = judged(plan, staging, rows)

    assert [(r.rule, r.value) for r in report.results if r.outcome == "fail"] == [
        ("tenant_purity", "2 rows of another tenant")
    ]


def test_padding_and_case_of_the_sources_tenant_do_not_matter(staging):
    plan = plan_of("globex", "orders")
    rows = good_rows(plan, window_of_plan(plan))
    rows[0]["_source_tenant"] = "GLOBEX_SALES  "

    assert judged(plan, staging, rows).outcome == "pass"


def test_rows_the_source_counted_and_nobody_staged_are_missed(staging):
    plan = plan_of("acme", "orders")
    rows = good_rows(plan, window_of_plan(plan))
    report = judged(plan, staging, rows[1:], source_rows=rows)

    with pytest.raises(ReconcileMismatch, match="rows_reconcile: source 150, staged 149"):
        require_open(plan, window_of_plan(plan), report)


def test_without_isolation_a_difference_from_the_source_only_warns(staging):
    plan = plan_of("acme", "orders")
    window, rows = window_of_plan(plan), good_rows(plan, window_of_plan(plan))
    manifest = replace(stage(plan, window, rows[1:], staging, source_rows=rows), reconciled=False)

    found = outcomes(check_extract(plan, window, manifest, staging))

    assert {rule for rule, outcome in found.items() if outcome == "warn"} == {
        "rows_reconcile", "amount_sum", "reconcile_amount",
    }  # fmt: skip
    assert "fail" not in found.values()


def test_rows_lost_between_manifest_and_files_fail_even_without_isolation(staging):
    plan = plan_of("acme", "orders")
    window, rows = window_of_plan(plan), good_rows(plan, window_of_plan(plan))
    manifest = replace(stage(plan, window, rows, staging), reconciled=False, rows=151)

    assert outcomes(check_extract(plan, window, manifest, staging))["rows_reconcile"] == "fail"


def test_a_sum_the_source_was_not_asked_for_is_an_error(staging):
    plan = plan_of("acme", "orders")
    window, rows = window_of_plan(plan), good_rows(plan, window_of_plan(plan))
    manifest = stage(plan, window, rows, staging)
    totals = replace(manifest.totals, sums=tuple(s for s in sums_of(plan, rows) if not s.by))

    report = check_extract(plan, window, replace(manifest, totals=totals), staging)

    assert outcomes(report)["reconcile_amount"] == "error"
    with pytest.raises(GateError, match="the manifest holds no sum of amount by currency"):
        require_open(plan, window, report)


def test_a_stream_rule_that_extract_did_not_count_is_an_error(staging):
    plan = plan_of("acme", "orders")
    window = window_of_plan(plan)
    manifest = replace(stage(plan, window, good_rows(plan, window), staging), stream_checks=())

    report = check_extract(plan, window, manifest, staging)

    assert outcomes(report)["customer_id_pattern"] == "error"
    with pytest.raises(GateError, match="customer_id_pattern: extract did not count it"):
        require_open(plan, window, report)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.set(5, pa.field("amount", pa.decimal128(19, 2))),
        lambda s: s.set(0, pa.field("order_id", pa.int32())),
        lambda s: s.set(1, pa.field("order_date", pa.timestamp("us"))),
        lambda s: s.remove(4).insert(5, s.field(4)),
        lambda s: s.append(pa.field("extra", pa.string())),
        lambda s: s.remove(3),
    ],
    ids=["decimal wider", "int for bigint", "naive clock", "other order", "one more", "one less"],
)
def test_a_footer_that_is_not_exactly_the_contracts_closes_the_gate_before_any_rule(change, staging):
    plan = plan_of("acme", "orders")
    window = window_of_plan(plan)
    manifest = stage(plan, window, good_rows(plan, window), staging, parts=1)
    schema = change(arrow_schema(plan))
    rows = [{name: row.get(name) for name in schema.names} for row in good_rows(plan, window)]
    part = write_part(staging.path(plan, manifest.load_id) / "part-00000.parquet", pa.Table.from_pylist(rows, schema))

    report = check_extract(plan, window, replace(manifest, parts=(part,)), staging)

    assert outcomes(report) == {"manifest": "pass", "files": "pass", "schema": "fail"}
    assert set(report.not_evaluated) == {check.id for check in plan.checks} - {"volume_as_usual"}
    with pytest.raises(GateRed, match=r"quality.schema: .*Not evaluated: order_id_required, "):
        require_open(plan, window, report)


def test_a_changed_byte_closes_the_gate(staging):
    plan = plan_of("acme", "orders")
    window = window_of_plan(plan)
    manifest = stage(plan, window, good_rows(plan, window), staging)
    path = staging.path(plan, manifest.load_id) / "part-00001.parquet"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))

    report = check_extract(plan, window, manifest, staging)

    assert outcomes(report) == {"manifest": "pass", "files": "fail"}
    assert report.results[1].value == "changed since extract: part-00001.parquet"


def test_another_windows_manifest_is_refused(staging):
    plan = plan_of("acme", "orders")
    window = window_of_plan(plan)
    manifest = stage(plan, window, good_rows(plan, window), staging)

    report = check_extract(plan, window_of_plan(plan, date(2026, 11, 20)), manifest, staging)

    assert outcomes(report)["manifest"] == "fail"
    assert report.results[0].value == "acme orders orders@1 from 2026-11-20T23:00:00Z"


def test_files_that_are_not_here_say_that_staging_is_not_shared(staging, tmp_path):
    plan = plan_of("acme", "orders")
    window = window_of_plan(plan)
    manifest = stage(plan, window, good_rows(plan, window), staging)

    with pytest.raises(StagingUnavailable, match="staging is not shared"):
        check_extract(plan, window, manifest, Staging(tmp_path / "elsewhere"))


@pytest.mark.parametrize(("allow_empty", "outcome"), [(False, "fail"), (True, "pass")])
def test_an_empty_window_passes_only_where_the_contract_allows_it(allow_empty, outcome, staging):
    plan = without(plan_of("acme", "orders"), "volume_floor")
    contract = replace(plan.contract, window=replace(plan.contract.window, allow_empty=allow_empty))
    plan = replace(plan, contract=contract)

    report = judged(plan, staging, [])

    assert report.outcome == outcome
    assert report.not_evaluated == ()
    assert [r.rule for r in report.results if r.outcome == "fail"] == ([] if allow_empty else ["not_empty"])


def test_of_an_empty_window_no_row_is_old(staging):
    fresh = Check(
        id="fresh", kind="freshness", name="x", dimension="x", columns=("updated_at",), arguments=("hour",),
    )  # fmt: skip
    plan = plan_of("acme", "orders")
    contract = replace(plan.contract, window=replace(plan.contract.window, allow_empty=True))

    report = judged(replace(plan, contract=contract, checks=(fresh,)), staging, [])

    assert (report.outcome, report.results[-1].value) == ("pass", "no rows, so none is old")


def with_check(plan, check: Check):
    return replace(plan, checks=(*plan.checks, check))


def sql_check(query: str, *, severity="error") -> Check:
    threshold = Threshold(operator="<=", values=(2,))
    return Check(
        id="mine", kind="sql", name="mine", dimension="x", arguments=(query,), threshold=threshold, severity=severity
    )


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("SELECT count(*) FROM ${table} WHERE amount < 3", "pass"),
        ("SELECT count(*) FROM ${table} WHERE amount > 3", "fail"),
        ("SELECT sum(amount) FROM ${table} WHERE amount > 9999999", "error"),
        ("SELECT count(*) FROM no_such_table", "error"),
        ("SELECT no_such_column FROM ${table}", "error"),
    ],
    ids=["good", "bad", "null", "no table", "no column"],
)
def test_a_sql_rule_that_cannot_be_evaluated_never_passes(query, outcome, staging):
    plan = with_check(plan_of("acme", "orders"), sql_check(query))

    found = outcomes(judged(plan, staging))

    assert found["mine"] == outcome
    assert {o for rule, o in found.items() if rule != "mine"} == {"pass"}


def test_a_rule_on_a_column_that_is_not_there_closes_the_gate(staging):
    plan = plan_of("acme", "orders")
    ghost = Check(id="ghost", kind="unique", name="ghost", dimension="x", columns=("no_such_column",))

    report = judged(with_check(plan, ghost), staging)

    # one aggregate query measures many rules: a broken one takes its neighbours along, and all of them are errors
    assert outcomes(report)["ghost"] == "error"
    with pytest.raises(GateError):
        require_open(plan, window_of_plan(plan), report)


@pytest.mark.parametrize(
    ("operator", "values", "outcome"),
    [
        ("=", (150,), "pass"),
        ("!=", (150,), "fail"),
        ("<", (151,), "pass"),
        ("<=", (149,), "fail"),
        (">", (150,), "fail"),
        (">=", (150,), "pass"),
        ("between", (150, 160), "pass"),
        ("between", (151, 160), "fail"),
        ("between", (150, 150), "pass"),
        ("not between", (150, 160), "fail"),
        ("not between", (151, 160), "pass"),
        ("not between", (100, 149), "pass"),
    ],
)
@pytest.mark.parametrize("severity", ["error", "warning"])
def test_each_threshold_means_to_soda_what_it_means_to_the_plan(operator, values, outcome, severity, staging):
    check = Check(
        id="mine", kind="row_count", name="mine", dimension="x", severity=severity,
        threshold=Threshold(operator=operator, values=values),
    )  # fmt: skip
    plan = without(plan_of("globex", "orders"), *(c.id for c in plan_of("globex", "orders").checks))

    found = outcomes(judged(with_check(plan, check), staging))["mine"]

    assert found == ("warn" if outcome == "fail" and severity == "warning" else outcome)


@pytest.mark.parametrize(
    ("kind", "arguments", "bad"),
    [
        ("pattern", ("^SKU-[0-9]+$",), "sku-1"),
        ("pattern", ("^SKU-[0-9]+$",), 'it\'s \\ "odd"'),
        ("enum", tuple(f"SKU-{i}" for i in range(1, 151)), "SKU-0"),
        ("enum", ("1e3", "0o7", "yes", "null", "é✓", *(f"SKU-{i}" for i in range(1, 151))), "1000.0"),
        ("length", (5, 7), "SKU1"),
        ("length", (None, 7), "SKU-12345"),
        ("invalid_count", ("pattern", "^SKU-[0-9]+$"), "x"),
        ("invalid_count", ("values", *(f"SKU-{i}" for i in range(1, 151))), "x"),
        ("invalid_percent", ("pattern", "^SKU-[0-9]+$"), "x"),
        ("null_count", ("n/a",), "n/a"),
        ("null_percent", (), None),
    ],
)
def test_every_kind_of_rule_about_values_tells_good_from_bad(kind, arguments, bad, staging, tmp_path):
    check = Check(id="mine", kind=kind, name="mine", dimension="x", columns=("sku",), arguments=arguments)
    plan = with_check(without(plan_of("acme", "order_lines"), "sku_required"), check)
    rows = good_rows(plan, window_of_plan(plan))

    good = judged(plan, staging, rows)
    rows[7]["sku"] = bad
    spoilt = judged(plan, Staging(tmp_path / "spoilt"), rows)

    assert (outcomes(good)["mine"], outcomes(spoilt)["mine"]) == ("pass", "fail")
    assert [r.rule for r in spoilt.results if r.outcome != "pass"] == ["mine"]


def many_customers(plan, staging, rows):
    """A load of so many hashed keys, all else alike."""
    schema, one = arrow_schema(plan), good_rows(plan, window_of_plan(plan), 1)[0]
    hashes = duckdb.sql(f"SELECT sha256(i::VARCHAR) AS h FROM range({rows}) AS t(i)")
    assert hashes is not None
    keys = hashes.to_arrow_table()["h"]
    columns = [
        keys if field.name == "customer_id" else pa.repeat(pa.scalar(one[field.name], field.type), rows)
        for field in schema
    ]
    manifest = stage(plan, window_of_plan(plan), [], staging)
    path = staging.path(plan, manifest.load_id) / "part-00000.parquet"
    part = write_part(path, pa.table(columns, names=schema.names).cast(schema))
    return replace(manifest, rows=rows, parts=(part,), totals=replace(manifest.totals, rows=rows))


@contextmanager
def largest(folder):
    """The most bytes that stood in a folder's folders meanwhile."""
    seen, ended = [0], threading.Event()

    def look():
        while not ended.wait(0.01):
            with suppress(OSError):  # a file goes while it is looked at
                seen.append(sum(path.stat().st_size for path in folder.glob("*/*")))

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    ended.set()
    thread.join()


def test_beyond_its_cap_of_memory_the_gate_spills_into_the_loads_own_folder(staging):
    plan = plan_of("acme", "customers")
    manifest = many_customers(plan, staging, 1_000_000)
    folder = staging.path(plan, manifest.load_id)
    before = sorted(folder.iterdir())

    with largest(folder) as spilled:
        report = check_extract(plan, window_of_plan(plan), manifest, staging, memory="96MB")

    assert report.outcome == "pass"
    assert max(spilled) > 10_000_000
    assert sorted(folder.iterdir()) == before


def test_a_part_that_cannot_be_read_is_an_error(staging):
    plan = plan_of("acme", "orders")
    window = window_of_plan(plan)
    manifest = stage(plan, window, good_rows(plan, window), staging, parts=1)
    path = staging.path(plan, manifest.load_id) / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    data[-400 - int.from_bytes(data[-8:-4], "little") : -300 - int.from_bytes(data[-8:-4], "little")] = bytes(100)
    path.write_bytes(bytes(data))  # the last column's pages; the footer is whole
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = replace(manifest, parts=(replace(manifest.parts[0], sha256=digest),))

    with pytest.raises(GateError, match=r"gate\.error: .* Remedy: "):
        require_open(plan, window, check_extract(plan, window, manifest, staging))


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([("a||b", "c"), ("a", "b||c")], 0),
        ([("a", "x"), ("a", "x"), ("a", "x"), ("b", "x"), ("b", "x")], 3),
        ([(None, "x"), (None, "x")], 0),
        ([("__SODA_NULL__", "x"), (None, "x")], 0),
    ],
    ids=["separator", "copies", "null is no key", "word for null"],
)
def test_duplicates_are_counted_by_the_keys_themselves(rows, count, staging):
    check = Check(id="twice", kind="unique", name="x", dimension="x", columns=("sku", "_"))
    plan = with_check(without(plan_of("acme", "order_lines"), "sku_required"), replace(check, columns=("sku", "note")))
    columns = tuple(
        replace(c, name="note", source_name="note", type=SqlType("varchar", length=20)) if c.name == "discount" else c
        for c in plan.contract.columns
    )
    plan = replace(plan, contract=replace(plan.contract, columns=columns), checks=plan.checks[-1:])
    good = good_rows(plan_of("acme", "order_lines"), window_of_plan(plan), len(rows))
    made = [{**row, "sku": sku, "note": note} for row, (sku, note) in zip(good, rows, strict=True)]

    report = judged(plan, staging, made)

    assert next(r.value for r in report.results if r.rule == "twice").startswith(f"{count} duplicate")


def test_no_report_no_error_and_no_log_quotes_a_value(staging, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "ingrid.secret@example.com"
    plan = plan_of("acme", "orders")
    plan = with_check(plan, sql_check("SELECT max(CAST(status AS DECIMAL(9,0))) FROM ${table}"))
    rows = good_rows(plan, window_of_plan(plan))
    for row in rows:
        row["status"] = secret
    report = judged(plan, staging, rows)

    with pytest.raises(GateRed) as caught:
        require_open(plan, window_of_plan(plan), report)

    assert outcomes(report)["mine"] == "error"
    assert "Could not convert" in next(r.value for r in report.results if r.rule == "mine")
    assert secret not in repr(report) + str(caught.value) + caplog.text
