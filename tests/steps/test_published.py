"""The files and reports that tasks and runs hand on: read back as they were written, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.report import CheckResult, GateReport, Published

FACT = Generation(
    generation=0, load_id="L", append_id="A", rows=3, as_of_date=date(2026, 11, 21), run_id="r",
    window_start=datetime(2026, 11, 20, 23, tzinfo=UTC), contract_version="1.0.0",
    published_at=datetime(2026, 11, 22, 3, 0, 0, 123, UTC),
)  # fmt: skip


def test_generations_are_numbered_by_the_file():
    file = PublishedFile().with_next(FACT).with_next(replace(FACT, append_id="B", rows=4))

    assert [(f.generation, f.append_id) for f in file.generations] == [(1, "A"), (2, "B")]
    assert file.current == Published(generation=2, load_id="L", append_id="B", rows=4)
    assert (file.generation, PublishedFile().generation, PublishedFile().current) == (2, 0, None)


def test_a_published_file_reads_back_as_it_was_written():
    file = PublishedFile().with_next(FACT).with_next(FACT)

    assert PublishedFile.from_json(file.to_json()) == file
    assert json.loads(file.to_json())["generations"][0]["window_start"] == "2026-11-20T23:00:00Z"


def changed(**head):
    return json.dumps(json.loads(PublishedFile().with_next(FACT).to_json()) | head)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("not json", "Expecting value"),
        ("[]", "AttributeError"),
        ("{}", "format None"),
        (changed(generations=[{}]), "KeyError"),
        (changed(pruned_loads=[]), "AttributeError"),
        (changed(format=1), "format 1, this version reads 2"),
        (changed(generations=[]), "its head is not the last of its generations"),
        (changed(append_id="other"), "its head is not the last of its generations"),
        (changed(generations=json.loads(changed())["generations"] * 2), "its generations have a hole"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(text, error):
    with pytest.raises(ValueError, match=error):
        PublishedFile.from_json(text)


@pytest.mark.parametrize("strange", [{"event": "undo"}, {"event": "rollback"}, {"restores": 1}])
def test_an_event_of_another_version_is_refused(strange):
    fact = json.loads(changed())["generations"][0] | strange

    with pytest.raises(ValueError, match="an event that this version does not know"):
        PublishedFile.from_json(changed(generations=[fact]))


def test_a_torn_head_can_be_passed_over_and_nothing_else():
    file = PublishedFile().with_next(FACT)

    assert PublishedFile.from_json(changed(append_id="other"), any_head=True) == file
    with pytest.raises(ValueError, match="have a hole"):
        PublishedFile.from_json(changed(generations=json.loads(changed())["generations"] * 2), any_head=True)


def test_a_window_of_which_nothing_is_known_has_no_file():
    with pytest.raises(ValueError, match="has no _published"):
        PublishedFile().to_json()


def test_a_file_can_keep_what_was_pruned_and_never_published():
    file = PublishedFile(pruned_appends={"A": FACT.published_at})

    assert (file.current, file.generation, file.gone(FACT)) == (None, 0, True)
    assert PublishedFile.from_json(file.to_json()) == file
    assert json.loads(file.to_json())["append_id"] is None


def test_a_rollback_leaves_the_load_that_the_source_was_last_seen_by():
    file = PublishedFile().with_next(FACT).with_next(replace(FACT, load_id="M", append_id="B"))
    back = file.with_next(replace(FACT, event="rollback", restores=1, reason="why", actor="me"))

    assert (back.head, back.generations[-1].load_id, back.generations[-1].origin) == (back.generations[2], "L", 1)
    assert file.last_extracted == back.last_extracted == file.generations[1]
    assert PublishedFile().last_extracted is None
    assert PublishedFile.from_json(back.to_json()) == back


def test_a_report_survives_its_way_through_xcom():
    results = (CheckResult(rule="x", outcome="warn", value="1", expected="0", severity="warning"),)
    report = GateReport(
        gate="check_load", rows=1, results=results, seconds=0.1, load_id="L", append_id="A", not_evaluated=("y",)
    )

    assert GateReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ((), "error"),
        (("pass",), "pass"),
        (("pass", "warn"), "warn"),
        (("warn", "fail"), "fail"),
        (("fail", "error"), "error"),
    ],
)
def test_a_reports_outcome_is_its_worst_result_and_nothing_asked_is_an_error(outcomes, worst):
    results = tuple(CheckResult(rule=str(i), outcome=o, value="", expected="") for i, o in enumerate(outcomes))

    assert GateReport(gate="check_load", rows=0, results=results, seconds=0, load_id="L").outcome == worst
