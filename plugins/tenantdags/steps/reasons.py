"""Why a window is not published, in words: from the DAG that is absent to the slot that a task waits for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window, window_at
from tenantdags.steps.airflow_answers import Dag, DagRun, Event, Health, PoolUse, TaskInstance
from tenantdags.steps.qa_summary import STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """`missing`: no run of the window exists and none is on its way. `late`: one does, or nobody could be asked.

    `hopeless`: it will not come by itself, so there is nothing to wait for; `failed`: its run ended so.
    """

    kind: Literal["late", "missing"]
    text: str
    run_id: str | None = None
    hopeless: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What Airflow says of a table and one of its windows. `runs` are the window's, the last one last."""

    health: Health
    dag: Dag | None = None
    import_error: str | None = None
    runs: tuple[DagRun, ...] = ()
    tasks: tuple[TaskInstance, ...] = ()  # of the last run
    error: tuple[str, str] | None = None  # kind and text of what stopped it, as its task told
    active: tuple[DagRun, ...] = ()  # runs of the table that are queued or running
    pools: Mapping[str, PoolUse] | None = None
    paused_by: Event | None = None


def reason_of(plan: TablePlan, window: Window, facts: Facts, now: datetime) -> Reason:
    """Why the window is not published, the first cause first."""
    run = facts.runs[-1] if facts.runs else None
    blocked = _blocked(plan, facts)
    if run is None:
        return _without_run(plan, window, facts, blocked)
    if run.state == "failed":
        return Reason(kind="late", text=_failed(facts), run_id=run.run_id, hopeless=True, failed=True)
    if run.state == "success":
        text = "its run succeeded in Airflow, but nothing is published: was it marked so by hand?"
        return Reason(kind="late", text=text, run_id=run.run_id, hopeless=True)
    if blocked:
        return Reason(kind="late", text=blocked, run_id=run.run_id, hopeless=True)
    if run.state == "queued":
        others = [each for each in facts.active if each.run_id != run.run_id and each.state == "running"]
        behind = f": {_window_of(plan, others[0])} runs first" if others else ""
        return Reason(
            kind="late", text=f"its run is queued since {_clock(plan, run.queued_at)}{behind}", run_id=run.run_id
        )
    return _running(plan, run, facts, now)


def _blocked(plan: TablePlan, facts: Facts) -> str | None:
    """What keeps every run of the table from going on."""
    dag, error = facts.dag, facts.import_error
    if error:
        return f"the DAG's file cannot be loaded: {error}"
    if dag is None:
        return f"Airflow has no DAG {plan.dag_id}{_if_sick(plan, facts, 'dag_processor')}"
    if dag.stale:
        return f"the DAG is stale: its file is gone{_if_sick(plan, facts, 'dag_processor')}"
    if dag.paused:
        by = facts.paused_by
        return f"paused by {by.who or 'somebody'} at {_clock(plan, by.at)}" if by else "paused"
    if "scheduler" in facts.health.sick:
        return f"the scheduler does not run{_heartbeat(plan, facts, 'scheduler')}"
    return None


def _without_run(plan: TablePlan, window: Window, facts: Facts, blocked: str | None) -> Reason:
    if blocked:
        return Reason(kind="missing", text=f"its run never started: {blocked}", hopeless=True)
    if facts.active:
        older = facts.active[0]
        return Reason(kind="late", text=f"waits for {_window_of(plan, older)}, whose run is {older.state}")
    dag = facts.dag
    assert dag is not None
    if dag.next_start and dag.next_start > window.start:
        text = f"Airflow has no run of it and goes on with {_window_at(plan, dag.next_start)}: was its run deleted?"
        return Reason(kind="missing", text=text, hopeless=True)
    text = "the scheduler has made no run of it"
    if dag.next_start == window.start:
        text += f", though it was to start at {_clock(plan, dag.next_due)}"
    elif dag.next_start:
        text += f", and {_window_at(plan, dag.next_start)} comes first"
    return Reason(kind="missing", text=text)


def _running(plan: TablePlan, run: DagRun, facts: Facts, now: datetime) -> Reason:
    tasks = {task.task_id: task for task in facts.tasks}
    task = next((tasks[step] for step in STEPS if step in tasks and tasks[step].state != "success"), None)
    if task is None:
        return Reason(kind="late", text="its run is running, and no task of it is", run_id=run.run_id)
    text, hopeless = _waiting(plan, task, facts, now)
    return Reason(kind="late", text=f"{task.task_id} {text}", run_id=run.run_id, hopeless=hopeless)


def _waiting(plan: TablePlan, task: TaskInstance, facts: Facts, now: datetime) -> tuple[str, bool]:
    """(what the task does or waits for, whether that is in vain)."""
    tries = f", try {task.try_number} of {task.max_tries + 1}" if task.max_tries else ""
    match task.state:
        case None:
            return "is next; the scheduler has not come to it", False
        case "scheduled":
            return _slot(plan, task, facts)
        case "queued":
            return f"is queued since {_clock(plan, task.queued_at)}, and no worker has taken it", False
        case "up_for_retry":
            return f"failed{tries}, and will be tried again: {_told(facts) or 'it told nothing'}", False
        case "deferred":
            if "triggerer" in facts.health.sick:
                return (
                    f"waits for Databricks, and the triggerer does not run{_heartbeat(plan, facts, 'triggerer')}",
                    True,
                )
            return f"waits for Databricks since {_clock(plan, task.started_at)}{tries}{_beyond(plan, task, now)}", False
        case "running":
            return f"runs since {_clock(plan, task.started_at)}{tries}", False
    return f"is {task.state}", False


def _slot(plan: TablePlan, task: TaskInstance, facts: Facts) -> tuple[str, bool]:
    since = f"is scheduled since {_clock(plan, task.scheduled_at)} and waits for a slot of pool {task.pool}"
    if facts.pools is None:
        return since, False
    pool = facts.pools.get(task.pool)
    if pool is None:
        return f"{since}, which does not exist; run `tenantdags apply`", True
    if pool.slots == 0:
        return f"{since}, which has no slots", True
    return f"{since}: {pool.open} of {pool.slots} free, {pool.scheduled} tasks wait", False


def _failed(facts: Facts) -> str:
    tasks = {task.task_id: task.state for task in facts.tasks}
    step = next((step for step in STEPS if tasks.get(step) == "failed"), None)
    said = _told(facts)
    return f"its run failed{f' at {step}' if step else ''}{f': {said}' if said else ''}"


def _told(facts: Facts) -> str | None:
    """`source.unreachable: …` without the remedy, which the alert and `explain` give."""
    if facts.error is None:
        return None
    kind, text = facts.error
    said = text.split(f"{kind}: ", 1)[-1].partition(" Remedy: ")[0].rstrip(".")
    return f"{kind}: {said}"


def _beyond(plan: TablePlan, task: TaskInstance, now: datetime) -> str:
    timeout = plan.databricks.timeout
    over = task.started_at is not None and now - task.started_at > timeout
    return f", longer than its timeout of {timeout}" if over else ""


def _if_sick(plan: TablePlan, facts: Facts, component: str) -> str:
    if component not in facts.health.sick:
        return ""
    return f"; the {component.replace('_', '-')} does not run{_heartbeat(plan, facts, component)}"


def _heartbeat(plan: TablePlan, facts: Facts, component: str) -> str:
    last = facts.health.components[component].heartbeat
    return f", its last heartbeat was at {_clock(plan, last)}" if last else ", and never did"


def _window_of(plan: TablePlan, run: DagRun) -> str:
    return _window_at(plan, run.start) if run.start else run.run_id


def _window_at(plan: TablePlan, start: datetime) -> str:
    return window_at(start, plan.schedule.every, plan.schedule.time_zone).key


def _clock(plan: TablePlan, at: datetime | None) -> str:
    """`02:04 Mon 23 Nov`, as the tenant's clocks show it."""
    return f"{at.astimezone(ZoneInfo(plan.schedule.time_zone)):%H:%M %a %d %b}" if at else "an unknown time"
