"""Asks Airflow what `reasons` decides by, in few questions: what all tables share is asked for once."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from tenantdags.model.errors import AirflowNotFound
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.airflow_answers import Dag, DagRun, Event, Health, ImportProblem, PoolUse, TaskInstance
from tenantdags.steps.airflow_api import AirflowApi
from tenantdags.steps.reasons import Facts

ERROR = "error"  # the XCom key under which a task tells why it failed
SCHEDULER_DEAD = timedelta(minutes=5)
ROLL_MINUTES = 15  # for a DAG may go as another one comes
_PAUSE_EVENTS = ("patch_dag", "patch_dags", "cli_dag_pause")
_PROBLEM = re.compile(r"^(?:config|include)/\S+?:\d+:\d+: .*$", re.MULTILINE)


class AirflowView:
    """What Airflow says now. Every method raises AirflowError."""

    def __init__(self, api: AirflowApi) -> None:
        self.api = api

    @cached_property
    def health(self) -> Health:
        return self.api.health()

    @cached_property
    def pools(self) -> Mapping[str, PoolUse]:
        return {pool.name: pool for pool in self.api.pools()}

    @cached_property
    def _import_problems(self) -> tuple[ImportProblem, ...]:
        return self.api.import_errors()

    def facts(self, plan: TablePlan, window: Window) -> Facts:
        """Everything there is to say of one window, in about five questions."""
        dag = self.dag(plan)
        runs = self.api.runs_of_window(plan.dag_id, window) if dag else ()
        last = runs[-1] if runs else None
        tasks = self.api.tasks(plan.dag_id, last.run_id) if last else ()
        waits = last is None or last.state == "queued"
        return Facts(
            health=self.health,
            dag=dag,
            import_error=self.import_error(plan) if dag is None or dag.stale or dag.import_errors else None,
            runs=runs,
            tasks=tasks,
            error=self._error(last, tasks) if last else None,
            active=self._active(plan) if dag and waits else (),
            pools=self.pools if any(task.state == "scheduled" for task in tasks) else None,
            paused_by=self.paused_by(plan) if dag and dag.paused else None,
        )

    def dag(self, plan: TablePlan) -> Dag | None:
        try:
            return self.api.dag(plan.dag_id)
        except AirflowNotFound:
            return None

    def import_error(self, plan: TablePlan) -> str | None:
        """The first line of ours in the import error of the tenant's file."""
        for problem in self._import_problems:
            if re.search(rf"\btenant_{plan.tenant}\.py$", problem.file) or f"{plan.file}:" in problem.text:
                return first_problem(problem.text, plan.file)
        return None

    def paused_by(self, plan: TablePlan) -> Event | None:
        """Who switched the DAG off; None when the audit log does not know, as of one that is created so."""
        for event in self.api.events(plan.dag_id, *_PAUSE_EVENTS):
            if event.what.startswith("cli") or _says_paused(event.extra):
                return event
        return None

    def _active(self, plan: TablePlan) -> tuple[DagRun, ...]:
        return self.api.runs(plan.dag_id, state=["queued", "running"])

    def _error(self, run: DagRun, tasks: Iterable[TaskInstance]) -> tuple[str, str] | None:
        """What the task that stands in the way told of its failure."""
        stopped = [task for task in tasks if task.state in ("failed", "up_for_retry")]
        for task in stopped:
            told = self.api.xcom(run.dag_id, run.run_id, task.task_id, ERROR)
            if isinstance(told, dict):
                return str(told.get("kind")), str(told.get("text"))
        return None


@dataclass(frozen=True, slots=True)
class Roll:
    """Which of our DAGs Airflow has, remembered: while their number stays the same, only that is asked for."""

    expected: int = 0  # a hash of the ids that were looked for
    total: int = -1  # how many DAGs there were, ours or not, that are not stale
    absent: tuple[str, ...] = ()
    called: int = 0  # when, in minutes since 1970


def roll_call(view: AirflowView, dag_ids: frozenset[str], before: Roll, now: datetime) -> Roll:
    """The ids that Airflow does not have, or only as stale ones."""
    expected, total, minute = hash_of(dag_ids), view.api.count_dags(), int(now.timestamp()) // 60
    same = (expected, total) == (before.expected, before.total)
    if same and abs(minute - before.called) < ROLL_MINUTES:
        return before
    found = {dag.dag_id for dag in view.api.dags(stale=False)}
    return Roll(expected, total, tuple(sorted(dag_ids - found)), minute)


def blocked(view: AirflowView, plans: Iterable[TablePlan], roll: Roll, now: datetime) -> frozenset[str]:
    """The DAGs none of whose runs can start: absent, without their pool, or all of them without a scheduler.

    Paused ones are not among them: somebody meant that, and hears of it when a window is due.
    """
    every = list(plans)
    if _is_dead(view.health, now):
        return frozenset(plan.dag_id for plan in every)
    poolless = {plan.dag_id for plan in every if plan.pools.source not in view.pools}
    return frozenset(roll.absent) | poolless


def _is_dead(health: Health, now: datetime) -> bool:
    """A scheduler that is started anew is sick for a moment."""
    last = health.components["scheduler"].heartbeat if "scheduler" in health.components else None
    return "scheduler" in health.sick and (last is None or now - last > SCHEDULER_DEAD)


def hash_of(names: frozenset[str]) -> int:
    """The same in every process."""
    return zlib.crc32("\n".join(sorted(names)).encode())


def first_problem(text: str, file: str) -> str:
    """The line that names the tenant's file, or another of the project; else the last one, as of a traceback."""
    lines = [match.group() for match in _PROBLEM.finditer(text)]
    own = next((line for line in lines if line.startswith(file)), lines[0] if lines else "")
    return own or next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no text")


def _says_paused(extra: str) -> bool:
    try:
        return bool(json.loads(extra).get("is_paused"))
    except (ValueError, AttributeError):
        return False
