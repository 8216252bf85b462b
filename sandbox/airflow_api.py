"""Airflow's public REST API in the few words that the demo and the tests need."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import httpx

from sandbox.services import SandboxError

FINISHED = ("success", "failed")
BUSY_TRIES = 20
Json = dict[str, Any]


class AirflowApi:
    """A logged-in user of one Airflow. Every refusal of the server is a SandboxError with the server's words."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self._login = url, {"username": user, "password": password}
        self._session = httpx.Client(trust_env=False)  # a proxy of the environment must not see loopback calls

    def heartbeats(self) -> dict[str, float]:
        """Per healthy component the time of its last heartbeat (POSIX seconds); empty while nothing answers."""
        try:
            health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except httpx.TransportError:
            return {}
        beats = {"api-server": time.time()}
        for name in ("scheduler", "triggerer", "dag_processor"):
            part = health.get(name) or {}
            if part.get("status") == "healthy":
                beats[name.replace("_", "-")] = _posix(part[f"latest_{name}_heartbeat"])
        return beats

    def get(self, path: str, **query: Any) -> Json:
        return self._call("GET", path, params=query)

    def post(self, path: str, body: Json) -> Json:
        return self._call("POST", path, json=body)

    def patch(self, path: str, body: Json) -> Json:
        return self._call("PATCH", path, json=body)

    def _call(self, method: str, path: str, on_busy: Callable[[], object] | None = None, **how: Any) -> Json:
        for _ in range(BUSY_TRIES):
            answer = self._authorised(method, path, **how)
            if answer.status_code == 401:
                self._session.headers.pop("Authorization", None)
            elif answer.status_code != 503:  # 503: SQLite has one writer, and it was another one
                break
            elif on_busy:
                on_busy()
            time.sleep(0.5)
        if answer.is_error:
            raise SandboxError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        content: Json = answer.json() if answer.content else {}
        return content

    def _authorised(self, method: str, path: str, **how: Any) -> httpx.Response:
        if "Authorization" not in self._session.headers:
            self._session.headers["Authorization"] = f"Bearer {self.token()}"
        return self._session.request(method, f"{self.url}/api/v2{path}", timeout=60, **how)

    def token(self) -> str:
        """A fresh JWT; the UI takes it as the cookie `_token`."""
        answer = self._session.post(f"{self.url}/auth/token", json=self._login, timeout=30)
        if answer.is_error:
            raise SandboxError(f"login at {self.url}: {answer.status_code} {answer.text[:200]}")
        return str(answer.json()["access_token"])

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
        return self._call("POST", "/backfills", lambda: self._drop_backfills(dag_id, first, last), json=body)

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
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        keys = {entry["key"] for entry in self.get(path, limit=100)["xcom_entries"]}
        return _unwrapped(self.get(f"{path}/{key}")["value"]) if key in keys else None

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


def _unwrapped(value: Any) -> Any:
    """XCom without the wrappers that Airflow puts around tuples."""
    if isinstance(value, list):
        return [_unwrapped(each) for each in value]
    if isinstance(value, dict):
        inner = value["__data__"] if value.get("__classname__") == "builtins.tuple" else None
        return {k: _unwrapped(v) for k, v in value.items()} if inner is None else _unwrapped(inner)
    return value


def _posix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
