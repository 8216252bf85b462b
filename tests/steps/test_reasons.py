"""Why a window is not published, in the words on-call reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tenantdags.steps.airflow_view import ERROR, first_problem
from tenantdags.steps.reasons import reason_of
from tests.dag.plans import plan_of, utc
from tests.steps.airflow_facts import NOW, STARTED, WINDOW, dag, facts, health, paused, pool, run, task, tasks

PLAN = plan_of("acme", "orders")
BROKEN = "config/tenants/acme.yaml:8:1: time_zon: unknown key, did you mean 'time_zone'? [CFG010]"
LAST = utc("2026-11-23T01:44:00")
OLDER = run("running", run_id="scheduled__0", start=WINDOW.start - timedelta(days=1))
AT, BEAT = "03:04 Mon 23 Nov", "its last heartbeat was at 02:44 Mon 23 Nov"
NEVER, SLOT = "its run never started: ", "and waits for a slot of pool source_mssql_shared1"
CAUSE = "source.unreachable: mssql_shared1 does not answer"
UNREACHABLE = ("source.unreachable", f"acme orders 2026-11-22: {CAUSE}. Remedy: Look at the server.")

# what Airflow says → (kind, whether it is hopeless, the words)
CASES: dict[str, tuple[dict[str, Any], tuple[str, bool, str]]] = {
    "absent": (
        {"dag": None},
        ("missing", True, f"{NEVER}Airflow has no DAG acme__orders"),
    ),
    "absent and no processor": (
        {"dag": None, "health": health(dag_processor=LAST)},
        ("missing", True, f"{NEVER}Airflow has no DAG acme__orders; the dag-processor does not run, {BEAT}"),
    ),
    "import error": (
        {"dag": dag(stale=True, import_errors=True), "import_error": BROKEN},
        ("missing", True, f"{NEVER}the DAG's file cannot be loaded: {BROKEN}"),
    ),
    "stale": (
        {"dag": dag(stale=True)},
        ("missing", True, f"{NEVER}the DAG is stale: its file is gone"),
    ),
    "paused": (
        {"dag": dag(paused=True), "paused_by": paused()},
        ("missing", True, f"{NEVER}paused by jane at 22:14 Sun 22 Nov"),
    ),
    "paused by nobody known": (
        {"dag": dag(paused=True)},
        ("missing", True, f"{NEVER}paused"),
    ),
    "no scheduler": (
        {"health": health(scheduler=LAST)},
        ("missing", True, f"{NEVER}the scheduler does not run, {BEAT}"),
    ),
    "never a scheduler": (
        {"health": health(scheduler=None)},
        ("missing", True, f"{NEVER}the scheduler does not run, and never did"),
    ),
    "behind an older window": (
        {"active": (OLDER,)},
        ("late", False, "waits for 2026-11-21, whose run is running"),
    ),
    "never scheduled": (
        {},
        ("missing", False, f"the scheduler has made no run of it, though it was to start at {AT}"),
    ),
    "catching up": (
        {"dag": dag(next_start=OLDER.start)},
        ("missing", False, "the scheduler has made no run of it, and 2026-11-21 comes first"),
    ),
    "its run was deleted": (
        {"dag": dag(next_start=WINDOW.end)},
        ("missing", True, "Airflow has no run of it and goes on with 2026-11-23: was its run deleted?"),
    ),
    "queued": (
        {"runs": (run("queued"),), "active": (run("queued"), OLDER)},
        ("late", False, f"its run is queued since {AT}: 2026-11-21 runs first"),
    ),
    "paused under way": (
        {"runs": (run("queued"),), "dag": dag(paused=True), "paused_by": paused()},
        ("late", True, "paused by jane at 22:14 Sun 22 Nov"),
    ),
    "without its pool": (
        {"runs": (run(),), "tasks": tasks("extract", "scheduled"), "pools": {}},
        ("late", True, f"extract is scheduled since {AT} {SLOT}, which does not exist; run `tenantdags apply`"),
    ),
    "its pool was closed": (
        {"runs": (run(),), "tasks": tasks("extract", "scheduled"), "pools": {"source_mssql_shared1": pool(slots=0)}},
        ("late", True, f"extract is scheduled since {AT} {SLOT}, which has no slots"),
    ),
    "its pool is full": (
        {"runs": (run(),), "tasks": tasks("extract", "scheduled"), "pools": {"source_mssql_shared1": pool()}},
        ("late", False, f"extract is scheduled since {AT} {SLOT}: 0 of 8 free, 12 tasks wait"),
    ),
    "no worker": (
        {"runs": (run(),), "tasks": tasks("upload", "queued")},
        ("late", False, f"upload is queued since {AT}, and no worker has taken it"),
    ),
    "running": (
        {"runs": (run(),), "tasks": tasks("extract", "running", try_number=2)},
        ("late", False, f"extract runs since {AT}, try 2 of 4"),
    ),
    "waits for Databricks too long": (
        {"runs": (run(),), "tasks": tasks("load", "deferred")},
        ("late", False, f"load waits for Databricks since {AT}, try 1 of 4, longer than its timeout of 2:00:00"),
    ),
    "no triggerer": (
        {"runs": (run(),), "tasks": tasks("load", "deferred"), "health": health(triggerer=LAST)},
        ("late", True, f"load waits for Databricks, and the triggerer does not run, {BEAT}"),
    ),
    "between two tries": (
        {"runs": (run(),), "tasks": tasks("extract", "up_for_retry", try_number=2), "error": UNREACHABLE},
        ("late", False, f"extract failed, try 2 of 4, and will be tried again: {CAUSE}"),
    ),
    "failed": (
        {"runs": (run("failed"),), "tasks": tasks("extract", "failed"), "error": UNREACHABLE},
        ("late", True, f"its run failed at extract: {CAUSE}"),
    ),
    "failed and told nothing": (
        {"runs": (run("failed"),), "tasks": tasks("load", "failed")},
        ("late", True, "its run failed at load"),
    ),
    "marked successful": (
        {"runs": (run("success"),), "tasks": (task("publish", "success"),)},
        ("late", True, "its run succeeded in Airflow, but nothing is published: was it marked so by hand?"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_cause_is_told(case):
    said, (kind, hopeless, text) = CASES[case]

    reason = reason_of(PLAN, WINDOW, facts(**said), NOW)

    assert (reason.kind, reason.hopeless, reason.text) == (kind, hopeless, text)


def test_of_several_runs_the_last_one_counts():
    runs = (run("failed"), run("running", run_id="manual__2", started_at=STARTED + timedelta(hours=1)))

    reason = reason_of(PLAN, WINDOW, facts(runs=runs, tasks=tasks("load", "running")), NOW)

    assert (reason.run_id, reason.text) == ("manual__2", "load runs since 03:04 Mon 23 Nov, try 1 of 4")


def test_of_an_import_error_the_tenants_own_line_is_told():
    text = f"Traceback (most recent call last):\n  File x\ntenantdags.model.errors.ConfigError: \n{BROKEN}\n"

    assert first_problem(text, PLAN.file) == BROKEN
    assert first_problem("Traceback\nSyntaxError: invalid syntax\n", PLAN.file) == "SyntaxError: invalid syntax"


def test_what_a_task_tells_and_what_is_asked_for_is_one_key():
    from tenantdags.dag import run as dag_run

    assert ERROR == dag_run.ERROR
