"""Which tasks of a window's run to clear, by how it failed, and what will come of it. Deciding is pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tenantdags.model.plan import TablePlan
from tenantdags.model.taxonomy import kind_of
from tenantdags.model.window import Window
from tenantdags.steps.airflow_answers import DagRun, TaskInstance
from tenantdags.steps.airflow_api import BACKFILL, AirflowApi
from tenantdags.steps.published import Generation
from tenantdags.steps.qa_summary import STEPS
from tenantdags.steps.reasons import Facts, Reason, reason_of

# what another try of the task that failed works on again; every other failure needs the rows read anew
_AGAIN = {
    "gate.error", "staging.unavailable", "landing.unreachable", "databricks.submit", "databricks.run",
    "databricks.timeout", "internal",
}  # fmt: skip
_STAGED = ("check_extract", "upload")  # they read what extract left in staging


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Clear `task` of `run` with what follows it.

    `failed` says how the run ended, `why` why this task is the one; `mend` what must be done before.
    """

    run: DagRun
    task: str
    failed: str
    kind: str
    why: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class NoRetry:
    """There is nothing to clear; `why`, and what to do `instead`."""

    why: str
    instead: str


def choose(
    plan: TablePlan, window: Window, facts: Facts, readers: Generation | None, now: datetime, task: str | None = None
) -> Retry | NoRetry:
    """What to clear of the window's last run; `task` is the one that a person names."""
    reason = reason_of(plan, window, facts, now)
    run = facts.runs[-1] if facts.runs else None
    if run is None:
        return NoRetry(reason.text, instead(plan, window, facts, reason))
    if not run.finished:
        return NoRetry(f"run {run.run_id} is {run.state}: {reason.text}", instead(plan, window, facts, reason))
    failed = _failed(facts.tasks)
    if task:
        return Retry(run=run, task=task, failed=reason.text, kind=_kind(facts), why="named by --from")
    if run.state == "success" and readers is not None:
        again = f"`--from extract` reads the window anew; `tenantdags rollback {_words(plan, window)}` goes back"
        return NoRetry(f"run {run.run_id} succeeded and readers see generation {readers.generation}", again)
    if failed is None:  # marked as ended by hand
        why = "no task of it failed, so it begins anew"
        return Retry(run=run, task="extract", failed=reason.text, kind=_kind(facts), why=why)
    kind = _kind(facts)
    begin, why = _from(plan, failed, kind, run, now)
    return Retry(run=run, task=begin, failed=reason.text, kind=kind, why=why, mend=_mend(facts, kind))


def lines(
    plan: TablePlan,
    window: Window,
    found: Retry | NoRetry,
    cleared: tuple[TaskInstance, ...] = (),
    paused: bool = False,
) -> Iterator[str]:
    """What would happen, for a person to say yes to. `cleared` is what Airflow says it would clear."""
    if isinstance(found, NoRetry):
        yield f"{plan.at(window)}: nothing to retry"
        yield f"  because  {found.why}"
        yield f"  instead  {found.instead}"
        return
    yield f"{plan.at(window)}: clear {found.task} and what follows it, in run {found.run.run_id}"
    yield f"  now      {found.failed}"
    yield f"  because  {found.why}"
    if found.mend:
        yield f"  first    {found.mend}"
    yield f"  clears   {', '.join(task.task_id for task in cleared)}"
    yield f"  then     {_then(plan, found.task)}"
    if paused:
        yield f"  but      the DAG is paused: nothing runs before `airflow dags unpause {plan.dag_id}`"


def clear(api: AirflowApi, plan: TablePlan, found: Retry, *, dry_run: bool) -> tuple[TaskInstance, ...]:
    """The task instances that are cleared, or would be. Raises AirflowConflict while one of them runs."""
    cleared = api.clear_tasks(plan.dag_id, found.run.run_id, found.task, downstream=True, dry_run=dry_run)
    order = (*STEPS, "summarise")
    return tuple(sorted(cleared, key=lambda t: order.index(t.task_id) if t.task_id in order else len(order)))


def require_startable(api: AirflowApi, plan: TablePlan, window: Window, found: Retry) -> Retry | NoRetry:
    """Airflow leaves a backfill that is cancelled paused for good: a run of it, cleared, would stay queued."""
    run = found.run
    if run.run_type != BACKFILL or run.logical_date is None or run.queued_at is None:
        return found
    at, queued = run.logical_date, run.queued_at
    made = [each for each in api.backfills(plan.dag_id) if each.first <= at <= each.last and each.created_at <= queued]
    if not made or not made[-1].paused:
        return found
    last = made[-1]
    if last.completed_at is None:
        why = f"backfill {last.id}, which its run belongs to, is paused"
        return NoRetry(why, f"`tenantdags backfill resume {last.id}`, then the same again")
    again = "--reset-dagruns" if run.state == "success" else "--rerun-failed-tasks"
    words = f"--tenant {plan.tenant} --table {plan.table} -s {window.key} -e {window.key} {again}"
    why = f"backfill {last.id}, which its run belongs to, was cancelled: Airflow starts no run of it any more"
    return NoRetry(why, f'`tenantdags backfill {words} --reason "…"`')


def _from(plan: TablePlan, failed: str, kind: str, run: DagRun, now: datetime) -> tuple[str, str]:
    if failed == "extract":
        return failed, "nothing was read"
    if kind not in _AGAIN:
        return "extract", f"{kind} is about the rows that were read, so they are read anew"
    old = run.ended_at is not None and now - run.ended_at > plan.staging.keep_failed
    if failed in _STAGED and (old or kind == "staging.unavailable"):
        return "extract", "the staged files are gone, or may be"
    return failed, f"what {failed} works on is still there"


def _mend(facts: Facts, kind: str) -> str | None:
    """What the failed task said would mend it, where another try alone cannot."""
    try:
        worth_it = kind_of(kind).retry is not None
    except KeyError:
        return None
    remedy = facts.error[1].partition(" Remedy: ")[2].strip() if facts.error else ""
    return None if worth_it else remedy or f"mend the cause; see {kind_of(kind).runbook}"


def _then(plan: TablePlan, task: str) -> str:
    reads = f"reads the window anew from {plan.source.connection}" if task == "extract" else f"{task} runs again"
    return f"{reads}; readers see no change before `publish`, and then one generation more"


def instead(plan: TablePlan, window: Window, facts: Facts, reason: Reason) -> str:
    """What helps where clearing does not."""
    dag = facts.dag
    if facts.import_error:
        return "mend the tenant's file; its DAGs come back by themselves"
    if dag is None or dag.stale:
        return "look at the dag-processor's log and at the bundle's setting"
    if dag.paused:
        return f"`airflow dags unpause {plan.dag_id}`, once whoever paused it agrees"
    if "scheduler" in facts.health.sick:
        return "start the scheduler"
    if "does not exist; run `tenantdags apply`" in reason.text:
        return "`tenantdags apply`, which makes the pool; the task goes on by itself"
    if not facts.runs and reason.hopeless and plan.contract.mode == "event":
        return f"`airflow dags backfill -s {window.key} -e {window.key} {plan.dag_id}`"
    return f"wait; `tenantdags explain {_words(plan, window)}` tells how it goes on"


def _failed(tasks: tuple[TaskInstance, ...]) -> str | None:
    states = {task.task_id: task.state for task in tasks}
    return next((step for step in STEPS if states.get(step) in ("failed", "upstream_failed", "removed")), None)


def _kind(facts: Facts) -> str:
    return facts.error[0] if facts.error else "internal"


def _words(plan: TablePlan, window: Window) -> str:
    return f"{plan.tenant} {plan.table} {window.key}"
