"""Jobs 2.2 over HTTP: runs/submit, get, get-output, cancel, delete and list."""

from typing import Any

from sandbox.databricks.errors import ApiError, invalid
from sandbox.databricks.runner import Runner, notebook_file
from sandbox.databricks.store import Run, Store, now_ms

JOB_ID = 42
USER = "tenantdags@example.com"
CODE_TYPES = {"SUCCESS": "SUCCESS", "INTERNAL_ERROR": "INTERNAL_ERROR"}
STATES = {"PENDING": "PENDING", "RUNNING": "RUNNING", "TERMINATING": "TERMINATING"}
TASK_FIELDS = {
    "task_key", "notebook_task", "depends_on", "timeout_seconds", "description", "run_if", "environment_key",
    "email_notifications", "webhook_notifications", "notification_settings", "libraries", "health",
    "existing_cluster_id", "disable_auto_optimization",
}  # fmt: skip
RUN_FIELDS = {
    "tasks", "run_name", "idempotency_token", "timeout_seconds", "access_control_list", "email_notifications",
    "webhook_notifications", "notification_settings", "environments", "queue", "health", "git_source", "run_as",
    "budget_policy_id", "performance_target",
}  # fmt: skip


class Jobs:
    """The runs part of the Jobs API. `page` makes the address of a run's page."""

    def __init__(self, store: Store, runner: Runner, base_url: str) -> None:
        self.store, self.runner, self.base_url = store, runner, base_url

    def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a run, or answer with the run that the idempotency token already made, in whatever state."""
        token = body.get("idempotency_token") or None
        if token is not None and len(token) > 64:
            raise invalid("idempotency_token must have at most 64 characters.")
        known = self.store.by_token(token) if token else None
        if known is not None:
            if known.deleted:
                raise invalid(f"The run with idempotency token {token} was deleted.")
            return {"run_id": known.run_id}
        check_submission(body)
        run_id = self.store.next_id()
        name = body.get("run_name", "Untitled")
        settings = {key: value for key, value in body.items() if key != "tasks"}
        run = Run(run_id, name=name, token=token, spec=settings, submitted=now_ms())
        tasks = [
            Run(
                run_id + number, parent=run_id, task_key=task["task_key"], name=name, spec=task, submitted=run.submitted
            )
            for number, task in enumerate(body["tasks"], start=1)
        ]
        self.store.save(run, *tasks)
        self.runner.launch(run, tasks)
        return {"run_id": run_id}

    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        return self.describe(self._run(query))

    def get_output(self, query: dict[str, Any]) -> dict[str, Any]:
        """A task's output; the run itself has none, as on Databricks when it was submitted with tasks."""
        run = self._run(query)
        if not run.parent:
            raise invalid(
                "Retrieving the output of runs with multiple tasks is not supported. "
                "Please retrieve the output of each individual task run instead."
            )
        answer: dict[str, Any] = {"metadata": self.describe(run)}
        if "result" in run.output:
            answer["notebook_output"] = run.output
        elif not run.active:
            answer["notebook_output"] = {}
            answer["error"] = run.output.get("error", run.message)
            answer["error_trace"] = run.output.get("error_trace", "")
        return answer

    def cancel(self, body: dict[str, Any]) -> dict[str, Any]:
        run = self._run(body)
        self.runner.cancel(run.parent or run.run_id)
        return {}

    def delete(self, body: dict[str, Any]) -> dict[str, Any]:
        run = self._run(body)
        if run.active:
            raise invalid(f"Run {run.run_id} is active and cannot be deleted.")
        run.deleted = 1
        self.store.save(run)
        return {}

    def list_runs(self, query: dict[str, Any]) -> dict[str, Any]:
        limit, offset = int(query.get("limit", 20)), int(query.get("page_token") or 0)
        if not 1 <= limit <= 25:
            raise invalid("limit must be between 1 and 25.")
        runs = [run for run in self.store.submitted() if self._wanted(run, query)]
        expand = str(query.get("expand_tasks", "")).lower() == "true"
        page = [self.describe(run, tasks=expand) for run in runs[offset : offset + limit]]
        more = len(runs) > offset + limit
        answer: dict[str, Any] = {"runs": page, "has_more": more} if page else {"has_more": False}
        return {**answer, "next_page_token": str(offset + limit)} if more else answer

    def describe(self, run: Run, tasks: bool = True) -> dict[str, Any]:
        """The run as runs/get shows it."""
        answer = {
            "job_id": JOB_ID,
            "run_id": run.run_id,
            "number_in_job": run.run_id,
            "creator_user_name": USER,
            "original_attempt_run_id": run.run_id,
            "run_name": run.name,
            "run_page_url": f"{self.base_url}/runs/{run.run_id}",
            "run_type": "SUBMIT_RUN",
            "trigger": "ONE_TIME",
            "format": "MULTI_TASK",
            **times(run),
            **states(run),
        }
        if run.parent:
            answer |= {"task_key": run.task_key, "attempt_number": 0, "notebook_task": run.spec["notebook_task"]}
        elif tasks:
            answer["tasks"] = [self.describe(task) for task in self.store.tasks(run.run_id)]
        return answer

    def _wanted(self, run: Run, query: dict[str, Any]) -> bool:
        active_only = str(query.get("active_only", "")).lower() == "true"
        completed_only = str(query.get("completed_only", "")).lower() == "true"
        return (run.active or not active_only) and (not run.active or not completed_only)

    def _run(self, query: dict[str, Any]) -> Run:
        wanted = str(query.get("run_id", ""))
        if not wanted.isdigit():
            raise invalid("Invalid run_id: it must be a number.")
        run = self.store.get(int(wanted))
        if run is None or run.deleted:
            raise invalid(f"Run {wanted} does not exist.")
        return run


def check_submission(body: dict[str, Any]) -> None:
    """Raise ApiError for a submission that Databricks, or this stand-in, does not take."""
    tasks = body.get("tasks")
    if not isinstance(tasks, list) or not tasks:
        raise invalid("The stand-in runs submissions with tasks only.")
    refuse_unknown(body, RUN_FIELDS, "the run")
    keys = [task.get("task_key") for task in tasks]
    if None in keys or len(set(keys)) != len(keys):
        raise invalid("Each task needs a task_key of its own.")
    for task in tasks:
        check_task(task, keys)


def check_task(task: dict[str, Any], keys: list[str]) -> None:
    key = task["task_key"]
    refuse_unknown(task, TASK_FIELDS, f"task {key}")
    if task.get("existing_cluster_id"):
        raise invalid(f"Cluster {task['existing_cluster_id']} does not exist.")
    notebook = task.get("notebook_task")
    if not isinstance(notebook, dict) or not str(notebook.get("notebook_path", "")).startswith("/"):
        raise invalid(f"Task {key} needs a notebook_task with an absolute notebook_path.")
    parameters = notebook.get("base_parameters", {})
    if not all(isinstance(value, str) for value in parameters.values()):
        raise ApiError(400, "MALFORMED_REQUEST", f"Task {key}: base_parameters must be a map of strings.")
    unknown = [each["task_key"] for each in task.get("depends_on", []) if each["task_key"] not in keys]
    if unknown:
        raise invalid(f"Task {key} depends on unknown tasks: {', '.join(unknown)}")


def refuse_unknown(given: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise invalid(f"The stand-in does not know these fields of {where}: {', '.join(unknown)}")


def times(run: Run) -> dict[str, int]:
    setup = run.started - run.submitted if run.started else 0
    execution = run.ended - run.started if run.ended else 0
    return {
        "start_time": run.submitted,
        "setup_duration": setup,
        "execution_duration": execution,
        "cleanup_duration": 0,
        "end_time": run.ended,
        "run_duration": setup + execution,
    }


def states(run: Run) -> dict[str, Any]:
    """The older `state` and the `status` of Jobs 2.2, which say the same."""
    state: dict[str, Any] = {"life_cycle_state": run.life_cycle, "state_message": run.message}
    state["user_cancelled_or_timedout"] = run.result in ("CANCELED", "TIMEDOUT")
    if run.active:
        return {"state": state, "status": {"state": STATES[run.life_cycle]}}
    kind = CODE_TYPES.get(run.code, "CLIENT_ERROR")
    details = {"code": run.code, "type": kind, "message": run.message}
    state["result_state"] = run.result
    return {"state": state, "status": {"state": "TERMINATED", "termination_details": details}}


def workspace_status(query: dict[str, Any]) -> dict[str, Any]:
    """/api/2.0/workspace/get-status: whether a notebook is deployed."""
    path = str(query.get("path", ""))
    if notebook_file(path) is None:
        raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")
    return {"object_type": "NOTEBOOK", "path": path, "language": "PYTHON", "object_id": JOB_ID}
