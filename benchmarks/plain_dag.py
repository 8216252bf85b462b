"""A table's DAG as a plain Airflow DAG file says it: `with DAG`, an operator per task, `>>`."""

from typing import Any

from airflow.sdk import DAG

from tenantdags.dag.factory import EXTRACT_TIMEOUT, STEP_TIMEOUT, WEIGHT_RULE, dag_arguments, outlet
from tenantdags.dag.load_operator import LoadOperator
from tenantdags.dag.operators import (
    CheckExtractOperator,
    CheckLoadOperator,
    ExtractOperator,
    PublishOperator,
    SummariseOperator,
    UploadOperator,
)
from tenantdags.dag.retries import ByKind
from tenantdags.model.plan import TablePlan


def plain_dag(plan: TablePlan) -> DAG:
    """Equal to `build_dag` of the same plan; a test says so."""
    each: dict[str, Any] = {
        "plan": plan,
        "owner": plan.contract.owner or plan.group,
        "retries": plan.schedule.retries,
        "retry_policy": ByKind(),
        "priority_weight": plan.schedule.priority,
        "weight_rule": WEIGHT_RULE,
    }
    with DAG(**dag_arguments(plan)) as dag:
        extract = ExtractOperator(
            task_id="extract", pool=plan.pools.source, execution_timeout=EXTRACT_TIMEOUT, **each
        )
        each["execution_timeout"] = STEP_TIMEOUT
        check_extract = CheckExtractOperator(task_id="check_extract", **each)
        upload = UploadOperator(task_id="upload", **each)
        load = LoadOperator(task_id="load", pool=plan.pools.curated, **each)
        check_load = CheckLoadOperator(task_id="check_load", **each)
        publish = PublishOperator(task_id="publish", outlets=[outlet(plan)], **each)
        summarise = SummariseOperator(task_id="summarise", **each)
        extract >> check_extract >> upload >> load >> check_load >> publish
        publish >> summarise.as_teardown(on_failure_fail_dagrun=False)
    return dag
