"""Airflow's public REST API in the few words that the demo and the tests need."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sandbox.services import SandboxError
from tenantdags.model.errors import AirflowBusy, AirflowError
from tenantdags.steps.airflow_answers import FINISHED, Json
from tenantdags.steps.airflow_api import AirflowApi as Client
from tenantdags.steps.airflow_api import AirflowLogin

__all__ = ["FINISHED", "AirflowApi", "Json", "wait_for"]

BUSY_TRIES = 20


class AirflowApi:
    """A logged-in user of one Airflow. Every refusal of the server is a SandboxError with the server's words."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self.client = url, Client(AirflowLogin(url, user, password), seconds=60)

    def heartbeats(self) -> dict[str, float]:
        """Per healthy component the time of its last heartbeat (POSIX seconds); empty while nothing answers."""
        try:
            parts = self.client.health().components
        except AirflowError:
            return {}
        beats = {"api-server": time.time()}
        for name in ("scheduler", "triggerer", "dag_processor"):
            part = parts.get(name)
            if part and part.status == "healthy" and part.heartbeat:
                beats[name.replace("_", "-")] = part.heartbeat.timestamp()
        return beats

    def get(self, path: str, **query: Any) -> Json:
        return self._call("GET", path, query=query)

    def post(self, path: str, body: Json) -> Json:
        return self._call("POST", path, body=body)

    def patch(self, path: str, body: Json) -> Json:
        return self._call("PATCH", path, body=body)

    def _call(self, method: str, path: str, on_busy: Callable[[], object] | None = None, **how: Any) -> Json:
        for tries_left in reversed(range(BUSY_TRIES)):
            try:
                return self.client.call(method, path, **how)
            except AirflowBusy as error:  # SQLite has one writer, and it was another one
                if not tries_left:
                    raise SandboxError(str(error)) from None
            except AirflowError as error:
                raise SandboxError(str(error)) from None
            if on_busy:
                on_busy()
            time.sleep(0.5)
        raise AssertionError("unreachable")

    def token(self) -> str:
        """A JWT; the UI takes it as the cookie `_token`."""
        return self.client.token()

    def dags(self) -> dict[str, Json]:
        """Every active DAG by its id."""
        return {dag["dag_id"]: dag for dag in self.get("/dags", limit=100, exclude_stale=True)["dags"]}

    def import_errors(self) -> dict[str, str]:
        """Per file the text of its import error."""
        return {e["filename"]: e["stack_trace"] for e in self.get("/importErrors", limit=100)["import_errors"]}

    def source(self, dag_id: str) -> str:
        """What the UI's Code tab shows."""
        return str(self.get(f"/dagSources/{dag_id}")["content"])

    def set_paused(self, dag_id: str, paused: bool) -> None:
        self.patch(f"/dags/{dag_id}", {"is_paused": paused})

    def runs(self, dag_id: str = "~") -> list[Json]:
        """Every run (of one DAG), oldest window first."""
        found = self.get(f"/dags/{dag_id}/dagRuns", limit=500)["dag_runs"]
        return sorted(found, key=lambda run: (run["dag_id"], run["data_interval_start"] or ""))

    def run(self, dag_id: str, run_id: str) -> Json:
        return self.get(f"/dags/{dag_id}/dagRuns/{run_id}")

    def tasks(self, dag_id: str, run_id: str) -> dict[str, Json]:
        """The task instances of one run by task id."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {name: task["state"] for name, task in self.tasks(dag_id, run_id).items()}

    def backfill(
        self, dag_id: str, first: datetime, last: datetime, *, again: bool = False, active_runs: int = 2
    ) -> Json:
        """Core's backfill over the data intervals that start in `[first, last]`; `again` also repeats finished runs."""
        behavior = "completed" if again else "none"
        body = {"dag_id": dag_id, "from_date": first.isoformat(), "to_date": last.isoformat(),
                "reprocess_behavior": behavior, "max_active_runs": active_runs}  # fmt: skip
        return self._call("POST", "/backfills", lambda: self._drop_backfills(dag_id, first, last), body=body)

    def _drop_backfills(self, dag_id: str, first: datetime, last: datetime) -> None:
        """Airflow commits a backfill before its runs: what a busy SQLite left has none, and stands in the way."""
        for found in self.get("/backfills", dag_id=dag_id)["backfills"]:
            dates = tuple(datetime.fromisoformat(found[key]) for key in ("from_date", "to_date"))
            if found["completed_at"] is None and dates == (first, last):
                self._call("PUT", f"/backfills/{found['id']}/cancel")

    def trigger(self, dag_id: str, **body: Any) -> Json:
        return self.post(f"/dags/{dag_id}/dagRuns", {"logical_date": None, **body})

    def clear_run(self, dag_id: str, run_id: str) -> Json:
        """Run the whole run again, on the DAG as it stands now."""
        body = {"dry_run": False, "only_failed": False, "run_on_latest_version": True}
        return self.post(f"/dags/{dag_id}/dagRuns/{run_id}/clear", body)

    def clear_tasks(self, dag_id: str, run_id: str, *task_ids: str, downstream: bool = True) -> Json:
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run_id, "task_ids": list(task_ids),
                "include_downstream": downstream}  # fmt: skip
        return self.post(f"/dags/{dag_id}/clearTaskInstances", body)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """The value a task pushed; None when it pushed none."""
        return self.client.xcom(dag_id, run_id, task_id, key)

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """One try's log, one event per line."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        events = self.get(path, full_content=True)["content"]
        return "\n".join(str(e.get("event", e)) if isinstance(e, dict) else str(e) for e in events)

    def wait_for_dags(self, wanted: Iterable[str], seconds: float = 60.0) -> None:
        missing = set(wanted)

        def all_there() -> bool:
            missing.difference_update(self.dags())
            return not missing

        if not wait_for(all_there, seconds):
            raise SandboxError(f"DAGs that did not appear: {sorted(missing)}; import errors: {self.import_errors()}")

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 300.0) -> str:
        """The final state of a run; raises SandboxError when it is not final in time."""
        state = ""

        def final() -> bool:
            nonlocal state
            state = self.run(dag_id, run_id)["state"]
            return state in FINISHED

        if not wait_for(final, seconds):
            raise SandboxError(f"{dag_id} {run_id} still {state} after {seconds:.0f} s: {self.states(dag_id, run_id)}")
        return state


def wait_for(seen: Callable[[], bool], seconds: float, pause: float = 0.5) -> bool:
    """Ask until it is seen or the time is over; whether it was seen."""
    deadline = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
