"""A run whose backfill was cancelled or is paused: Airflow would leave it queued, so it is not cleared."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tenantdags.steps.airflow_answers import Backfill
from tenantdags.steps.retry import NoRetry, Retry, require_startable
from tests.steps.airflow_facts import STARTED, WINDOW, run
from tests.steps.on_call_cases import ENDED, PLAN

MADE = Backfill(
    id=7, dag_id=PLAN.dag_id, first=WINDOW.start - timedelta(days=3), last=WINDOW.start, paused=True,
    reprocess="none", max_active_runs=1, created_at=STARTED - timedelta(minutes=1), completed_at=ENDED, conf={},
)  # fmt: skip
DATES = f"-s {WINDOW.key} -e {WINDOW.key}"


def asked(*backfills: Backfill, state: str = "failed", run_type: str = "backfill") -> Retry | NoRetry:
    ended = run(state, ended_at=ENDED, run_type=run_type, logical_date=WINDOW.start, queued_at=STARTED)
    found = Retry(run=ended, task="extract", failed="its run failed", kind="internal", why="it begins anew")
    api: Any = SimpleNamespace(backfills=lambda dag_id: backfills)
    return require_startable(api, PLAN, WINDOW, found)


@pytest.mark.parametrize(
    ("state", "again"), [("failed", "--rerun-failed-tasks"), ("success", "--reset-dagruns")]
)  # fmt: skip
def test_a_run_of_a_cancelled_backfill_is_started_by_another_one(state, again):
    assert asked(MADE, state=state) == NoRetry(
        "backfill 7, which its run belongs to, was cancelled: Airflow starts no run of it any more",
        f'`tenantdags backfill --tenant acme --table orders {DATES} {again} --reason "…"`',
    )


def test_a_run_of_a_paused_backfill_waits_for_it():
    assert asked(replace(MADE, completed_at=None)) == NoRetry(
        "backfill 7, which its run belongs to, is paused", "`tenantdags backfill resume 7`, then the same again"
    )


def test_every_other_run_may_be_cleared():
    later = replace(MADE, id=8, paused=False, created_at=STARTED - timedelta(seconds=1))

    assert isinstance(asked(MADE, run_type="scheduled"), Retry)
    assert isinstance(asked(replace(MADE, paused=False)), Retry)
    assert isinstance(asked(MADE, later), Retry)  # it was run again by another backfill since
    assert isinstance(asked(replace(MADE, last=WINDOW.start - timedelta(days=1))), Retry)
    assert isinstance(asked(replace(MADE, created_at=ENDED)), Retry)
    assert isinstance(asked(), Retry)
