"""Where the story of a window comes from: landing, its QA summaries, Airflow, and the files as they were."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tenantdags.model.fingerprint import fingerprints
from tenantdags.model.window import day_window
from tenantdags.steps.airflow_answers import Event
from tenantdags.steps.airflow_view import AirflowView
from tenantdags.steps.fleet import keep, read_fleet
from tenantdags.steps.landing import Landing
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.retry import Retry, choose, clear
from tenantdags.steps.story import Green, Sources, story
from tests.dag.plans import ROOT, plan_of
from tests.steps.airflow_facts import NOW, STARTED, WINDOW, dag, facts, paused, run, tasks
from tests.steps.fake_airflow import FakeAirflow
from tests.steps.on_call_cases import UNREACHABLE, generation

pytestmark = pytest.mark.sandbox
PLAN = plan_of("acme", "orders")
YESTERDAY = day_window(date(2026, 11, 21), "Europe/Berlin")
_containers = count()


@pytest.fixture
def landing(lakehouse) -> Landing:
    service = BlobServiceClient(lakehouse.adls.connection()["host"], credential=lakehouse.adls.key)
    return Landing(service.create_container(f"story-{next(_containers)}"), "abfss://x", "adls_landing", first_wait=0.01)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("config", "include/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture
def airflow() -> FakeAirflow:
    """The window's run failed at extract, and somebody cleared it once."""
    cleared = Event(what="post_clear_task_instances", who="jane", at=STARTED, extra="", run_id="scheduled__1")
    other = Event(what="clear_dag_run", who="joe", at=STARTED, extra="", run_id="another")
    told = {"kind": UNREACHABLE[0], "text": UNREACHABLE[1]}
    return FakeAirflow(
        dags=[dag()],
        runs=[run("failed")],
        tasks=list(tasks("extract", "failed")),
        events=[("acme__orders", cleared), ("acme__orders", other)],
        xcoms={("acme__orders", "scheduled__1", "extract", "error"): told},
    )


def sources(project: Path, landing: Landing, airflow: FakeAirflow) -> Sources:
    return Sources(
        root=project, landing=lambda: landing, airflow=lambda: AirflowView(airflow.api()), told=lambda plan, window: ()
    )


def test_every_source_tells_its_part(project, landing, airflow):
    fact = generation(1, window_start=YESTERDAY.start, as_of_date=YESTERDAY.as_of_date)
    landing.swap_published(PLAN, YESTERDAY, PublishedFile().with_next(fact), None)
    summary = {"run_id": "scheduled__1", "outcome": "error", "kind": "source.unreachable", "cause": "no answer.",
               "summarised_at": "2026-11-23T02:05:25Z", "rows": {"source": None}}  # fmt: skip
    landing.put_qa(PLAN, WINDOW, "scheduled__1.0.json", json.dumps(summary))
    keep(read_fleet(project), project, landing.blobs, "a test", {}, fact.published_at - timedelta(days=1))
    path = project / "config/tenants/acme.yaml"
    path.write_text(path.read_text().replace("name: Acme Ltd", "name: Acme GmbH"))
    before = fingerprints(PLAN) | {"columns": "others"}
    airflow.xcoms["acme__orders", fact.run_id, "extract", "plan"] = before

    found = story(PLAN, WINDOW, sources(project, landing, airflow), NOW)

    assert found.gaps == ()
    assert found.reason is not None
    assert found.reason.text == "its run failed at extract: source.unreachable: mssql_shared1 does not answer"
    assert [(each.kind, each.cause) for each in found.attempts] == [("source.unreachable", "no answer.")]
    assert found.deeds == ((STARTED, "jane cleared tasks"),)
    assert found.green == Green(window=YESTERDAY, fact=replace(fact, generation=1))
    assert found.changes is not None
    assert (found.changes.contract, found.changes.parts) == (None, ("columns",))
    assert found.changes.files == (("config/tenants/acme.yaml", ("- name: Acme Ltd", "+ name: Acme GmbH")),)


def test_a_source_that_does_not_answer_is_a_gap_and_the_others_tell_theirs(project, landing, airflow, lakehouse):
    airflow.down = True
    alone = story(PLAN, WINDOW, sources(project, landing, airflow), NOW)
    airflow.down = False
    lakehouse.adls.fault("403", path="_published.json", times=50)

    without = story(PLAN, WINDOW, sources(project, landing, airflow), NOW)

    assert (alone.facts, len(alone.gaps)) == (None, 1)
    assert "Connection refused" in alone.gaps[0]
    assert without.reason is not None
    assert without.gaps[0].startswith("acme orders 2026-11-22: landing.unreachable: landing answered 403")


def test_who_paused_it_stands_in_the_story(project, landing, airflow):
    airflow.dags, airflow.runs, airflow.tasks = [dag(paused=True)], [], []
    airflow.events = [("acme__orders", paused())]

    found = story(PLAN, WINDOW, sources(project, landing, airflow), NOW)

    assert found.deeds == ((paused().at, "jane paused the DAG"),)


def test_clearing_names_the_task_its_followers_and_keeps_running_ones_safe(airflow):
    failed = facts(runs=(run("failed"),), tasks=tuple(airflow.tasks), error=UNREACHABLE)
    chosen = choose(PLAN, WINDOW, failed, None, NOW)
    assert isinstance(chosen, Retry)

    would = clear(airflow.api(), PLAN, chosen, dry_run=True)
    clear(airflow.api(), PLAN, chosen, dry_run=False)

    assert [task.task_id for task in would] == [task.task_id for task in airflow.tasks]
    sent = [body for _, _, body in airflow.changed]
    assert [body.pop("dry_run") for body in sent] == [True, False]
    assert sent[0] == sent[1] == {
        "only_failed": False, "dag_run_id": "scheduled__1", "task_ids": ["extract"], "include_downstream": True,
        "run_on_latest_version": True, "prevent_running_task": True,
    }  # fmt: skip
