"""Jobs 2.2 of the stand-in, mostly through the provider's own hook, operator and trigger."""

import asyncio
import json
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

import httpx
import psutil
import pytest
from airflow.providers.databricks.exceptions import DatabricksApiError
from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from sandbox.databricks.client import Databricks
from tests.sandbox.jobs import (
    COLUMNS,
    NOTEBOOK,
    STAMPS,
    TABLE,
    TARGET,
    appended,
    exit_value,
    finish,
    hook,
    output,
    task,
)

pytestmark = pytest.mark.sandbox


@pytest.fixture
def manifest(cloud) -> str:
    cloud.databricks.statement("CREATE SCHEMA IF NOT EXISTS prod.curated")
    cloud.databricks.statement(f"CREATE TABLE IF NOT EXISTS {TARGET} (order_id BIGINT, {STAMPS})")
    return str(cloud.put_load(TABLE, columns=COLUMNS))


def test_a_run_appends_and_tells_what_it_did(cloud, manifest):
    run = finish(hook().submit_run({"run_name": "acme__orders", "tasks": [task(manifest)]}))

    result = exit_value(run)
    assert run["state"]["result_state"] == "SUCCESS"
    assert run["status"] == {
        "state": "TERMINATED",
        "termination_details": {"code": "SUCCESS", "type": "SUCCESS", "message": ""},
    }
    assert [each["state"]["result_state"] for each in run["tasks"]] == ["SUCCESS"]
    assert {key: result[key] for key in ("rows", "files", "target")} == {"rows": 3, "files": 1, "target": TARGET}
    assert appended(cloud.databricks, result["append_id"]) == 3


class FakeTaskInstance:
    """Takes what the operator pushes."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context(ti: FakeTaskInstance) -> Any:
    return {"ti": ti}


def operator(manifest: str, **more: Any) -> DatabricksSubmitRunOperator:
    return DatabricksSubmitRunOperator(
        task_id="load", tasks=[task(manifest)], run_name="acme__orders", polling_period_seconds=1, durable=False, **more
    )


def test_the_providers_operator_runs_to_the_end(cloud, manifest):
    ti = FakeTaskInstance()

    operator(manifest, timeout_seconds=60).execute(context(ti))

    assert finish(ti.pushed["run_id"])["state"]["result_state"] == "SUCCESS"
    page = urllib.request.urlopen(ti.pushed["run_page_url"]).read().decode()
    assert manifest in page
    assert "&quot;rows&quot;: 3" in page


def test_the_providers_operator_fails_with_the_notebooks_error(cloud, manifest):
    with pytest.raises(AirflowException, match="No input widget named target is defined"):
        DatabricksSubmitRunOperator(
            task_id="load",
            tasks=[
                {
                    "task_key": "load",
                    "notebook_task": {"notebook_path": NOTEBOOK, "base_parameters": {"manifest": manifest}},
                }
            ],
            polling_period_seconds=1,
            durable=False,
        ).execute(context(FakeTaskInstance()))


def test_the_providers_operator_defers_and_resumes(cloud, manifest):
    cloud.databricks.fault("slow_run", seconds=1.5)
    deferrable = operator(manifest, deferrable=True)

    with pytest.raises(TaskDeferred) as deferral:
        deferrable.execute(context(FakeTaskInstance()))
    event = asyncio.run(first_event(deferral.value.trigger))

    assert json.loads(event["run_state"])["result_state"] == "SUCCESS"
    deferrable.execute_complete(context(FakeTaskInstance()), event)


async def first_event(trigger: Any) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


def test_a_token_gives_one_run_also_after_its_end(cloud, manifest):
    body = {"tasks": [task(manifest)], "idempotency_token": uuid.uuid4().hex}

    first = hook().submit_run(body)
    again = hook().submit_run(body)
    finish(first)
    later = hook().submit_run(body)

    assert first == again == later


def test_a_token_of_a_deleted_run_is_an_error(cloud, manifest):
    body = {"tasks": [task(manifest)], "idempotency_token": uuid.uuid4().hex}
    run_id = hook().submit_run(body)
    finish(run_id)

    hook().delete_run(run_id)

    with pytest.raises(DatabricksApiError, match="was deleted"):
        hook().submit_run(body)
    with pytest.raises(DatabricksApiError, match="does not exist"):
        hook().get_run(run_id)


def test_tasks_run_after_what_they_depend_on(cloud, manifest):
    second = task(manifest, "second", depends_on=[{"task_key": "first"}])

    run = finish(hook().submit_run({"tasks": [second, task(manifest, "first")]}))

    ends = {each["task_key"]: (each["start_time"] + each["setup_duration"], each["end_time"]) for each in run["tasks"]}
    assert run["state"]["result_state"] == "SUCCESS"
    assert ends["second"][0] >= ends["first"][1]


def test_a_task_behind_a_failed_one_is_skipped(cloud, manifest):
    broken = task(manifest.replace("load_id=", "load_id=x"), "first")
    behind = task(manifest, "second", depends_on=[{"task_key": "first"}])

    run = finish(hook().submit_run({"tasks": [broken, behind]}))

    states = {each["task_key"]: each["state"] for each in run["tasks"]}
    assert run["state"]["result_state"] == "FAILED"
    assert states["first"]["result_state"] == "FAILED"
    assert (states["second"]["life_cycle_state"], states["second"]["result_state"]) == ("SKIPPED", "UPSTREAM_FAILED")


def test_a_notebook_that_raises_shows_error_and_trace(cloud, manifest):
    run = finish(hook().submit_run({"tasks": [task(manifest.replace("load_id=", "load_id=x"))]}))

    failure = output(run)
    assert (
        run["state"]["state_message"] == "Task load failed with message: Workload failed, see run output for details."
    )
    assert run["status"]["termination_details"]["code"] == "RUN_EXECUTION_ERROR"
    assert failure["error"].startswith("FileNotFoundError: java.io.FileNotFoundException: abfss://landing@")
    assert "Traceback" in failure["error_trace"]
    assert "Traceback" in httpx.get(run["run_page_url"]).text


def test_a_notebook_that_is_not_deployed_fails_as_on_databricks(cloud, manifest):
    lost = {"task_key": "load", "notebook_task": {"notebook_path": "/Workspace/tenantdags/nothing"}}

    run = finish(hook().submit_run({"tasks": [lost]}))

    assert (run["state"]["life_cycle_state"], run["state"]["result_state"]) == ("INTERNAL_ERROR", "FAILED")
    assert 'Unable to access the notebook "/Workspace/tenantdags/nothing"' in run["state"]["state_message"]
    assert "Unable to access the notebook" in output(run)["error"]


def test_the_output_of_a_run_with_tasks_is_its_tasks_output(cloud, manifest):
    run_id = hook().submit_run({"tasks": [task(manifest)]})
    finish(run_id)

    with pytest.raises(DatabricksApiError, match="Retrieving the output of runs with multiple tasks is not supported"):
        hook().get_run_output(run_id)


def notebook_processes(databricks: Databricks) -> list[psutil.Process]:
    zygote = next(
        child
        for child in psutil.Process(databricks.info["pid"]).children()
        if "sandbox.databricks.zygote" in child.cmdline()
    )
    return zygote.children()


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_cancel_kills_the_notebooks_process(cloud, manifest):
    cloud.databricks.fault("slow_run", seconds=60)
    run_id = hook().submit_run({"tasks": [task(manifest)]})
    wait_for(lambda: notebook_processes(cloud.databricks))
    (process,) = notebook_processes(cloud.databricks)

    hook().cancel_run(run_id)

    run = finish(run_id, seconds=5)
    assert run["state"]["result_state"] == "CANCELED"
    assert run["status"]["termination_details"]["code"] == "USER_CANCELED"
    assert not process.is_running()


def test_a_run_cancelled_at_its_very_start_ends_too(cloud, manifest):
    for _ in range(5):
        cloud.databricks.fault("slow_run", seconds=60)
        run_id = hook().submit_run({"tasks": [task(manifest)]})

        hook().cancel_run(run_id)

        assert finish(run_id, seconds=5)["state"]["result_state"] == "CANCELED"
        cloud.databricks.clear_faults()
    assert notebook_processes(cloud.databricks) == []


@pytest.mark.parametrize("where", ["run", "task"])
def test_a_timeout_ends_the_run(cloud, manifest, where):
    cloud.databricks.fault("slow_run", seconds=60)
    of_run: dict[str, Any] = {"timeout_seconds": "1"} if where == "run" else {}
    of_task: dict[str, Any] = {"timeout_seconds": 1} if where == "task" else {}

    run = finish(hook().submit_run({"tasks": [task(manifest, **of_task)], **of_run}), seconds=10)

    assert run["state"]["result_state"] == "TIMEDOUT"
    assert notebook_processes(cloud.databricks) == []


def test_a_submit_that_fails_creates_nothing(cloud, manifest):
    cloud.databricks.fault("submit_fails")
    token = uuid.uuid4().hex
    before = len(cloud.databricks.runs())

    answer = httpx.post(
        f"{cloud.databricks.url}/api/2.2/jobs/runs/submit",
        json={"tasks": [task(manifest)], "idempotency_token": token},
        headers={"Authorization": f"Bearer {cloud.databricks.token}"},
        timeout=10,
    )

    assert answer.status_code == 500
    assert len(cloud.databricks.runs()) == before


def test_a_connection_cut_after_the_commit_is_healed_by_the_token(cloud, manifest):
    cloud.databricks.fault("after_commit")
    name = uuid.uuid4().hex

    run_id = hook().submit_run({"run_name": name, "tasks": [task(manifest)], "idempotency_token": name})

    assert finish(run_id)["state"]["result_state"] == "SUCCESS"
    assert [run["run_id"] for run in cloud.databricks.runs() if run["run_name"] == name] == [run_id]


@pytest.mark.parametrize(("kind", "status"), [("get_500", 500), ("get_429", 429)])
def test_polling_survives_one_bad_answer(cloud, manifest, kind, status):
    run_id = hook().submit_run({"tasks": [task(manifest)]})
    cloud.databricks.fault(kind)

    hook().get_run(run_id)
    assert cloud.databricks.faults() == []

    cloud.databricks.fault(kind, times=2)
    with pytest.raises(AirflowException, match=str(status)):
        hook().get_run(run_id)
    finish(run_id)


def test_a_403_while_polling_is_an_error(cloud, manifest):
    run_id = hook().submit_run({"tasks": [task(manifest)]})
    cloud.databricks.fault("get_403")

    with pytest.raises(DatabricksApiError, match="403"):
        hook().get_run(run_id)
    finish(run_id)


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 3)])
def test_a_crashed_notebook_fails_the_run_whatever_it_did(cloud, manifest, when, rows):
    before = int(cloud.databricks.statement(f"SELECT COUNT(*) FROM {TARGET}")[0][0])
    cloud.databricks.fault("notebook_crash", when=when)

    run = finish(hook().submit_run({"tasks": [task(manifest)]}))

    assert (run["state"]["life_cycle_state"], run["state"]["result_state"]) == ("INTERNAL_ERROR", "FAILED")
    assert run["status"]["termination_details"]["code"] == "DRIVER_ERROR"
    assert int(cloud.databricks.statement(f"SELECT COUNT(*) FROM {TARGET}")[0][0]) == before + rows


def test_many_runs_at_once_all_commit(cloud, manifest):
    runs = [finish(run_id) for run_id in [hook().submit_run({"tasks": [task(manifest)]}) for _ in range(12)]]

    ids = {exit_value(run)["append_id"] for run in runs}
    assert len(ids) == 12
    assert [appended(cloud.databricks, each) for each in ids] == [3] * 12


def test_a_wrong_token_is_403_and_none_is_401(cloud):
    url = f"{cloud.databricks.url}/api/2.2/jobs/runs/list"

    assert httpx.get(url, timeout=5).status_code == 401
    wrong = httpx.get(url, headers={"Authorization": "Bearer dapi00"}, timeout=5)
    assert (wrong.status_code, wrong.json()["message"]) == (403, "Invalid access token.")


@pytest.mark.parametrize("path", ["/api/2.2/jobs/list", "/api/2.1/clusters/get", "/nothing"])
def test_all_else_is_404(cloud, path):
    answer = httpx.get(
        cloud.databricks.url + path, headers={"Authorization": f"Bearer {cloud.databricks.token}"}, timeout=5
    )

    assert answer.status_code == 404
    assert answer.json() == {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for 'GET {path}'"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "with tasks only"),
        ({"tasks": [{"task_key": "a"}]}, "needs a notebook_task"),
        ({"tasks": [task("x", "a"), task("x", "a")]}, "a task_key of its own"),
        ({"tasks": [task("x", depends_on=[{"task_key": "b"}])]}, "unknown tasks: b"),
        ({"tasks": [task("x", notebok_task={})]}, "does not know these fields of task load: notebok_task"),
        ({"tasks": [task("x")], "idempotency_token": "x" * 65}, "at most 64 characters"),
        ({"tasks": [task("x", existing_cluster_id="0601-1")]}, "Cluster 0601-1 does not exist"),
    ],
)
def test_a_submission_that_databricks_would_not_take_is_refused(cloud, body, message):
    with pytest.raises(DatabricksApiError, match=message):
        hook().submit_run(body)


def test_parameters_must_be_strings(cloud):
    number = {"task_key": "a", "notebook_task": {"notebook_path": NOTEBOOK, "base_parameters": {"n": 1}}}

    with pytest.raises(DatabricksApiError, match="MALFORMED_REQUEST"):
        hook().submit_run({"tasks": [number]})


def test_list_pages_newest_first(cloud, manifest):
    ids = [hook().submit_run({"tasks": [task(manifest)]}) for _ in range(3)]
    for run_id in ids:
        finish(run_id)

    first = hook()._do_api_call(("GET", "2.2/jobs/runs/list"), {"limit": 2, "completed_only": "true"})
    second = hook()._do_api_call(("GET", "2.2/jobs/runs/list"), {"limit": 2, "page_token": first["next_page_token"]})

    assert [run["run_id"] for run in first["runs"]] == ids[:0:-1]
    assert first["has_more"]
    assert second["runs"][0]["run_id"] == ids[0]
    assert "tasks" not in first["runs"][0]


def test_the_workspace_knows_the_deployed_notebook(cloud):
    status = hook()._do_api_call(("GET", "2.0/workspace/get-status"), {"path": NOTEBOOK})

    assert status["object_type"] == "NOTEBOOK"
    with pytest.raises(DatabricksApiError, match="RESOURCE_DOES_NOT_EXIST"):
        hook()._do_api_call(("GET", "2.0/workspace/get-status"), {"path": "/Workspace/tenantdags/nothing"})


def test_a_run_costs_little(cloud, manifest):
    server = psutil.Process(cloud.databricks.info["pid"])
    finish(hook().submit_run({"tasks": [task(manifest)]}))
    before = cpu_seconds(server)

    for _ in range(5):
        finish(hook().submit_run({"tasks": [task(manifest)]}))

    assert (cpu_seconds(server) - before) / 5 < 1.5


def cpu_seconds(server: psutil.Process) -> float:
    """CPU of the stand-in, of its children and of what they have reaped."""
    times = [process.cpu_times() for process in [server, *server.children(recursive=True)]]
    return sum(each.user + each.system + each.children_user + each.children_system for each in times)


def test_a_failure_of_the_stand_in_itself_ends_the_run(cloud, manifest):
    runs = cloud.run_dir / "databricks" / "runs"
    aside = runs.with_name("runs-aside")
    runs.rename(aside)
    runs.write_text("no folder")
    try:
        run = finish(hook().submit_run({"tasks": [task(manifest)]}))
    finally:
        runs.unlink()
        aside.rename(runs)

    assert (run["state"]["life_cycle_state"], run["state"]["result_state"]) == ("INTERNAL_ERROR", "FAILED")
    assert "The stand-in failed" in run["state"]["state_message"]
