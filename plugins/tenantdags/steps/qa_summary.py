"""What one attempt at a window came to: a pure function from what its tasks left behind to the QA document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from tenantdags.model.plan import TablePlan
from tenantdags.model.qa import (
    QaBroken,
    QaCheck,
    QaDocument,
    QaDrift,
    QaDriftLine,
    QaGate,
    QaOutcome,
    QaReaders,
    QaRecount,
    QaRecounted,
    QaRows,
    QaTask,
)
from tenantdags.model.taxonomy import kind_of
from tenantdags.model.window import Window
from tenantdags.steps.manifest import Manifest, SourceDrift
from tenantdags.steps.recount import Told
from tenantdags.steps.report import GateReport, Loaded, Published, said

STEPS = ("extract", "check_extract", "upload", "load", "check_load", "publish")


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

    `attempt` names the summary's file; the same attempt summarised twice overwrites it. `databricks_run` is the page of
    the run that load submitted, whatever became of it; `landed` is what upload counted in landing; `reason` is that of
    a backfill, in the words of who asked for it (`by`); `recount` is what became of earlier windows that
    differ at the source.
    """

    run_id: str
    attempt: str
    tasks: tuple[TaskFact, ...]
    manifest: Manifest | None = None
    gates: tuple[GateReport, ...] = ()
    landed: int | None = None
    loaded: Loaded | None = None
    published: Published | None = None
    databricks_run: str | None = None
    recount: tuple[Told, ...] = ()
    reason: str | None = None
    by: str | None = None


def describe(
    plan: TablePlan,
    window: Window,
    run: RunFacts,
    readers: Published | None,
    at: datetime,
    trouble: str | None = None,
) -> QaDocument:
    """The document, from facts of this attempt alone. `trouble`: why what readers see is not known."""
    facts = this_attempt(run)
    failed = _failed(facts)
    broken = _broken(facts, failed)
    outcome, kind, cause = _verdict(plan, window, failed, broken)
    rows, warnings = _rows(facts), _warnings(facts)
    why = f"{outcome.upper()} {kind}: {cause}" if kind else outcome.upper()
    counted = _counted(rows, readers, len(warnings), green=kind is None, known=trouble is None)
    return QaDocument(
        line=f"{plan.at(window)} {why} | {counted} | run {facts.run_id}",
        outcome=outcome, kind=kind, cause=cause, remedy=_remedy(failed),
        runbook=kind_of(kind).runbook if kind else None,
        failed_task=failed.task_id if failed else None, broken=broken,
        tenant=plan.tenant, tenant_name=plan.tenant_name, tier=plan.tier, table=plan.table,
        contract=plan.contract.ref, contract_version=plan.contract.version, serving=plan.serving,
        window=window.key, window_start=window.start, window_end=window.end, as_of_date=window.as_of_date,
        time_zone=plan.schedule.time_zone, run_id=facts.run_id, attempt=facts.attempt, reason=facts.reason, by=facts.by,
        load_id=facts.manifest.load_id if facts.manifest else None,
        append_id=facts.loaded.append_id if facts.loaded else None, databricks_run=facts.databricks_run,
        rows=rows, gates=tuple(map(_gate, facts.gates)), warnings=warnings,
        recount=_recount(facts), drift=_drift(facts),
        tasks=tuple(QaTask(**asdict(task)) for task in facts.tasks),
        readers=QaReaders(**asdict(readers)) if readers else None, readers_unknown=trouble, summarised_at=at,
    )  # fmt: skip


def this_attempt(run: RunFacts) -> RunFacts:
    """Without what a cleared task told in an earlier attempt: Airflow keeps that until the task runs again."""
    states = {task.task_id: task.state for task in run.tasks}
    manifest = run.manifest if states.get("extract") == "success" else None
    load_id = manifest.load_id if manifest else None
    loaded = run.loaded if manifest and states.get("load") == "success" else None
    landed = run.landed if manifest and states.get("upload") in ("success", "failed") else None
    gates = tuple(
        gate
        for gate in run.gates
        if gate.load_id == load_id and states.get(gate.gate) in ("success", "failed") and _judged(gate, loaded)
    )
    submitted = manifest and states.get("load") in ("success", "failed")
    return replace(
        run, manifest=manifest, landed=landed, loaded=loaded, gates=gates,
        published=run.published if loaded and states.get("publish") == "success" else None,
        databricks_run=run.databricks_run if submitted else None,
        tasks=tuple(task if task.state == "failed" else _without_error(task) for task in run.tasks),
    )  # fmt: skip


def _judged(gate: GateReport, loaded: Loaded | None) -> bool:
    return gate.gate == "check_extract" or (loaded is not None and gate.append_id == loaded.append_id)


def _without_error(task: TaskFact) -> TaskFact:
    return replace(task, error_kind=None, error_text=None)


def _failed(facts: RunFacts) -> TaskFact | None:
    """The first step that did not succeed; behind it the others could not."""
    found = {task.task_id: task for task in facts.tasks}
    steps = [found.get(step, TaskFact(task_id=step, state=None)) for step in STEPS]
    return next((task for task in steps if task.state != "success"), None)


def _verdict(
    plan: TablePlan, window: Window, failed: TaskFact | None, broken: QaBroken | None
) -> tuple[QaOutcome, str | None, str | None]:
    """(outcome, kind, cause in words)."""
    if failed is None:
        return "green", None, None
    if failed.error_kind is None:
        said = f"task {failed.task_id} ended {failed.state or 'without a state'} and told nothing."
        return "killed", "internal", said
    kind, text = failed.error_kind, failed.error_text or ""
    cause = text.removeprefix(f"{plan.at(window)}: {kind}: ").partition(" Remedy: ")[0]
    cause = _in_words(broken, kind) if broken else cause
    if kind.startswith("quality.") or kind == "reconcile.mismatch":
        return "red", kind, cause
    return ("drift" if kind.startswith("drift.") else "error"), kind, cause


def _remedy(failed: TaskFact | None) -> str | None:
    return (failed.error_text or "").partition(" Remedy: ")[2] or None if failed else None


def _broken(facts: RunFacts, failed: TaskFact | None) -> QaBroken | None:
    gates = [gate for gate in facts.gates if failed and gate.gate == failed.task_id]
    results = [r for gate in gates for r in gate.results if r.outcome == "fail"]
    if not results:
        return None
    first, *others = results
    return QaBroken(rule=first.rule, value=first.value, expected=first.expected, more=tuple(r.rule for r in others))


def _in_words(broken: QaBroken, kind: str) -> str:
    """`3 duplicate keys (expected 0), and 2 more: email, status`: the rule's id is in the kind already."""
    named = "" if kind == f"quality.{broken.rule}" else f"{broken.rule}: "
    more = f", and {len(broken.more)} more: {', '.join(broken.more)}" if broken.more else ""
    return f"{named}{said(broken.value, broken.expected)}{more}"


def _gate(gate: GateReport) -> QaGate:
    raw: dict[str, Any] = asdict(gate)
    del raw["landed"]  # stands under `rows`
    return QaGate(**{**raw, "outcome": gate.outcome, "results": tuple(QaCheck(**r) for r in raw["results"])})


def _rows(facts: RunFacts) -> QaRows:
    manifest = facts.manifest
    counted = next((gate.landed for gate in facts.gates if gate.landed is not None), facts.landed)
    return QaRows(
        source=manifest.totals.rows if manifest else None,
        staged=manifest.rows if manifest else None,
        landed=counted,
        appended=facts.loaded.rows if facts.loaded else None,
        published=facts.published.rows if facts.published else None,
    )


def _warnings(facts: RunFacts) -> tuple[str, ...]:
    told = facts.manifest.warnings if facts.manifest else ()
    return (*told, *_of_gates(facts.gates), *(entry.text for entry in facts.recount))


def _of_gates(gates: Iterable[GateReport | QaGate]) -> tuple[str, ...]:
    warned = ((gate.gate, r) for gate in gates for r in gate.results if r.outcome == "warn")
    return tuple(f"{gate}: {r.rule}: {said(r.value, r.expected)}" for gate, r in warned)


def _recount(facts: RunFacts) -> QaRecount | None:
    counted = facts.manifest.recount if facts.manifest else None
    if counted is None and not facts.recount:
        return None
    told = tuple(QaRecounted(**asdict(entry)) for entry in facts.recount)
    return QaRecount(windows=counted.windows if counted else 0, differing=told)


def _drift(facts: RunFacts) -> QaDrift:
    found = facts.manifest.drift if facts.manifest else SourceDrift()
    return QaDrift(lines=tuple(QaDriftLine(**asdict(line)) for line in found.lines), to_paste=found.to_paste)


def _counted(rows: QaRows, readers: Published | None, warnings: int, *, green: bool, known: bool) -> str:
    """`source 412 staged 412 landed - appended - published gen 1 (410 rows) still visible | 1 warning`."""
    told = {name: n for name, n in rows.model_dump().items() if name != "published"}
    counts = " ".join(f"{name} {'-' if n is None else n}" for name, n in told.items())
    noted = f" | {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    return f"{counts} published {seen(readers, green=green, known=known)}{noted}"


def news(document: QaDocument) -> tuple[str, ...]:
    """What is worth a line in the daily digest: warnings, of drift only what no earlier run met."""
    drift = (f"drift.additive: {line.text}" for line in document.drift.lines if line.new)
    recount = document.recount.differing if document.recount else ()
    return (*drift, *_of_gates(document.gates), *(entry.text for entry in recount))


def seen_by_readers(document: QaDocument) -> str:
    """The same, of a document."""
    readers = Published(**document.readers.model_dump()) if document.readers else None
    return seen(readers, green=document.outcome == "green", known=document.readers_unknown is None)


def seen(readers: Published | None, *, green: bool, known: bool = True) -> str:
    """`gen 1 (410 rows) still visible`: what readers see of the window, in few words."""
    if readers is None:
        return "nothing" if known else "unknown"
    return f"gen {readers.generation} ({readers.rows} rows){'' if green else ' still visible'}"
