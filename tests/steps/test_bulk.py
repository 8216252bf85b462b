"""The notes of a chunk: how far each window has come, what a retry does again, and what the run says in the end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tenantdags.model.backfill import windows_between
from tenantdags.model.errors import BadValue, DatabricksRun, GateRed, LandingConflict, SourceBusy, WindowRefused
from tenantdags.model.window import Window
from tenantdags.steps import bulk, gates
from tenantdags.steps.bulk import Note, Notebook, each, failures, loads_of, noted, told
from tenantdags.steps.load import NotebookRun
from tenantdags.steps.report import CheckResult, GateReport, Loaded, Published
from tests.steps.source_world import Files, plan_of

PLAN = plan_of("orders")
ONE, TWO, THREE = windows_between(date(2026, 11, 1), date(2026, 11, 3), "day", "Europe/Berlin")
LOADED = Loaded(append_id="a", rows=1, run_id=7, run_page_url="http://databricks/7")
RUN = NotebookRun(run_id=7, run_page_url="http://databricks/7", output=None)


class Box(Files):
    """With what the notes need besides."""

    def names(self, where: str, prefix: str) -> tuple[str, ...]:
        return tuple(path for path in self.found if path.startswith(prefix))

    def delete(self, where: str, path: str) -> bool:
        return self.found.pop(path, None) is not None


def report(gate="check_extract", outcome="pass", load_id="L1") -> GateReport:
    result = CheckResult(rule="pk_unique", outcome=outcome, value="3 duplicate keys", expected="0")
    return GateReport(gate=gate, rows=1, results=(result,), seconds=0.1, load_id=load_id, append_id=None)


def note(window: Window, **changes) -> Note:
    return replace(Note(window=window.key, load_id="L1"), **changes)


class Remember:
    """A step that does nothing but see."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.notes: list[Note] = []

    def __call__(self, window: Window, note: Note) -> Note:
        self.windows.append(window)
        self.notes.append(note)
        return note


def red(window: Window, _: Note) -> Note:
    raise GateRed(PLAN.at(window), "3 duplicate keys.", "Mend.", rule="pk_unique")


def test_a_window_that_fails_stops_no_other_and_goes_no_further():
    notes = {ONE: note(ONE), TWO: note(TWO), THREE: note(THREE)}
    remember = Remember()

    notes = each(notes, bulk.CHECK_EXTRACT, lambda w, n: red(w, n) if w == TWO else n)
    notes = each(notes, bulk.UPLOAD, remember)

    assert remember.windows == [ONE, THREE]
    assert {window: found.step for window, found in failures(notes).items()} == {TWO: "check_extract"}
    assert told(notes) == "0 of 3 windows published; not 2026-11-02 (quality.pk_unique)"


def test_a_step_that_is_done_again_forgets_what_it_and_those_behind_it_left():
    whole = note(ONE, gates=(report(), report("check_load")), loaded=LOADED, published=Published(
        generation=1, load_id="L1", append_id="a", rows=1))  # fmt: skip
    remember = Remember()

    each({ONE: whole}, bulk.LOAD, remember)
    each({ONE: whole}, bulk.CHECK_LOAD, remember)

    assert remember.notes == [note(ONE, gates=(report(),)), note(ONE, gates=(report(),), loaded=LOADED)]


def test_a_window_that_failed_in_this_step_is_tried_again():
    busy = each({ONE: note(ONE)}, bulk.UPLOAD, lambda w, n: (_ for _ in ()).throw(SourceBusy("w", "busy.", "Wait.")))

    assert failures(busy)[ONE].retryable
    assert failures(each(busy, bulk.UPLOAD, lambda w, n: n)) == {}


def test_a_closed_gate_leaves_its_report(monkeypatch):
    monkeypatch.setattr(gates, "check_extract", lambda *_: report(outcome="fail"))

    class Staging:
        def read_manifest(self, *_):
            return None

    notes = each({ONE: note(ONE)}, bulk.CHECK_EXTRACT, lambda w, n: bulk.check_extract(PLAN, Staging(), w, n))  # type: ignore[arg-type]

    assert failures(notes)[ONE].kind == "quality.pk_unique"
    assert notes[ONE].gates == (report(outcome="fail"),)


def test_the_notes_survive_the_container():
    box, whole = Box(), note(ONE, gates=(report(),), loaded=LOADED)
    bad = noted({TWO: BadValue(PLAN.at(TWO), "too fine.", "Round it.")})
    book = Notebook(PLAN, "bulk__acme__orders__x+00:00", box)  # type: ignore[arg-type]

    book.write({ONE: whole, **bad})

    assert book.folder == "_ops/bulk/acme/orders_v1/bulk__acme__orders__x-00-00"
    assert book.read() == {ONE: whole, **bad}
    book.list_manifests(["abfss://a"])
    book.delete()
    assert box.found == {}


@pytest.mark.parametrize("content", [None, b"{}", b"[]", b"nonsense"])
def test_without_notes_a_step_says_what_to_clear(content):
    box = Box()
    book = Notebook(PLAN, "r", box)  # type: ignore[arg-type]
    if content is not None:
        box.write("", f"{book.folder}/notes.json", content)

    with pytest.raises(LandingConflict, match="Clear `extract` with its downstream"):
        book.read()


@pytest.mark.parametrize("output", [None, "", "[]", '{"append_id": "a", "rows": 1}'])
def test_an_answer_of_an_older_notebook_says_what_to_deploy(output):
    with pytest.raises(DatabricksRun, match="Deploy this version's notebook"):
        loads_of(PLAN, "2026-11-01 to 2026-11-03", replace(RUN, output=output))


def test_what_the_notebook_says_of_a_load_is_told_without_values():
    said = loads_of(PLAN, "x", replace(RUN, output=json.dumps({"loads": [
        {"manifest": "abfss://m", "error": "ValueError: cannot cast 'anna@example.de'"}]})))  # fmt: skip
    landing: object = None

    with pytest.raises(DatabricksRun) as failed:
        bulk.loaded(PLAN, landing, RUN, {ONE: said["abfss://m"]}, ONE, note(ONE))  # type: ignore[arg-type]

    assert str(failed.value) == (
        "acme orders 2026-11-01: databricks.run: run 7 could not append it: ValueError: cannot cast '…'. "
        "Remedy: Look at http://databricks/7; load the window again."
    )


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"published": Published(generation=1, load_id="L1", append_id="a", rows=1)}, ["success"] * 6),
        ({"load_id": None}, ["upstream_failed"] * 6),
        ({"gates": (report(),)}, ["success"] * 2 + ["upstream_failed"] * 4),
    ],
)
def test_a_window_is_summarised_as_if_it_had_a_run_of_its_own(changes, states):
    facts = bulk.facts_of(
        note(ONE, **changes), None, run_id="bulk__x", attempt="bulk__x.0", reason="first load", by="anna",
        databricks_run=None,
    )  # fmt: skip

    assert [task.state for task in facts.tasks] == states
    assert facts.reason == "first load"


def test_a_long_list_of_bad_windows_is_cut():
    windows = windows_between(PLAN.schedule.first_window, PLAN.schedule.first_window.replace(day=25), "day", "UTC")
    notes = each({w: note(w) for w in windows}, bulk.CHECK_EXTRACT, red)

    assert told(notes).endswith(" and 5 more")


def test_a_cancelled_chunk_begins_no_step():
    notebook = Notebook(PLAN, "bulk__acme", Box())  # type: ignore[arg-type]
    notebook.require_wanted()
    assert not notebook.cancelled()

    notebook.cancel("anna", datetime(2026, 11, 25, tzinfo=UTC))

    assert notebook.cancelled()
    with pytest.raises(WindowRefused, match=r"anna cancelled this chunk\. Remedy: `tenantdags backfill --bulk`"):
        notebook.require_wanted()
