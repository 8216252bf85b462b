"""`tenantdags watch` as a cron runs it: one look, its exit code, and the age of the last look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tenantdags.dag import watch as dag_watch
from tenantdags.model.errors import LandingUnreachable
from tenantdags.steps.watch import Look
from tests.dag.plans import ROOT

NOW = datetime.now(UTC)


def watch(*words: str):
    return CliRunner().invoke(app, ["watch", *words, "--project", str(ROOT)])


@pytest.mark.parametrize(
    ("age", "code", "said"),
    [
        (timedelta(seconds=70), 0, "the last look was 70 s ago: 2 windows overdue\n"),
        (timedelta(seconds=-300), 0, "the last look was 0 s ago: 2 windows overdue\n"),
        (timedelta(minutes=11), 1, "the last look was 660 s ago: 2 windows overdue. Remedy: look at the DAG"),
    ],
)
def test_the_heartbeat_is_told_by_its_age(monkeypatch, age, code, said):
    monkeypatch.setattr(dag_watch, "platform_blobs", lambda root, where: None)
    monkeypatch.setattr("tenantdags.steps.ledger_file.last_beat", lambda *_: (datetime.now(UTC) - age, {"overdue": 2}))

    found = watch("--heartbeat-age")

    assert found.exit_code == code
    assert found.output.startswith(said)


def test_a_watch_that_never_looked_is_a_failure(monkeypatch):
    monkeypatch.setattr(dag_watch, "platform_blobs", lambda root, where: None)
    monkeypatch.setattr("tenantdags.steps.ledger_file.last_beat", lambda *_: None)

    found = watch("--heartbeat-age")

    assert found.exit_code == 1
    assert found.output.startswith("the watch has never looked. Remedy: unpause tenantdags_watch")


def test_one_look_prints_what_it_found(monkeypatch):
    at = datetime(2026, 11, 23, 5, tzinfo=UTC)
    monkeypatch.setattr(dag_watch, "look_once", lambda root: Look(at=at, tables=9, waiting=0, overdue=0))

    found = watch("--once")

    assert (found.exit_code, found.output) == (0, "2026-11-23 05:00:00Z 9 tables, 0 windows waited for, 0 overdue\n")


def test_without_landing_the_command_fails(monkeypatch):
    def refuse(root):
        raise LandingUnreachable("watch", "landing cannot be reached: ConnectError.", "Check the firewall.")

    monkeypatch.setattr(dag_watch, "look_once", refuse)

    found = watch("--once")

    assert found.exit_code == 1
    assert found.output == (
        "watch: landing.unreachable: landing cannot be reached: ConnectError. Remedy: Check the firewall.\n"
    )
