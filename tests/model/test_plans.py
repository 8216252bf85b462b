"""The plans of the example tenants, whole; and what makes a plan the same everywhere."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantdags.model.plan_text import to_text
from tenantdags.model.project import load_project, load_tenant
from tenantdags.model.resolve import jitter_of, shifts_clock
from tenantdags.model.window import day_window, window_at
from tests.regenerate import PLANS, plan_texts

ROOT = Path(__file__).parents[2]
PRINT_ALL = """
from pathlib import Path
from tenantdags.model.plan_text import to_text
from tenantdags.model.project import load_project
for plan in load_project(Path(".")).plans:
    print(to_text(plan), repr(plan))
"""


@pytest.mark.parametrize("path", sorted(plan_texts()), ids=lambda path: path.stem)
def test_a_plan_is_what_its_golden_file_says(path):
    assert plan_texts()[path] == path.read_text()


def test_every_golden_plan_belongs_to_a_table():
    assert {path.name for path in PLANS.glob("*.txt")} == {path.name for path in plan_texts()}
    assert len(plan_texts()) == 9


def test_plans_do_not_depend_on_hash_seeds():
    def printed(seed: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins"), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PRINT_ALL]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    first = printed("1")

    assert "acme__orders" in first
    assert printed("2") == first


def test_a_plan_can_be_compared_and_hashed():
    once, again = load_tenant(ROOT, "acme"), load_tenant(ROOT, "acme")

    assert once == again
    assert len({*once, *again}) == 3


def test_a_plan_names_no_secret_and_no_place_on_this_machine():
    text = "\n".join(to_text(plan) for plan in load_project(ROOT).plans)

    assert str(ROOT) not in text
    assert "password" not in text.lower()


def test_the_table_wins_over_the_tenant_over_the_tier_over_the_defaults():
    plans = {plan.table: plan for plan in load_tenant(ROOT, "acme")}

    assert plans["orders"].schedule.settle == timedelta(hours=3)
    assert plans["customers"].schedule.settle == timedelta(hours=2)
    assert plans["orders"].schedule.retries == 3
    assert plans["orders"].schedule.every == "day"


def test_a_setting_is_replaced_and_not_merged():
    plans = {plan.table: plan for plan in load_tenant(ROOT, "acme")}
    tenant, table = plans["orders"].sla, plans["order_lines"].sla

    assert tenant is not None
    assert table is not None
    assert (tenant.ready_by is None, tenant.warn_before) == (False, timedelta(minutes=45))
    assert (table.ready_by, table.within, table.warn_before) == (None, timedelta(hours=8), None)


def test_landing_paths_of_days_and_hours():
    plan = load_tenant(ROOT, "acme")[1]
    hour = window_at(datetime(2026, 11, 21, 14, 30, tzinfo=UTC), "hour", "UTC")

    assert plan.landing.load_path(day_window(date(2026, 11, 21), "UTC"), "L1") == (
        "orders/v1/tenant_id=acme/as_of_date=2026-11-21/load_id=L1"
    )
    assert plan.landing.window_path(hour) == "orders/v1/tenant_id=acme/as_of_date=2026-11-21/window=1400Z"


@given(st.text(min_size=1, max_size=31), st.integers(1, 90_000))
def test_jitter_stays_inside_its_spread(tenant, seconds):
    spread = timedelta(seconds=seconds)

    assert timedelta() <= jitter_of(tenant, "orders", spread) < spread
    assert jitter_of(tenant, "orders", spread) == jitter_of(tenant, "orders", spread)


def test_jitter_spreads_tenants_evenly():
    offsets = [jitter_of(f"t{n}", "orders", timedelta(hours=1)) // timedelta(minutes=6) for n in range(1000)]

    assert all(60 <= offsets.count(tenth) <= 145 for tenth in range(10))
    assert jitter_of("acme", "orders", timedelta()) == timedelta()


@pytest.mark.parametrize(("zone", "shifts"), [("Europe/Berlin", True), ("UTC", False), ("Asia/Kolkata", False)])
def test_zones_with_summer_time_are_known(zone, shifts):
    assert shifts_clock(zone, date(2026, 11, 1)) is shifts
