"""How Airflow is told to try again: by the kind, within the tier's retries, anew after a clear."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException

from tenantdags.dag.factory import build_dag
from tenantdags.dag.retries import ByKind
from tenantdags.model import errors
from tests.dag.plans import plan_of


def decided(error: BaseException, try_number: int = 1, max_tries: int = 3, retries: int = 3):
    task = SimpleNamespace(retries=retries, retry_delay=timedelta(minutes=5))
    context: Any = {"task": task}
    return ByKind().evaluate(error, try_number, max_tries, context)


def as_airflow(error: errors.RunError) -> AirflowException:
    wrapped = AirflowException(str(error))
    wrapped.__cause__ = error
    return wrapped


DOWN = as_airflow(errors.SourceUnreachable("acme orders", "no answer.", "Wait."))
BROKEN = as_airflow(errors.DatabricksRun("acme orders", "it ended.", "Look."))


def test_an_outage_is_waited_for_longer_and_longer():
    found = [decided(DOWN, n) for n in (1, 2, 3)]

    assert [each.retry_delay for each in found] == [timedelta(minutes=n) for n in (5, 10, 20)]
    assert found[0].reason == "source.unreachable: retry 1 of 3 after 0:05:00"


def test_a_notebook_that_failed_is_run_once_more():
    first, second = decided(BROKEN), decided(BROKEN, 2)

    assert (first.action, first.retry_delay) == (RetryAction.RETRY, timedelta(minutes=1))
    assert (second.action, second.reason) == (RetryAction.FAIL, "databricks.run: not tried again")


def test_what_no_try_can_mend_fails_at_once():
    assert decided(errors.DriftBreaking("w", "x", "y")).action == RetryAction.FAIL


def test_after_a_clear_the_retries_begin_anew():
    assert decided(BROKEN, try_number=5, max_tries=7).action == RetryAction.RETRY  # cleared after four tries


def test_an_error_of_ours_that_we_do_not_know_is_internal():
    assert decided(KeyError("x")).reason == "internal: retry 1 of 3 after 0:05:00"


def test_every_task_is_tried_again_by_it():
    plan = plan_of("acme", "orders")
    dag = build_dag(plan)

    assert {type(task.retry_policy) for task in dag.tasks} == {ByKind}
    assert {task.retries for task in dag.tasks} == {plan.schedule.retries}
