"""An Airflow that remembers backfills and runs in memory, and answers as the client of its REST API does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tenantdags.model.backfill import windows_between
from tenantdags.model.errors import AirflowNotFound
from tenantdags.steps.airflow_answers import Backfill, Dag, DagRun, PoolUse, TaskInstance

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
POOLS = ("source_mssql_shared1", "backfill_source_mssql_shared1", "curated_orders_v1", "backfill_curated_orders_v1",
         "backfill_curated_order_lines_v1", "backfill_curated_customers_v1")  # fmt: skip


def dag(dag_id: str, **changes: Any) -> Dag:
    known = Dag(
        dag_id=dag_id, paused=False, stale=False, import_errors=False, file="tenant_acme.py", parsed=NOW,
        next_start=datetime(2026, 11, 23, 23, tzinfo=UTC), next_due=None,
    )  # fmt: skip
    return dataclasses.replace(known, **changes)


def run(dag_id: str, start: datetime, state: str = "success", **changes: Any) -> DagRun:
    known = DagRun(
        dag_id=dag_id, run_id=f"scheduled__{start.isoformat()}", state=state, run_type="scheduled", logical_date=start,
        start=start, end=start + timedelta(days=1), run_after=start + timedelta(days=1), queued_at=start,
        started_at=start, ended_at=start + timedelta(seconds=34), conf={}, note=None, user=None,
    )  # fmt: skip
    return dataclasses.replace(known, **changes)


def pool(name: str) -> PoolUse:
    return PoolUse(
        name=name, slots=1, open=1, running=0, queued=0, scheduled=0, deferred=0, include_deferred=False
    )  # fmt: skip


class FakeAirflow:
    def __init__(self, *dags: Dag) -> None:
        self._dags = {each.dag_id: each for each in dags}
        self.all_runs: list[DagRun] = []
        self.all_backfills: list[Backfill] = []
        self.pool_names: tuple[str, ...] = POOLS
        self.all_tasks: list[TaskInstance] = []
        self.xcoms: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.result: str | None = None
        self.before_answer: Callable[[], None] = lambda: None

    def dag(self, dag_id: str) -> Dag:
        try:
            return self._dags[dag_id]
        except KeyError:
            raise AirflowNotFound("http://airflow", f"no {dag_id}", "Look.") from None

    def runs(self, dag_id: str = "~", **query: Any) -> tuple[DagRun, ...]:
        self.before_answer()

        def fits(found: DagRun) -> bool:
            low, high = query.get("logical_date_gte"), query.get("logical_date_lte")
            at = found.logical_date
            return (
                dag_id in ("~", found.dag_id)
                and found.state in query.get("state", (found.state,))
                and found.run_type in query.get("run_type", (found.run_type,))
                and (low is None or (at is not None and at >= datetime.fromisoformat(low)))
                and (high is None or (at is not None and at <= datetime.fromisoformat(high)))
            )

        return tuple(filter(fits, self.all_runs))

    def backfills(self, dag_id: str) -> tuple[Backfill, ...]:
        return tuple(each for each in self.all_backfills if each.dag_id == dag_id)

    def backfill(self, number: int) -> Backfill:
        found = next((each for each in self.all_backfills if each.id == number), None)
        if found is None:
            raise AirflowNotFound("http://airflow", f"GET /backfills/{number}: 404 Backfill not found.", "Look.")
        return found

    def pools(self) -> tuple[PoolUse, ...]:
        return tuple(map(pool, self.pool_names))

    def newest_tasks(self, dag_id: str, count: int, **_: Any) -> tuple[TaskInstance, ...]:
        return tuple(task for task in self.all_tasks if task.dag_id == dag_id)[:count]

    def tasks(self, dag_id: str, run_id: str) -> tuple[TaskInstance, ...]:
        return tuple(task for task in self.all_tasks if (task.dag_id, task.run_id) == (dag_id, run_id))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        return self.result if task_id == "publish" else self.xcoms.get(run_id)

    def fail_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        self.asked.append(("fail", (run_id, task_id)))

    def reparse(self, dag_id: str) -> None:
        self.asked.append(("reparse", dag_id))

    def trigger(self, dag_id: str, **body: Any) -> DagRun:
        self.asked.append(("trigger", body))
        made = run(
            dag_id, NOW, "queued", run_id=body["dag_run_id"], run_type="manual", logical_date=None, conf=body["conf"],
        )  # fmt: skip
        self.all_runs.append(made)
        return made

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return next(found for found in self.all_runs if (found.dag_id, found.run_id) == (dag_id, run_id))

    def end_chunks(self, state: str) -> None:
        for at, found in enumerate(self.all_runs):
            if found.run_id.startswith("bulk__"):
                ended = NOW + timedelta(seconds=95)
                self.all_runs[at] = dataclasses.replace(found, state=state, started_at=NOW, ended_at=ended)

    def create_backfill(self, dag_id: str, first: datetime, last: datetime, **body: Any) -> Backfill:
        self.asked.append(("create", body))
        made = Backfill(
            id=len(self.all_backfills) + 1, dag_id=dag_id, first=first, last=last, paused=False,
            reprocess=body["reprocess_behavior"], max_active_runs=body["max_active_runs"], created_at=NOW,
            completed_at=None, conf=body["dag_run_conf"],
        )  # fmt: skip
        self.all_backfills.append(made)
        days = first.astimezone(BERLIN).date(), last.astimezone(BERLIN).date()
        for window in windows_between(days[0], days[1], "day", "Europe/Berlin"):
            known = next((r for r in self.all_runs if (r.dag_id, r.logical_date) == (dag_id, window.start)), None)
            if known is None:
                fresh = run(dag_id, window.start, "queued", run_id=f"backfill__{window}", run_type="backfill")
                self.all_runs.append(dataclasses.replace(fresh, queued_at=NOW, conf=made.conf))
        return made

    def end(self, *states: str) -> None:
        """The backfills' runs end with these states, in the order of their windows."""
        waiting = [each for each in self.all_runs if each.run_type == "backfill" and not each.finished]
        for each, state in zip(sorted(waiting, key=lambda r: r.run_id), states, strict=True):
            ended = dataclasses.replace(each, state=state, started_at=NOW, ended_at=NOW + timedelta(seconds=30))
            self.all_runs[self.all_runs.index(each)] = ended

    def pause_backfill(self, number: int, paused: bool = True) -> Backfill:
        return self._changed(number, paused=paused)

    def cancel_backfill(self, number: int) -> Backfill:
        return self._changed(number, completed_at=NOW)

    def _changed(self, number: int, **changes: Any) -> Backfill:
        found = self.backfill(number)
        at = self.all_backfills.index(found)
        self.all_backfills[at] = dataclasses.replace(found, **changes)
        return self.all_backfills[at]
