"""Values of Airflow for tests: a healthy one, in which a window's run goes as it should, to be changed by each test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from tenantdags.model.window import day_window
from tenantdags.steps.airflow_answers import Component, Dag, DagRun, Event, Health, PoolUse, TaskInstance
from tenantdags.steps.reasons import Facts

WINDOW = day_window(date(2026, 11, 22), "Europe/Berlin")
NOW = datetime(2026, 11, 23, 5, 0, 20, tzinfo=UTC)
STARTED = datetime(2026, 11, 23, 2, 4, 51, tzinfo=UTC)
STEPS = ("extract", "check_extract", "upload", "load", "check_load", "publish")


def health(**sick: datetime | None) -> Health:
    """All well but the components that are named, with their last heartbeat."""
    names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return Health(
        {n: Component("unhealthy" if n in sick else "healthy", sick.get(n, NOW - timedelta(seconds=3))) for n in names}
    )


def dag(**changes: Any) -> Dag:
    said: dict[str, Any] = {
        "dag_id": "acme__orders", "paused": False, "stale": False, "import_errors": False, "file": "tenant_acme.py",
        "parsed": NOW, "next_start": WINDOW.start, "next_due": STARTED,
    }  # fmt: skip
    return Dag(**{**said, **changes})


def run(state: str = "running", **changes: Any) -> DagRun:
    said: dict[str, Any] = {
        "dag_id": "acme__orders", "run_id": "scheduled__1", "state": state, "run_type": "scheduled",
        "logical_date": WINDOW.start, "start": WINDOW.start, "end": WINDOW.end, "run_after": STARTED,
        "queued_at": STARTED, "started_at": STARTED, "ended_at": None, "conf": {}, "note": None, "user": None,
    }  # fmt: skip
    return DagRun(**{**said, **changes})


def task(task_id: str, state: str | None, **changes: Any) -> TaskInstance:
    said: dict[str, Any] = {
        "dag_id": "acme__orders", "run_id": "scheduled__1", "task_id": task_id, "state": state, "try_number": 1,
        "max_tries": 3, "pool": "source_mssql_shared1", "scheduled_at": STARTED, "queued_at": STARTED,
        "started_at": STARTED, "ended_at": None, "seconds": None,
    }  # fmt: skip
    return TaskInstance(**{**said, **changes})


def tasks(at: str, state: str | None, **changes: Any) -> tuple[TaskInstance, ...]:
    """Those of a run that has come to `at`."""
    done = STEPS.index(at)
    return (
        *(task(step, "success") for step in STEPS[:done]),
        task(at, state, **changes),
        *(task(step, None) for step in STEPS[done + 1 :]),
        task("summarise", None),
    )


def pool(name: str = "source_mssql_shared1", **changes: Any) -> PoolUse:
    said: dict[str, Any] = {"slots": 8, "open": 0, "running": 8, "queued": 0, "scheduled": 12, "deferred": 0}
    return PoolUse(name=name, include_deferred=True, **{**said, **changes})


def facts(**changes: Any) -> Facts:
    said: dict[str, Any] = {"health": health(), "dag": dag()}
    return Facts(**{**said, **changes})


def paused(who: str | None = "jane") -> Event:
    return Event(what="patch_dag", who=who, at=datetime(2026, 11, 22, 21, 14, tzinfo=UTC), extra='{"is_paused": true}')
