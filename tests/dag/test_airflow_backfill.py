"""`airflow dags backfill` through Airflow's own parser, on Airflow's own metadata database."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from airflow.cli.cli_parser import ALL_COMMANDS_DICT, get_parser
from airflow.dag_processing.collection import update_dag_parsing_results_in_db
from airflow.models.backfill import Backfill, BackfillDagRun, _create_backfill
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
from airflow.utils.db import add_default_pool_if_not_exists, synchronize_log_template
from airflow.utils.session import create_session
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from tenantdags.dag import airflow_backfill, airflow_cli
from tenantdags.dag.factory import build_dag
from tenantdags.model.window import window_at
from tests.dag.plans import plan_of
from tests.metadata import metadata_database

pytestmark = pytest.mark.airflow
NAME_ONE = "name one DAG, such as acme__orders, or --tenant acme, with --table or without"
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
SLEEP = "tenantdags.dag.airflow_backfill.time.sleep"
TABLES = ("customers", "orders", "order_lines")


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Iterator[None]:
    """Acme's three DAGs, unpaused and caught up to yesterday, and a DAG of somebody else."""
    with metadata_database(tmp_path_factory.mktemp("airflow")):
        synchronize_log_template()
        add_default_pool_if_not_exists()
        with create_session() as session:
            session.add(DagBundleModel(name="tenants"))
        dags = [build_dag(plan_of("acme", table)) for table in TABLES]
        dags.append(DAG("nightly", schedule="@daily", start_date=datetime(2026, 11, 1, tzinfo=UTC)))
        for dag in dags:
            dag.fileloc = dag.relative_fileloc = __file__
        stored = [LazyDeserializedDAG(data=DagSerialization.to_dict(dag)) for dag in dags]
        with create_session() as session:
            update_dag_parsing_results_in_db("tenants", None, stored, {}, 0.1, set(), session)
        yield


@pytest.fixture(autouse=True)
def no_backfills(database, monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(airflow_backfill, "datetime", Noon)
    monkeypatch.setattr(airflow_backfill, "_quieten", lambda: None)  # it would last for the tests behind these
    with create_session() as session:
        today = datetime(2026, 11, 23, 23, tzinfo=UTC)
        session.execute(update(DagModel).values(is_paused=False, is_stale=False, next_dagrun=today))
    yield
    with create_session() as session:
        for model in (BackfillDagRun, DagRun, Backfill):
            session.query(model).delete()


class Noon(datetime):
    """The command's clock stands at noon of 24 November 2026; Airflow's own goes on."""

    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 11, 24, 12, tzinfo=tz)


def run(*words: str) -> None:
    args = get_parser().parse_args(["dags", "backfill", *words])
    airflow_backfill.backfill.__wrapped__(args)  # without the audit log and the check for migrations


def printed(capsys) -> str:
    """What the command printed, without Airflow's log."""
    return re.sub(r"(?m)^\d{4}-\d\d-\d\dT.*\[info .*\n", "", capsys.readouterr().out)


def refused(capsys, *words: str) -> str:
    """Why the command did nothing."""
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert not backfills()
    return f"{ended.value.code}" if not isinstance(ended.value.code, int) else capsys.readouterr().err


def backfills() -> list[Backfill]:
    with create_session() as session:
        return list(session.scalars(select(Backfill).order_by(Backfill.id)))


def windows(dag_id: str = "acme__orders") -> list[str]:
    """The days of Berlin whose runs exist, in the order in which they are to be run."""
    joined = select(DagRun).join(BackfillDagRun, BackfillDagRun.dag_run_id == DagRun.id)
    with create_session() as session:
        runs = session.scalars(joined.where(DagRun.dag_id == dag_id).order_by(BackfillDagRun.sort_ordinal)).all()
        starts = [run.data_interval_start for run in runs if run.data_interval_start]
        return [str(window_at(start, "day", "Europe/Berlin")) for start in starts]


def end_runs(*states: str, closed: bool = True) -> None:
    """The runs end with these states, in the order of their windows."""
    with create_session() as session:
        runs = session.scalars(select(DagRun).order_by(DagRun.logical_date)).all()
        for found, state in zip(runs, states, strict=True):
            found.state = state
            found.start_date, found.end_date = (
                datetime(2026, 11, 24, tzinfo=UTC),
                datetime(2026, 11, 24, 0, 0, 12, tzinfo=UTC),
            )
        if closed:
            session.execute(update(Backfill).values(completed_at=MIDNIGHT))


def test_both_dates_are_included_in_the_tenants_zone(capsys):
    run("-s", "2026-11-01", "-e", "2026-11-07", "acme__orders", "--no-wait", "--reason", "rates were wrong")

    (made,) = backfills()
    assert windows() == [f"2026-11-0{day}" for day in range(1, 8)]
    assert (made.from_date.isoformat(), made.to_date.isoformat()) == (
        "2026-10-31T23:00:00+00:00",
        "2026-11-06T23:00:00+00:00",
    )
    assert (made.max_active_runs, made.reprocess_behavior) == (1, "none")
    with create_session() as session:
        assert {run.conf["tenantdags"]["reason"] for run in session.scalars(select(DagRun)) if run.conf} == {
            "rates were wrong"
        }
    assert printed(capsys) == (
        "acme__orders: 7 windows, 2026-11-01 to 2026-11-07 of Europe/Berlin, 1 at once, the oldest first\n"
        "  from 2026-10-31T23:00:00Z to 2026-11-06T23:00:00Z\n"
        f"acme__orders: backfill {made.id} made\n"
        "not waiting; `tenantdags backfill status` shows how far they are\n"
    )


def test_a_dry_run_makes_nothing(capsys):
    run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--dry-run")

    assert backfills() == []
    assert printed(capsys).endswith("dry run: nothing was made\n")


def test_backwards_and_several_at_once():
    run("-s", "2026-11-01", "-e", "2026-11-03", "acme__orders", "--no-wait", "-B", "--max-active-runs", "3")

    assert windows() == ["2026-11-03", "2026-11-02", "2026-11-01"]
    assert backfills()[0].max_active_runs == 3


def test_a_tenant_is_its_event_tables(capsys):
    run("-s", "2026-11-01", "-e", "2026-11-01", "--tenant", "acme", "--no-wait")

    assert [made.dag_id for made in backfills()] == ["acme__order_lines", "acme__orders"]
    assert "acme__customers: left out, a snapshot table\n" in capsys.readouterr().out


def test_a_table_of_a_tenant():
    run("-s", "2026-11-01", "-e", "2026-11-01", "--tenant", "acme", "--table", "orders", "--no-wait")

    assert [made.dag_id for made in backfills()] == ["acme__orders"]


def test_a_pattern_is_one_of_the_beginning_of_ids():
    run("-s", "2026-11-01", "-e", "2026-11-01", "acme__o", "--treat-dag-id-as-regex", "--no-wait")

    assert [made.dag_id for made in backfills()] == ["acme__order_lines", "acme__orders"]


def test_windows_that_were_run_are_left_and_failed_or_all_ones_run_again_when_told(capsys):
    run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--no-wait")
    end_runs("success", "failed")

    with pytest.raises(SystemExit, match="nothing to do; --rerun-failed-tasks and --reset-dagruns run windows again"):
        run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--no-wait")
    run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--no-wait", "--rerun-failed-tasks")

    assert "  left as they are, for they were run already: 2026-11-01\n" in capsys.readouterr().out
    with create_session() as session:
        assert [run.state for run in session.scalars(select(DagRun).order_by(DagRun.logical_date))] == [
            "success",
            "queued",
        ]


def test_windows_that_succeeded_are_loaded_again_only_with_a_yes():
    run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--no-wait")
    end_runs("success", "success")
    words = ("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--no-wait", "--reset-dagruns")

    with pytest.raises(SystemExit, match="2 windows that succeeded are to be loaded again; say --yes"):
        run(*words)
    run(*words, "--yes")

    with create_session() as session:
        assert {(run.state, run.run_type) for run in session.scalars(select(DagRun))} == {("queued", "backfill")}


def test_it_waits_for_the_end_and_tells_each_window(capsys, monkeypatch):
    monkeypatch.setattr(SLEEP, lambda _: end_runs("success", "failed", "success"))

    with pytest.raises(SystemExit) as ended:
        run("-s", "2026-11-01", "-e", "2026-11-03", "acme__orders")

    assert ended.value.code == 1
    assert printed(capsys).splitlines()[3:] == [
        "1/3 acme__orders 2026-11-01 success in 12 s",
        "2/3 acme__orders 2026-11-02 failed in 12 s",
        "3/3 acme__orders 2026-11-03 success in 12 s",
        "2 succeeded, 1 failed",
    ]


def test_a_red_window_is_told_with_its_summary(capsys, monkeypatch):
    def red(_: float) -> None:
        with create_session() as session:
            (found,) = session.scalars(select(DagRun))
            (task,) = [task for task in found.get_task_instances(session=session) if task.task_id == "summarise"]
            XComModel.set(key="summary", value={"line": "acme orders 2026-11-01 RED"}, task_id=task.task_id,
                          dag_id=task.dag_id, run_id=task.run_id, session=session)  # fmt: skip
        end_runs("failed")

    monkeypatch.setattr(SLEEP, red)
    with pytest.raises(SystemExit):
        run("-s", "2026-11-01", "-e", "2026-11-01", "acme__orders")

    assert "1/1 acme__orders 2026-11-01 failed in 12 s: acme orders 2026-11-01 RED\n" in capsys.readouterr().out


def test_an_interrupt_ends_the_waiting_alone(capsys, monkeypatch):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SLEEP, interrupt)
    with pytest.raises(SystemExit):
        run("-s", "2026-11-01", "-e", "2026-11-01", "acme__orders")

    assert printed(capsys).endswith("\nstopped waiting; the backfill goes on\n")
    assert windows() == ["2026-11-01"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("acme__order",), "no DAG 'acme__order', did you mean 'acme__orders'?"),
        (("--tenant", "acmee"), "no tenant 'acmee' has DAGs, did you mean 'acme'?"),
        (("--tenant", "acme", "--table", "order"), "no DAG 'acme__order', did you mean 'acme__orders'?"),
        (("nightly",), "nightly is no tenant's table; use `airflow backfill create --dag-id nightly`"),
        (("globex.*", "--treat-dag-id-as-regex"), "'globex.*' matches none of 4 DAGs"),
        (("*", "--treat-dag-id-as-regex"), "'*' is no regular expression: nothing to repeat at position 0"),
        (("acme__c", "--treat-dag-id-as-regex"), "none of them can be backfilled"),
        ((), NAME_ONE),
        (("--table", "orders"), NAME_ONE),
        (("acme__orders", "--tenant", "acme"), NAME_ONE),
    ],
)  # fmt: skip
def test_a_dag_that_cannot_be_meant(capsys, words, said):
    assert refused(capsys, "-s", "2026-11-01", "-e", "2026-11-02", *words) == said


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-02-30", "2026-03-01", "2026-02-30 does not exist: February 2026 has 28 days"),
        ("2026-11-07", "2026-11-01", "the start 2026-11-07 lies after the end 2026-11-01; both belong to the backfill"),
        (
            "2026-10-31", "2026-11-01",
            "acme__orders: config.invalid: 2026-10-31 lies before the tenant's first_window, 2026-11-01. "
            "Remedy: Start with 2026-11-01, or set first_window to an earlier date.\nnothing was made",
        ),
        (
            "2026-11-23", "2026-11-24",
            "acme__orders: config.invalid: 2026-11-24 ends at 2026-11-24T23:00:00Z, which is still to come. "
            "Remedy: End with 2026-11-23.\nnothing was made",
        ),
    ],
)  # fmt: skip
def test_dates_that_cannot_be_meant(capsys, start, end, said):
    assert refused(capsys, "-s", start, "-e", end, "acme__orders") == said


def test_a_snapshot_table_is_refused(capsys):
    said = refused(capsys, "-s", "2026-11-01", "-e", "2026-11-02", "acme__customers")

    assert said.startswith("acme__customers: config.invalid: a snapshot table cannot be backfilled")


def test_a_paused_dag_is_refused_or_its_runs_wait(capsys):
    with create_session() as session:
        session.execute(update(DagModel).values(is_paused=True))

    said = refused(capsys, "-s", "2026-11-01", "-e", "2026-11-02", "acme__orders")
    run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--while-paused", "--no-wait")

    assert "the DAG is paused, so its runs would stay queued" in said
    assert windows() == ["2026-11-01", "2026-11-02"]


def test_a_stale_dag_is_refused(capsys):
    with create_session() as session:
        session.execute(update(DagModel).values(is_stale=True))

    said = refused(capsys, "-s", "2026-11-01", "-e", "2026-11-02", "acme__orders")

    assert said == "DAG 'acme__orders' is stale: its tenant's file is gone or has an error; `tenantdags check` tells"


def test_a_running_backfill_and_a_live_window_are_refused():
    run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--no-wait")

    with pytest.raises(SystemExit) as ended:
        run("-s", "2026-11-02", "-e", "2026-11-03", "acme__orders", "--no-wait")

    (one,) = backfills()
    assert str(ended.value.code).splitlines() == [
        f"acme__orders: config.invalid: backfill {one.id} of this DAG is not finished, and Airflow runs one at a time. "
        f"Remedy: Wait for it, or end it with `tenantdags backfill cancel {one.id}`.",
        "acme__orders: config.invalid: 2026-11-02 has a run that is not finished. "
        "Remedy: Wait for it, or leave it out.",
        "nothing was made",
    ]


def test_a_backfill_whose_runs_have_ended_is_waited_for(capsys, monkeypatch):
    run("-s", "2026-11-01", "-e", "2026-11-01", "acme__orders", "--no-wait")
    end_runs("success", closed=False)
    monkeypatch.setattr(SLEEP, lambda _: end_runs("success"))
    run("-s", "2026-11-02", "-e", "2026-11-03", "acme__orders", "--no-wait")

    one, two = backfills()
    assert windows() == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert (
        f"\n  waits first until Airflow has closed backfill {one.id}, whose runs have ended\n"
        f"acme__orders: backfill {two.id} made\n"
    ) in printed(capsys)


def test_a_backfill_that_no_scheduler_closes_is_not_waited_for_without_end(monkeypatch):
    run("-s", "2026-11-01", "-e", "2026-11-01", "acme__orders", "--no-wait")
    end_runs("success", closed=False)
    slept: list[float] = []
    monkeypatch.setattr(SLEEP, slept.append)
    (one,) = backfills()

    with pytest.raises(SystemExit) as ended:
        run("-s", "2026-11-02", "-e", "2026-11-03", "acme__orders", "--no-wait")

    assert ended.value.code == (
        f"acme__orders: config.invalid: backfill {one.id} has no run left, but Airflow has not closed it within 150 s. "
        f"Remedy: Look whether the scheduler runs, or say `tenantdags backfill cancel {one.id} --yes`."
    )
    assert sum(slept) == 150


def test_a_locked_database_is_asked_again_some_times(monkeypatch):
    locked = OperationalError("INSERT INTO backfill …", {}, sqlite3.OperationalError("database is locked"))
    errors = iter([locked] * 4)

    def busy(**wanted):
        for error in errors:
            with create_session() as session:  # as Airflow leaves it on SQLite
                session.add(Backfill(dag_id="acme__orders", from_date=MIDNIGHT, to_date=MIDNIGHT, max_active_runs=1,
                                     dag_run_conf=wanted["dag_run_conf"], reprocess_behavior="none"))  # fmt: skip
            raise error
        return _create_backfill(**wanted)

    monkeypatch.setattr(SLEEP, lambda _: None)
    monkeypatch.setattr(airflow_backfill, "_create_backfill", busy)
    run("-s", "2026-11-01", "-e", "2026-11-01", "acme__orders", "--no-wait")
    end_runs("success")
    errors = iter([locked] * 5)

    with pytest.raises(SystemExit) as ended:
        run("-s", "2026-11-02", "-e", "2026-11-02", "acme__orders", "--no-wait")

    assert ended.value.code == "acme__orders: Airflow refused the backfill: database is locked"
    assert windows() == ["2026-11-01"]


def test_a_backfill_that_was_whole_before_the_database_was_locked_is_the_one(monkeypatch):
    def busy(**wanted):
        _create_backfill(**wanted)
        raise OperationalError("UPDATE dag_run …", {}, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr(SLEEP, lambda _: None)
    monkeypatch.setattr(airflow_backfill, "_create_backfill", busy)

    run("-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", "--no-wait")

    assert (len(backfills()), windows()) == (1, ["2026-11-01", "2026-11-02"])


def test_with_one_reason_against_one_dag_none_is_backfilled(capsys):
    run("-s", "2026-11-01", "-e", "2026-11-01", "acme__orders", "--no-wait")

    with pytest.raises(SystemExit, match="nothing was made"):
        run("-s", "2026-11-02", "-e", "2026-11-03", "--tenant", "acme", "--no-wait")

    assert [made.dag_id for made in backfills()] == ["acme__orders"]


@pytest.mark.parametrize("flag", [flag for flags in airflow_cli.REFUSED for flag in flags])
def test_an_option_of_airflow_2_is_refused_with_its_reason(capsys, flag):
    with pytest.raises(SystemExit) as ended:
        get_parser().parse_args(["dags", "backfill", "-s", "2026-11-01", "-e", "2026-11-02", "acme__orders", flag])

    why = next(why for flags, why in airflow_cli.REFUSED.items() if flag in flags)
    assert (ended.value.code, capsys.readouterr().err) == (2, f"{flag} is not an option any more: {why}\n")


def test_every_option_of_airflow_2_is_known():
    """As `airflow dags backfill --help` of 2.10 lists them."""
    airflow_2 = {
        "-h", "-c", "--conf", "--continue-on-failures", "--delay-on-limit", "--disable-retry", "-x", "--donot-pickle",
        "-n", "--dry-run", "-e", "--end-date", "-i", "--ignore-dependencies", "-I", "--ignore-first-depends-on-past",
        "-l", "--local", "-m", "--mark-success", "--pool", "--rerun-failed-tasks", "--reset-dagruns", "-B",
        "--run-backwards", "-s", "--start-date", "-S", "--subdir", "-t", "--task-regex", "--treat-dag-as-regex",
        "--treat-dag-id-as-regex", "-v", "--verbose", "-y", "--yes",
    }  # fmt: skip
    known = {flag for arg in airflow_cli._arguments() for flag in arg.flags}

    assert airflow_2 - known == {"-h"}


def test_the_core_group_keeps_its_commands():
    group = ALL_COMMANDS_DICT["dags"]
    names = [command.name for command in group.subcommands]  # type: ignore[union-attr]  # it is a group

    assert "backfill" in names
    assert {"list", "trigger", "pause", "unpause", "test"} <= set(names)


def test_tenants_is_the_tenantdags_command(capsys):
    args = get_parser().parse_args(["tenants", "plan", "acme", "orders", "--explain"])

    with pytest.raises(SystemExit) as ended:
        args.func(args)

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("dag: acme__orders")


CHANGED = """
import contextlib, importlib, io, json, sys
import airflow.cli.cli_config as core
from airflow.cli import cli_parser

def changed(change):
    commands, lazy = list(core.core_commands), core.lazy_load_command
    at = [command.name for command in commands].index("dags")
    exec(change, {"core": core, "at": at})
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        importlib.reload(cli_parser)
    cli_parser.get_parser().parse_args(["version"])
    core.core_commands[:], core.lazy_load_command = commands, lazy
    groups = {name: getattr(sub, "subcommands", ()) for name, sub in cli_parser.ALL_COMMANDS_DICT.items()}
    helps = [command.help for command in groups.get("dags", ()) if command.name == "backfill"]
    return {"help": helps, "tenants": "tenants" in groups, "said": said.getvalue()}

print(json.dumps([changed(change) for change in json.loads(sys.argv[1])]))
"""
OURS = "Run the windows of a date range again, or for the first time (tenantdags)"
SAID = "tenantdags: `airflow {}` is missing: {} Remedy: install the tenantdags that fits this Airflow.\n"
CORES: dict[str, tuple[str, list[str], bool, str]] = {
    "as it is": ("", [OURS], True, ""),
    "without the group": (
        "del core.core_commands[at]", [], True,
        SAID.format("dags backfill", "ValueError: not enough values to unpack (expected 1, got 0)"),
    ),
    "the group is a command": (
        "core.core_commands[at] = core.ActionCommand('dags', 'help', print, ())", [], True,
        SAID.format("dags backfill", "AttributeError: 'ActionCommand' object has no attribute 'subcommands'"),
    ),
    "with a backfill of its own": (
        "own = core.ActionCommand('backfill', 'its own', print, ()); "
        "core.core_commands[at] = core.core_commands[at]._replace(subcommands=[own])", ["its own"], True, "",
    ),
    "whatever else fails": (
        "core.lazy_load_command = None", [], False,
        SAID.format("dags backfill", "TypeError: 'NoneType' object is not callable")
        + SAID.format("tenants", "TypeError: 'NoneType' object is not callable"),
    ),
}  # fmt: skip


def test_a_changed_core_goes_on_without_us():
    """Each time Airflow's parser is built anew: it must parse, and say one line and no traceback."""
    changes = json.dumps([change for change, *_ in CORES.values()])
    done = subprocess.run([sys.executable, "-c", CHANGED, changes], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = dict(zip(CORES, json.loads(done.stdout.splitlines()[-1]), strict=True))
    for name, (_, helps, tenants, said) in CORES.items():
        assert found[name] == {"help": helps, "tenants": tenants, "said": said}, name
