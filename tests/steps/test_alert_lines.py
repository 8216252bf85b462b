"""What status and explain say of alerts."""

from __future__ import annotations

from datetime import timedelta

from tenantdags.model.window import day_window
from tenantdags.steps import alert_lines
from tenantdags.steps.alert_delivery import Post, deliver
from tenantdags.steps.alert_mutes import Mute, mute
from tenantdags.steps.alerts import Incident, Subject
from tests.dag.plans import plan_of, utc
from tests.steps.incidents import Memory

NOW = utc("2026-11-23T05:00:20")
PLAN = plan_of("acme", "orders")
WINDOW = day_window(utc("2026-11-22").date(), "Europe/Berlin")


def refuse(route, message):
    raise ConnectionError("refused")


def test_what_is_muted_and_for_how_long():
    memory = Memory()
    for tenant, table, hours in (("acme", "orders", 3), ("globex", None, 3), ("northwind", None, -1)):
        until = NOW + timedelta(hours=hours)
        asked = NOW - timedelta(days=1)
        mute(memory, Mute(tenant=tenant, table=table, until=until, reason="the server moves", by="jane", at=asked))

    assert list(alert_lines.muted(memory, NOW)) == [
        "acme orders until 2026-11-23 08:00Z by jane: the server moves",
        "all of globex until 2026-11-23 08:00Z by jane: the server moves",
    ]


def test_what_nobody_got_and_what_was_told_of_a_window():
    memory = Memory()
    incident = Incident(subject=Subject.of(PLAN), kind="late", window=WINDOW.key, at=NOW, cause="the run is running")
    deliver(incident, Post(blobs=lambda: memory, send=refuse, say=lambda line: None))

    assert list(alert_lines.undelivered(memory)) == [
        "acme orders 2026-11-22 late: slack over slack_oncall, 1 tries: ConnectionError: refused"
    ]
    assert list(alert_lines.told(memory, PLAN, WINDOW)) == [(NOW, "PAGE late: failed by slack over slack_oncall")]
