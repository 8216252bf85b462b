"""The QA summary of every outcome: its line word for word, its JSON, and what it tidies; no row value anywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tenantdags.model.errors import LandingUnreachable
from tenantdags.steps.landing import PublishedRecord
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.report import CheckResult, GateReport, Loaded, Published
from tenantdags.steps.staging import Staging
from tenantdags.steps.summarise import RunFacts, TaskFact, summarise
from tests.steps.lakehouse import gates_of
from tests.steps.staged import good_rows, plan_of, stage, window_of_plan

NOW = datetime(2026, 11, 22, 3, 0, 13, tzinfo=UTC)
APPEND = "11111111-2222-3333-4444-555555555555"
LOAD = "20261122T020000Z-abc123"
STEPS = ("extract", "check_extract", "upload", "load", "check_load", "publish")
PLAN = plan_of("acme", "orders")
WINDOW = window_of_plan(PLAN)
LOADED = Loaded(append_id=APPEND, rows=150, run_id=7, run_page_url="https://adb/run/7")


class Shelf:
    """A landing zone that holds one published file and keeps the summaries it is given."""

    def __init__(self, *rows: int, error: Exception | None = None):
        facts = [
            Generation(
                generation=i, load_id=f"load{i}", append_id=f"append{i}", rows=n, as_of_date=WINDOW.as_of_date,
                window_start=WINDOW.start, contract_version="1.0.0", run_id="r", published_at=NOW,
            )
            for i, n in enumerate(rows, start=1)
        ]  # fmt: skip
        self.record = PublishedRecord(PublishedFile(tuple(facts)), "etag") if facts else None
        self.error = error
        self.kept: dict[str, Any] = {}

    def published(self, plan, window):
        if self.error:
            raise self.error
        return self.record

    def put_qa(self, plan, window, attempt, text):
        if self.error:
            raise self.error
        self.kept[attempt] = json.loads(text)
        return f"abfss://landing/_qa/{attempt}.json"


@pytest.fixture
def manifest(staging):
    return stage(PLAN, WINDOW, good_rows(PLAN, WINDOW), staging, load_id=LOAD)


def tasks(failed: str | None = None, kind: str | None = None, text: str | None = None) -> tuple[TaskFact, ...]:
    """All steps green up to `failed`, those behind it upstream_failed."""
    found = []
    for step in STEPS:
        behind = failed is not None and STEPS.index(step) > STEPS.index(failed)
        state = "upstream_failed" if behind else "failed" if step == failed else "success"
        ours = step == failed
        found.append(
            TaskFact(
                task_id=step, state=state, try_number=1, seconds=1.5, error_kind=kind if ours else None,
                error_text=text if ours else None,
            )
        )  # fmt: skip
    return tuple(found)


def facts(manifest, failed=None, kind=None, text=None, **more) -> RunFacts:
    usual = {
        "manifest": manifest,
        "gates": gates_of(manifest, LOADED),
        "loaded": LOADED,
        "published": Published(generation=1, load_id=LOAD, append_id=APPEND, rows=150),
    }
    return RunFacts(run_id="scheduled__x", attempt="x-1", tasks=tasks(failed, kind, text), **(usual | more))


def summed(run, shelf, staging, said=None, now=NOW):
    return summarise(
        PLAN, WINDOW, run, landing=lambda: shelf, staging=lambda: staging, now=lambda: now,
        say=(said if said is not None else []).append,
    )  # fmt: skip


def red_gate(manifest, *results) -> tuple[GateReport, ...]:
    return (GateReport(gate="check_extract", rows=150, results=results, seconds=0.4, load_id=manifest.load_id),)


DUPLICATES = CheckResult(rule="pk_unique", outcome="fail", value="3 duplicate keys", expected="0")
MISSING = CheckResult(rule="status_required", outcome="fail", value="1 missing status", expected="0")
WARNED = CheckResult(rule="email", outcome="warn", value="2.5 % missing", expected="less than 2 %", severity="warning")


def test_a_green_run_says_so_and_its_staged_files_go(manifest, staging):
    shelf = Shelf(150)

    summary = summed(facts(manifest), shelf, staging)

    assert summary.line == (
        "acme orders 2026-11-21 GREEN | source 150 staged 150 landed 150 appended 150 published gen 1 (150 rows) "
        "| run scheduled__x"
    )
    assert (summary.outcome, summary.kind, summary.written) == ("green", None, "abfss://landing/_qa/x-1.json")
    assert not staging.path(PLAN, LOAD).exists()


def test_a_red_gate_names_the_rule_and_what_readers_still_see(manifest, staging):
    text = "acme orders 2026-11-21: quality.pk_unique: pk_unique: 3 duplicate keys (expected 0). Remedy: Mend."
    run = facts(manifest, "check_extract", "quality.pk_unique", text, gates=red_gate(manifest, DUPLICATES))

    summary = summed(run, Shelf(410), staging)

    assert summary.line == (
        "acme orders 2026-11-21 RED quality.pk_unique: 3 duplicate keys (expected 0) | source 150 staged 150 landed - "
        "appended - published gen 1 (410 rows) still visible | run scheduled__x"
    )
    assert staging.path(PLAN, LOAD).exists()


def test_why_a_backfill_was_made_stands_in_the_document(manifest, staging):
    summary = summed(facts(manifest, reason="rates were wrong", by="anna"), Shelf(150), staging)

    assert (summary.document["reason"], summary.document["by"]) == ("rates were wrong", "anna")


def test_several_broken_rules_and_warnings_are_all_named(manifest, staging):
    gates = red_gate(manifest, WARNED, MISSING, DUPLICATES)
    run = facts(manifest, "check_extract", "quality.status_required", "…", gates=gates)

    summary = summed(run, Shelf(), staging)

    assert summary.line == (
        "acme orders 2026-11-21 RED quality.status_required: 1 missing status (expected 0), and 1 more: pk_unique "
        "| source 150 staged 150 landed - appended - published nothing | 1 warning | run scheduled__x"
    )
    assert summary.document["warnings"] == ["check_extract: email: 2.5 % missing (expected less than 2 %)"]


@pytest.mark.parametrize(
    ("failed", "kind", "outcome", "counts"),
    [
        ("extract", "drift.breaking", "drift", "source - staged - landed - appended -"),
        ("extract", "source.unreachable", "error", "source - staged - landed - appended -"),
        ("extract", "quality.value", "red", "source - staged - landed - appended -"),
        ("check_extract", "gate.error", "error", "source 150 staged 150 landed - appended -"),
        ("upload", "landing.unreachable", "error", "source 150 staged 150 landed - appended -"),
        ("load", "databricks.run", "error", "source 150 staged 150 landed 150 appended -"),
        ("load", "reconcile.mismatch", "red", "source 150 staged 150 landed 150 appended -"),
        ("check_load", "reconcile.mismatch", "red", "source 150 staged 150 landed 150 appended 150"),
        ("publish", "publish.refused", "error", "source 150 staged 150 landed 150 appended 150"),
        ("publish", "internal", "error", "source 150 staged 150 landed 150 appended 150"),
    ],
)
def test_every_cause_has_its_outcome_and_only_the_counts_that_were_reached(
    failed, kind, outcome, counts, manifest, staging
):
    text = f"acme orders 2026-11-21: {kind}: what happened. Remedy: do this."

    summary = summed(facts(manifest, failed, kind, text), Shelf(410), staging)

    assert summary.line == (
        f"acme orders 2026-11-21 {outcome.upper()} {kind}: what happened. | {counts} published gen 1 (410 rows) "
        "still visible | run scheduled__x"
    )
    assert (summary.outcome, summary.document["failed_task"]) == (outcome, failed)


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "skipped", None])
def test_a_task_that_ended_without_a_word_was_killed(state, manifest, staging):
    found = tuple(replace(t, state=state) if t.task_id == "load" else t for t in tasks("load"))

    summary = summed(replace(facts(manifest), tasks=found), Shelf(), staging)

    assert (summary.outcome, summary.kind) == ("killed", "killed")
    assert f"KILLED killed: task load ended {state or 'without a state'} and told nothing." in summary.line


def test_what_a_cleared_task_told_in_an_earlier_attempt_does_not_count(manifest, staging):
    stale = facts(
        manifest,
        "check_extract",
        "quality.pk_unique",
        "…",
        gates=(*red_gate(manifest, DUPLICATES), gates_of(manifest, LOADED)[1]),
    )
    found = tuple(replace(t, error_kind="old", error_text="old") if t.task_id == "publish" else t for t in stale.tasks)

    document = summed(replace(stale, tasks=found), Shelf(410), staging).document

    assert document["rows"] == {"source": 150, "staged": 150, "landed": None, "appended": None, "published": None}
    assert [gate["gate"] for gate in document["gates"]] == ["check_extract"]
    assert (document["append_id"], document["kind"]) == (None, "quality.pk_unique")
    assert {t["task_id"]: t["error_kind"] for t in document["tasks"]}["publish"] is None


def test_a_report_about_another_load_does_not_count(manifest, staging):
    gates = tuple(replace(gate, load_id="another") for gate in gates_of(manifest, LOADED))

    assert summed(facts(manifest, gates=gates), Shelf(150), staging).document["gates"] == []


def test_the_json_holds_everything_a_machine_asks(manifest, staging):
    shelf = Shelf(150)

    summed(facts(manifest), shelf, staging)

    document = shelf.kept["x-1"]
    assert {name: document[name] for name in ("format", "tenant", "table", "contract", "as_of_date", "outcome")} == {
        "format": 1, "tenant": "acme", "table": "orders", "contract": "orders@1", "as_of_date": "2026-11-21",
        "outcome": "green",
    }  # fmt: skip
    assert (document["window_start"], document["window_end"]) == ("2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z")
    assert document["readers"] == {"generation": 1, "load_id": "load1", "append_id": "append1", "rows": 150}
    assert (document["load_id"], document["append_id"]) == (LOAD, APPEND)
    assert [t["seconds"] for t in document["tasks"]] == [1.5] * 6
    assert document["line"].startswith("acme orders 2026-11-21 GREEN")
    assert document["summarised_at"] == "2026-11-22T03:00:13Z"


def test_without_a_landing_zone_the_summary_is_said_in_full_and_nothing_fails(manifest, staging):
    shelf = Shelf(error=LandingUnreachable("acme orders 2026-11-21", "landing answered 503.", "Wait."))
    said: list[str] = []

    summary = summed(facts(manifest, "upload", "landing.unreachable", "…"), shelf, staging, said)

    assert summary.written is None
    assert "published unknown | run" in summary.line
    assert "the QA summary could not be written, so here it is: acme orders 2026-11-21: landing.unreachable" in said[0]
    assert json.loads(said[0].partition("\n")[2])["outcome"] == "error"


def test_staging_that_cannot_be_tidied_is_said_and_nothing_fails(manifest, tmp_path):
    staging = Staging(tmp_path / "staging")
    said: list[str] = []
    staging.path(PLAN, LOAD).chmod(0o700)

    class Stuck(Staging):
        def delete(self, plan, load_id, window=None):
            raise LandingUnreachable("acme orders 2026-11-21", "stuck.", "Wait.")

    summary = summed(facts(manifest), Shelf(150), Stuck(tmp_path / "staging"), said)

    assert summary.outcome == "green"
    assert said == ["staging was not tidied: acme orders 2026-11-21: landing.unreachable: stuck. Remedy: Wait."]


def test_failed_loads_older_than_the_plan_keeps_them_are_swept(manifest, staging):
    said: list[str] = []

    summed(facts(manifest, "upload", "x", "…"), Shelf(), staging, said, NOW + timedelta(days=365))

    assert not staging.path(PLAN, LOAD).exists()
    assert said == [f"removed {staging.path(PLAN, LOAD)}, a failed load older than 3 days, 0:00:00"]


def test_an_attempts_name_becomes_a_file_name(manifest, staging):
    shelf = Shelf(150)

    summed(replace(facts(manifest), attempt="manual__2026-11-22T03:00:13+00:00/../x"), shelf, staging)

    assert list(shelf.kept) == ["manual__2026-11-22T03-00-13+00-00-..-x"]


@pytest.mark.sandbox
def test_the_summary_lands_beside_the_others_of_its_window(lakehouse, manifest, staging):
    landing = lakehouse.landing(PLAN)

    summary = summarise(
        PLAN, WINDOW, facts(manifest), landing=lambda: landing, staging=lambda: staging, now=lambda: NOW, say=print
    )

    folder = "_qa/tenant_id=acme/table=orders/as_of_date=2026-11-21"
    assert summary.written == f"{landing.abfss_root}/{folder}/x-1.json"
    blob = lakehouse.container(PLAN).download_blob(f"{folder}/x-1.json").readall()
    assert json.loads(blob)["line"] == summary.line
    assert summary.head()["readers"] is None
