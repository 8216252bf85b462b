"""Tells what an attempt at a window came to, on every outcome: JSON and a page in landing, a row in the QA log, a line.

It decides nothing and never fails a run: what cannot be written is said in full instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tenantdags.model.errors import TenantDagsError
from tenantdags.model.plan import TablePlan
from tenantdags.model.qa import QaDocument
from tenantdags.model.window import Window
from tenantdags.steps.alert_delivery import within
from tenantdags.steps.alerts import Broken, Incident, Links, Subject
from tenantdags.steps.landing import Landing
from tenantdags.steps.qa_log import log
from tenantdags.steps.qa_page import page
from tenantdags.steps.qa_summary import RunFacts, describe, seen_by_readers
from tenantdags.steps.report import Published
from tenantdags.steps.staging import Staging
from tenantdags.steps.statements import Statements

Say = Callable[[str], None]
LOG_SECONDS = 60.0  # a warehouse that takes longer for one row holds nobody up


@dataclass(frozen=True, slots=True, kw_only=True)
class QaSummary:
    """`written` is the JSON's address, `page` the HTML's; None when it could only be logged."""

    document: QaDocument
    written: str | None = None
    page: str | None = None

    def head(self) -> dict[str, Any]:
        """The few words that travel in XCom."""
        names = {"outcome", "kind", "line", "as_of_date", "failed_task", "rows", "readers"}
        return {**self.document.model_dump(mode="json", include=names), "written": self.written, "page": self.page}


@dataclass(frozen=True, slots=True)
class World:
    """How summarise reaches what it writes to. Each is opened in there, as any of them may be what failed."""

    landing: Callable[[], Landing]
    staging: Callable[[], Staging]
    statements: Callable[[], Statements]
    now: Callable[[], datetime]
    say: Say


def summarise(plan: TablePlan, window: Window, run: RunFacts, world: World) -> QaSummary:
    """Writes the summary once per attempt, however often it is asked to, and tidies staging."""
    run = _with_keys(plan, window, run, world)
    readers, trouble = _readers(plan, window, world)
    document = describe(plan, window, run, readers, world.now(), trouble)
    summary, again = _write(plan, window, document, world)
    _log(plan, window, summary, world, again=again)
    _tidy(plan, window, run, document, world)
    return summary


def incident(
    plan: TablePlan, document: QaDocument, *, at: datetime, due: datetime | None, links: Links, awaited: bool
) -> Incident:
    """What on-call is told of an attempt that is not green. `awaited`: readers wait for this run by its deadline."""
    assert document.kind is not None
    broken = document.broken
    tries = next((task.try_number for task in document.tasks if task.task_id == document.failed_task), 0)
    return Incident(
        subject=Subject.of(plan), kind=document.kind, window=document.window, at=at, cause=document.cause or "unknown",
        due=due, awaited=awaited, readers=seen_by_readers(document),
        broken=Broken(**broken.model_dump()) if broken else None, failed_task=document.failed_task,
        tries=max(tries, 1), run_id=document.run_id, links=links,
    )  # fmt: skip


def _with_keys(plan: TablePlan, window: Window, run: RunFacts, world: World) -> RunFacts:
    """The keys of rows that broke a rule stand in the tenant's folder, not in XCom."""
    if run.manifest is None or all(gate.outcome == "pass" for gate in run.gates):
        return run
    try:
        keys = world.landing().failing_keys(plan, window, run.manifest.load_id)
    except TenantDagsError as error:
        world.say(f"failing keys cannot be shown: {error}")
        return run
    return replace(run, gates=tuple(gate.with_keys(keys.get(gate.gate, {})) for gate in run.gates))


def _readers(plan: TablePlan, window: Window, world: World) -> tuple[Published | None, str | None]:
    """(what readers see now, why that is not known)."""
    try:
        record = world.landing().published(plan, window)
    except TenantDagsError as error:
        return None, str(error)
    return (record.file.current if record else None), None


def _write(plan: TablePlan, window: Window, document: QaDocument, world: World) -> tuple[QaSummary, bool]:
    """The summary with its addresses, and whether this attempt may have been summarised before."""
    text, name = document.model_dump_json(indent=1), _file_name(document.attempt)
    try:
        landing = world.landing()
        again = landing.has_qa(plan, window, f"{name}.json")
        # the page first: whoever sees the JSON finds its page beside it
        shown = landing.put_qa(plan, window, f"{name}.html", page(document))
        written = landing.put_qa(plan, window, f"{name}.json", text)
    except TenantDagsError as error:
        world.say(f"the QA summary could not be written, so here it is: {error}\n{text}")
        return QaSummary(document=document), True
    return QaSummary(document=document, written=written, page=shown), again


def _log(plan: TablePlan, window: Window, summary: QaSummary, world: World, *, again: bool) -> None:
    """One row per attempt."""
    try:
        within(
            LOG_SECONDS,
            lambda: log(plan, window, summary.document, summary.written, world.statements(), again=again),
        )
    except (TenantDagsError, TimeoutError) as error:
        world.say(f"{plan.databricks.qa_log} has no row of this attempt: {error}")


def _tidy(plan: TablePlan, window: Window, run: RunFacts, document: QaDocument, world: World) -> None:
    """A good load's files go, a bad one's stay for a while to be looked at."""
    try:
        if document.outcome == "green" and run.manifest:
            world.staging().delete(plan, run.manifest.load_id, window)
        for folder in world.staging().sweep(plan.staging.keep_failed, world.now()):
            world.say(f"removed {folder}, a failed load older than {plan.staging.keep_failed}")
    except TenantDagsError as error:
        world.say(f"staging was not tidied: {error}")


def _file_name(attempt: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", attempt).strip("-.") or "attempt"
