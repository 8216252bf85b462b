"""Plans become DAGs: one per tenant and table, one run per window."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from copy import copy
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from tenantdags.dag import run
from tenantdags.dag.alerts import sla_miss_arguments
from tenantdags.dag.deadline import WindowDeadline
from tenantdags.dag.load_operator import LoadOperator
from tenantdags.dag.operators import (
    CheckExtractOperator,
    CheckLoadOperator,
    ExtractOperator,
    PublishOperator,
    SummariseOperator,
    UploadOperator,
)
from tenantdags.dag.priority import InTimeFirst
from tenantdags.dag.retries import ByKind
from tenantdags.dag.timetable import TenantTimetable
from tenantdags.model.plan import SlaPlan, TablePlan
from tenantdags.model.window import day_window

EXTRACT_TIMEOUT = timedelta(hours=6)
STEP_TIMEOUT = timedelta(hours=1)
WEIGHT_RULE = f"{InTimeFirst.__module__}.{InTimeFirst.__qualname__}"


def build_dags(plans: Iterable[TablePlan]) -> list[DAG]:
    return [build_dag(plan) for plan in plans]


def build_dag(plan: TablePlan) -> DAG:
    """What constructing every task would make, in half the time: most of a DAG's cost is Airflow's constructors."""
    dag = DAG(**dag_arguments(plan))
    for task, changeable in _pattern():
        dag.add_task(_of_table(plan, task, changeable))
    return dag


@cache
def _pattern() -> list[tuple[Any, list[str]]]:
    """The tasks of any table, and which of their attributes can be changed in place.

    They hold no plan, nor anything else of a table, so that no table's DAG can hold another's.
    """
    each: dict[str, Any] = {"retry_policy": ByKind(), "weight_rule": WEIGHT_RULE, "execution_timeout": STEP_TIMEOUT}
    with DAG("pattern", schedule=None, auto_register=False) as dag:
        extract = ExtractOperator(task_id=run.EXTRACT, **{**each, "execution_timeout": EXTRACT_TIMEOUT})
        check_extract = CheckExtractOperator(task_id=run.CHECK_EXTRACT, **each)
        upload = UploadOperator(task_id=run.UPLOAD, **each)
        # Waiting for Databricks happens in the triggerer, under the plan's own timeout.
        load = LoadOperator(task_id=run.LOAD, **each)
        check_load = CheckLoadOperator(task_id=run.CHECK_LOAD, **each)
        publish = PublishOperator(task_id=run.PUBLISH, **each)
        summarise = SummariseOperator(task_id=run.SUMMARISE, **each)

        # publish sits directly behind check_load, or a red gate would still let data through.
        extract >> check_extract >> upload >> load >> check_load >> publish
        # A leaf that always runs would turn red runs green; a teardown has no say in the run's state.
        publish >> summarise.as_teardown(on_failure_fail_dagrun=False)
    containers = list, set, MutableMapping
    return [(task, [n for n, value in vars(task).items() if isinstance(value, containers)]) for task in dag.tasks]


def _of_table(plan: TablePlan, pattern: Any, changeable: list[str]) -> Any:
    task = copy(pattern)
    # Into the object itself, as where Airflow copies operators: a setter would refuse to leave the pattern's DAG.
    state = vars(task)
    state.update({name: copy(state[name]) for name in changeable}, _dag=None, task_group=None, start_date=None)
    task.use(plan)
    task.owner = plan.contract.owner or plan.group
    task.retries = plan.schedule.retries
    task.priority_weight = plan.schedule.priority
    if task.task_id == run.EXTRACT:
        task.pool = plan.pools.source
    if task.task_id == run.LOAD:
        task.pool = plan.pools.curated
    if task.task_id == run.PUBLISH:
        task.outlets = [outlet(plan)]
    return task


def outlet(plan: TablePlan) -> Asset:
    return Asset(name=f"{plan.tenant}/{plan.table}", uri=plan.asset_uri, group="tenantdags")


def dag_arguments(plan: TablePlan) -> dict[str, Any]:
    """The arguments of DAG()."""
    schedule = plan.schedule
    return {
        "dag_id": plan.dag_id,
        "schedule": TenantTimetable(
            schedule.every, schedule.time_zone, schedule.settle + schedule.jitter, _observe_within(plan)
        ),
        "start_date": _start(plan),
        "catchup": True,
        "max_active_runs": 1,
        "is_paused_upon_creation": schedule.paused_on_creation,
        "description": plan.contract.purpose,
        "doc_md": _documentation(plan),
        "tags": {f"tenant:{plan.tenant}", f"table:{plan.table}", f"tier:{plan.tier}"},
        "deadline": _deadlines(plan),
        "auto_register": False,
    }


def _start(plan: TablePlan) -> datetime:
    start = day_window(plan.schedule.first_window, plan.schedule.time_zone).start
    return pendulum.instance(start).in_timezone(plan.schedule.time_zone)


def _observe_within(plan: TablePlan) -> timedelta | None:
    """Snapshots only: how long after its end a window may still be observed; without a word, one window."""
    if plan.contract.mode != "snapshot":
        return None
    return plan.contract.window.observe_within or timedelta(hours=1 if plan.schedule.every == "hour" else 24)


def _deadlines(plan: TablePlan) -> list[DeadlineAlert] | None:
    if plan.sla is None:
        return None
    early = [plan.sla.warn_before] if plan.sla.warn_before else []
    return [_deadline(plan, plan.sla, ahead) for ahead in (timedelta(), *early)]


def _deadline(plan: TablePlan, sla: SlaPlan, ahead: timedelta) -> DeadlineAlert:
    callback = AsyncCallback("tenantdags.dag.alerts.on_sla_miss", kwargs=sla_miss_arguments(plan, ahead))
    name = f"{ahead} ahead" if ahead else "ready"
    return DeadlineAlert(WindowDeadline.of(plan, sla, ahead), timedelta(), callback, name=name)


def _documentation(plan: TablePlan) -> str:
    """What neither the graph nor the schedule's own words show. Airflow stores it per DAG."""
    contract, schedule, source = plan.contract, plan.schedule, plan.source
    facts = {
        "Grain": contract.grain,
        "Contract": f"`{contract.file}`, version {contract.version}",
        "Window": f"{schedule.every} of {schedule.time_zone}, from {schedule.first_window} on",
        "Source": f"`{source.database}.{source.schema}.{source.table}` by connection `{source.connection}`",
        "Readers see": f"`{plan.serving}`",
        "Owner": contract.owner or plan.group,
        "Runbook": contract.runbook or "none",
        "Config": f"`{plan.file}`",
    }
    lines = "\n".join(f"- **{word}**: {fact}" for word, fact in facts.items())
    return f"### {plan.tenant_name}: {plan.table}\n\n{contract.purpose}\n\n{lines}\n"
