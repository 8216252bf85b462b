"""`tenantdags mute`, `unmute`, `mutes`: what they say, what they refuse, and what alerting finds afterwards."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tenantdags.cli import mute as module
from tenantdags.cli.main import app
from tenantdags.steps import alert_mutes
from tests.repository import ROOT
from tests.steps.incidents import Memory

BERLIN = ZoneInfo("Europe/Berlin")
SOON = (datetime.now(BERLIN) + timedelta(hours=6)).replace(second=0, microsecond=0)
ME = getpass.getuser()


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    found = Memory()
    monkeypatch.setattr(module, "_blobs", lambda plan: found)
    monkeypatch.chdir(ROOT)
    return found


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output.strip()


def test_a_mute_is_in_the_tenants_zone_and_found_by_alerting(memory: Memory):
    said = run("mute", "acme", "orders", "--until", f"{SOON:%Y-%m-%dT%H:%M}", "--reason", "server moves")

    assert said == (0, f"acme orders is muted until {SOON:%Y-%m-%d %H:%M} Europe/Berlin: server moves ({ME})")
    found = alert_mutes.muted(memory, "acme", "orders", datetime.now(UTC))
    assert found
    assert (found.until, found.reason) == (SOON.astimezone(UTC), "server moves")
    assert alert_mutes.muted(memory, "acme", "customers", datetime.now(UTC)) is None


def test_mutes_are_listed_with_those_that_ended(memory: Memory):
    run("mute", "acme", "--until", f"{SOON:%Y-%m-%dT%H:%M%z}", "--reason", "all of it")
    past = datetime(2026, 1, 1, tzinfo=UTC)
    alert_mutes.mute(
        memory, alert_mutes.Mute(tenant="globex", table="orders", until=past, reason="old", by="x", at=past)
    )

    assert run("mutes") == (
        0,
        f"acme (all tables) is muted until {SOON.astimezone(UTC):%Y-%m-%d %H:%M} UTC: all of it ({ME})\n"
        "globex orders was muted until 2026-01-01 00:00 UTC: old (x)\n1 mute",
    )


def test_a_mute_is_lifted(memory: Memory):
    run("mute", "acme", "--until", f"{SOON:%Y-%m-%dT%H:%M}", "--reason", "x")

    assert run("unmute", "acme") == (0, "acme (all tables) is heard again")
    assert run("unmute", "acme") == (1, "acme (all tables) is not muted")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("acme", "--until", "tomorrow", "--reason", "x"), "--until 'tomorrow' is no time like 2026-11-22T08:00"),
        (("acme", "--until", "2020-01-01", "--reason", "x"), "--until 2020-01-01 is not within the next 31 days"),
        (("acme", "--until", "2099-01-01", "--reason", "x"), "--until 2099-01-01 is not within the next 31 days"),
        (("acme", "--until", f"{SOON:%Y-%m-%dT%H:%M}", "--reason", " "), "--reason needs a text"),
        (("acmee", "--until", "2099-01-01", "--reason", "x"), "no tenant 'acmee', did you mean 'acme'?"),
        (("acme", "order", "--until", "2099", "--reason", "x"), "acme has no table 'order', did you mean 'orders'?"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(memory: Memory, words, said):
    assert run("mute", *words) == (1, said)
    assert memory.names("test", "") == ()
