"""The gate over appended rows: the same rules as on the files, asked in Databricks about one append alone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenantdags.model.contract import Check, Threshold
from tenantdags.model.errors import DatabricksSubmit, GateError, GateRed, ReconcileMismatch
from tenantdags.model.sql_rules import FUNCTIONS
from tenantdags.model.window import Window, day_window
from tenantdags.steps import dbsql
from tenantdags.steps.appended_checks import check_references
from tenantdags.steps.gates import awaited_parents, check_extract, check_load, require_open
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.report import Loaded
from tests.steps.staged import good_rows, plan_of, stage, without

pytestmark = pytest.mark.sandbox


@pytest.fixture
def appended(lakehouse, staging, fresh):
    """Appends rows, whatever they are, and gives what check_load needs to judge them."""

    def append(plan, rows=None, spoil=None, **how):
        window = fresh(plan)
        rows = good_rows(plan, window) if rows is None else rows
        if spoil:
            spoil(rows)
        load_id = how.pop("load_id", f"20261122T020000Z-{uuid4().hex[:6]}")
        source = good_rows(plan, window) if how.pop("from_good", False) else None
        manifest = stage(plan, window, rows, staging, load_id=load_id, source_rows=source, **how)
        return window, manifest, lakehouse.append(plan, window, manifest, staging)

    return append


_GOOD: dict[tuple[str, str], tuple[Window, Manifest, Loaded]] = {}


@pytest.fixture
def good(appended):
    """A good append of a table that nobody spoils: made once, for all tests that only judge it."""

    def once(tenant, table):
        if (tenant, table) not in _GOOD:
            _GOOD[tenant, table] = appended(plan_of(tenant, table))
        return _GOOD[tenant, table]

    return once


def outcomes(report):
    return {r.rule: r.outcome for r in report.results}


def setting(**values):
    return lambda rows: rows[3].update(values)


def doubling(rows):
    rows[5] = dict(rows[4])


@pytest.fixture
def orders_of(lakehouse, staging):
    """Publishes the orders that a window's order lines name."""

    def publish(tenant, window, lines, load_id="20261122T020000Z-parent"):
        plan = plan_of(tenant, "orders")
        ids = dict.fromkeys(row["order_id"] for row in lines)
        rows = [{**row, "order_id": i} for row, i in zip(good_rows(plan, window), ids, strict=False)]
        return lakehouse.published_window(plan, window, rows, staging, load_id)

    return publish


@pytest.mark.parametrize("table", ["customers", "orders", "order_lines"])
@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_a_good_append_passes_every_rule_of_the_plan(tenant, table, lakehouse, appended, orders_of):
    plan = plan_of(tenant, table)
    window, manifest, loaded = appended(plan)
    if table == "order_lines":
        orders_of(tenant, window, good_rows(plan, window))

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert set(outcomes(report).values()) == {"pass"}
    assert {check.id for check in plan.checks} <= set(outcomes(report))
    assert {"schema", "tenant_purity", "rows_reconcile", "not_empty"} <= set(outcomes(report))
    assert ("key_in_other_window" in outcomes(report)) == (table != "customers")
    assert (report.load_id, report.append_id, report.rows) == (manifest.load_id, loaded.append_id, 150)
    assert report.not_evaluated == ()


@pytest.mark.parametrize(
    ("table", "rule", "spoil"),
    [
        ("orders", "pk_unique", doubling),
        ("orders", "status_enum", setting(status="LOST")),
        ("orders", "status_required", setting(status=None)),
        ("orders", "amount_range", setting(amount=Decimal("-0.01"))),
        ("orders", "volume_floor", lambda rows: rows.__delitem__(slice(100, None))),
        ("orders", "email_null_pct", lambda rows: [row.update(customer_email=None) for row in rows[:3]]),
        ("order_lines", "pk_unique", doubling),
        ("order_lines", "discount_range", setting(discount=Decimal("1.0001"))),
        ("customers", "credit_limit_range", setting(credit_limit=Decimal("-0.0000000001"))),
    ],
)
def test_a_rule_alone_turns_its_append_red_and_without_it_the_append_passes(table, rule, spoil, lakehouse, appended):
    plan = without(plan_of("acme", table), "order_exists")
    window, manifest, loaded = appended(plan, spoil=spoil)

    found = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())
    loose = check_load(without(plan, rule), window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    severity = next(c.severity for c in plan.checks if c.id == rule)
    assert [r.rule for r in found.results if r.outcome != "pass"] == [rule]
    assert (found.outcome, loose.outcome) == ("warn" if severity == "warning" else "fail", "pass")


@pytest.mark.parametrize(
    ("kind", "arguments", "bad"),
    [
        ("pattern", ("^SKU-[0-9]+$",), 'it\'s \\ "odd"'),
        ("pattern", ("^[^\\\\']+$",), "back\\slash"),
        ("enum", ("it's", *(f"SKU-{i}" for i in range(1, 151))), "it''s"),
        ("length", (5, 7), "SKU1"),
        ("invalid_percent", ("values", *(f"SKU-{i}" for i in range(1, 151))), "x"),
        ("null_count", ("n/a",), "n/a"),
    ],
)
def test_rules_about_values_mean_the_same_in_databricks(kind, arguments, bad, lakehouse, good, appended):
    check = Check(id="mine", kind=kind, name="mine", dimension="x", columns=("sku",), arguments=arguments)
    plan = without(plan_of("acme", "order_lines"), "sku_required", "order_exists")
    plan = replace(plan, checks=(*plan.checks, check))
    appends = (good("acme", "order_lines"), appended(plan, spoil=setting(sku=bad)))

    reports = [
        check_load(plan, w, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())
        for w, manifest, loaded in appends
    ]

    assert [outcomes(report)["mine"] for report in reports] == ["pass", "fail"]
    assert [r.rule for r in reports[1].results if r.outcome != "pass"] == ["mine"]


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("SELECT count(*) FROM ${table} WHERE amount < 3", "pass"),
        ("SELECT count(*) FROM ${table} WHERE amount > 3", "fail"),
        ("SELECT sum(amount) FROM ${table} WHERE amount > 9999999", "error"),
        ("SELECT max(no_such_column) FROM ${table}", "error"),
    ],
)
def test_a_sql_rule_sees_the_append_alone_and_never_passes_unevaluated(query, outcome, lakehouse, good, appended):
    threshold = Threshold(operator="<=", values=(2,))
    check = Check(id="mine", kind="sql", name="mine", dimension="x", arguments=(query,), threshold=threshold)
    plan = plan_of("acme", "orders")
    plan = replace(plan, checks=(*plan.checks, check))
    window, manifest, loaded = good("acme", "orders")
    if outcome == "pass":
        appended(plan)  # whose rows would double the number

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert {rule: o for rule, o in outcomes(report).items() if o != "pass"} == (
        {} if outcome == "pass" else {"mine": outcome}
    )
    if outcome == "error":
        with pytest.raises(GateError, match=r"acme orders .*: gate\.error: mine: (not evaluated|refused)"):
            require_open(plan, window, report)


# one query for each function and operator that a SQL rule may use; together they use all
MEASURES = (
    "SELECT count(*) FROM ${table} WHERE abs(-amount) > 20.5 AND ceil(amount) = floor(amount) + 1",
    "SELECT count(DISTINCT coalesce(nullif(status, 'NEW'), '-')) FROM ${table}",
    "SELECT count_if(day(order_date) + month(order_date) < year(order_date) AND minute(order_date) < 2) FROM ${table}",
    "SELECT sum(greatest(amount, 50)) - sum(least(amount, 50, 20.25)) FROM ${table}",
    "SELECT sum(hour(order_date)) FROM ${table}",
    "SELECT count(*) FROM ${table} WHERE left(status, 1) = right(trim(' S '), 1) AND length(status) = 7",
    "SELECT count(*) FROM ${table} WHERE ltrim('  a') || rtrim('b  ') = lower('AB') AND upper(status) = status",
    "SELECT max(round(amount / 3, 2)) FROM ${table}",
    "SELECT min(round(-amount / 8, 1)) FROM ${table}",
    "SELECT round(avg(amount), 4) FROM ${table}",
    "SELECT count(*) FROM ${table} WHERE replace(status, 'PA', 'x') = 'xID' OR substr(status, 2, 2) = 'EW'",
    "SELECT count(*) FROM ${table} WHERE substring(status, 1, 3) LIKE 'S_I' OR status IN ('RETURNED', 'x')",
    "SELECT count(*) FROM ${table} WHERE amount % 3 BETWEEN 0.5 AND 1.999",
    "SELECT count(*) FROM ${table} WHERE customer_email IS NOT DISTINCT FROM NULL OR status IS NULL",
    "SELECT count(*) FILTER (WHERE CAST(amount AS DECIMAL(18, 1)) > CAST('50.95' AS DECIMAL(18, 2))) FROM ${table}",
    "SELECT count(*) FROM ${table} WHERE order_date < TIMESTAMP '2000-01-01 00:00:00' + INTERVAL '3' DAY",
    "SELECT count(*) FROM ${table} WHERE CAST(order_date AS DATE) > DATE '2020-02-29' - INTERVAL '1' MONTH",
    "SELECT sum(CASE WHEN currency = 'EUR' THEN CAST(amount AS DOUBLE) ELSE 0 END) FROM ${table}",
    "WITH n AS (SELECT currency, count(*) AS c FROM ${table} GROUP BY 1 HAVING count(*) > 1) SELECT max(c) FROM n",
    "SELECT count(*) FROM ${table} AS a JOIN ${table} AS b ON a.order_id = b.order_id + 1 WHERE a.amount > b.amount",
    "SELECT count(*) FROM ${table} AS a WHERE NOT EXISTS (SELECT 1 FROM ${table} AS b WHERE b.amount = a.amount + 1)",
)


def test_what_a_sql_rule_may_say_measures_the_same_on_both_engines(lakehouse, staging, appended):
    everything = Threshold(operator=">=", values=(-(10**9),))
    checks = tuple(
        Check(id=f"m{i}", kind="sql", name="m", dimension="x", arguments=(query,), threshold=everything)
        for i, query in enumerate(MEASURES)
    )
    plan = replace(plan_of("acme", "orders"), checks=checks)

    def spoil(rows):
        rows[2]["status"] = rows[3]["customer_email"] = None

    window, manifest, loaded = appended(plan, spoil=spoil)

    staged = {r.rule: r for r in check_extract(plan, window, manifest, staging).results}
    found = {
        r.rule: r
        for r in check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements()).results
    }

    values = {i: (staged[f"m{i}"].value, found[f"m{i}"].value) for i in range(len(MEASURES))}
    assert {MEASURES[i]: pair for i, pair in values.items() if Decimal(pair[0]) != Decimal(pair[1])} == {}
    assert {name for name in FUNCTIONS if not any(re.search(rf"\b{name}\(", query) for query in MEASURES)} == set()
    assert len({pair[0] for pair in values.values()}) > 15  # each measures something


def test_rows_that_got_lost_on_the_way_are_missed(lakehouse, good):
    plan = plan_of("acme", "orders")
    window, manifest, loaded = good("acme", "orders")

    report = check_load(
        plan,
        window,
        replace(manifest, rows=151),
        replace(loaded, rows=152),
        lakehouse.landing(plan),
        lakehouse.statements(),
    )

    with pytest.raises(ReconcileMismatch, match="source 150, staged 151, landed 150, loaded 152, appended 150"):
        require_open(plan, window, report)


def replaced(manifest, path):
    """Another file of the same size, in place of the first part."""
    return path, bytes(manifest.parts[0].bytes)


def shortened(manifest, path):
    """A Parquet file that holds fewer rows."""
    return path, to_parquet(pa.table({"order_id": [1, 2, 3]}))


def relabelled(manifest, path):
    """The same rows, written by somebody else."""
    table = pa.table({"order_id": list(range(manifest.parts[0].rows))})
    return path, to_parquet(table)


def missing(manifest, path):
    return path, None


def other_columns(manifest, path):
    """The notebook would load something else."""
    columns = (replace(manifest.columns[0], name="customer_id"), *manifest.columns[1:])
    return path.replace("part-00000.parquet", "_manifest.json"), replace(manifest, columns=columns).to_json().encode()


def to_parquet(table):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("fault", "wrong", "landed"),
    [
        (replaced, "part-00000.parquet in landing is no Parquet file", 75),
        (shortened, "part-00000.parquet in landing is not the file that was staged", 78),
        (relabelled, "part-00000.parquet in landing is not the file that was staged", 150),
        (missing, "part-00000.parquet is missing in landing", 75),
        (other_columns, "_manifest.json in landing is not the one that was staged", 150),
    ],
)
def test_a_landed_file_that_was_replaced_is_a_mismatch(fault, wrong, landed, lakehouse, appended):
    plan = replace(plan_of("acme", "orders"), checks=())
    window, manifest, loaded = appended(plan)
    path, data = fault(manifest, f"{plan.landing.load_path(window, manifest.load_id)}/part-00000.parquet")
    container = lakehouse.container(plan)
    before = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())
    container.delete_blob(path) if data is None else container.upload_blob(path, data, overwrite=True)

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert (before.outcome, before.landed, report.landed) == ("pass", 150, landed)
    said = f"source 150, staged 150, landed {landed}, loaded 150, appended 150"
    with pytest.raises(ReconcileMismatch, match=f"rows_reconcile: {wrong}; {said} "):
        require_open(plan, window, report)


def test_without_isolation_a_difference_from_the_source_only_warns(lakehouse, good):
    plan = plan_of("acme", "orders")
    window, manifest, loaded = good("acme", "orders")
    totals = replace(manifest.totals, rows=151)

    report = check_load(
        plan,
        window,
        replace(manifest, reconciled=False, totals=totals),
        loaded,
        lakehouse.landing(plan),
        lakehouse.statements(),
    )

    assert [(r.rule, r.outcome) for r in report.results if r.outcome != "pass"] == [("rows_reconcile", "warn")]


def test_a_sum_that_moved_since_the_source_is_found_per_group(lakehouse, appended):
    plan = plan_of("acme", "orders")

    def swap(rows):
        rows[0]["currency"], rows[1]["currency"] = rows[1]["currency"], rows[0]["currency"]

    window, manifest, loaded = appended(plan, spoil=swap, from_good=True)

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert [(r.rule, r.value) for r in report.results if r.outcome != "pass"] == [
        ("reconcile_amount", "2 of 3 sums of amount appended differ from the source")
    ]


def test_rows_that_bear_another_loads_or_windows_stamps_are_found(lakehouse, good, fresh):
    plan = plan_of("acme", "orders")
    window, manifest, loaded = good("acme", "orders")
    other = fresh(plan)
    moved = replace(
        manifest, window_start=other.start, window_end=other.end, as_of_date=other.as_of_date, load_id=manifest.load_id
    )

    by_load = check_load(
        plan, window, replace(manifest, load_id="x"), loaded, lakehouse.landing(plan), lakehouse.statements()
    )
    by_window = check_load(plan, other, moved, loaded, lakehouse.landing(plan), lakehouse.statements())

    for report in (by_load, by_window):
        found = {r.rule: r.value for r in report.results if r.outcome == "fail"}
        assert found["tenant_purity"] == "150 rows with other stamps"


def test_an_append_that_is_not_in_the_table_has_no_rows(lakehouse, good):
    plan = plan_of("acme", "orders")
    window, manifest, loaded = good("acme", "orders")

    gone = replace(loaded, append_id=str(uuid4()))
    report = check_load(plan, window, manifest, gone, lakehouse.landing(plan), lakehouse.statements())

    assert outcomes(report)["rows_reconcile"] == "fail"


@pytest.mark.parametrize("table", ["orders", "order_lines"])
def test_a_key_that_stands_in_another_published_window_closes_the_gate(table, lakehouse, staging, fresh, appended):
    plan = without(plan_of("northwind", table), "order_exists")
    earlier = fresh(plan)
    moved = good_rows(plan, earlier)
    lakehouse.published_window(plan, earlier, moved, staging, "20261122T020000Z-earlier")
    keys = {name: moved[7][name] for name in plan.contract.keys}
    window, manifest, loaded = appended(plan, spoil=setting(**keys))

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert [r.rule for r in report.results if r.outcome == "fail"] == ["key_in_other_window"]
    with pytest.raises(GateRed, match=f"1 keys also published in {earlier.as_of_date} \\(1\\); clear those windows"):
        require_open(plan, window, report)


def test_keys_of_unpublished_superseded_and_other_tenants_appends_do_not_count(lakehouse, staging, fresh, appended):
    plan, stranger = plan_of("northwind", "orders"), plan_of("globex", "orders")
    earlier = fresh(plan)
    taken = good_rows(plan, earlier)
    lakehouse.published_window(plan, earlier, taken, staging, "20261122T020000Z-first")
    lakehouse.published_window(plan, earlier, taken[10:], staging, "20261122T020000Z-second")
    key = {"order_id": taken[3]["order_id"]}
    theirs = fresh(stranger)
    rows = good_rows(stranger, theirs)
    rows[0].update(key)
    lakehouse.published_window(stranger, theirs, rows, staging, "20261122T020000Z-theirs")
    appended(plan, spoil=setting(**key))  # never published
    window, manifest, loaded = appended(plan, spoil=setting(**key))

    assert check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements()).outcome == "pass"


def test_an_empty_load_goes_the_whole_way_and_readers_see_no_row(lakehouse, staging, fresh):
    plan = without(plan_of("acme", "orders"), "volume_floor")
    plan = replace(plan, contract=replace(plan.contract, window=replace(plan.contract.window, allow_empty=True)))
    window = fresh(plan)
    manifest = stage(plan, window, [], staging, load_id="20261122T020000Z-empty1")
    loaded = lakehouse.append(plan, window, manifest, staging)

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())
    published = lakehouse.publish(plan, window, manifest, loaded)

    assert set(outcomes(report).values()) == {"pass"}
    assert (published.generation, published.rows) == (1, 0)
    assert str(window.as_of_date) not in dict(lakehouse.visible(plan))


def test_a_table_that_is_not_as_the_contract_says_closes_the_gate_before_any_rule(lakehouse, good):
    plan = plan_of("acme", "orders")
    window, manifest, loaded = good("acme", "orders")
    columns = tuple(replace(c, name="more") if c.name == "status" else c for c in plan.contract.columns)
    ahead = replace(plan, contract=replace(plan.contract, columns=columns), checks=plan.checks[:1])

    report = check_load(ahead, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert outcomes(report) == {"manifest": "pass", "schema": "fail"}
    assert report.results[1].value == "lacks more STRING"
    assert report.not_evaluated == ("order_id_required",)


def test_a_wrong_token_is_said_with_its_remedy(lakehouse, good):
    plan = plan_of("acme", "orders")
    window, manifest, loaded = good("acme", "orders")
    wrong = replace(lakehouse, databricks=_WithToken(lakehouse.databricks, "dapi-wrong"))

    with pytest.raises(DatabricksSubmit) as caught:
        check_load(plan, window, manifest, loaded, lakehouse.landing(plan), wrong.statements())

    assert str(caught.value) == (
        f"acme orders {window}: databricks.submit: Databricks refused the token (HTTP 403). Remedy: Put a valid token "
        "into the Airflow connection 'databricks_default'; its principal needs CAN USE on SQL warehouse abc123."
    )


class _WithToken:
    def __init__(self, databricks, token):
        self.url, self.token = databricks.url, token


def test_a_warehouse_that_fails_inside_soda_is_an_error_not_a_pass(lakehouse, good):
    plan = plan_of("acme", "orders")
    window, manifest, loaded = good("acme", "orders")
    lakehouse.databricks.fault("sql_500", path="soda_filtered", times=20)

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert outcomes(report)["status_required"] == "error"
    assert report.outcome == "error"
    with pytest.raises(GateError):
        require_open(plan, window, report)


# --- references


def test_rows_whose_parent_is_not_published_close_the_gate_and_without_the_rule_pass(lakehouse, appended, orders_of):
    plan = plan_of("globex", "order_lines")

    def spoil(rows):
        rows[3]["order_id"], rows[4]["order_id"] = -1, -2

    window, manifest, loaded = appended(plan, spoil=spoil)
    orders_of("globex", window, good_rows(plan, window))

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())
    loose = check_load(
        without(plan, "order_exists"), window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements()
    )

    assert [(r.rule, r.outcome, r.value) for r in report.results if r.outcome != "pass"] == [
        ("order_exists", "fail", "2 rows whose order_id is of no published row")
    ]
    assert loose.outcome == "pass"
    with pytest.raises(GateRed, match=r"quality\.order_exists: .* Remedy: Publish the rows its parent lacks, or mend"):
        require_open(plan, window, report)


@pytest.mark.parametrize(("severity", "outcome"), [("error", "error"), ("warning", "warn")])
def test_of_a_parent_that_has_not_come_so_far_nobody_can_say(severity, outcome, lakehouse, appended):
    plan = plan_of("northwind", "order_lines")
    checks = (replace(c, severity=severity) if c.id == "order_exists" else c for c in plan.checks)
    plan = replace(plan, checks=tuple(checks))
    window, manifest, loaded = appended(plan)

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert [(r.rule, r.outcome, r.value) for r in report.results if r.outcome != "pass"] == [
        ("order_exists", outcome,
         f"cannot be said: orders@1 has published nothing up to {window.as_of_date} for this tenant yet"),
    ]  # fmt: skip
    awaited = ("orders@1",) if severity == "error" else ()
    assert awaited_parents(plan, window, manifest, lakehouse.statements()) == awaited
    assert awaited_parents(plan, window, replace(manifest, rows=0), lakehouse.statements()) == ()


def referring(lakehouse, window, child, check, rows, staging, load_id):
    """How many rows of a new append of the child break the rule."""
    manifest = stage(child, window, rows, staging, load_id=load_id)
    loaded = lakehouse.append(child, window, manifest, staging)
    plan = replace(child, checks=(check,))
    [result] = check_references(plan, window, loaded, lakehouse.statements())
    return result.value


def test_unpublished_superseded_and_other_tenants_rows_are_no_parents(lakehouse, staging, fresh, appended):
    child, parent, stranger = (plan_of(t, n) for t, n in
                               (("acme", "order_lines"), ("acme", "orders"), ("globex", "orders")))  # fmt: skip
    window = fresh(child)
    taken = good_rows(parent, window)
    lakehouse.published_window(parent, window, taken[:10], staging, "20261122T020000Z-first")
    lakehouse.published_window(parent, window, taken[5:10], staging, "20261122T020000Z-second")
    theirs = [{**row, "order_id": taken[0]["order_id"]} for row in good_rows(stranger, window)[:1]]
    lakehouse.published_window(stranger, window, theirs, staging, "20261122T020000Z-theirs")
    lakehouse.append(parent, window, stage(parent, window, taken[20:21], staging, load_id="x"), staging)
    wanted = [taken[i]["order_id"] for i in (0, 20, 5, 9)] + [None]  # superseded, unpublished, two published, none
    rows = [{**row, "order_id": i} for row, i in zip(good_rows(child, window), wanted, strict=False)]
    check = next(c for c in child.checks if c.kind == "reference")

    found = referring(lakehouse, window, child, check, rows, staging, "20261122T020000Z-child")

    assert found == "2 rows whose order_id is of no published row"


def test_of_a_snapshot_the_newest_window_counts_and_a_table_finds_its_own_rows(lakehouse, staging, fresh):
    orders, customers = plan_of("northwind", "orders"), plan_of("northwind", "customers")
    first, second = fresh(customers), fresh(customers)
    known = good_rows(customers, first, 3)
    lakehouse.published_window(customers, first, known, staging, "20261122T020000Z-day1")
    lakehouse.published_window(customers, second, known[1:], staging, "20261122T020000Z-day2")
    wanted = [known[0]["customer_id"], known[1]["customer_id"], "nobody"]
    rows = [{**row, "customer_id": c} for row, c in zip(good_rows(orders, second), wanted, strict=False)]
    snapshot = Check(
        id="x", kind="reference", name="x", dimension="x", columns=("customer_id",),
        arguments=("customers@1", "customer_id"), of_newest=True,
    )  # fmt: skip
    itself = replace(snapshot, columns=("order_id",), arguments=("orders@1", "order_id"), of_newest=False)

    found = referring(lakehouse, second, orders, snapshot, rows, staging, "20261122T020000Z-orders")
    own = referring(lakehouse, second, orders, itself, rows, staging, "20261122T020000Z-again")

    assert found == "2 rows whose customer_id is of no published row"
    assert own == "0 rows whose order_id is of no published row"


# --- volume bands and freshness


def test_a_volume_unlike_its_weekdays_warns_and_without_the_rule_passes(lakehouse, appended, fresh):
    plan = plan_of("globex", "orders")
    window, manifest, loaded = appended(plan)
    for week in range(1, 9):  # eight Mondays, say, of 1,000 rows; the first of them once with 5
        day = window.as_of_date - timedelta(days=7 * week)
        start = day_window(day, plan.schedule.time_zone).start
        for generation, rows in ((1, 5), (2, 1000)) if week == 1 else ((1, 1000),):
            known = {
                "table_name": plan.curated_name, "tenant_id": plan.tenant, "window_start": start, "as_of_date": day,
                "generation": generation, "event": "publish", "append_id": "x", "rows": rows,
            }  # fmt: skip
            values = {name: (known.get(name), kind) for name, kind in dbsql.LOG}
            lakehouse.statements().execute(dbsql.insert_log(plan), values)

    report = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())
    loose = check_load(
        without(plan, "volume_as_usual"), window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements()
    )

    weekday = f"{window.as_of_date:%A}s"
    assert [(r.rule, r.outcome, r.said) for r in report.results if r.outcome != "pass"] == [
        ("volume_as_usual", "warn", f"150 rows; expected 874–1,126 from 8 {weekday}")
    ]
    assert (report.outcome, loose.outcome) == ("warn", "pass")


@pytest.mark.parametrize(("hours", "outcome"), [(23, "fail"), (24, "pass")])
def test_freshness_is_measured_to_the_windows_end_by_both_gates(hours, outcome, lakehouse, staging, appended):
    check = Check(
        id="fresh", kind="freshness", name="x", dimension="x", columns=("updated_at",), arguments=("hour",),
        threshold=Threshold(operator="<=", values=(hours,)),
    )  # fmt: skip
    plan = replace(plan_of("acme", "orders"), checks=(check,))
    window, manifest, loaded = appended(plan)  # whose newest row changed 150 s after the window's start

    staged = check_extract(plan, window, manifest, staging)
    found = check_load(plan, window, manifest, loaded, lakehouse.landing(plan), lakehouse.statements())

    assert (outcomes(staged)["fresh"], outcomes(found)["fresh"]) == (outcome, outcome)
    if outcome == "fail":
        said = "23.9583 hours from the newest updated_at to the window's end"
        assert {r.value for r in (*staged.results, *found.results) if r.rule == "fresh"} == {said}
        loose = replace(plan, checks=())
        assert check_extract(loose, window, manifest, staging).outcome == "pass"
