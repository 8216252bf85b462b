"""For each kind of rule: without it a bad window passes, with it the gate is red. A kind without a case here fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenantdags.model.contract import Check, CheckKind, Threshold
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql, gates
from tenantdags.steps.gates import check_extract, check_load
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.report import CheckResult, GateReport, Loaded, strict
from tenantdags.steps.staging import Staging
from tests.steps.lakehouse import Lakehouse
from tests.steps.staged import Row, arrow_schema, good_rows, plan_of, stage, window_of_plan, write_part


def rule(kind: CheckKind, columns: str = "", *arguments: Any, must: tuple[Any, ...] = ("=", 0)) -> Check:
    operator, *values = must
    return Check(
        id=f"the_{kind}", kind=kind, name=kind, dimension="x", columns=tuple(columns.split()), arguments=arguments,
        threshold=Threshold(operator=operator, values=tuple(values)),
    )  # fmt: skip


OTHER = str(uuid4())  # what is published of the week before
SHAPE = "^[A-Z]{3,8}$"
# each is broken by `spoilt`
RULES = (
    rule("required", "status"),
    rule("unique", "order_id"),
    rule("enum", "status", "NEW", "PAID", "SHIPPED", "RETURNED"),
    rule("pattern", "status", SHAPE),
    rule("range", "amount", "0", None),
    rule("length", "status", 3, 8),
    rule("row_count", must=(">", 150)),
    rule("null_count", "status"),
    rule("null_percent", "status", must=("<", Decimal("0.5"))),
    rule("invalid_count", "status", "pattern", SHAPE),
    rule("invalid_percent", "status", "pattern", SHAPE, must=("<", Decimal("0.5"))),
    rule("freshness", "updated_at", "hour", must=("<=", 23)),
    rule("sql", "", "SELECT count(*) FROM ${table} WHERE amount < 0"),
    rule("reconcile", "", "sum", "amount", "currency"),
    rule("reference", "customer_id", "removal_parent@1", "customer_id"),
    rule("volume_band", "", 1, 1, must=("<=", 4)),
)
IN_WAREHOUSE = ("reference", "volume_band")  # what files cannot tell


def spoilt(plan: TablePlan, window: Window) -> tuple[list[Row], list[Row]]:
    """A window's rows that break every rule, and what the source counted."""
    rows = good_rows(plan, window)
    rows[3]["status"] = None
    rows[4]["status"] = "x"
    rows[5]["order_id"] = rows[6]["order_id"]
    rows[7]["amount"] = Decimal(-1)
    source = [dict(row) for row in rows]
    rows[0]["currency"], rows[1]["currency"] = rows[1]["currency"], rows[0]["currency"]
    return rows, source


def ruled(plan: TablePlan, *checks: Check) -> TablePlan:
    return replace(plan, checks=tuple(replace(c, of_newest=c.kind == "reference") for c in checks))


def broken(report: GateReport) -> set[str]:
    return {result.rule for result in report.results if result.outcome != "pass"}


def test_every_kind_of_rule_has_a_window_that_breaks_it():
    assert [check.kind for check in RULES] == list(get_args(CheckKind))


@dataclass(frozen=True)
class Case:
    """A load and where it lies."""

    plan: TablePlan
    window: Window
    manifest: Manifest
    staging: Staging

    def staged(self, plan: TablePlan | None = None) -> GateReport:
        return check_extract(plan or self.plan, self.window, self.manifest, self.staging)


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory) -> Case:
    """Of which the manifest holds every sum, whichever rule asks for it."""
    plan = ruled(plan_of("acme", "orders"), *(c for c in RULES if c.kind == "reconcile"))
    window, staging = window_of_plan(plan), Staging(tmp_path_factory.mktemp("removal"))
    rows, source = spoilt(plan, window)
    return Case(ruled(plan), window, stage(plan, window, rows, staging, source_rows=source), staging)


def test_without_any_rule_the_bad_files_pass(bad_files):
    assert broken(bad_files.staged()) == set()


@pytest.mark.parametrize("check", [c for c in RULES if c.kind not in IN_WAREHOUSE], ids=lambda check: check.kind)
def test_with_the_rule_alone_the_gate_over_files_is_red(check, bad_files):
    report = bad_files.staged(ruled(bad_files.plan, check))

    assert (report.outcome, broken(report)) == ("fail", {check.id})


def called(table: str, plan: TablePlan) -> TablePlan:
    """The same as a table of its own, so that no other test meets its windows."""
    landing = replace(plan.landing, prefix=f"{table}/v1/tenant_id={plan.tenant}")
    return replace(plan, contract=replace(plan.contract, table=table), landing=landing)


@pytest.fixture(scope="module")
def bad_append(running_lakehouse, tmp_path_factory) -> tuple[Case, Loaded, Lakehouse]:
    """The same in a table of its own, beside a parent that lacks customers, one week behind a window of 1,000 rows."""
    plan = ruled(called("removal", plan_of("northwind", "orders")), *(c for c in RULES if c.kind == "reconcile"))
    parent = called("removal_parent", plan_of("northwind", "customers"))
    running_lakehouse.apply(plan, parent)
    window, staging = window_of_plan(plan), Staging(tmp_path_factory.mktemp("removal"))
    running_lakehouse.published_window(parent, window, good_rows(parent, window, 5), staging, "20261122T020000Z-parent")
    known = {
        "table_name": plan.curated_name, "tenant_id": plan.tenant, "window_start": window.start - timedelta(days=7),
        "as_of_date": window.as_of_date - timedelta(days=7), "generation": 1, "event": "publish", "rows": 1000,
        "append_id": OTHER,
    }  # fmt: skip
    values = {name: (known.get(name), kind) for name, kind in dbsql.LOG}
    running_lakehouse.statements().execute(dbsql.insert_log(plan), values)
    rows, source = spoilt(plan, window)
    manifest = stage(plan, window, rows, staging, source_rows=source)
    loaded = running_lakehouse.append(plan, window, manifest, staging)
    return Case(ruled(plan), window, manifest, staging), loaded, running_lakehouse


def judged(bad_append, plan=None, **changed) -> GateReport:
    case, loaded, lakehouse = bad_append
    plan, manifest = plan or case.plan, changed.get("manifest", case.manifest)
    world = (lakehouse.landing(case.plan), lakehouse.statements())
    return check_load(plan, case.window, manifest, changed.get("loaded", loaded), *world)


@pytest.mark.sandbox
def test_without_any_rule_the_bad_append_passes_and_with_them_each_is_red(bad_append):
    loose, strict_one = judged(bad_append), judged(bad_append, ruled(bad_append[0].plan, *RULES))

    assert broken(loose) == set()
    assert {r.rule: r.outcome for r in strict_one.results if r.rule.startswith("the_")} == {
        check.id: "fail" for check in RULES
    }


# --- the rules that no contract can take away: here their functions are


def removed(monkeypatch: pytest.MonkeyPatch, function: str, gone: str) -> None:
    """From here on the gates do not know the rule."""
    real = getattr(gates, function)

    def without_it(*arguments: Any) -> Any:
        found = real(*arguments)
        if isinstance(found, CheckResult):
            return strict(gone, True, "removed", "removed")
        return [result for result in found if result.rule != gone]

    monkeypatch.setattr(gates, function, without_it)


Fault = Callable[[Case], Case]


def other_window(case: Case) -> Case:
    return replace(case, manifest=replace(case.manifest, window_end=case.window.end + timedelta(days=1)))


def other_bytes(case: Case) -> Case:
    """The same rows, written again."""
    path = case.staging.path(case.plan, case.manifest.load_id) / "part-00000.parquet"
    pq.write_table(pq.read_table(path), path, compression="gzip")
    part = replace(case.manifest.parts[0], bytes=path.stat().st_size)
    return replace(case, manifest=replace(case.manifest, parts=(part,)))


def one_column_more(case: Case) -> Case:
    schema = arrow_schema(case.plan).append(pa.field("extra", pa.string()))
    rows = [{**row, "extra": "x"} for row in good_rows(case.plan, case.window)]
    path = case.staging.path(case.plan, case.manifest.load_id) / "part-00000.parquet"
    part = write_part(path, pa.Table.from_pylist(rows, schema))
    return replace(case, manifest=replace(case.manifest, parts=(part,)))


def staged_again(case: Case, rows: list[Row], source: list[Row] | None = None) -> Case:
    again = "20261122T020000Z-again1"
    manifest = stage(case.plan, case.window, rows, case.staging, source_rows=source, parts=1, load_id=again)
    return replace(case, manifest=manifest)


def a_strangers_row(case: Case) -> Case:
    rows = good_rows(case.plan, case.window)
    rows[0]["_source_tenant"] = "somebody else"
    return staged_again(case, rows)


def a_lost_row(case: Case) -> Case:
    rows = good_rows(case.plan, case.window)
    rows[0]["amount"] = Decimal(0)
    return staged_again(case, rows[1:], rows)


def another_sum(case: Case) -> Case:
    rows = good_rows(case.plan, case.window)
    source = [dict(row) for row in rows]
    rows[0]["amount"] += 1
    return staged_again(case, rows, source)


def no_row(case: Case) -> Case:
    return staged_again(case, [])


# the rule → the function that judges it, and a load that breaks it alone
ALWAYS: dict[str, tuple[str, Fault]] = {
    "manifest": ("check_manifest", other_window),
    "files": ("check_files", other_bytes),
    "schema": ("check_schema", one_column_more),
    "tenant_purity": ("check_tenant", a_strangers_row),
    "rows_reconcile": ("check_rows", a_lost_row),
    "amount_sum": ("check_sums", another_sum),
    "not_empty": ("_every_rule", no_row),
}


@pytest.fixture
def good_files(tmp_path) -> Case:
    plan = ruled(plan_of("acme", "orders"))
    window, staging = window_of_plan(plan), Staging(tmp_path)
    return Case(plan, window, stage(plan, window, good_rows(plan, window), staging, parts=1), staging)


def test_every_rule_that_always_holds_has_a_case(good_files):
    assert {result.rule for result in good_files.staged().results} == set(ALWAYS)


@pytest.mark.parametrize("name", ALWAYS)
def test_without_a_rule_that_always_holds_the_bad_files_pass(name, good_files, monkeypatch):
    function, fault = ALWAYS[name]
    bad = fault(good_files)
    red = bad.staged()
    removed(monkeypatch, function, name)
    loose = bad.staged()

    assert (red.outcome, broken(red)) == ("fail", {name})
    assert broken(loose) == set()


# --- the same of an append


def copied(bad_append, where: str = "true", **values: str) -> Loaded:
    """Another append of the same rows, some with other values."""
    case, loaded, lakehouse = bad_append
    made = {"_append_id": "CAST(:copy AS STRING)", **values}
    columns = ", ".join(f"{made.get(name, name)} AS {name}" for name, _ in dbsql.curated_columns(case.plan.contract))
    found: Loaded = replace(loaded, append_id=str(uuid4()))
    names = {"append": (loaded.append_id, "STRING"), "copy": (found.append_id, "STRING")}
    table = case.plan.curated
    sql = f"INSERT INTO {table} SELECT {columns} FROM {table} WHERE _append_id = :append AND {where}"
    lakehouse.statements().execute(sql, names)
    return found


def first(case: Case, name: str, otherwise: str) -> str:
    """SQL: another value in the window's first row."""
    return (
        f"CASE WHEN order_id = {good_rows(case.plan, case.window, 1)[0]['order_id']} THEN {otherwise} ELSE {name} END"
    )


def broken_append(name: str, bad_append) -> dict[str, Any]:
    """How the call of check_load differs from that of a good append, so that the rule alone is broken."""
    case, loaded, _ = bad_append
    if name == "manifest":
        return {"manifest": other_window(case).manifest}
    if name == "schema":
        columns = tuple(replace(c, name="more") if c.name == "status" else c for c in case.plan.contract.columns)
        return {"plan": replace(case.plan, contract=replace(case.plan.contract, columns=columns))}
    if name == "rows_reconcile":
        return {"loaded": replace(loaded, rows=loaded.rows + 1)}
    if name == "tenant_purity":
        return {"loaded": copied(bad_append, tenant_id=first(case, "tenant_id", "'globex'"))}
    if name == "amount_sum":
        return {"loaded": copied(bad_append, amount=f"CAST({first(case, 'amount', 'amount + 1')} AS DECIMAL(18,2))")}
    if name == "key_in_other_window":
        week = f"TIMESTAMP '{(case.window.start - timedelta(days=7)):%Y-%m-%d %H:%M:%S}'"
        key = good_rows(case.plan, case.window, 1)[0]["order_id"]
        copied(
            bad_append, f"order_id = {key}", order_id="CAST(-5 AS BIGINT)", window_start=week, _append_id=f"'{OTHER}'"
        )
        return {"loaded": copied(bad_append, order_id=f"CAST({first(case, 'order_id', '-5')} AS BIGINT)")}
    assert name == "not_empty"
    staging = Staging(case.staging.root / "empty")
    manifest = stage(case.plan, case.window, [], staging, load_id="20261122T020000Z-empty1")
    bad_append[2].landing(case.plan).upload(case.plan, case.window, manifest, staging)
    return {"manifest": manifest, "loaded": Loaded(append_id=str(uuid4()), rows=0, run_id=1, run_page_url="x")}


# the rule → the function that judges it
APPENDED = {
    "manifest": "check_manifest",
    "schema": "check_table",
    "tenant_purity": "check_append",
    "rows_reconcile": "check_append",
    "amount_sum": "check_loaded_sums",
    "not_empty": "_every_rule",
    "key_in_other_window": "check_keys",
}


@pytest.mark.sandbox
def test_every_rule_that_always_holds_of_an_append_has_a_case(bad_append):
    assert {result.rule for result in judged(bad_append).results} == set(APPENDED)


@pytest.mark.sandbox
@pytest.mark.parametrize("name", APPENDED)
def test_without_a_rule_that_always_holds_the_bad_append_passes(name, bad_append, monkeypatch):
    call = broken_append(name, bad_append)

    red = judged(bad_append, **call)
    # where others were asked as well, and passed, taking the rule away leaves a gate that is open
    if name in ("manifest", "schema"):
        removed(monkeypatch, APPENDED[name], name)
        assert broken(judged(bad_append, **call)) == set()

    assert (red.outcome, broken(red)) == ("fail", {name})
