"""The keys beside a broken rule: of rows that do break it, capped, and never anybody's personal data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tenantdags.model.contract import Pii
from tenantdags.steps.failing_keys import SHOWN
from tenantdags.steps.gates import check_extract
from tenantdags.steps.report import GateReport
from tenantdags.steps.staging import Staging
from tests.steps.staged import good_rows, plan_of, stage, window_of_plan
from tests.steps.test_check_extract import SPOILS

ORDERS = [rule for table, rule in SPOILS if table == "orders" and rule != "volume_floor"]


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path)


def judged(plan, staging, rows, load_id="20261122T020000Z-abc123") -> GateReport:
    window = window_of_plan(plan)
    return check_extract(plan, window, stage(plan, window, rows, staging, load_id=load_id), staging)


def keys_of(report: GateReport, rule: str) -> tuple[str, ...]:
    return next(r.failing_keys for r in report.results if r.rule == rule)


@pytest.mark.parametrize("rule", ORDERS)
def test_each_rule_about_rows_names_one_that_breaks_it(rule, staging):
    plan = plan_of("acme", "orders")
    rows = good_rows(plan, window_of_plan(plan))
    whole = [str(row["order_id"]) for row in rows]
    SPOILS[("orders", rule)](rows)

    found = keys_of(judged(plan, staging, rows), rule)

    wanted = {"order_id_required": ("None",), "pk_unique": (whole[4],), "email_null_pct": tuple(whole[:3])}
    assert found == wanted.get(rule, (whole[3],))


def test_a_rule_about_the_whole_names_no_row(staging):
    plan = plan_of("acme", "orders")
    rows = good_rows(plan, window_of_plan(plan))[:100]

    report = judged(plan, staging, rows)

    assert next(r.outcome for r in report.results if r.rule == "volume_floor") == "fail"
    assert report.keys == {}


def test_a_good_load_names_none_and_xcom_never_any(staging):
    plan = plan_of("acme", "orders")
    rows = good_rows(plan, window_of_plan(plan))
    assert judged(plan, staging, rows).keys == {}
    for row in rows[:90]:
        row["status"] = "LOST"

    report = judged(plan, staging, rows, "20261122T020000Z-def456")

    assert len(keys_of(report, "status_enum")) == SHOWN
    assert "failing_keys" not in json.dumps(report.to_dict())
    assert GateReport.from_dict(report.to_dict()).keys == {}


def test_a_hashed_key_is_shown_by_a_few_digits_of_its_hash(staging):
    plan = plan_of("acme", "customers")
    rows = good_rows(plan, window_of_plan(plan))
    rows[3]["is_active"] = None

    (key,) = keys_of(judged(plan, staging, rows), "is_active_required")

    column = next(c for c in plan.contract.columns if c.name == "customer_id")
    assert key == (f"#{rows[3]['customer_id'][:12]}" if column.hashed else str(rows[3]["customer_id"]))


def test_a_personal_key_in_clear_is_hashed(staging):
    plan: Any = plan_of("acme", "orders")
    rows = good_rows(plan, window_of_plan(plan))
    rows[3]["status"] = None
    clear = Pii(category="identifier", handling="keep")
    columns = tuple(replace(c, pii=clear) if c.name == "order_id" else c for c in plan.contract.columns)
    plan = replace(plan, contract=replace(plan.contract, columns=columns))

    (key,) = keys_of(judged(plan, staging, rows), "status_required")

    assert key.startswith("#")
    assert str(rows[3]["order_id"]) not in key
