"""The QA summary of one attempt at a window, on every outcome: a line for people, JSON for machines, no row values.

It decides nothing and never fails a run: what cannot be written is said in full instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from tenantdags.model.errors import TenantDagsError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.landing import Landing
from tenantdags.steps.manifest import Manifest, utc_text
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.recount import Told
from tenantdags.steps.report import GateReport, Loaded, Published
from tenantdags.steps.staging import Staging

FORMAT = 1
STEPS = ("extract", "check_extract", "upload", "load", "check_load", "publish")
QaOutcome = Literal["green", "red", "drift", "error", "killed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFact:
    """How a task of this attempt ended. `error` is what it told before it failed; None also when it was killed."""

    task_id: str
    state: str | None
    try_number: int = 0
    seconds: float | None = None
    error_kind: str | None = None
    error_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the tasks left behind. Facts of an earlier attempt may be among them; only what fits this one counts.

    `attempt` names the summary's file; the same attempt summarised twice overwrites it.
    """

    run_id: str
    attempt: str
    tasks: tuple[TaskFact, ...]
    manifest: Manifest | None = None
    gates: tuple[GateReport, ...] = ()
    loaded: Loaded | None = None
    published: Published | None = None
    recount: tuple[Told, ...] = ()
    reason: str | None = None  # of a backfill, in the words of who asked for it
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QaSummary:
    """`document` is the JSON in landing; `written` its address, None when it could only be logged."""

    outcome: QaOutcome
    kind: str | None
    line: str
    document: dict[str, Any]
    written: str | None = None

    def head(self) -> dict[str, Any]:
        """The few words that travel in XCom."""
        names = ("as_of_date", "failed_task", "rows", "readers")
        return {"outcome": self.outcome, "kind": self.kind, "line": self.line, "written": self.written} | {
            name: self.document[name] for name in names
        }

    def to_json(self) -> str:
        return json.dumps(self.document, indent=1, default=str)


def summarise(
    plan: TablePlan,
    window: Window,
    run: RunFacts,
    *,
    landing: Callable[[], Landing],
    staging: Callable[[], Staging],
    now: Callable[[], datetime],
    say: Callable[[str], None],
) -> QaSummary:
    """Writes the summary and tidies staging. Both worlds are opened in here, as either may be what failed."""
    facts = _this_attempt(run)
    readers, trouble = _readers(plan, window, landing)
    summary = describe(plan, window, facts, readers, now(), trouble)
    try:
        written = landing().put_qa(plan, window, _file_name(run.attempt), summary.to_json())
    except TenantDagsError as error:
        say(f"the QA summary could not be written, so here it is: {error}\n{summary.to_json()}")
        written = None
    _tidy(plan, window, facts, summary.outcome, staging, now(), say)
    return QaSummary(
        outcome=summary.outcome, kind=summary.kind, line=summary.line, document=summary.document, written=written
    )


def describe(
    plan: TablePlan,
    window: Window,
    facts: RunFacts,
    readers: Published | None,
    at: datetime,
    trouble: str | None = None,
) -> QaSummary:
    """The summary itself, from facts of this attempt alone. `trouble`: why what readers see is not known."""
    failed = _failed(facts)
    outcome, kind, cause = _verdict(plan, window, facts, failed)
    why = f"{outcome.upper()} {kind}: {cause}" if kind else outcome.upper()
    line = f"{plan.at(window)} {why} | {_counted(facts, readers, outcome, trouble)} | run {facts.run_id}"
    document = {
        "format": FORMAT,
        "line": line,
        "outcome": outcome,
        "kind": kind,
        "cause": cause,
        "failed_task": failed.task_id if failed else None,
        "reason": facts.reason,
        "by": facts.by,
        **_place(plan, window),
        **_findings(facts),
        "readers": asdict(readers) if readers else None,
        "readers_unknown": trouble,
        "summarised_at": utc_text(at),
    }
    return QaSummary(outcome=outcome, kind=kind, line=line, document=document)


def _place(plan: TablePlan, window: Window) -> dict[str, Any]:
    return {
        "tenant": plan.tenant,
        "table": plan.table,
        "contract": plan.contract.ref,
        "contract_version": plan.contract.version,
        "window_start": utc_text(window.start),
        "window_end": utc_text(window.end),
        "as_of_date": window.as_of_date.isoformat(),
    }


def _findings(facts: RunFacts) -> dict[str, Any]:
    loaded = facts.loaded
    return {
        "run_id": facts.run_id,
        "attempt": facts.attempt,
        "load_id": facts.manifest.load_id if facts.manifest else None,
        "append_id": loaded.append_id if loaded else None,
        "databricks_run": loaded.run_page_url if loaded else None,
        "rows": _rows(facts),
        "gates": [{"outcome": gate.outcome, **gate.to_dict()} for gate in facts.gates],
        "warnings": _warnings(facts),
        "recount": _recount(facts),
        "tasks": [asdict(task) for task in facts.tasks],
    }


def _this_attempt(run: RunFacts) -> RunFacts:
    """Without what a cleared task told in an earlier attempt: Airflow keeps that until the task runs again."""
    states = {task.task_id: task.state for task in run.tasks}
    manifest = run.manifest if states.get("extract") == "success" else None
    load_id = manifest.load_id if manifest else None
    loaded = run.loaded if manifest and states.get("load") == "success" else None
    gates = tuple(
        gate
        for gate in run.gates
        if gate.load_id == load_id and states.get(gate.gate) in ("success", "failed") and _judged(gate, loaded)
    )
    published = run.published if loaded and states.get("publish") == "success" else None
    tasks = tuple(task if task.state == "failed" else _without_error(task) for task in run.tasks)
    return RunFacts(
        run_id=run.run_id, attempt=run.attempt, tasks=tasks, manifest=manifest, gates=gates, loaded=loaded,
        published=published, recount=run.recount, reason=run.reason, by=run.by,
    )  # fmt: skip


def _judged(gate: GateReport, loaded: Loaded | None) -> bool:
    return gate.gate == "check_extract" or (loaded is not None and gate.append_id == loaded.append_id)


def _without_error(task: TaskFact) -> TaskFact:
    return TaskFact(task_id=task.task_id, state=task.state, try_number=task.try_number, seconds=task.seconds)


def _failed(facts: RunFacts) -> TaskFact | None:
    """The first step that did not succeed; behind it the others could not."""
    found = {task.task_id: task for task in facts.tasks}
    steps = [found.get(step, TaskFact(task_id=step, state=None)) for step in STEPS]
    return next((task for task in steps if task.state != "success"), None)


def _verdict(
    plan: TablePlan, window: Window, facts: RunFacts, failed: TaskFact | None
) -> tuple[QaOutcome, str | None, str | None]:
    """(outcome, kind, cause in words)."""
    if failed is None:
        return "green", None, None
    if failed.error_kind is None:
        return "killed", "killed", f"task {failed.task_id} ended {failed.state or 'without a state'} and told nothing."
    kind, text = failed.error_kind, failed.error_text or ""
    cause = text.removeprefix(f"{plan.at(window)}: {kind}: ").partition(" Remedy: ")[0]
    cause = _first_broken(facts, failed) or cause
    if kind.startswith("quality.") or kind == "reconcile.mismatch":
        return "red", kind, cause
    return ("drift" if kind.startswith("drift.") else "error"), kind, cause


def _first_broken(facts: RunFacts, failed: TaskFact) -> str | None:
    """`3 duplicate keys (expected 0), and 2 more rules`: the rule's id is in the kind already."""
    results = [r for gate in facts.gates if gate.gate == failed.task_id for r in gate.results if r.outcome == "fail"]
    if not results:
        return None
    named = "" if failed.error_kind == f"quality.{results[0].rule}" else f"{results[0].rule}: "
    more = f", and {len(results) - 1} more: {', '.join(r.rule for r in results[1:])}" if len(results) > 1 else ""
    return f"{named}{results[0].said}{more}"


def _rows(facts: RunFacts) -> dict[str, int | None]:
    uploaded = any(task.task_id == "upload" and task.state == "success" for task in facts.tasks)
    manifest = facts.manifest
    return {
        "source": manifest.totals.rows if manifest else None,
        "staged": manifest.rows if manifest else None,
        "landed": manifest.rows if manifest and uploaded else None,
        "appended": facts.loaded.rows if facts.loaded else None,
        "published": facts.published.rows if facts.published else None,
    }


def _warnings(facts: RunFacts) -> list[str]:
    told = list(facts.manifest.warnings) if facts.manifest else []
    warned = [(gate.gate, r) for gate in facts.gates for r in gate.results if r.outcome == "warn"]
    gates = [f"{gate}: {r.rule}: {r.said}" for gate, r in warned]
    return [*told, *gates, *(entry.text for entry in facts.recount)]


def _recount(facts: RunFacts) -> dict[str, Any] | None:
    """How many earlier windows were counted anew at the source, and what came of those that differ."""
    counted = facts.manifest.recount if facts.manifest else None
    if counted is None and not facts.recount:
        return None
    return {"windows": counted.windows if counted else 0, "differing": [asdict(entry) for entry in facts.recount]}


def _counted(facts: RunFacts, readers: Published | None, outcome: QaOutcome, trouble: str | None) -> str:
    """`source 412 staged 412 landed - appended - published gen 1 (410 rows) still visible | 1 warning`."""
    counts = " ".join(f"{k} {'-' if n is None else n}" for k, n in _rows(facts).items() if k != "published")
    seen = f"gen {readers.generation} ({readers.rows} rows)" if readers else "unknown" if trouble else "nothing"
    still = " still visible" if readers and outcome != "green" else ""
    number = len(_warnings(facts))
    noted = f" | {number} warning{'s' if number > 1 else ''}" if number else ""
    return f"{counts} published {seen}{still}{noted}"


def _readers(plan: TablePlan, window: Window, landing: Callable[[], Landing]) -> tuple[Published | None, str | None]:
    """(what readers see now, why that is not known)."""
    try:
        record = landing().published(plan, window)
    except TenantDagsError as error:
        return None, str(error)
    return (record.file if record else PublishedFile()).current, None


def _tidy(
    plan: TablePlan,
    window: Window,
    facts: RunFacts,
    outcome: QaOutcome,
    staging: Callable[[], Staging],
    at: datetime,
    say: Callable[[str], None],
) -> None:
    """A good load's files go, a bad one's stay for a while to be looked at."""
    try:
        if outcome == "green" and facts.manifest:
            staging().delete(plan, facts.manifest.load_id, window)
        for folder in staging().sweep(plan.staging.keep_failed, at):
            say(f"removed {folder}, a failed load older than {plan.staging.keep_failed}")
    except TenantDagsError as error:
        say(f"staging was not tidied: {error}")


def _file_name(attempt: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", attempt).strip("-.") or "attempt"
