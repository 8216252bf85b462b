"""An Airflow of a few values behind the real client: it answers as the REST API does, and counts what it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from tenantdags.steps.airflow_answers import Component, Dag, DagRun, Event, ImportProblem, PoolUse, TaskInstance
from tenantdags.steps.airflow_api import AirflowApi, AirflowLogin
from tests.steps.airflow_facts import health

URL = "http://airflow.example.com:8080"


@dataclass
class FakeAirflow:
    """`down` makes it unreachable."""

    dags: list[Dag] = field(default_factory=list)
    runs: list[DagRun] = field(default_factory=list)
    tasks: list[TaskInstance] = field(default_factory=list)
    pools: list[PoolUse] = field(default_factory=list)
    events: list[tuple[str, Event]] = field(default_factory=list)
    import_errors: list[ImportProblem] = field(default_factory=list)
    xcoms: dict[tuple[str, str, str, str], Any] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=lambda: dict(health().components))
    down: bool = False
    asked: list[str] = field(default_factory=list)
    changed: list[tuple[str, str, Any]] = field(default_factory=list)

    def api(self) -> AirflowApi:
        return AirflowApi(AirflowLogin(URL, token="t"), transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:  # noqa: C901 - one case per path of the API
        if self.down:
            raise httpx.ConnectError("Connection refused")
        path = request.url.path.removeprefix("/api/v2")
        self.asked.append(f"{request.method} {path}")
        parts = path.strip("/").split("/")
        query = request.url.params
        if request.method != "GET":
            body = json.loads(request.content) if request.content else None
            self.changed.append((request.method, path, body))
        match parts:
            case ["monitor", "health"]:
                return _ok({n: _component(n, part) for n, part in self.components.items()})
            case ["dags"]:
                found = [dag for dag in self.dags if not (query.get("exclude_stale") == "true" and dag.stale)]
                return _page("dags", map(_dag, found), query)
            case ["dags", dag_id]:
                return next((_ok(_dag(dag)) for dag in self.dags if dag.dag_id == dag_id), _missing())
            case ["pools"]:
                return _page("pools", map(_pool, self.pools), query)
            case ["importErrors"]:
                return _page("import_errors", map(_problem, self.import_errors), query)
            case ["eventLogs"]:
                mine = [_event(event) for dag_id, event in self.events if dag_id == query["dag_id"]]
                return _page("event_logs", mine, query)
            case ["dags", dag_id, "dagRuns"]:
                return _page("dag_runs", map(_run, self._runs(dag_id, query)), query)
            case ["dags", dag_id, "dagRuns", run_id]:
                return next((_ok(_run(r)) for r in self.runs if (r.dag_id, r.run_id) == (dag_id, run_id)), _missing())
            case ["dags", dag_id, "dagRuns", run_id, "taskInstances"]:
                states = query.get_list("state")
                of_state = [t for t in self._tasks(dag_id, run_id) if not states or t.state in states]
                return _page("task_instances", map(_task, of_state), query)
            case ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", key]:
                value = self.xcoms.get((dag_id, run_id, task_id, key))
                return _ok({"key": key, "value": value}) if value is not None else _missing()
            case ["dags", dag_id, "clearTaskInstances"]:
                return _ok({"task_instances": [_task(t) for t in self._cleared(dag_id, body)], "total_entries": 0})
        return httpx.Response(404, json={"detail": f"{path} is not faked"})

    def _runs(self, dag_id: str, query: httpx.QueryParams) -> list[DagRun]:
        kinds, states = query.get_list("run_type"), query.get_list("state")
        after, dates = query.get("run_after_gte"), (query.get("logical_date_gte"), query.get("logical_date_lte"))
        return [
            run
            for run in self.runs
            if dag_id in ("~", run.dag_id)
            and (not kinds or run.run_type in kinds)
            and (not states or run.state in states)
            and (after is None or run.run_after >= datetime.fromisoformat(after))
            and (dates[0] is None or (run.logical_date and run.logical_date >= datetime.fromisoformat(dates[0])))
            and (dates[1] is None or (run.logical_date and run.logical_date <= datetime.fromisoformat(dates[1])))
        ]

    def _tasks(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        return [task for task in self.tasks if dag_id == "~" or (task.dag_id, task.run_id) == (dag_id, run_id)]

    def _cleared(self, dag_id: str, body: Any) -> list[TaskInstance]:
        """The named tasks, and with downstream all that come after the first of them."""
        mine = self._tasks(dag_id, body["dag_run_id"])
        first = next((n for n, task in enumerate(mine) if task.task_id in body["task_ids"]), len(mine))
        return mine[first:] if body["include_downstream"] else [t for t in mine if t.task_id in body["task_ids"]]


def _ok(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


def _missing() -> httpx.Response:
    return httpx.Response(404, json={"detail": "was not found"})


def _page(key: str, found: Iterable[Any], query: httpx.QueryParams) -> httpx.Response:
    every = list(found)
    offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
    return _ok({key: every[offset : offset + limit], "total_entries": len(every)})


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _component(name: str, part: Component) -> dict[str, Any]:
    return {"status": part.status, f"latest_{name}_heartbeat": _text(part.heartbeat)}


def _dag(dag: Dag) -> dict[str, Any]:
    return {
        "dag_id": dag.dag_id, "is_paused": dag.paused, "is_stale": dag.stale, "has_import_errors": dag.import_errors,
        "relative_fileloc": dag.file, "fileloc": dag.file, "last_parsed_time": _text(dag.parsed),
        "next_dagrun_data_interval_start": _text(dag.next_start), "next_dagrun_run_after": _text(dag.next_due),
    }  # fmt: skip


def _run(run: DagRun) -> dict[str, Any]:
    return {
        "dag_id": run.dag_id, "dag_run_id": run.run_id, "state": run.state, "run_type": run.run_type,
        "logical_date": _text(run.logical_date), "data_interval_start": _text(run.start),
        "data_interval_end": _text(run.end), "run_after": _text(run.run_after), "queued_at": _text(run.queued_at),
        "start_date": _text(run.started_at), "end_date": _text(run.ended_at), "conf": run.conf, "note": run.note,
        "triggering_user_name": run.user,
    }  # fmt: skip


def _task(task: TaskInstance) -> dict[str, Any]:
    return {
        "dag_id": task.dag_id, "dag_run_id": task.run_id, "task_id": task.task_id, "state": task.state,
        "try_number": task.try_number, "max_tries": task.max_tries, "pool": task.pool,
        "scheduled_when": _text(task.scheduled_at), "queued_when": _text(task.queued_at),
        "start_date": _text(task.started_at), "end_date": _text(task.ended_at), "duration": task.seconds,
    }  # fmt: skip


def _pool(pool: PoolUse) -> dict[str, Any]:
    return {
        "name": pool.name, "slots": pool.slots, "open_slots": pool.open, "running_slots": pool.running,
        "queued_slots": pool.queued, "scheduled_slots": pool.scheduled, "deferred_slots": pool.deferred,
        "include_deferred": pool.include_deferred,
    }  # fmt: skip


def _problem(problem: ImportProblem) -> dict[str, Any]:
    return {"filename": problem.file, "stack_trace": problem.text, "timestamp": _text(problem.at)}


def _event(event: Event) -> dict[str, Any]:
    said = {"event": event.what, "owner": event.who, "when": _text(event.at)}
    return {**said, "extra": event.extra, "run_id": event.run_id}
