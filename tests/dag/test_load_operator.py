"""One Databricks run per extract and per clear, whatever dies in between: the token ladder and what ends it."""

import json
from types import SimpleNamespace

import pytest
from airflow.providers.databricks.exceptions import DatabricksApiError
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from tenantdags.dag.load_operator import LoadOperator
from tenantdags.dag.trigger import LoadTrigger
from tenantdags.model.errors import DatabricksSubmit, DatabricksTimeout
from tenantdags.model.window import day_window
from tests.dag.plans import plan_of

PLAN = plan_of("acme", "orders")
WINDOW = day_window(PLAN.schedule.first_window, PLAN.schedule.time_zone)
BODY = {"run_name": "acme__orders", "tasks": []}
SUCCESS, FAILED = ("TERMINATED", "SUCCESS"), ("TERMINATED", "FAILED")
RUNNING = ("RUNNING", "")


class Workspace:
    """Databricks Jobs as far as one token means one run; `ends` are the states of the runs, in order of submission."""

    def __init__(self, *ends):
        self.ends, self.runs, self.cancelled, self.refused = list(ends), {}, [], None

    def submit_run(self, body):
        self._refuse()
        return self.runs.setdefault(body["idempotency_token"], len(self.runs) + 1)

    def get_run(self, run_id):
        self._refuse()
        life, result = self.ends[run_id - 1]
        state = {"life_cycle_state": life, "result_state": result, "state_message": "as it is"}
        return {
            "run_id": run_id,
            "state": state,
            "run_page_url": f"http://w/{run_id}",
            "tasks": [{"run_id": run_id * 10}],
        }

    def get_run_output(self, task_run_id):
        return {"error": "cannot cast 'max@example.com'"}

    def cancel_run(self, run_id):
        self._refuse()
        self.cancelled.append(run_id)

    def _refuse(self):
        if self.refused:
            raise DatabricksApiError("Response: no, Status Code: 403", http_status_code=403)


class Ti:
    dag_id, run_id, task_id, map_index = "acme__orders", "scheduled__1", "load", -1

    def __init__(self, try_number=1, max_tries=3):
        self.try_number, self.max_tries, self.xcom = try_number, max_tries, {}

    def xcom_push(self, key, value):
        self.xcom[key] = value

    def xcom_pull(self, task_ids, key):
        return self.xcom.get(key)


def context_of(ti, clear_number=0):
    return {
        "ti": ti,
        "run_id": ti.run_id,
        "dag_run": SimpleNamespace(clear_number=clear_number, run_type="scheduled"),
        "data_interval_start": WINDOW.start,
        "data_interval_end": WINDOW.end,
    }


def operator_in(workspace):
    operator = LoadOperator(plan=PLAN, task_id="load")
    operator._hook = workspace
    return operator


def taken(workspace, try_number=1, clear_number=0, load_id="20261122T010203Z-aaaaaa"):
    """The run a try of the task takes."""
    context = context_of(Ti(try_number), clear_number)
    return operator_in(workspace)._take_run(BODY, load_id, WINDOW, context)["run_id"]


def test_a_crash_takes_up_the_same_run():
    workspace = Workspace(RUNNING)

    assert (taken(workspace, try_number=1), taken(workspace, try_number=2)) == (1, 1)
    assert len(workspace.runs) == 1


def test_a_run_that_succeeded_while_nobody_looked_is_taken():
    workspace = Workspace(SUCCESS)

    assert (taken(workspace, try_number=1), taken(workspace, try_number=3)) == (1, 1)


def test_a_retry_after_a_failed_run_starts_another():
    workspace = Workspace(FAILED, RUNNING)
    taken(workspace, try_number=1)

    assert taken(workspace, try_number=2) == 2
    assert taken(workspace, try_number=3) == 2


def test_the_first_try_submits_once_even_if_its_run_fails_at_once():
    workspace = Workspace(FAILED)

    assert taken(workspace, try_number=1) == 1
    assert len(workspace.runs) == 1


def test_a_clear_starts_another_run_although_the_first_succeeded():
    workspace = Workspace(SUCCESS, RUNNING)
    taken(workspace, try_number=1, clear_number=0)

    assert taken(workspace, try_number=2, clear_number=1) == 2


def test_a_run_deleted_in_airflow_and_made_anew_does_not_find_its_old_load():
    workspace = Workspace(SUCCESS, RUNNING)
    taken(workspace, load_id="20261122T010203Z-aaaaaa")

    assert taken(workspace, load_id="20261122T020304Z-bbbbbb") == 2


def test_the_run_is_in_xcom_before_anything_waits_for_it():
    ti = Ti()

    operator_in(Workspace(RUNNING))._take_run(BODY, "20261122T010203Z-aaaaaa", WINDOW, context_of(ti))

    assert ti.xcom == {"run_id": 1, "run_page_url": "http://w/1"}


def test_waiting_is_left_to_the_triggerer_and_ends():
    workspace = Workspace(RUNNING)

    with pytest.raises(TaskDeferred) as deferred:
        operator_in(workspace)._wait_in_triggerer(workspace.get_run(1))

    assert isinstance(deferred.value.trigger, LoadTrigger)
    assert (deferred.value.timeout, deferred.value.method_name) == (PLAN.databricks.timeout, "execute_complete")


def test_the_trigger_survives_the_database():
    path, arguments = LoadTrigger(run_id=7, databricks_conn_id="databricks_default").serialize()

    assert path == "tenantdags.dag.trigger.LoadTrigger"
    assert LoadTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


def test_a_failed_run_says_why_without_quoting_a_row():
    workspace, ti = Workspace(FAILED), Ti()

    with pytest.raises(AirflowException) as failed:
        operator_in(workspace).execute_complete(context_of(ti), {"run_id": 1})

    text = (
        f"acme orders 2026-11-01: databricks.run: run 1 of {PLAN.databricks.notebook} ended FAILED: cannot cast '…'. "
        "Remedy: Look at http://w/1; clear `load` when the cause is gone."
    )
    assert str(failed.value) == text
    assert not isinstance(failed.value, AirflowFailException)
    assert ti.xcom["error"] == {"kind": "databricks.run", "text": text}


def test_a_run_that_databricks_timed_out_is_a_timeout():
    workspace = Workspace(("TERMINATED", "TIMEDOUT"))

    with pytest.raises(DatabricksTimeout):
        operator_in(workspace)._finish(workspace.get_run(1), WINDOW, context_of(Ti()))


def test_an_unwatchable_run_is_left_for_the_retry():
    workspace = Workspace(RUNNING)

    with pytest.raises(DatabricksSubmit, match="The retry takes up the same run"):
        operator_in(workspace)._let_go("HTTP 403", WINDOW, context_of(Ti(try_number=3, max_tries=3)))

    assert workspace.cancelled == []


def test_an_unwatchable_run_is_cancelled_behind_the_last_try():
    workspace, operator = Workspace(RUNNING), operator_in(Workspace())
    operator._hook, operator.run_id = workspace, 1

    with pytest.raises(DatabricksSubmit, match="Correct the token"):
        operator._let_go("HTTP 403", WINDOW, context_of(Ti(try_number=4, max_tries=3)))

    assert workspace.cancelled == [1]


def test_a_run_that_cannot_even_be_cancelled_still_fails_with_our_error(caplog):
    operator = operator_in(Workspace(RUNNING))
    operator._hook.refused, operator.run_id = True, 1

    with pytest.raises(DatabricksSubmit):
        operator._let_go("HTTP 403", WINDOW, context_of(Ti(try_number=4, max_tries=3)))


def test_a_wait_that_timed_out_cancels_the_run():
    workspace, ti = Workspace(RUNNING), Ti()
    ti.xcom_push("run_id", 1)

    with pytest.raises(AirflowException, match=r"databricks\.timeout: run 1 did not end within"):
        operator_in(workspace).resume_execution("__fail__", {"error": "Trigger timeout"}, context_of(ti))

    assert workspace.cancelled == [1]


def test_a_trigger_that_died_is_retried_on_the_same_run():
    workspace, ti = Workspace(RUNNING), Ti()
    ti.xcom_push("run_id", 1)

    with pytest.raises(AirflowException, match=r"databricks\.submit: run 1 could not be watched"):
        operator_in(workspace).resume_execution("__fail__", {"error": "Trigger failure"}, context_of(ti))

    assert workspace.cancelled == []


def test_a_refused_submit_is_a_typed_error_without_the_token():
    workspace = Workspace()
    workspace.refused = True

    with pytest.raises(DatabricksSubmit, match="Check host and token of connection databricks_default"):
        taken(workspace)


def test_killing_the_task_cancels_its_run():
    workspace = Workspace(RUNNING)
    operator = operator_in(workspace)
    operator._take_run(BODY, "20261122T010203Z-aaaaaa", WINDOW, context_of(Ti()))

    operator.on_kill()

    assert workspace.cancelled == [1]
