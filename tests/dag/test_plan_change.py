"""A tenant file edited while a run goes on: steps that still fit go on by the new file, the others refuse."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tenantdags.dag import run
from tenantdags.dag.load_operator import LoadOperator
from tenantdags.dag.operators import ExtractOperator, StepOperator
from tenantdags.model.window import day_window
from tests.dag.plans import plan_of

PLAN = plan_of("acme", "orders")
WINDOW = day_window(PLAN.schedule.first_window, PLAN.schedule.time_zone)
MOVED = replace(PLAN, source=replace(PLAN.source, database="elsewhere"), staging=replace(PLAN.staging, url="file:///x"))
STEERED = replace(PLAN, tenant_name="New", lookback=9, databricks=replace(PLAN.databricks, poll_seconds=9))
SAID = (
    "acme orders 2026-11-01: config.invalid: source, staging.url changed since extract of this run, "
    "so what it staged is not what config/tenants/acme.yaml and include/contracts/orders.v1.odcs.yaml ask for now. "
    "Remedy: Clear `extract` with its downstream to run by the files as they are."
)


class Step(StepOperator):
    """A step that only notes that it was done."""

    done = False

    def step(self, window, context):
        Step.done = True


class ExtractOnly(ExtractOperator):
    def step(self, window, context):
        """Reads nothing."""


class Ti:
    """A task of a run; what was told before is shared by all of them."""

    try_number, run_id, dag_id, map_index = 1, "scheduled__1", "acme__orders", -1

    def __init__(self, task_id, told):
        self.task_id, self.told = task_id, told

    def xcom_push(self, key, value):
        self.told[self.task_id, key] = value

    def xcom_pull(self, task_ids, key):
        return self.told.get((task_ids, key))


def context_of(task_id, told):
    ti = Ti(task_id, told)
    interval = {"data_interval_start": WINDOW.start, "data_interval_end": WINDOW.end}
    return interval | {"ti": ti, "run_id": ti.run_id, "dag_run": SimpleNamespace(clear_number=0, run_type="scheduled")}


@pytest.fixture
def told():
    """What stands in XCom once extract has run by the plan as it was."""
    told: dict[tuple[str, str], object] = {}
    ExtractOnly(plan=PLAN, task_id="extract").execute(context_of("extract", told))
    Step.done = False
    return told


def test_a_step_by_the_same_plan_is_done(told):
    Step(plan=PLAN, task_id="upload").execute(context_of("upload", told))

    assert Step.done


def test_a_step_takes_new_settings_that_do_not_touch_the_data(told):
    Step(plan=STEERED, task_id="upload").execute(context_of("upload", told))

    assert Step.done


def test_a_step_whose_plan_asks_for_other_data_refuses_and_names_what_changed(told):
    with pytest.raises(AirflowFailException) as refused:
        Step(plan=MOVED, task_id="upload").execute(context_of("upload", told))

    assert str(refused.value) == SAID
    assert told["upload", "error"] == {"kind": "config.invalid", "text": SAID}
    assert not Step.done


def test_extract_cleared_goes_by_the_new_plan_and_the_steps_behind_it_too(told):
    ExtractOnly(plan=MOVED, task_id="extract").execute(context_of("extract", told))
    Step(plan=MOVED, task_id="upload").execute(context_of("upload", told))

    assert Step.done


def test_load_refuses_before_it_submits_anything(told):
    with pytest.raises(AirflowFailException) as refused:
        LoadOperator(plan=MOVED, task_id="load").execute(context_of("load", told))

    assert str(refused.value) == SAID


def test_a_load_that_waited_while_the_file_changed_refuses_what_it_loaded(told):
    with pytest.raises(AirflowFailException) as refused:
        LoadOperator(plan=MOVED, task_id="load").execute_complete(context_of("load", told), {"run_id": 1})

    assert str(refused.value) == SAID


def test_an_extract_that_told_nothing_is_what_the_next_step_complains_of():
    run.require_same_plan(PLAN, WINDOW, context_of("upload", {}))

    with pytest.raises(AirflowFailException, match="extract left no manifest"):
        run.the_manifest(context_of("upload", {}))
