"""`tenantdags backfill`: what it tells before it acts, what it refuses, and what it asks Airflow for."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tenantdags.cli import backfill as command
from tenantdags.cli.main import app
from tenantdags.model.errors import AirflowBusy, AirflowConflict, AirflowUnreachable, DatabricksSubmit
from tenantdags.steps import publish_log
from tenantdags.steps.airflow_answers import DagRun, TaskInstance
from tenantdags.steps.bulk import Notebook
from tenantdags.steps.publish_log import LogRow
from tenantdags.steps.published import Generation
from tests.cli.fake_airflow import BERLIN, NOW, FakeAirflow, dag, run

ROOT = Path(__file__).parents[2]
ORDERS = ("--tenant", "acme", "--table", "orders", "--reason", "rates were wrong")
SLEEP = "tenantdags.cli.backfill.time.sleep"
WEEK = ("-s", "2026-11-01", "-e", "2026-11-07")


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW.astimezone(tz)


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "include/contracts", tmp_path / "include/contracts")
    return tmp_path


@pytest.fixture
def airflow(monkeypatch) -> FakeAirflow:
    made = FakeAirflow(*(dag(f"acme__{table}") for table in ("customers", "orders", "order_lines")))
    monkeypatch.setattr(command, "_airflow", lambda: made)
    monkeypatch.setattr(command, "datetime", Clock)
    monkeypatch.setattr(SLEEP, lambda _: None)
    monkeypatch.setattr(command, "_statements", lambda _: None)
    monkeypatch.setattr(publish_log, "read", lambda plan, statements: ())
    return made


def say(project: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["backfill", *words, "--project", str(project)])
    return done.exit_code, done.output


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=BERLIN)


def published(day: str, rows: int, generation: int = 1) -> LogRow:
    fact = Generation(
        generation=generation, load_id="l", append_id="a", rows=rows, as_of_date=datetime.fromisoformat(day).date(),
        window_start=midnight(day), contract_version="1.0.0", run_id="r", published_at=NOW,
    )  # fmt: skip
    return LogRow(fact, NOW)


def task(run_id: str, task_id: str, begun: datetime, seconds: float) -> TaskInstance:
    return TaskInstance(
        dag_id="acme__orders", run_id=run_id, task_id=task_id, state="success", try_number=1, max_tries=1, pool="p",
        scheduled_at=None, queued_at=None, started_at=begun, ended_at=begun + timedelta(seconds=seconds),
        seconds=seconds,
    )  # fmt: skip


def test_without_yes_it_tells_what_it_would_take_and_makes_nothing(project, airflow, monkeypatch):
    rows = (published("2026-11-01", 100), published("2026-11-01", 300, 2), published("2026-11-02", 200))
    monkeypatch.setattr(publish_log, "read", lambda plan, statements: rows)
    airflow.all_tasks = [task("r1", "extract", NOW, 60), task("r1", "summarise", NOW + timedelta(seconds=118), 2)]

    code, said = say(project, *ORDERS, *WEEK)

    assert (code, airflow.asked) == (0, [])
    assert said == (
        "acme__orders: 7 windows, 2026-11-01 to 2026-11-07 of Europe/Berlin, 2 at once, the oldest first\n"
        "  from 2026-10-31T23:00:00Z to 2026-11-06T23:00:00Z\n"
        "  expected: 1,750 rows, 7.0 minutes of the source, 7 Databricks runs; about 7.0 minutes\n"
        "  brakes: 1 extract at once of all backfills through mssql_shared1; scheduled runs go first\n"
        "nothing was made; --yes does it\n"
    )


def test_what_it_takes_may_not_be_known(project, airflow, monkeypatch):
    def away(plan, statements):
        raise DatabricksSubmit("acme orders backfill", "the SQL statement API did not answer.", "Look.")

    monkeypatch.setattr(publish_log, "read", away)
    code, said = say(project, *ORDERS, *WEEK)

    assert code == 0
    assert "what it will take is not known: acme orders backfill: databricks.submit: the SQL statement API" in said
    assert "  expected: rows not known (nothing is published yet), time at the source not known, 7 Data" in said


def test_the_hours_of_the_tenant_are_told(project, airflow):
    with (project / "config/tenants/acme.yaml").open("a") as file:
        file.write('backfill: {hours: "22:00-05:00"}\n')

    assert (
        "  begins at 2026-11-25T21:00:00Z: backfill.hours are 22:00-05:00 Europe/Berlin\n"
        in say(project, *ORDERS, *WEEK)[1]
    )
    assert "begins at" not in say(project, *ORDERS, *WEEK, "--outside-hours")[1]


def test_with_yes_it_makes_one_backfill_and_follows_it(project, airflow, monkeypatch):
    monkeypatch.setattr(SLEEP, lambda _: airflow.end("success", "failed", "success"))
    airflow.xcoms["backfill__2026-11-02"] = {"line": "acme orders 2026-11-02 RED quality.pk_unique"}

    code, said = say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-03", "--yes")

    ((_, body),) = airflow.asked
    assert code == 1
    assert said.splitlines()[4:] == [
        "acme__orders: backfill 1 made",
        "1/3 acme__orders 2026-11-01 success in 30 s",
        "2/3 acme__orders 2026-11-02 failed in 30 s: acme orders 2026-11-02 RED quality.pk_unique",
        "3/3 acme__orders 2026-11-03 success in 30 s",
        "acme__orders: 2 succeeded, 1 failed",
    ]
    assert body["dag_run_conf"]["tenantdags"]["reason"] == "rates were wrong"
    assert (body["max_active_runs"], body["reprocess_behavior"], body["run_backwards"]) == (2, "none", False)


def test_an_airflow_whose_database_is_locked_is_asked_again(project, airflow, monkeypatch):
    answers = iter([AirflowBusy("http://airflow", "503 Database is locked.", "Ask again.")] * 4)
    make = airflow.create_backfill

    def busy(*args, **body):
        assert all(each.completed_at for each in airflow.all_backfills)
        for error in answers:
            made = make(*args, **body)  # as Airflow leaves it on SQLite
            airflow.all_runs = [each for each in airflow.all_runs if each.run_type != "backfill"]
            airflow.asked.clear()
            assert made.completed_at is None
            raise error
        return make(*args, **body)

    monkeypatch.setattr(airflow, "create_backfill", busy)
    words = (*ORDERS, "-s", "2026-11-01", "-e", "2026-11-01", "--yes", "--no-wait")

    assert say(project, *words)[0] == 0
    assert len(airflow.asked) == 1

    airflow.end("success")
    airflow.cancel_backfill(5)
    answers = iter([AirflowBusy("http://airflow", "503 Database is locked.", "Ask again.")] * 5)
    code, said = say(project, *words, "--reset-dagruns")
    assert (code, len(airflow.asked)) == (1, 0)
    assert said.endswith("Airflow at http://airflow: 503 Database is locked. Remedy: Ask again.\n")


@pytest.mark.parametrize("parsed", [True, False])
def test_a_paused_dag_is_handed_on_to_behind_what_is_published(project, airflow, monkeypatch, parsed):
    known = dag("acme__orders", paused=True, next_start=midnight("2026-11-01"))
    airflow._dags["acme__orders"] = known
    seen = tuple(published(f"2026-11-0{day}", 200) for day in range(1, 4))
    monkeypatch.setattr(publish_log, "read", lambda plan, statements: seen)

    def parse(_: float) -> None:
        if parsed:
            airflow._dags["acme__orders"] = dataclasses.replace(known, next_start=midnight("2026-11-04"))

    monkeypatch.setattr(SLEEP, parse)
    words = (*ORDERS, "-s", "2026-11-03", "-e", "2026-11-03", "--while-paused", "--no-wait", "--yes")

    code, said = say(project, *words)

    assert (code, airflow.asked[-1]) == (0, ("reparse", "acme__orders"))
    assert said.splitlines()[-2] == (
        "the scheduler goes on with 2026-11-04 when the DAG is unpaused" if parsed else
        "Airflow has not parsed the DAG's file again; unpause it only then, or the scheduler begins at 2026-11-01"
    )  # fmt: skip


def test_a_backfill_that_a_locked_database_broke_off_is_told(project, airflow, monkeypatch):
    make = airflow.create_backfill

    def busy(*args, **body):
        if airflow.all_backfills:
            raise AirflowConflict("http://airflow", "409 There is already a running backfill.", "Look.")
        make(*args, **body)
        airflow.all_runs = [each for each in airflow.all_runs if not each.run_id.endswith("3")]
        raise AirflowBusy("http://airflow", "503 Database is locked.", "Ask again.")

    monkeypatch.setattr(airflow, "create_backfill", busy)
    code, said = say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-03", "--yes")

    assert code == 1
    assert (
        "acme__orders: config.invalid: Airflow's database was locked while the backfill was made, so only a part of "
        "its windows has a run. Remedy: Say the same again when they have ended;" in said
    )


def test_a_backfill_that_was_whole_before_the_database_was_locked_is_the_one(project, airflow, monkeypatch):
    make = airflow.create_backfill

    def busy(*args, **body):
        make(*args, **body)
        raise AirflowBusy("http://airflow", "503 Database is locked.", "Ask again.")

    monkeypatch.setattr(airflow, "create_backfill", busy)
    code, said = say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-03", "--yes", "--no-wait")

    assert (code, len(airflow.all_backfills)) == (0, 1)
    assert "backfill 1 made" in said


def test_the_tables_of_a_tenant_go_one_after_the_other(project, airflow, monkeypatch):
    monkeypatch.setattr(SLEEP, lambda _: airflow.end("success"))
    words = ("--tenant", "acme", "--reason", "rates were wrong", "-s", "2026-11-01", "-e", "2026-11-01", "--yes")

    code, said = say(project, *words)

    assert (code, len(airflow.asked)) == (0, 2)
    lines = said.splitlines()
    assert lines[0] == "acme__customers: left out, a snapshot table"
    order = [line for line in lines if "made" in line or "succeeded" in line]
    assert order == [
        "acme__orders: backfill 1 made", "acme__orders: 1 succeeded, 0 failed",
        "acme__order_lines: backfill 2 made", "acme__order_lines: 1 succeeded, 0 failed",
    ]  # fmt: skip


def test_the_same_command_again_takes_up_what_is_left(project, airflow):
    for day, state in (("2026-11-01", "success"), ("2026-11-02", "failed")):
        airflow.all_runs.append(run("acme__orders", midnight(day), state))
    words = (*ORDERS, "-s", "2026-11-01", "-e", "2026-11-03", "--yes", "--no-wait", "--rerun-failed-tasks")

    code, said = say(project, *words)

    assert code == 0
    assert "acme__orders: 2 windows, " in said
    assert "  left as they are, for they were run already: 2026-11-01\n" in said
    assert airflow.asked[0][1]["reprocess_behavior"] == "failed"


def test_an_airflow_that_goes_away_is_waited_for(project, airflow, monkeypatch):
    def away() -> None:
        raise AirflowUnreachable("http://airflow", "no answer: ConnectError.", "Start it.")

    def back() -> None:
        airflow.before_answer = lambda: None
        airflow.end("success")

    rounds = iter([lambda: setattr(airflow, "before_answer", away), lambda: None, back])
    monkeypatch.setattr(SLEEP, lambda _: next(rounds)())
    code, said = say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-01", "--yes")

    assert code == 0
    assert said.count("no answer: ConnectError. Asking again; the backfill does not depend on it.") == 1


def test_an_interrupt_leaves_the_backfill(project, airflow, monkeypatch):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SLEEP, interrupt)
    code, said = say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-01", "--yes")

    assert code == 1
    assert said.endswith(
        "stopped waiting; the backfill goes on, and the same command takes up what it has not made yet\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (WEEK[:2], "say from when to when: -s 2026-11-01 -e 2026-11-07"),
        (("-s", "2026-02-30", "-e", "2026-03-01"), "2026-02-30 does not exist: February 2026 has 28 days"),
        (
            ("-s", "2026-11-07", "-e", "2026-11-01"),
            "the start 2026-11-07 lies after the end 2026-11-01; both belong to the backfill",
        ),
        (WEEK, "say whose windows: --tenant acme, and --table orders for one table"),
        ((*WEEK, "--tenant", "acmee"), "no tenant 'acmee', did you mean 'acme'?"),
        ((*WEEK, "--tenant", "acme", "--table", "order"), "acme has no table 'order', did you mean 'orders'?"),
        ((*WEEK, "--tenant", "acme"), 'say why: --reason "…" stands in every run and its QA summary'),
        (
            (*WEEK, "--tenant", "acme", "--reason", "-"),
            "say in words why; the reason stands in every run and its QA summary",
        ),
        (
            (*WEEK, "--tenant", "acme", "--reason", "rates were wrong", "--no-wait"),
            "several tables go one after the other, so somebody has to wait; name one with --table",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(project, airflow, words, said):
    code, told = say(project, *words)

    assert (code, told.splitlines()[-1], airflow.asked) == (1, said, [])


def test_a_snapshot_table_is_refused(project, airflow):
    code, said = say(project, "--tenant", "acme", "--table", "customers", "--reason", "rates were wrong", *WEEK)

    assert code == 1
    assert said.startswith("acme__customers: config.invalid: a snapshot table cannot be backfilled")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"paused": True}, "the DAG is paused, so its runs would stay queued."),
        ({"stale": True}, "the DAG is stale: its loader fails. Remedy: `tenantdags check` tells why."),
        (
            {"next_start": midnight("2026-11-05")},
            "the scheduler has come to 2026-11-05 and runs it, and what follows, by itself. "
            "Remedy: End with 2026-11-04.",
        ),
    ],
)
def test_a_dag_that_would_not_run_it(project, airflow, changes, said):
    airflow._dags["acme__orders"] = dag("acme__orders", **changes)

    code, told = say(project, *ORDERS, *WEEK, "--yes")

    assert (code, airflow.asked) == (1, [])
    assert told.startswith(f"acme__orders: config.invalid: {said}")
    assert told.endswith("nothing was made\n")


def test_a_dag_that_airflow_lacks(project, airflow):
    del airflow._dags["acme__orders"]

    assert say(project, *ORDERS, *WEEK)[1].startswith("acme__orders: config.invalid: Airflow has no such DAG.")


def test_a_live_window_is_refused_also_that_of_a_run_by_hand(project, airflow):
    by_hand = run("acme__orders", midnight("2026-11-24"), "running", run_type="manual", logical_date=None)
    airflow.all_runs = [
        run("acme__orders", midnight("2026-11-02"), "running"),
        dataclasses.replace(by_hand, conf={"window": "2026-11-05"}),
    ]

    assert "2026-11-02, 2026-11-05 have a run that is not finished." in say(project, *ORDERS, *WEEK)[1]


def test_a_running_backfill_of_the_table_is_refused_and_one_of_the_tenant_counts(project, airflow):
    say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-02", "--yes", "--no-wait")
    lines = ("--tenant", "acme", "--table", "order_lines", "--reason", "rates were wrong")

    same = say(project, *ORDERS, "-s", "2026-11-05", "-e", "2026-11-06")[1]
    other = say(project, *lines, "-s", "2026-11-05", "-e", "2026-11-06")[1]

    assert "backfill 1 of this DAG is not finished, and Airflow runs one at a time." in same
    assert other == (
        "acme__order_lines: config.invalid: backfill 1 of acme__orders may run 2 of the 2 windows that backfills of "
        "acme run at once. Remedy: Wait for its end.\nnothing was made\n"
    )


def test_a_backfill_whose_runs_have_ended_is_waited_for(project, airflow, monkeypatch):
    say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-02", "--yes", "--no-wait")
    airflow.end("success", "success")
    monkeypatch.setattr(SLEEP, lambda _: airflow.cancel_backfill(1))

    code, said = say(project, *ORDERS, "-s", "2026-11-03", "-e", "2026-11-03", "--yes", "--no-wait")

    assert code == 0, said
    assert "  waits first until Airflow has closed backfill 1, whose runs have ended\n" in said
    assert "acme__orders: backfill 2 made\n" in said


def test_a_backfill_that_no_scheduler_closes_is_not_waited_for_without_end(project, airflow, monkeypatch):
    say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-01", "--yes", "--no-wait")
    airflow.end("failed")
    slept: list[float] = []
    monkeypatch.setattr(SLEEP, slept.append)

    code, said = say(project, *ORDERS, "-s", "2026-11-03", "-e", "2026-11-03", "--yes", "--no-wait")

    assert (code, sum(slept), len(airflow.asked)) == (1, 150, 1)
    assert said.endswith(
        "backfill 1 has no run left, but Airflow has not closed it within 150 s. "
        "Remedy: Look whether the scheduler runs, or say `tenantdags backfill cancel 1 --yes`.\n"
    )


def test_more_at_once_than_the_tenant_may_is_refused(project, airflow):
    assert say(project, *ORDERS, *WEEK, "--max-active-runs", "3")[1] == (
        "acme__orders: config.invalid: 3 at once are more than backfill.max_active_runs of acme allows, 2. "
        "Remedy: Say --max-active-runs 2, or raise it in config/tenants/acme.yaml.\nnothing was made\n"
    )


def test_without_its_pools_no_backfill_would_start(project, airflow):
    airflow.pool_names = ("source_mssql_shared1", "curated_orders_v1")

    assert say(project, *ORDERS, *WEEK)[1] == (
        "acme__orders: config.invalid: Airflow lacks the pool backfill_source_mssql_shared1 and "
        "backfill_curated_orders_v1, so no task of it would start. Remedy: Run `tenantdags apply`.\nnothing was made\n"
    )


def test_status_pause_resume_and_cancel(project, airflow):
    say(project, *ORDERS, "-s", "2026-11-01", "-e", "2026-11-03", "--yes", "--no-wait")
    airflow.all_runs[0] = dataclasses.replace(airflow.all_runs[0], state="failed")
    known = "backfill 1{}  acme__orders  2026-10-31T23Z to 2026-11-02T23Z  3 windows: 1 failed, 2 queued; "

    def tell(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["backfill", *words])
        return done.exit_code, done.output

    assert tell("status")[1].startswith(known.format(""))
    assert tell("status")[1].endswith(": rates were wrong\n")
    assert tell("status", "--tenant", "globex") == (0, "no backfill is running\n")
    assert tell("pause", "1")[1] == (
        "backfill 1 of acme__orders is paused; `tenantdags backfill resume 1` lets it go on\n"
    )
    assert tell("status")[1].startswith(known.format(" (paused)"))
    assert tell("resume", "1")[1] == "backfill 1 of acme__orders goes on\n"
    assert tell("cancel", "1")[1].endswith("nothing was changed; `tenantdags backfill cancel 1 --yes` ends it\n")
    assert airflow.backfill(1).completed_at is None
    assert tell("cancel", "1", "--yes")[1].endswith(
        "backfill 1 is ended; the same dates with --rerun-failed-tasks take up what is left\n"
    )
    assert tell("status") == (0, "no backfill is running\n")
    assert tell("pause", "7")[0] == 1


BULK_ORDERS = ("--bulk", *ORDERS)


def test_a_bulk_load_is_told_in_chunks_and_queued_with_yes(project, airflow, monkeypatch):
    seen = (published("2026-11-03", 200),)
    monkeypatch.setattr(publish_log, "read", lambda plan, statements: seen)

    code, told = say(project, *BULK_ORDERS, *WEEK, "--chunk", "4")
    done = say(project, *BULK_ORDERS, *WEEK, "--chunk", "4", "--yes", "--no-wait")

    assert (code, done[0]) == (0, 0)
    assert told == (
        "acme__orders: 6 windows in 2 chunks of at most 4, each one source pass and one Databricks run\n"
        "  1 window left as they are, for readers see them\n"
        "nothing was made; --yes does it\n"
    )
    asked = [body["conf"] for kind, body in airflow.asked if kind == "trigger"]
    assert [(conf["first"], conf["last"], conf["again"]) for conf in asked] == [
        ("2026-11-01", "2026-11-05", False), ("2026-11-06", "2026-11-07", False),
    ]  # fmt: skip
    assert asked[0]["tenantdags"]["slots"] == {
        "extract": "backfill_source_mssql_shared1", "load": "backfill_curated_orders_v1",
    }  # fmt: skip
    status = CliRunner().invoke(app, ["backfill", "status"]).output
    assert status.startswith("bulk acme orders 2026-11-01 to 2026-11-05  queued; ")
    assert "2026-11-01 to 2026-11-07 (7 windows) have a run" in say(project, *ORDERS, *WEEK)[1]


def test_a_bulk_load_is_followed_to_its_end(project, airflow, monkeypatch):
    monkeypatch.setattr(SLEEP, lambda _: airflow.end_chunks("failed"))
    airflow.result = "6 of 7 windows published; not 2026-11-03 (quality.pk_unique)"

    code, told = say(project, *BULK_ORDERS, *WEEK, "--yes")

    assert code == 1
    assert told.splitlines()[1:] == [
        "1 chunk queued as runs of tenantdags_bulk",
        "1/1 acme orders 2026-11-01 to 2026-11-07 failed in 95 s: "
        "6 of 7 windows published; not 2026-11-03 (quality.pk_unique)",
        "the same command again takes up the windows that are not published",
    ]


def test_with_everything_published_there_is_nothing_to_load(project, airflow, monkeypatch):
    seen = tuple(published(f"2026-11-0{day}", 200) for day in range(1, 8))
    monkeypatch.setattr(publish_log, "read", lambda plan, statements: seen)

    assert say(project, *BULK_ORDERS, *WEEK, "--yes")[0] == 1
    assert "7 windows in 1 chunk of at most 31" in say(project, *BULK_ORDERS, *WEEK, "--reset-dagruns")[1]


def test_a_bulk_load_wants_the_scheduler_out_of_its_way(project, airflow):
    airflow._dags["acme__orders"] = dag("acme__orders", next_start=midnight("2026-11-05"))
    running = say(project, *BULK_ORDERS, *WEEK)
    airflow._dags["acme__orders"] = dag("acme__orders", next_start=midnight("2026-11-05"), paused=True)
    paused = say(project, *BULK_ORDERS, *WEEK)

    assert running == (
        1,
        "acme__orders: config.invalid: the scheduler has come to 2026-11-05 and loads it, and what follows, by itself "
        "meanwhile. Remedy: `airflow dags pause acme__orders` until this is done.\nnothing was made\n",
    )
    assert paused[0] == 0


def test_a_snapshot_table_has_no_history_to_load(project, airflow):
    words = ("--bulk", "--tenant", "acme", "--table", "customers", "--reason", "rates were wrong")

    assert "a snapshot table cannot be backfilled" in say(project, *words, *WEEK)[1]


def mark_of(made: DagRun, project: Path) -> Path:
    """Where the fake landing of `chunks` keeps that a chunk is cancelled."""
    return project / "landing/_ops/bulk/acme/orders_v1" / made.run_id / "cancelled.json"


@pytest.fixture
def chunks(project, airflow, monkeypatch):
    """Two chunks of which the first is at `load`; a folder instead of landing, and Databricks as a list."""
    ended: list[int] = []
    landing: Any = Folder(project / "landing")
    monkeypatch.setattr(command, "_notebook", lambda plan, run: Notebook(plan, run.run_id, landing))
    monkeypatch.setattr(command, "_end_notebook", lambda plan, run_id: ended.append(run_id))
    say(project, *BULK_ORDERS, *WEEK, "--chunk", "4", "--yes", "--no-wait")
    airflow.all_runs[0] = dataclasses.replace(airflow.all_runs[0], state="running")
    return ended


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, where: str, path: str, data: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)


def steps_of(run_id: str, **states: str | None) -> list[TaskInstance]:
    """The chunk's task instances; those that are not named have succeeded."""
    names = ("extract", "check_extract", "upload", "load", "check_load", "publish", "summarise")
    known = [task(run_id, name, NOW, 1) for name in names]
    return [
        dataclasses.replace(each, dag_id="tenantdags_bulk", state=states.get(each.task_id, "success")) for each in known
    ]


def test_a_bulk_load_is_cancelled_where_it_is(project, airflow, chunks):
    first, second = airflow.all_runs
    behind = {"check_load": None, "publish": None, "summarise": None}
    airflow.all_tasks = steps_of(first.run_id, load="deferred", **behind)
    airflow.xcoms[first.run_id] = 77
    words = ("cancel", "--tenant", "acme", "--table", "orders")

    code, told = say(project, *words)
    marked = mark_of(first, project).exists()
    done = say(project, *words, "--yes")

    assert (code, marked, done[0]) == (0, False, 0)
    assert told.splitlines()[-1] == "nothing was changed; --yes ends it"
    assert done[1].splitlines()[2:] == [
        "2026-11-05 to 2026-11-07: it ends when its turn comes, before it reads anything",
        "2026-11-01 to 2026-11-04: its load is ended; nothing of it was published",
        "published windows stay; the command of the load takes up the others",
    ]
    assert airflow.asked[-1] == ("fail", (first.run_id, "load"))
    assert chunks == [77]
    assert mark_of(first, project).exists()
    assert mark_of(second, project).exists()


def test_a_chunk_that_publishes_is_never_ended_from_outside(project, airflow, chunks):
    first = airflow.all_runs[0]
    airflow.all_tasks = steps_of(first.run_id, publish="running", summarise=None)

    told = say(project, "cancel", "--tenant", "acme", "--yes")[1]

    assert "2026-11-01 to 2026-11-04: it finishes the window that it publishes, and begins no other\n" in told
    assert [kind for kind, _ in airflow.asked] == ["trigger", "trigger"]
    assert mark_of(first, project).exists()


def test_what_is_to_be_cancelled_has_to_be_said(project, airflow):
    which = "say which: the number of a backfill, or --tenant of a bulk load; `tenantdags backfill status`\n"

    assert say(project, "cancel") == (1, which)
    assert say(project, "cancel", "7", "--tenant", "acme") == (1, which)
    assert say(project, "cancel", "7", "--table", "orders") == (1, which)
    assert say(project, "cancel", "--tenant", "acme") == (1, "no bulk load of acme is running\n")
