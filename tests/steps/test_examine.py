"""What doctor makes of one window: every kind of difference, each mended from facts or refused with its reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tenantdags.steps.appended import Append
from tenantdags.steps.examine import Case, examine
from tenantdags.steps.publish_log import LogRow
from tenantdags.steps.published import Generation, PublishedFile
from tests.steps.staged import plan_of, window_of_plan

PLAN = plan_of("acme", "orders")
WINDOW = window_of_plan(PLAN)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def fact(number: int, append: str, **changes) -> Generation:
    return replace(
        Generation(
            generation=number, append_id=append, load_id=f"load_{append}", rows=3, as_of_date=WINDOW.as_of_date,
            window_start=WINDOW.start, contract_version="1.0.0", run_id=f"run_{append}", published_at=NOW,
        ),
        **changes,
    )  # fmt: skip


A, B, C = fact(1, "A"), fact(2, "B"), fact(3, "C")


def text_of(*facts: Generation, **head) -> bytes:
    return json.dumps(json.loads(PublishedFile(facts).to_json()) | head).encode()


def case(text: bytes | None, *logged: Generation, rows="ABC", lost=(), **changes) -> Case:
    """Appends of three rows and loads of all letters, but for loads that are `lost`."""
    usual = Case(
        window=WINDOW, text=text, logged=tuple(LogRow(f, NOW) for f in logged),
        appends=tuple(
            Append(window_start=WINDOW.start, as_of_date=WINDOW.as_of_date, load_id=f"load_{x}", append_id=x, rows=3,
                   loaded_at=NOW) for x in rows
        ),
        loads={f"load_{x}": ["_manifest.json", "part-00000.parquet"] for x in "ABC" if x not in lost},
    )  # fmt: skip
    return replace(usual, **changes)


def said(found) -> str:
    return "\n".join(f"{finding.level}: {finding.text}" for finding in found.findings)


@pytest.mark.parametrize(
    "good",
    [
        case(None, rows="", loads={}),
        case(None),  # nothing published yet: litter is prune's
        case(text_of(A), A),
        case(text_of(A, B, C), A, B, C),
        case(text_of(A, replace(B, rows=0)), A, replace(B, rows=0), rows="A"),  # an empty window has no rows
        case(PublishedFile(pruned_appends={"X": NOW}).to_json().encode()),
    ],
)
def test_what_fits_together_is_left_alone(good):
    found = examine(good, NOW)

    assert (said(found), found.file, found.rows) == ("", None, ())


@pytest.mark.parametrize(
    ("broken", "told", "file", "rows"),
    [
        (case(text_of(A, B), A), "the publish log lacks generation 2 of _published.json: write it there", None, [2]),
        (case(text_of(A, B, C), B), "the publish log lacks generation 1, 3 of _published.json", None, [3, 1]),
        (case(text_of(A), A, B, C), "_published.json lacks generation 2, 3 of the log: write it there", (A, B, C), []),
        (case(None, A, B), "_published.json lacks generation 1, 2 of the log: write it there", (A, B), []),
        (case(b"{torn", A, B), "_published.json cannot be read (Expecting property name", (A, B), []),
        (case(b"[]", A), "_published.json cannot be read", (A,), []),
        (case(text_of(A, B, generation=1), A, B), "its head is not the last of its generations: write its head anew",
         (A, B), []),
    ],
)  # fmt: skip
def test_what_one_side_lacks_is_taken_from_the_other(broken, told, file, rows):
    found = examine(broken, NOW)

    assert found.mends
    assert {finding.level for finding in found.findings} == {"mend"}
    assert told in said(found)
    assert (found.file.generations if found.file else None) == file
    assert [row.generation for row in found.rows] == rows


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (case(b"{torn"), "and the log knows nothing of the window: bring back its last good version"),
        (case(text_of(A, B, generation=1), A), "the log does not know its last generation either"),
        (case(text_of(A), A, C), "the log holds generation 3, and neither it nor _published.json holds 2"),
        (case(None, B), "the log holds generation 2, and neither it nor _published.json holds 1"),
        (case(text_of(A, B), A, fact(2, "C")),
         "generation 2 is append B of load load_B in _published.json and append C of load load_C in the log: "
         "load_id, append_id, run_id differ"),
        (case(text_of(A, B), A, replace(B, rows=4)), "rows differ"),
        (case(None, A, B, fact(2, "C")), "the log holds two different generations 2: readers see one of them"),
        (case(text_of(replace(A, window_start=WINDOW.end)), replace(A, window_start=WINDOW.end)),
         "was cut by another calendar than the tenant's present one"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_and_nothing_is_guessed(broken, told):
    found = examine(broken, NOW)

    assert not found.mends
    assert (found.file, found.rows) == (None, ())
    assert told in said(found)
    assert said(found).startswith("refuse: ")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (case(text_of(A, B), A, B, rows="AC"),
         "readers see 0 rows where generation 2 published 3: roll back to generation 1, or clear `load` of the run "
         "run_B"),
        (case(text_of(A), A, rows=""), "see 0 rows where generation 1 published 3: clear `load` of the run run_A"),
        (case(text_of(A), A, rows="", lost="A"), "published 3: clear `extract` run_A"),
        (case(text_of(A), A, rows="AA"), "readers see 6 rows where generation 1 published 3"),
        (case(text_of(A), A, lost="A"),
         "load load_A, which readers see, lacks _manifest.json in landing: clear `extract`"),
        (case(text_of(A, B), A, B, rows="AAB"), "superseded append A has 6 of its 3 rows: do not roll back to it"),
    ],
)  # fmt: skip
def test_what_readers_lack_needs_a_person(broken, told):
    found = examine(broken, NOW)

    assert told in said(found)
    assert "refuse" in {finding.level for finding in found.findings}


def test_what_is_gone_unseen_is_marked_so_that_no_rollback_goes_there():
    found = examine(case(text_of(A, B, C), A, B, C, rows="BC", lost="B"), NOW)

    assert said(found) == (
        "mend: superseded append A is not in the table: mark it as pruned\n"
        "mend: superseded load load_B is not in landing: mark it as pruned"
    )
    assert found.file == PublishedFile((A, B, C), {"A": NOW}, {"load_B": NOW})
    assert examine(case(found.file.to_json().encode(), A, B, C, rows="BC", lost="AB"), NOW).findings == ()


def test_a_prune_that_was_cut_off_and_a_row_written_twice_are_only_noted():
    file = PublishedFile((A, B), {"A": NOW}, {"load_A": NOW})

    found = examine(case(file.to_json().encode(), A, B, B), NOW)

    assert not found.mends
    assert said(found) == (
        "note: marked as pruned and still in the table: A; `tenantdags prune` ends it\n"
        "note: marked as pruned and still in landing: load_A; `tenantdags prune` ends it\n"
        "note: the log holds generation 2 twice, in the same words: harmless"
    )


def test_a_clock_of_the_log_does_not_matter():
    late = LogRow(B, NOW + timedelta(days=3))

    assert examine(case(text_of(A, B), logged=(LogRow(A, NOW), late)), NOW).findings == ()
