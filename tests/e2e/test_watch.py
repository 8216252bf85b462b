"""The watchdog on a real Airflow: as a DAG, and as a command from outside while the scheduler or the API is dead."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from sandbox.airflow_api import FINISHED, AirflowApi
from tenantdags.model.ledger import TableLedger
from tenantdags.steps.alerts import fingerprint_of, in_words
from tenantdags.steps.ledger_file import LEDGER, Ledger
from tests.e2e.pages import texts
from tests.e2e.rig import Rig, only_table, wait_until
from tests.e2e.test_scheduler import start_of

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]
WATCH = "tenantdags_watch"


def looks(api: AirflowApi) -> set[str]:
    return {run["dag_run_id"] for run in api.runs(WATCH) if run["state"] == "success"}


def test_the_dag_looks_and_leaves_a_heartbeat(rig: Rig) -> None:
    api = rig.airflow.api
    before = looks(api)
    api.set_paused(WATCH, False)
    try:
        wait_until(lambda: looks(api) - before, 150, f"a look by the DAG after {len(before)} before")
    except AssertionError:
        print(*api.runs(WATCH), *(api.tasks(WATCH, run["dag_run_id"]) for run in api.runs(WATCH)), sep="\n")
        raise
    finally:
        api.set_paused(WATCH, True)
    (run_id, *_) = looks(api) - before

    assert "1 table, " in api.log(WATCH, run_id, "look")
    assert rig.tenantdags(rig.airflow.project, "watch", "--heartbeat-age").startswith("the last look was ")


def test_the_command_looks_without_any_airflow(rig: Rig) -> None:
    said = rig.tenantdags(rig.airflow.project, "watch", "--once")

    assert "Z 1 table, " in said.splitlines()[0]


def test_what_on_call_types_works_on_a_real_airflow(rig: Rig) -> None:
    api, cell = rig.airflow.api, rig.scheduled[0]
    dag_id, words = "acme__orders", ("acme", "orders", cell.as_of_date.isoformat())
    wait_until(lambda: any(r["state"] in FINISHED for r in api.runs(dag_id)), 240, "the first run")

    story = rig.tenantdags(rig.airflow.project, "explain", *words)
    fleet = rig.tenantdags(rig.airflow.project, "status")
    asked = rig.tenantdags(rig.airflow.project, "retry", *words, "--from", "extract")

    generation = rig.recount.visible(cell).generation
    assert f"readers see  generation {generation}: {rig.recount.visible(cell).rows} rows of load " in story
    assert "check_extract success in " in story
    assert "now          published" in story
    assert "1 table of 1 tenant" in fleet
    assert "  clears   extract, check_extract, upload, load, check_load, publish, summarise\n" in asked
    assert "nothing was changed; `tenantdags retry" in asked

    said = rig.tenantdags(rig.airflow.project, "retry", *words, "--from", "extract", "--yes")
    run_id = next(r["dag_run_id"] for r in api.runs(dag_id) if start_of(r) == cell.bounds[0])
    assert "done: 7 tasks were cleared" in said
    assert api.wait_for_run(dag_id, run_id) == "success"
    assert "admin cleared tasks" in rig.tenantdags(rig.airflow.project, "explain", *words)


def test_a_window_whose_run_never_started(rig: Rig) -> None:
    """Told by `tenantdags watch --once`, which knows the table for two days; Airflow has no such DAG."""
    rig.forget_alerts()
    project, due = _promising(rig), datetime.combine(rig.due + timedelta(days=1), time(10), UTC)
    ledger = Ledger({"globex__orders": TableLedger(since=due - timedelta(days=2))})
    rig.recount.container.upload_blob(LEDGER, ledger.to_json(), overwrite=True)
    before = datetime.now(UTC)

    rig.tenantdags(project, "watch", "--once")

    (text,) = texts(rig.receiver)
    overs = {in_words(at - due) for at in (before, datetime.now(UTC))}
    where = f"globex orders {rig.due}"
    assert text in {
        f"""\
PAGE {where} missing, {over} over
Cause: its run never started: Airflow has no DAG globex__orders
Tenant: Globex Corporation (globex), silver
Deadline: {due:%H:%M %a %d %b} UTC
Readers see: nothing of this window
Not affected: published windows; any tenant may have this
Runbook: docs/runbooks/missing.md
Table: docs/runbooks/orders.md
Fingerprint: {fingerprint_of("globex", "orders", str(rig.due), "missing")}"""
        for over in overs
    }


def _promising(rig: Rig) -> Path:
    """A project of one table that is due by ten in the morning (UTC)."""
    project = rig.project("promising", {"globex": rig.due}, retries=0)
    file = project / "config/tenants/globex.yaml"
    only_table(file, "orders")
    text = file.read_text().replace("America/New_York", "UTC").replace("{within: 8h}", "{within: 10h}")
    file.write_text(text)
    return project
