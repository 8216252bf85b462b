"""A chunk of a bulk load: many windows of one table, each judged, published and summarised by itself.

What the tasks tell each other of every window stands in landing, in the chunk's notes, and not in XCom: hundreds of
manifests and reports are too much for Airflow's database. A window that fails stays behind and stops no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from tenantdags.model.errors import DatabricksRun, LandingConflict, RunError, WindowRefused
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window, window_named
from tenantdags.steps import gates, publish
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.landed import count_landed, require_landed
from tenantdags.steps.landing import Landing
from tenantdags.steps.load import NotebookRun, loaded_of
from tenantdags.steps.manifest import Manifest, Totals
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.qa_summary import STEPS, RunFacts, TaskFact
from tenantdags.steps.recount import as_published
from tenantdags.steps.redact import redact
from tenantdags.steps.report import GateReport, Loaded, Published
from tenantdags.steps.staging import MANIFEST, Staging
from tenantdags.steps.statements import Statements

RUN_PREFIX = "bulk"
FORMAT = 1
_CANCELLED = "cancelled.json"
EXTRACT, CHECK_EXTRACT, UPLOAD, LOAD, CHECK_LOAD, PUBLISH = STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Where a window stopped, and why."""

    step: str
    kind: str
    text: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """How far one window of the chunk has come."""

    window: str
    load_id: str | None = None
    gates: tuple[GateReport, ...] = ()
    landed: int | None = None
    loaded: Loaded | None = None
    published: Published | None = None
    failure: Failure | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "gates": [gate.to_dict() for gate in self.gates]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Note:
        return cls(
            window=raw["window"],
            load_id=raw["load_id"],
            gates=tuple(GateReport.from_dict(gate) for gate in raw["gates"]),
            landed=raw["landed"],
            loaded=Loaded(**raw["loaded"]) if raw["loaded"] else None,
            published=Published(**raw["published"]) if raw["published"] else None,
            failure=Failure(**raw["failure"]) if raw["failure"] else None,
        )


Notes = Mapping[Window, Note]


class Notebook:
    """`_ops/bulk/<tenant>/<table>/<run>/`: the notes of one chunk, and the list of manifests its load is to append."""

    def __init__(self, plan: TablePlan, run_id: str, blobs: Blobs) -> None:
        self._plan, self._where, self._blobs = plan, plan.at(run_id), blobs
        self.folder = f"_ops/bulk/{plan.tenant}/{plan.curated_name}/{re.sub(r'[^A-Za-z0-9._-]+', '-', run_id)}"

    def write(self, notes: Notes) -> None:
        said = {"format": FORMAT, "windows": [note.to_dict() for note in notes.values()]}
        self._blobs.write(self._where, f"{self.folder}/notes.json", json.dumps(said, indent=1).encode())

    def read(self) -> dict[Window, Note]:
        """Raises LandingConflict when `extract` left none, or they are not ours."""
        found = self._blobs.read(self._where, f"{self.folder}/notes.json")
        try:
            raw = json.loads(found[0]) if found else {}
            notes = [Note.from_dict(each) for each in raw["windows"]]
            schedule = self._plan.schedule
            return {window_named(note.window, schedule.every, schedule.time_zone): note for note in notes}
        except (ValueError, KeyError, TypeError):
            what = f"{self.folder}/notes.json is missing or cannot be read."
            raise LandingConflict(self._where, what, "Clear `extract` with its downstream.") from None

    def list_manifests(self, urls: Sequence[str]) -> str:
        """The path of a file that lists them, for the notebook."""
        path = f"{self.folder}/manifests.json"
        self._blobs.write(self._where, path, json.dumps(list(urls)).encode())
        return path

    def cancel(self, by: str, at: datetime) -> None:
        """No step of the chunk begins any more, and `publish` begins no further window."""
        said = {"by": by, "at": at.isoformat()}
        self._blobs.write(self._where, f"{self.folder}/{_CANCELLED}", json.dumps(said).encode())

    def cancelled(self) -> bool:
        return self._blobs.read(self._where, f"{self.folder}/{_CANCELLED}") is not None

    def require_wanted(self) -> None:
        """Raises WindowRefused when somebody cancelled the chunk."""
        found = self._blobs.read(self._where, f"{self.folder}/{_CANCELLED}")
        if found is not None:
            by = json.loads(found[0]).get("by")
            remedy = "`tenantdags backfill --bulk` with the same dates takes up what is left."
            raise WindowRefused(self._where, f"{by} cancelled this chunk.", remedy)

    def delete(self) -> None:
        for path in self._blobs.names(self._where, f"{self.folder}/"):
            self._blobs.delete(self._where, path)


def bulk_run_id(run_id: str) -> str:
    """What manifests and published windows say of the run, also of one that was triggered in Airflow's UI."""
    return run_id if run_id.startswith(f"{RUN_PREFIX}__") else f"{RUN_PREFIX}__{run_id}"


def seen_of_bulk(plan: TablePlan, window: Window, landing: Landing) -> Totals | None:
    """What readers see of a window that a bulk load published last; None for any other."""
    record = landing.published(plan, window)
    head = record.file.head if record else None
    if head is None or head.event != "publish" or not head.run_id.startswith(f"{RUN_PREFIX}__"):
        return None
    return as_published(landing.read_manifest(plan, window, head.load_id))


def wanted(
    plan: TablePlan, windows: Sequence[Window], landing: Landing, *, again: bool
) -> tuple[dict[Window, int], list[Window]]:
    """(the published generation of each window to load, windows that readers see already and that are left alone)."""
    found = {window: landing.published(plan, window) for window in windows}
    files = {window: record.file if record else PublishedFile() for window, record in found.items()}
    left = [window for window, file in files.items() if file.head and not again]
    return {window: file.generation for window, file in files.items() if window not in left}, left


def noted(taken: Mapping[Window, Manifest | RunError]) -> dict[Window, Note]:
    """The notes that extract begins with."""
    return {window: _taken(window, found) for window, found in taken.items()}


def _taken(window: Window, found: Manifest | RunError) -> Note:
    if isinstance(found, Manifest):
        return Note(window=window.key, load_id=found.load_id)
    return _failed(Note(window=window.key), EXTRACT, found)


def each(notes: Notes, step: str, work: Callable[[Window, Note], Note]) -> dict[Window, Note]:
    """`work` done on every window that has come this far, also on one that failed in this step before."""
    return {window: _done(window, note, step, work) for window, note in notes.items()}


def _done(window: Window, note: Note, step: str, work: Callable[[Window, Note], Note]) -> Note:
    if note.failure and STEPS.index(note.failure.step) < STEPS.index(step):
        return note
    note = _as_before(note, step)
    try:
        return work(window, note)
    except _Judged as judged:
        return _failed(replace(note, gates=(*note.gates, judged.report)), step, judged.error)
    except RunError as error:
        return _failed(note, step, error)


def _as_before(note: Note, step: str) -> Note:
    """Without what this step, and those behind it, left in an earlier try."""
    reached = STEPS.index(step)
    return replace(
        note,
        gates=tuple(gate for gate in note.gates if STEPS.index(gate.gate) < reached),
        landed=note.landed if reached > STEPS.index(UPLOAD) else None,
        loaded=note.loaded if reached > STEPS.index(LOAD) else None,
        published=None,
        failure=None,
    )


def _failed(note: Note, step: str, error: RunError) -> Note:
    return replace(
        note, failure=Failure(step=step, kind=error.kind, text=str(error), retryable=error.retryable)
    )  # fmt: skip


class _Judged(Exception):
    """A gate that is closed, with its report: the summary shows what it found."""

    def __init__(self, report: GateReport, error: RunError) -> None:
        super().__init__(str(error))
        self.report, self.error = report, error


def _through(plan: TablePlan, window: Window, note: Note, report: GateReport) -> Note:
    try:
        gates.require_open(plan, window, report)
    except RunError as error:
        raise _Judged(report, error) from None
    return replace(note, gates=(*note.gates, report))


def check_extract(plan: TablePlan, staging: Staging, window: Window, note: Note) -> Note:
    manifest = staging.read_manifest(plan, _load_id(note), window)
    return _through(plan, window, note, gates.check_extract(plan, window, manifest, staging))


def upload(plan: TablePlan, staging: Staging, landing: Landing, window: Window, note: Note) -> Note:
    manifest = staging.read_manifest(plan, _load_id(note), window)
    landing.upload(plan, window, manifest, staging)
    landed = count_landed(plan, window, manifest, landing.blobs)
    require_landed(plan, window, manifest, landed)
    return replace(note, landed=landed.rows)


def manifest_urls(plan: TablePlan, landing: Landing, notes: Notes) -> dict[str, Window]:
    """The address of every manifest that is to be loaded, and its window."""
    root, waiting = landing.abfss_root, {w: n for w, n in notes.items() if _waits_for(n, LOAD)}
    return {f"{root}/{plan.landing.load_path(w, _load_id(n))}/{MANIFEST}": w for w, n in waiting.items()}


def _waits_for(note: Note, step: str) -> bool:
    return note.failure is None or STEPS.index(note.failure.step) >= STEPS.index(step)


def loads_of(plan: TablePlan, place: str, run: NotebookRun) -> dict[str, dict[str, Any]]:
    """What the notebook says of each manifest, by its address. Raises DatabricksRun for an answer that is no such."""
    try:
        return {load["manifest"]: load for load in json.loads(run.output or "")["loads"]}
    except (ValueError, KeyError, TypeError):
        what = f"run {run.run_id} of {plan.databricks.notebook} did not exit with the counts of several loads."
        remedy = f"Deploy this version's notebook there and look at {run.run_page_url}."
        raise DatabricksRun(plan.at(place), what, remedy) from None


def loaded(
    plan: TablePlan, landing: Landing, run: NotebookRun, said: Mapping[Window, Mapping[str, Any]], window: Window,
    note: Note,
) -> Note:  # fmt: skip
    """Judged as a run of its own would be: its counts against its manifest."""
    found = said.get(window, {})
    if "error" in found:
        what = f"run {run.run_id} could not append it: {redact(found['error'], 200).rstrip('.')}."
        raise DatabricksRun(plan.at(window), what, f"Look at {run.run_page_url}; load the window again.")
    one = replace(run, output=json.dumps(found))
    manifest = landing.read_manifest(plan, window, _load_id(note))
    return replace(note, loaded=loaded_of(plan, window, manifest, one))


def check_load(plan: TablePlan, landing: Landing, statements: Statements, window: Window, note: Note) -> Note:
    manifest = landing.read_manifest(plan, window, _load_id(note))
    return _through(plan, window, note, gates.check_load(plan, window, manifest, _loaded(note), landing, statements))


def publish_one(
    plan: TablePlan, landing: Landing, statements: Statements, run_id: str, now: Callable[[], datetime],
    window: Window, note: Note,
) -> Note:  # fmt: skip
    manifest = landing.read_manifest(plan, window, _load_id(note))
    done = publish.publish(plan, window, manifest, _loaded(note), note.gates, landing, statements, run_id, now)
    return replace(note, published=done)


def failures(notes: Notes) -> dict[Window, Failure]:
    return {window: note.failure for window, note in notes.items() if note.failure}


def told(notes: Notes) -> str:
    """`29 of 31 windows published; not 2026-11-03 (quality.pk_unique), 2026-11-09 (drift.breaking)`."""
    failed = failures(notes)
    good = sum(note.published is not None for note in notes.values())
    said = f"{good} of {len(notes)} windows published"
    if not failed:
        return said
    listed = [f"{window} ({failure.kind})" for window, failure in failed.items()]
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    return f"{said}; not {', '.join(listed[:20])}{more}"


def facts_of(
    note: Note, manifest: Manifest | None, *, run_id: str, attempt: str, reason: str | None, by: str | None,
    databricks_run: str | None,
) -> RunFacts:  # fmt: skip
    """The window as if it had had a run of its own, for its QA summary."""
    return RunFacts(
        run_id=run_id, attempt=attempt, tasks=tuple(_tasks(note)), manifest=manifest, gates=note.gates,
        landed=note.landed, loaded=note.loaded, published=note.published, databricks_run=databricks_run,
        reason=reason, by=by,
    )  # fmt: skip


def _tasks(note: Note) -> Iterable[TaskFact]:
    failure = note.failure
    stopped = STEPS.index(failure.step) if failure else None
    reached = len(STEPS) if note.published else stopped if stopped is not None else _reached(note)
    for place, step in enumerate(STEPS):
        if place < reached:
            yield TaskFact(task_id=step, state="success", try_number=1)
        elif failure and place == stopped:
            yield TaskFact(
                task_id=step, state="failed", try_number=1, error_kind=failure.kind, error_text=failure.text
            )  # fmt: skip
        else:
            yield TaskFact(task_id=step, state="upstream_failed")


def _reached(note: Note) -> int:
    """The steps behind a window that neither failed nor was published: the chunk broke off."""
    if note.loaded:
        return STEPS.index(CHECK_LOAD)
    return STEPS.index(UPLOAD) if note.gates else STEPS.index(CHECK_EXTRACT) if note.load_id else 0


def _load_id(note: Note) -> str:
    assert note.load_id is not None
    return note.load_id


def _loaded(note: Note) -> Loaded:
    assert note.loaded is not None
    return note.loaded
