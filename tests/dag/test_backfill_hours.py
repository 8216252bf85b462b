"""A backfilled window begins within its tenant's hours, whoever made the backfill; all other runs begin at once."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import TaskDeferred

from tenantdags.dag import run
from tenantdags.dag.factory import build_dag
from tenantdags.model.backfill import Request
from tenantdags.model.hours import Hours
from tenantdags.model.plan import BackfillPlan
from tests.dag.plans import plan_of

PLAN = dataclasses.replace(plan_of("acme", "orders"), backfill=BackfillPlan(hours=Hours(time(22), time(5))))


class Afternoon(datetime):
    """The clock stands at four in the afternoon of Berlin."""

    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 11, 25, 15, tzinfo=tz)


@pytest.fixture(autouse=True)
def afternoon(monkeypatch):
    monkeypatch.setattr(run, "datetime", Afternoon)


def context(run_type: str, conf: object = None):
    return {"dag_run": SimpleNamespace(run_type=run_type, conf=conf)}


def test_a_backfilled_extract_waits_in_the_triggerer_without_a_slot():
    extract: Any = build_dag(PLAN).task_dict["extract"]

    with pytest.raises(TaskDeferred) as deferred:
        extract.execute(context("backfill"))

    trigger = deferred.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment == datetime(2026, 11, 25, 21, tzinfo=UTC)
    assert deferred.value.method_name == "execute_in_hours"


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_other_runs_begin_at_once(run_type):
    assert run.may_begin(PLAN, context(run_type)) is None


def test_a_backfill_may_be_made_to_run_outside_the_hours():
    asked = Request(by="me", reason="the auditor waits", outside_hours=True)

    assert run.may_begin(PLAN, context("backfill", asked.to_conf())) is None


def test_without_hours_a_backfill_begins_at_once():
    assert run.may_begin(dataclasses.replace(PLAN, backfill=BackfillPlan()), context("backfill")) is None


@pytest.mark.parametrize("conf", [None, {}, [], {"tenantdags": "now"}, {"tenantdags": {"outside_hours": "yes"}}])
def test_what_a_person_typed_as_conf_breaks_nothing(conf):
    assert run.request_of(context("backfill", conf)) == Request()
    assert run.may_begin(PLAN, context("backfill", conf)) is not None
