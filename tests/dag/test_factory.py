"""What a plan becomes in Airflow, to the letter."""

import dataclasses
import json
from collections.abc import MutableMapping
from datetime import timedelta

import pendulum
import pytest
from airflow.sdk import Asset
from airflow.serialization.serialized_objects import DagSerialization

from benchmarks.plain_dag import plain_dag
from tenantdags.dag.factory import EXTRACT_TIMEOUT, STEP_TIMEOUT, build_dag, build_dags
from tenantdags.dag.timetable import TenantTimetable
from tenantdags.model.project import load_project
from tests.dag.plans import ROOT, plan_of

CHAIN = ["extract", "check_extract", "upload", "load", "check_load", "publish", "summarise"]


@pytest.fixture(scope="module")
def dag():
    return build_dag(plan_of("acme", "orders"))


def test_the_tasks_stand_in_one_line(dag):
    edges = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}

    assert edges == {
        "extract": ["check_extract"],
        "check_extract": ["upload"],
        "upload": ["load"],
        "load": ["check_load"],
        "check_load": ["publish"],
        "publish": ["summarise"],
        "summarise": [],
    }


def test_only_summarise_runs_whatever_happened_and_it_has_no_say_in_the_state(dag):
    rules = {task.task_id: task.trigger_rule.value for task in dag.tasks}
    summarise = dag.get_task("summarise")

    assert rules == dict.fromkeys(CHAIN[:-1], "all_success") | {"summarise": "all_done_setup_success"}
    assert (summarise.is_teardown, summarise.on_failure_fail_dagrun) == (True, False)


def test_the_schedule_is_the_plans(dag):
    plan = plan_of("acme", "orders")

    assert dag.timetable == TenantTimetable("day", "Europe/Berlin", timedelta(hours=3) + plan.schedule.jitter)
    assert timedelta(0) <= plan.schedule.jitter < timedelta(minutes=10)
    assert dag.start_date == pendulum.datetime(2026, 11, 1, tz="Europe/Berlin")
    assert (dag.catchup, dag.max_active_runs, dag.is_paused_upon_creation) == (True, 1, False)


def test_a_snapshot_is_scheduled_only_while_it_can_be_observed():
    assert observe_within(plan_of("acme", "customers")) == timedelta(hours=48)


def test_a_snapshot_contract_that_does_not_say_has_one_window_of_time():
    plan = plan_of("acme", "customers")
    rule = dataclasses.replace(plan.contract.window, observe_within=None)
    silent = dataclasses.replace(plan, contract=dataclasses.replace(plan.contract, window=rule))

    assert observe_within(silent) == timedelta(hours=24)


def observe_within(plan):
    timetable = build_dag(plan).timetable
    assert isinstance(timetable, TenantTimetable)
    return timetable.observe_within


def test_retries_come_from_the_tier():
    retries = {t: build_dag(plan_of(t, "orders")).get_task("extract").retries for t in ("acme", "globex", "northwind")}

    assert retries == {"acme": 3, "globex": 2, "northwind": 1}


def test_no_task_runs_for_ever(dag):
    timeouts = {task.task_id: task.execution_timeout for task in dag.tasks}

    assert timeouts == dict.fromkeys(CHAIN, STEP_TIMEOUT) | {"extract": EXTRACT_TIMEOUT}


def test_publish_alone_emits_the_one_asset(dag):
    outlets = {task.task_id: task.outlets for task in dag.tasks if task.outlets or task.inlets}

    assert outlets == {"publish": [Asset(name="acme/orders", uri="x-tenant://prod/orders/acme", group="tenantdags")]}


def test_tags_and_owner(dag):
    assert dag.tags == {"tenant:acme", "table:orders", "tier:gold"}
    assert dag.owner == plan_of("acme", "orders").contract.owner


def test_the_page_says_what_on_call_asks_first(dag):
    plan = plan_of("acme", "orders")

    assert dag.doc_md == (
        "### Acme Ltd: orders\n\n"
        f"{plan.contract.purpose}\n\n"
        f"- **Grain**: {plan.contract.grain}\n"
        f"- **Contract**: `include/contracts/orders.v1.odcs.yaml`, version {plan.contract.version}\n"
        "- **Window**: day of Europe/Berlin, from 2026-11-01 on\n"
        "- **Source**: `shared_sales.dbo.Orders` by connection `mssql_shared1`\n"
        "- **Readers see**: `prod.serving.orders`\n"
        f"- **Owner**: {plan.contract.owner}\n"
        f"- **Runbook**: {plan.contract.runbook}\n"
        "- **Config**: `config/tenants/acme.yaml`\n"
    )


def test_load_waits_in_the_triggerer_and_keeps_no_durable_job(dag):
    load = dag.get_task("load")
    plan = plan_of("acme", "orders").databricks

    assert (load.deferrable, load.durable, load.databricks_conn_id) == (True, False, plan.connection)
    assert load.polling_period_seconds == plan.poll_seconds


def test_nothing_is_templated(dag):
    assert {task.task_id: tuple(task.template_fields) for task in dag.tasks} == dict.fromkeys(CHAIN, ())


def test_deadlines_are_the_promise_and_the_warning_before_it(dag):
    references = [(alert.reference.ready_by, alert.reference.ahead, alert.interval) for alert in dag.deadline]

    assert references == [("06:00:00", 0.0, timedelta()), ("06:00:00", 2700.0, timedelta())]


def test_without_sla_there_is_no_deadline():
    assert build_dag(plan_of("acme", "orders", sla=None)).deadline is None


def test_every_plan_is_one_dag():
    plans = load_project(ROOT).plans

    dags = build_dags(plans)

    assert [dag.dag_id for dag in dags] == [f"{plan.tenant}__{plan.table}" for plan in plans]
    assert len({dag.dag_id for dag in dags}) == 9


def test_a_serialised_dag_can_be_read_back(dag):
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))

    assert read.timetable == dag.timetable
    assert sorted(read.task_ids) == sorted(CHAIN)


def test_copied_tasks_are_what_airflow_constructs():
    for plan in load_project(ROOT).plans:
        ours, plain = build_dag(plan), plain_dag(plan)
        plain.fileloc = ours.fileloc

        assert [attributes(task) for task in ours.tasks] == [attributes(task) for task in plain.tasks]
        assert all(task.dag is ours and task.task_group == ours.task_group for task in ours.tasks)
        assert json.dumps(DagSerialization.to_dict(ours)) == json.dumps(DagSerialization.to_dict(plain))


def attributes(task):
    """But the arguments it was constructed with, which Airflow asks for where tasks are mapped or templated."""
    own = {"_dag", "task_group", "_BaseOperator__init_kwargs"}
    said = {name: value for name, value in vars(task).items() if name not in own}
    return type(task), said | {"retry_policy": type(task.retry_policy)}


def test_what_is_changed_in_one_dag_changes_no_other(dag):
    other = build_dag(plan_of("globex", "orders"))

    for task, twin in zip(dag.tasks, other.tasks, strict=True):
        changeable = {n for n, v in vars(task).items() if isinstance(v, list | set | MutableMapping)}
        assert {"upstream_task_ids", "on_failure_callback", "executor_config", "params"} <= changeable
        assert [n for n in changeable if getattr(task, n) is getattr(twin, n)] == []
