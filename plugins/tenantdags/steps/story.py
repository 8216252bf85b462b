"""The story of one window from all its sources: Airflow, landing and its QA summaries, the files as they were.

A source that does not answer leaves a gap that is told; the others tell their part.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from tenantdags.model.deadline import due_of
from tenantdags.model.errors import AirflowError, RunError
from tenantdags.model.fingerprint import changed
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import DEFAULTS
from tenantdags.model.runs import first_start
from tenantdags.model.window import Window, window_at
from tenantdags.steps.airflow_answers import DagRun, Event, TaskInstance
from tenantdags.steps.airflow_view import AirflowView
from tenantdags.steps.fleet import files_of, kept_at
from tenantdags.steps.landing import Landing
from tenantdags.steps.published import Generation
from tenantdags.steps.reasons import Facts, Reason, reason_of

BACK = 14  # windows that are looked through for the last green one
DIFF_LINES = 12
PLAN = "plan"  # the XCom key under which extract tells what it worked by
_DEEDS = {
    "post_clear_task_instances": "cleared tasks",
    "clear_dag_run": "cleared the run",
    "patch_dag_run": "changed the run's state or note",
    "patch_task_instance": "changed a task's state",
    "delete_dag_run": "deleted the run",
    "trigger_dag_run": "triggered a run",
    "create_backfill": "made a backfill",
}

_INSTANT = timedelta(microseconds=1)

T = TypeVar("T")
D = TypeVar("D")
Runs = tuple[tuple[DagRun, tuple[TaskInstance, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What the QA summary of one attempt says."""

    run_id: str
    outcome: str
    kind: str | None
    cause: str | None
    remedy: str | None
    failed_task: str | None
    at: datetime
    rows: Mapping[str, int | None]
    contract_version: str | None

    @classmethod
    def from_summary(cls, raw: Mapping[str, Any]) -> Attempt:
        """Of a summary of any format that has these words."""
        said = {name: raw.get(name) for name in ("kind", "cause", "remedy", "failed_task", "contract_version")}
        at = datetime.fromisoformat(str(raw["summarised_at"])).astimezone(UTC)
        return cls(run_id=str(raw["run_id"]), outcome=str(raw["outcome"]), at=at, rows=raw.get("rows") or {}, **said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Green:
    """The last generation of this table that a run published, of this window or an earlier one."""

    window: Window
    fact: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is not as it was at the last green. `parts` are those of the plan that decide the data; None: not known."""

    contract: tuple[str, str] | None = None
    parts: tuple[str, ...] | None = None
    files: tuple[tuple[str, tuple[str, ...]], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`generations` are the window's, `runs` and `tasks` (of each run) Airflow's, `gaps` what could not be asked."""

    plan: TablePlan
    window: Window
    now: datetime
    due: datetime | None
    generations: tuple[Generation, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    facts: Facts | None = None
    reason: Reason | None = None
    tasks: Runs = ()
    deeds: tuple[tuple[datetime, str], ...] = ()
    told: tuple[tuple[datetime, str], ...] = ()
    green: Green | None = None
    changes: Changes | None = None
    gaps: tuple[str, ...] = ()

    @property
    def head(self) -> Generation | None:
        """What readers see of the window."""
        return self.generations[-1] if self.generations else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Whom to ask. `told` gives what on-call was told of the window, by time."""

    root: Path
    landing: Callable[[], Landing]
    airflow: Callable[[], AirflowView]
    told: Callable[[TablePlan, Window], Sequence[tuple[datetime, str]]]


def story(plan: TablePlan, window: Window, sources: Sources, now: datetime) -> Story:
    """Never raises for a source that does not answer: its part is missing, and `gaps` says so."""
    asking = _Asking(plan, window, sources)
    generations, attempts = asking.generations(), asking.attempts()
    facts = asking.facts()
    green = asking.green(generations)
    return Story(
        plan=plan,
        window=window,
        now=now,
        due=due_of(plan, window),
        generations=generations,
        attempts=attempts,
        facts=facts,
        reason=reason_of(plan, window, facts, now) if facts else None,
        tasks=asking.tasks(facts) if facts else (),
        deeds=asking.deeds(facts) if facts else (),
        told=asking.told(),
        green=green,
        changes=asking.changes(green) if green else None,
        gaps=tuple(dict.fromkeys(asking.gaps)),
    )


class _Asking:
    """Every source in turn. What does not answer is a gap, and its part the default."""

    def __init__(self, plan: TablePlan, window: Window, sources: Sources) -> None:
        self.plan, self.window, self.sources = plan, window, sources
        self.gaps: list[str] = []
        self.landing = self._or(None, sources.landing)
        self.view = self._or(None, sources.airflow)

    def generations(self) -> tuple[Generation, ...]:
        landing = self.landing
        record = self._or(None, lambda: landing.published(self.plan, self.window)) if landing else None
        return record.file.generations if record else ()

    def attempts(self) -> tuple[Attempt, ...]:
        landing = self.landing
        found = self._or((), lambda: landing.summaries(self.plan, self.window)) if landing else ()
        return tuple(attempt for raw in found for attempt in _attempt(raw))

    def facts(self) -> Facts | None:
        view = self.view
        return self._or(None, lambda: view.facts(self.plan, self.window)) if view else None

    def tasks(self, facts: Facts) -> Runs:
        if not facts.runs:
            return ()
        *earlier, last = facts.runs
        found = [(run, self._or((), partial(self._tasks_of, run))) for run in earlier]
        return (*found, (last, facts.tasks))

    def deeds(self, facts: Facts) -> tuple[tuple[datetime, str], ...]:
        """What people did to the window's runs, and whether they switched the DAG off."""
        runs = {run.run_id for run in facts.runs}
        events = [event for event in self._or((), self._events) if event.run_id in runs]
        told = [(event.at, f"{event.who or 'somebody'} {_DEEDS[event.what]}") for event in events]
        if facts.paused_by:
            told.append((facts.paused_by.at, f"{facts.paused_by.who or 'somebody'} paused the DAG"))
        return tuple(told)

    def told(self) -> tuple[tuple[datetime, str], ...]:
        return tuple(self._or((), lambda: tuple(self.sources.told(self.plan, self.window))))

    def green(self, own: Sequence[Generation]) -> Green | None:
        """An earlier generation of the window, or the newest of an earlier window."""
        if own:
            return Green(window=self.window, fact=own[-1])
        return self._or(None, self._earlier_green)

    def changes(self, green: Green) -> Changes:
        """What is not as it was when the green window was published."""
        before, after = green.fact.contract_version, self.plan.contract.version
        return Changes(
            contract=(before, after) if before != after else None,
            parts=self._or(None, lambda: self._parts(green)),
            files=self._or(None, lambda: self._files(green)),
        )

    def _or(self, default: D, ask: Callable[[], T]) -> T | D:
        try:
            return ask()
        except (RunError, AirflowError) as error:
            self.gaps.append(str(error))
            return default

    def _tasks_of(self, run: DagRun) -> tuple[TaskInstance, ...]:
        return self.view.api.tasks(run.dag_id, run.run_id) if self.view else ()

    def _events(self) -> tuple[Event, ...]:
        return self.view.api.events(self.plan.dag_id, *_DEEDS) if self.view else ()

    def _earlier_green(self) -> Green | None:
        for earlier in islice(_backwards(self.plan, self.window), BACK) if self.landing else ():
            record = self.landing.published(self.plan, earlier) if self.landing else None
            if record and record.file.head:
                return Green(window=earlier, fact=record.file.head)
        return None

    def _parts(self, green: Green) -> tuple[str, ...] | None:
        """The parts of the plan that are not what the green run worked by; None where Airflow forgot it."""
        told = self.view.api.xcom(self.plan.dag_id, green.fact.run_id, "extract", PLAN) if self.view else None
        if not isinstance(told, dict):
            return None
        return tuple(changed(told, self.plan))

    def _files(self, green: Green) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
        """Per file the lines that went and came; None where it is not known how the files were."""
        landing, tenant = self.landing, self.plan.tenant
        before = kept_at(landing.blobs, "explain", tenant, green.fact.published_at) if landing else None
        if before is None:
            return None
        now = files_of(self.sources.root, tenant)
        mine = (self.plan.file, DEFAULTS, self.plan.contract.file)
        found = ((file, tuple(_lines(before.get(file, ""), now.get(file, "")))) for file in mine)
        return tuple((file, lines) for file, lines in found if lines)


def _attempt(raw: Mapping[str, Any]) -> Iterator[Attempt]:
    try:
        yield Attempt.from_summary(raw)
    except (KeyError, ValueError):
        return  # of another format; `history` lists it


def _backwards(plan: TablePlan, window: Window) -> Iterator[Window]:
    start = window.start
    while start > first_start(plan):
        earlier = window_at(start - _INSTANT, plan.schedule.every, plan.schedule.time_zone)
        yield earlier
        start = earlier.start


def _lines(before: str, after: str) -> Iterator[str]:
    """`- settle: 1h`, `+ settle: 2h`; of a long difference the beginning."""
    found = [
        f"{line[0]} {line[1:].strip()}"
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()
    ]
    yield from found[:DIFF_LINES]
    if len(found) > DIFF_LINES:
        yield f"… and {len(found) - DIFF_LINES} more lines"
