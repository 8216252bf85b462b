"""Soda is believed only where it says, for exactly the rules of the plan, what their thresholds say."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import pytest

from tenantdags.model.contract import Check, Threshold
from tenantdags.steps.soda_contract import to_yaml
from tenantdags.steps.soda_run import evaluate, on_duckdb
from tests.steps.staged import ROOT, plan_of

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
CONTRACT = plan_of("acme", "orders").contract
GIVEN = Check(id="order_id_required", kind="required", name="x", dimension="x", columns=("order_id",))
FLOOR = Check(
    id="floor", kind="row_count", name="x", dimension="x", threshold=Threshold(operator=">", values=(10,))
)  # fmt: skip
FRESH = Check(
    id="fresh", kind="freshness", name="x", dimension="x", columns=("updated_at",), arguments=("hour",),
    threshold=Threshold(operator="<", values=(24,)),
)  # fmt: skip


@pytest.fixture
def source():
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TABLE data AS SELECT i::BIGINT AS order_id, TIMESTAMPTZ '2026-11-21 12:00:00+00' AS updated_at "
        "FROM range(5) t(i)"
    )
    yield on_duckdb(connection, "staged")
    connection.close()


def yaml_of(*checks: Check) -> str:
    return to_yaml(CONTRACT, checks, "staged/main/data", "data", None, '"')


def found(source, text, *checks):
    return [(r.rule, r.outcome, r.value) for r in evaluate(source, text, checks, AS_OF)]


def test_measured_values_come_back_with_their_rule(source):
    assert found(source, yaml_of(GIVEN, FLOOR), GIVEN, FLOOR) == [
        ("order_id_required", "pass", "0 missing order_id"), ("floor", "fail", "5 rows"),
    ]  # fmt: skip


def test_freshness_is_measured_from_the_windows_end_not_from_now(source):
    said = "12 hours from the newest updated_at to the window's end"

    assert found(source, yaml_of(FRESH), FRESH) == [("fresh", "pass", said)]


def test_a_rule_that_soda_was_not_given_is_an_error(source):
    assert found(source, yaml_of(FLOOR), GIVEN, FLOOR)[0] == ("order_id_required", "error", "came back 0 times")


def test_a_result_that_no_rule_asked_for_is_an_error(source):
    assert found(source, yaml_of(GIVEN, FLOOR), GIVEN)[1] == ("floor", "error", "a result no rule asked for")


def test_a_threshold_that_got_lost_on_the_way_is_an_error_though_soda_lets_it_pass(source):
    text = yaml_of(FLOOR).replace('"must_be_greater_than": 10', '"must_be_greater_then": 10')

    assert found(source, text, FLOOR) == [
        ("floor", "error", "5 rows: Soda says pass, the plan's threshold says fail")
    ]  # fmt: skip


def test_a_threshold_without_a_comparison_is_an_error(source):
    text = yaml_of(GIVEN).replace('"must_be": 0', '"level": "fail"')

    assert found(source, text, GIVEN)[0][:2] == ("order_id_required", "pass")  # Soda's default is the same rule
    text = yaml_of(FLOOR).replace('"must_be_greater_than": 10', '"must_be_between": {"greater_than": 3}')
    assert found(source, text, FLOOR)[0][1] == "error"


def test_no_rule_can_read_the_environment():
    nosy = Check(id="nosy", kind="sql", name="x", dimension="x", arguments=("SELECT '${env.HOME}' FROM ${table}",))

    with pytest.raises(ValueError, match=r"orders\.v1\.odcs\.yaml: a rule holds '\$\{'"):
        yaml_of(nosy)


def test_no_rules_ask_nothing(source):
    assert evaluate(source, "", (), AS_OF) == ()


ALONE = """
from opentelemetry import trace
before = trace.get_tracer_provider()
import duckdb
from tenantdags.steps.soda_run import on_duckdb
on_duckdb(duckdb.connect(), "staged")
import soda_core.telemetry.soda_telemetry
assert trace.get_tracer_provider() is before, "Soda took the tracer provider"
"""


def test_importing_soda_leaves_airflows_traces_alone():
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env={"PYTHONPATH": str(ROOT / "plugins")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
