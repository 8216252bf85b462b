"""The QA summary of every outcome: its line word for word, its JSON, and what it tidies; no row value anywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from tenantdags.model.errors import DatabricksRun, DatabricksSubmit, LandingUnreachable
from tenantdags.model.qa import QaDocument
from tenantdags.model.schema import Known, schema
from tenantdags.steps.alerts import Broken, Links
from tenantdags.steps.landing import PublishedRecord
from tenantdags.steps.manifest import DriftLine, SourceDrift
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.qa_page import page
from tenantdags.steps.qa_summary import RunFacts, TaskFact, news
from tenantdags.steps.report import CheckResult, GateReport, Loaded, Published
from tenantdags.steps.staging import Staging
from tenantdags.steps.statements import Result
from tenantdags.steps.summarise import World, incident, summarise
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
        self.keys: dict[str, dict[str, list[str]]] = {}
        self.kept: dict[str, Any] = {}

    def published(self, plan, window):
        if self.error:
            raise self.error
        return self.record

    def failing_keys(self, plan, window, load_id):
        if self.error:
            raise self.error
        return self.keys

    def has_qa(self, plan, window, name):
        return name in self.kept

    def put_qa(self, plan, window, name, text):
        if self.error:
            raise self.error
        self.kept[name] = json.loads(text) if name.endswith(".json") else text
        return f"https://landing/_qa/{name}"


class Warehouse:
    """Takes the log's statements, and knows what it was told."""

    def __init__(self, error: Exception | None = None):
        self.error = error
        self.rows: list[dict[str, Any]] = []

    def of(self, plan, window):
        return self

    def execute(self, sql, parameters):
        if self.error:
            raise self.error
        values = {name: value for name, (value, _) in parameters.items()}
        if sql.startswith("SELECT"):
            return Result(("attempt",), tuple((r["attempt"],) for r in self.rows if r["attempt"] == values["attempt"]))
        self.rows.append(values)
        return Result((), ())


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
        "landed": None if failed == "upload" else 150,
        "loaded": LOADED,
        "published": Published(generation=1, load_id=LOAD, append_id=APPEND, rows=150),
    }
    return RunFacts(run_id="scheduled__x", attempt="x-1", tasks=tasks(failed, kind, text), **(usual | more))


def summed(run, shelf, staging, said=None, now=NOW, warehouse=None):
    asked: Any = warehouse or Warehouse()
    say = (said if said is not None else []).append
    return summarise(PLAN, WINDOW, run, World(lambda: shelf, lambda: staging, lambda: asked, lambda: now, say))


def red_gate(manifest, *results) -> tuple[GateReport, ...]:
    return (GateReport(gate="check_extract", rows=150, results=results, seconds=0.4, load_id=manifest.load_id),)


DUPLICATES = CheckResult(rule="pk_unique", outcome="fail", value="3 duplicate keys", expected="0")
MISSING = CheckResult(rule="status_required", outcome="fail", value="1 missing status", expected="0")
WARNED = CheckResult(rule="email", outcome="warn", value="2.5 % missing", expected="less than 2 %", severity="warning")


def test_a_green_run_says_so_and_its_staged_files_go(manifest, staging):
    shelf = Shelf(150)

    summary = summed(facts(manifest), shelf, staging)

    assert summary.document.line == (
        "acme orders 2026-11-21 GREEN | source 150 staged 150 landed 150 appended 150 published gen 1 (150 rows) "
        "| run scheduled__x"
    )
    assert (summary.document.outcome, summary.document.kind, summary.written) == (
        "green",
        None,
        "https://landing/_qa/x-1.json",
    )
    assert not staging.path(PLAN, LOAD).exists()


def test_a_red_gate_names_the_rule_and_what_readers_still_see(manifest, staging):
    text = "acme orders 2026-11-21: quality.pk_unique: pk_unique: 3 duplicate keys (expected 0). Remedy: Mend."
    run = facts(manifest, "check_extract", "quality.pk_unique", text, gates=red_gate(manifest, DUPLICATES))

    summary = summed(run, Shelf(410), staging)

    assert summary.document.line == (
        "acme orders 2026-11-21 RED quality.pk_unique: 3 duplicate keys (expected 0) | source 150 staged 150 landed - "
        "appended - published gen 1 (410 rows) still visible | run scheduled__x"
    )
    assert staging.path(PLAN, LOAD).exists()


def test_why_a_backfill_was_made_stands_in_the_document(manifest, staging):
    summary = summed(facts(manifest, reason="rates were wrong", by="anna"), Shelf(150), staging)

    assert (summary.document.reason, summary.document.by) == ("rates were wrong", "anna")


def test_several_broken_rules_and_warnings_are_all_named(manifest, staging):
    gates = red_gate(manifest, WARNED, MISSING, DUPLICATES)
    run = facts(manifest, "check_extract", "quality.status_required", "…", gates=gates)

    summary = summed(run, Shelf(), staging)

    assert summary.document.line == (
        "acme orders 2026-11-21 RED quality.status_required: 1 missing status (expected 0), and 1 more: pk_unique "
        "| source 150 staged 150 landed - appended - published nothing | 1 warning | run scheduled__x"
    )
    assert summary.document.warnings == ("check_extract: email: 2.5 % missing (expected less than 2 %)",)


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

    assert summary.document.line == (
        f"acme orders 2026-11-21 {outcome.upper()} {kind}: what happened. | {counts} published gen 1 (410 rows) "
        "still visible | run scheduled__x"
    )
    assert (summary.document.outcome, summary.document.failed_task) == (outcome, failed)


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "skipped", None])
def test_a_task_that_ended_without_a_word_was_killed(state, manifest, staging):
    found = tuple(replace(t, state=state) if t.task_id == "load" else t for t in tasks("load"))

    summary = summed(replace(facts(manifest), tasks=found), Shelf(), staging)

    assert (summary.document.outcome, summary.document.kind) == ("killed", "internal")
    assert f"KILLED internal: task load ended {state or 'without a state'} and told nothing." in summary.document.line


def test_what_a_cleared_task_told_in_an_earlier_attempt_does_not_count(manifest, staging):
    stale = facts(
        manifest,
        "check_extract",
        "quality.pk_unique",
        "…",
        gates=(*red_gate(manifest, DUPLICATES), gates_of(manifest, LOADED)[1]),
    )
    found = tuple(replace(t, error_kind="old", error_text="old") if t.task_id == "publish" else t for t in stale.tasks)

    document = summed(replace(stale, tasks=found), Shelf(410), staging).document.model_dump()

    assert document["rows"] == {"source": 150, "staged": 150, "landed": None, "appended": None, "published": None}
    assert [gate["gate"] for gate in document["gates"]] == ["check_extract"]
    assert (document["append_id"], document["kind"]) == (None, "quality.pk_unique")
    assert {t["task_id"]: t["error_kind"] for t in document["tasks"]}["publish"] is None


def test_a_report_about_another_load_does_not_count(manifest, staging):
    gates = tuple(replace(gate, load_id="another") for gate in gates_of(manifest, LOADED))

    assert summed(facts(manifest, gates=gates), Shelf(150), staging).document.gates == ()


def test_the_json_holds_everything_a_machine_asks(manifest, staging):
    shelf = Shelf(150)

    summed(facts(manifest), shelf, staging)

    document = shelf.kept["x-1.json"]
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
    assert "published unknown | run" in summary.document.line
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

    assert summary.document.outcome == "green"
    assert said == ["staging was not tidied: acme orders 2026-11-21: landing.unreachable: stuck. Remedy: Wait."]


def test_failed_loads_older_than_the_plan_keeps_them_are_swept(manifest, staging):
    said: list[str] = []

    summed(facts(manifest, "upload", "x", "…"), Shelf(), staging, said, NOW + timedelta(days=365))

    assert not staging.path(PLAN, LOAD).exists()
    assert said == [f"removed {staging.path(PLAN, LOAD)}, a failed load older than 3 days, 0:00:00"]


def test_an_attempts_name_becomes_a_file_name(manifest, staging):
    shelf = Shelf(150)

    summed(replace(facts(manifest), attempt="manual__2026-11-22T03:00:13+00:00/../x"), shelf, staging)

    name = "manual__2026-11-22T03-00-13+00-00-..-x"
    assert list(shelf.kept) == [f"{name}.html", f"{name}.json"]


def test_the_json_is_what_its_published_schema_says(manifest, staging):
    shelf = Shelf(150)

    summed(facts(manifest, gates=red_gate(manifest, DUPLICATES, WARNED)), shelf, staging)

    document = shelf.kept["x-1.json"]
    Draft202012Validator(schema("qa", Known())).validate(document)
    assert QaDocument.model_validate(document).line == document["line"]


def test_the_log_gets_one_row_however_often_an_attempt_is_summarised(manifest, staging):
    shelf, warehouse = Shelf(410), Warehouse()
    run = facts(manifest, "check_extract", "quality.pk_unique", "…", gates=red_gate(manifest, DUPLICATES, WARNED))

    for _ in range(3):
        summed(run, shelf, staging, warehouse=warehouse)
    summed(replace(run, attempt="x-2"), shelf, staging, warehouse=warehouse)

    assert [row["attempt"] for row in warehouse.rows] == ["x-1", "x-2"]
    row = warehouse.rows[0]
    assert {name: row[name] for name in ("tenant_id", "table_name", "outcome", "kind", "rule", "check_extract")} == {
        "tenant_id": "acme", "table_name": "orders_v1", "outcome": "red", "kind": "quality.pk_unique",
        "rule": "pk_unique", "check_extract": "fail",
    }  # fmt: skip
    assert (row["source_rows"], row["appended_rows"], row["generation"], row["warnings"]) == (150, None, 1, 1)
    assert row["summary"] == "https://landing/_qa/x-1.json"


def test_a_log_that_cannot_be_written_is_said_and_nothing_fails(manifest, staging):
    said: list[str] = []
    error = DatabricksSubmit("acme orders 2026-11-21", "no answer.", "Wait.")

    summary = summed(facts(manifest), Shelf(150), staging, said, warehouse=Warehouse(error))

    assert summary.document.outcome == "green"
    assert said == [f"prod.ops.qa_log has no row of this attempt: {error}"]


def test_failing_keys_come_from_the_tenants_folder_and_reach_the_summary_alone(manifest, staging):
    shelf = Shelf(410)
    shelf.keys = {"check_extract": {"pk_unique": ["1001", "1002"]}}
    run = facts(manifest, "check_extract", "quality.pk_unique", "…", gates=red_gate(manifest, DUPLICATES))

    summary = summed(run, shelf, staging)

    assert shelf.kept["x-1.json"]["gates"][0]["results"][0]["failing_keys"] == ["1001", "1002"]
    assert "<code>1001</code>, <code>1002</code>" in shelf.kept["x-1.html"]
    assert "1001" not in json.dumps(summary.head())
    assert "1001" not in json.dumps(red_gate(manifest, replace(DUPLICATES, failing_keys=("1001",)))[0].to_dict())


def test_the_page_says_what_happened_and_loads_nothing(manifest, staging):
    shelf = Shelf(410)
    gates = red_gate(manifest, DUPLICATES, MISSING, WARNED)

    summed(facts(manifest, "check_extract", "quality.pk_unique", "…", gates=gates), shelf, staging)

    shown = shelf.kept["x-1.html"]
    assert "<h1>orders of acme, 2026-11-21</h1>" in shown
    assert "generation 1 with 410 rows, the last good version" in shown
    assert "docs/runbooks/quality.md" in shown
    assert [word for word in ("<script", "src=", "@import", "url(", "<link") if word in shown] == []


def test_what_others_wrote_is_escaped_on_the_page(manifest, staging):
    shelf = Shelf()
    text = "acme orders 2026-11-21: databricks.run: <script>alert(1)</script> & 'x'. Remedy: do."
    evil = "javascript:alert(1)"

    summed(facts(manifest, "load", "databricks.run", text, databricks_run=evil), shelf, staging)

    shown = shelf.kept["x-1.html"]
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;x&#39;." in shown
    assert 'href="javascript' not in shown


def test_the_databricks_run_is_known_although_its_load_failed(manifest, staging):
    run = facts(manifest, "load", "databricks.run", "…", databricks_run="https://adb/run/8")

    before = replace(run, manifest=None, tasks=tasks("extract", "source.busy", "…"))
    assert summed(run, Shelf(), staging).document.databricks_run == "https://adb/run/8"
    assert summed(before, Shelf(), staging).document.databricks_run is None
    assert (
        summed(
            replace(run, manifest=None, tasks=tasks("extract", "source.busy", "…")), Shelf(), staging
        ).document.databricks_run
        is None
    )


def test_an_incident_of_a_red_gate_names_the_first_rule(manifest, staging):
    gates = red_gate(manifest, WARNED, DUPLICATES, MISSING)
    document = summed(
        facts(manifest, "check_extract", "quality.pk_unique", "…", gates=gates), Shelf(410), staging
    ).document

    found = incident(PLAN, document, at=NOW, due=None, links=Links(), awaited=True)

    assert found.broken == Broken(rule="pk_unique", value="3 duplicate keys", expected="0", more=("status_required",))
    assert (found.kind, found.window, found.failed_task, found.tries) == (
        "quality.pk_unique",
        "2026-11-21",
        "check_extract",
        1,
    )
    assert found.readers == "gen 1 (410 rows) still visible"


@pytest.mark.sandbox
def test_the_summary_lands_beside_the_others_of_its_window(lakehouse, manifest, staging):
    landing = lakehouse.landing(PLAN)

    asked = lakehouse.statements
    summary = summarise(
        PLAN, WINDOW, facts(manifest), World(lambda: landing, lambda: staging, asked, lambda: NOW, print)
    )

    folder = "_qa/tenant_id=acme/table=orders/as_of_date=2026-11-21"
    root = lakehouse.container(PLAN).url
    assert (summary.written, summary.page) == (f"{root}/{folder}/x-1.json", f"{root}/{folder}/x-1.html")
    blob = lakehouse.container(PLAN).download_blob(f"{folder}/x-1.json").readall()
    assert json.loads(blob)["line"] == summary.document.line
    assert summary.head()["readers"] is None
    sql = "SELECT outcome, source_rows, check_load, warnings FROM prod.ops.qa_log WHERE attempt = 'x-1'"
    assert lakehouse.statements().execute(sql).rows == (("green", 150, "pass", 0),)
    with pytest.raises(DatabricksRun, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        lakehouse.statements().execute("DELETE FROM prod.ops.qa_log WHERE attempt = 'x-1'")


@pytest.mark.sandbox
def test_failing_keys_are_put_and_found_by_gate(lakehouse, manifest):
    landing, report = lakehouse.landing(PLAN), red_gate(manifest, replace(DUPLICATES, failing_keys=("1", "2")))[0]

    landing.put_failing_keys(PLAN, WINDOW, report)

    assert landing.failing_keys(PLAN, WINDOW, report.load_id) == {"check_extract": {"pk_unique": ["1", "2"]}}
    assert landing.failing_keys(PLAN, WINDOW, "another") == {}


def test_drift_is_shown_in_every_window_and_news_once(manifest, staging):
    line = DriftLine(change="added", column="note", text="column note is new", fingerprint="f1", new=False)
    told = "source columns outside the contract, not extracted: note int"
    paste = "- {id: note, name: note}"

    def drifted(*, new: bool) -> QaDocument:
        drift = SourceDrift(lines=(replace(line, new=new),), to_paste=paste)
        its = replace(manifest, warnings=(told,), drift=drift)
        document: QaDocument = summed(facts(its), Shelf(150), staging).document
        return document

    assert (news(drifted(new=True)), news(drifted(new=False))) == (("drift.additive: column note is new",), ())
    assert drifted(new=False).warnings == (told,)
    shown = page(drifted(new=True))
    assert "column note is new" in shown
    assert f"<pre>{paste}</pre>" in shown
