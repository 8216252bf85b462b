"""The deadline's callback and the task's, from Airflow's context to what the service at the other end got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tenantdags.dag import alerts, world
from tenantdags.model.plan import AlertPlan, TablePlan
from tenantdags.model.window import day_window
from tenantdags.steps.alerts import Incident, Subject
from tenantdags.steps.landing import PUBLISHED
from tenantdags.steps.published import Generation, PublishedFile
from tests.dag.plans import ROOT, plan_of
from tests.dag.receivers import Receiver, http
from tests.steps.airflow_facts import dag, run, tasks
from tests.steps.fake_airflow import FakeAirflow
from tests.steps.incidents import EVENTS, Memory

ROUTE = AlertPlan(notifier="http", connection="oncall", events=EVENTS)  # type: ignore[arg-type]
PLAN = plan_of("acme", "orders", alerts=(ROUTE,))
WINDOW = day_window(datetime(2026, 11, 21, tzinfo=UTC).date(), "Europe/Berlin")
MISSED = "2026-11-22T05:00:00Z"
NOW = datetime(2026, 11, 22, 5, 5, tzinfo=UTC)


def context(deadline: object = MISSED, state: str = "running") -> dict[str, Any]:
    run = {
        "dag_run_id": "scheduled__2026-11-22T02:04:51+00:00",
        "data_interval_start": "2026-11-20T23:00:00Z",
        "data_interval_end": "2026-11-21T23:00:00Z",
        "state": state,
    }
    return {"dag_run": run, "deadline": {"id": "1", "deadline_time": deadline}}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with http(Receiver()) as found:
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL", json.dumps({"conn_type": "http", "host": found.url}))
        yield found


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Landing's small files in this process, and five minutes past the deadline."""
    found = Memory()
    monkeypatch.setattr(alerts, "memory", lambda connection, container: found)
    monkeypatch.setattr(alerts, "_now", lambda: NOW)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example")
    return found


def miss(ahead: timedelta = timedelta(), plan: TablePlan = PLAN, **changes: Any) -> None:
    stored = json.loads(json.dumps(alerts.sla_miss_arguments(plan, ahead)))
    asyncio.run(alerts.on_sla_miss(**stored, context=context(**changes)))


def publish(memory: Memory, rows: int = 410) -> None:
    fact = Generation(
        generation=1, load_id="l", append_id="a", rows=rows, as_of_date=WINDOW.as_of_date, window_start=WINDOW.start,
        run_id="r", published_at=WINDOW.end, contract_version="1.0.0",
    )  # fmt: skip
    path = f"{PLAN.landing.window_path(WINDOW)}/{PUBLISHED}"
    memory.write("test", path, PublishedFile((fact,)).to_json().encode())


def test_what_is_stored_with_a_deadline_holds_ids_only():
    stored = alerts.sla_miss_arguments(plan_of("acme", "orders"), timedelta(minutes=45))

    assert stored == {
        "subject": {
            "tenant": "acme", "name": "Acme Ltd", "tier": "gold", "table": "orders", "zone": "Europe/Berlin",
            "source": "mssql_shared1", "loudest": "page", "landing": ["adls_landing", "landing", PLAN.landing.prefix],
            "runbook": "docs/runbooks/orders.md",
            "routes": [{"notifier": "slack", "connection": "slack_oncall", "events": ["sla_miss"]}],
        },
        "ahead": 2700.0,
    }  # fmt: skip


def test_a_miss_arrives_word_for_word(receiver: Receiver):
    miss()

    (request,) = receiver.requests
    assert (
        request.json["text"]
        == """\
PAGE acme orders 2026-11-21 late, 5 min over
Cause: the run is running
Tenant: Acme Ltd (acme), gold
Deadline: 06:00 Sun 22 Nov Europe/Berlin
Readers see: nothing of this window yet
Not affected: acme's other tables, all other tenants
Run: https://airflow.example/dags/acme__orders/runs/scheduled__2026-11-22T02%3A04%3A51%2B00%3A00
Runbook: docs/runbooks/late.md
Table: docs/runbooks/orders.md
Fingerprint: """
        + request.json["fingerprint"]
    )


def test_a_warning_ahead_is_a_ticket_of_its_own(receiver: Receiver):
    miss(timedelta(minutes=45), deadline=datetime(2026, 11, 22, 5, 0, tzinfo=UTC))
    miss(timedelta(minutes=45))
    miss()

    subjects = [request.json["subject"] for request in receiver.requests]
    assert subjects == [
        "TICKET acme orders 2026-11-21 late, 40 min left", "PAGE acme orders 2026-11-21 late, 5 min over",
    ]  # fmt: skip


def test_a_miss_says_what_was_told_before(receiver: Receiver):
    subject = Subject.of(PLAN)
    alerts.deliver(Incident(subject=subject, kind="gate.error", window="2026-11-21", at=NOW, cause="no answer."))

    miss(state="failed")

    assert receiver.requests[1].json["text"].splitlines()[1] == "Cause: the run is failed; told before: gate.error"


def test_a_miss_says_what_airflow_says_of_it(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    its_run = run(start=WINDOW.start, end=WINDOW.end, logical_date=WINDOW.start)
    airflow = FakeAirflow(dags=[dag()], runs=[its_run], tasks=list(tasks("load", "deferred")))
    monkeypatch.setattr(world, "airflow_api", lambda at, seconds: airflow.api())
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(ROOT / "dags"))

    miss()

    said = receiver.requests[0].json["text"].splitlines()[1]
    assert said == "Cause: load waits for Databricks since 03:04 Mon 23 Nov, try 1 of 4"


@pytest.mark.parametrize(("ahead", "requests"), [(False, 1), (True, 2)])
def test_a_window_that_was_paged_as_missing_is_not_paged_as_late(receiver: Receiver, ahead: bool, requests: int):
    missing = Incident(subject=Subject.of(PLAN), kind="missing", window="2026-11-21", at=NOW, cause="paused by jane")
    alerts.deliver(replace(missing, ahead=ahead))

    miss()

    assert len(receiver.requests) == requests


def test_a_window_that_readers_see_already_is_no_miss(receiver: Receiver, memory: Memory):
    publish(memory)

    miss()

    assert receiver.requests == []


def test_landing_that_is_away_hides_no_miss(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.setattr(alerts, "memory", lambda *_: (_ for _ in ()).throw(ConnectionError("503")))

    miss()

    assert "Readers see: unknown" in receiver.requests[0].json["text"]
    assert "may be told twice" in caplog.text


def test_the_callback_never_raises(caplog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AIRFLOW_CONN_ONCALL", raising=False)

    miss()

    assert "PAGE acme orders 2026-11-21 late, 5 min over: the run is running" in caplog.text
    assert "not delivered by http over connection 'oncall'" in caplog.text


def test_the_callback_holds_up_no_other_trigger(receiver: Receiver):
    """The endpoint takes its time; the triggerer's loop goes on meanwhile."""
    ticks: list[int] = []

    async def both() -> None:
        async def tick() -> None:
            for n in range(20):
                ticks.append(n)
                await asyncio.sleep(0.005)

        stored = alerts.sla_miss_arguments(PLAN, timedelta())
        await asyncio.gather(alerts.on_sla_miss(**stored, context=context()), tick())

    asyncio.run(both())

    assert (len(ticks), len(receiver.requests)) == (20, 1)
