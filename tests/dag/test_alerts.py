"""One clear line, the routes the tenant named, and never an error of the alerting itself."""

import asyncio
import logging
from datetime import timedelta

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from tenantdags.dag import alerts
from tenantdags.model.plan import AlertPlan
from tests.dag.plans import plan_of

CONTEXT = {
    "dag_run": {
        "dag_run_id": "scheduled__2026-11-22",
        "data_interval_start": "2026-11-20T23:00:00Z",
        "data_interval_end": "2026-11-21T23:00:00Z",
    },
    "deadline": {"id": "1", "deadline_time": "2026-11-22T05:00:00Z"},
}


def missed(**changes):
    plan = plan_of("acme", "orders", **changes)
    assert plan.sla
    return alerts.sla_miss_arguments(plan, plan.sla, timedelta())


def test_the_arguments_hold_ids_only():
    assert missed() == {
        "tenant": "acme",
        "table": "orders",
        "tier": "gold",
        "due": "06:00 Europe/Berlin",
        "ahead": "",
        "routes": [["slack", "slack_oncall"]],
    }


def test_a_miss_is_one_clear_line(caplog):
    asyncio.run(alerts.on_sla_miss(**missed(alerts=()), context=CONTEXT))

    assert caplog.messages == [
        "sla_miss: acme orders was not published in time: window [2026-11-20T23:00:00Z, 2026-11-21T23:00:00Z), "
        "due 06:00 Europe/Berlin, tier gold, run scheduled__2026-11-22"
    ]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_warning_says_how_long_is_left(caplog):
    arguments = missed(alerts=()) | {"ahead": "0:45:00"}

    asyncio.run(alerts.on_sla_miss(**arguments, context=CONTEXT))

    assert caplog.messages[0].startswith("sla_warning: acme orders is not published yet, 0:45:00 ahead: window")


def test_a_route_whose_provider_is_missing_is_logged_and_stops_nothing(caplog):
    asyncio.run(alerts.on_sla_miss(**missed(), context=CONTEXT))

    undelivered = caplog.records[1]
    assert undelivered.getMessage().startswith("not delivered by slack over connection 'slack_oncall'")
    assert undelivered.exc_info is not None


@pytest.mark.parametrize("notifier", ["slack", "smtp", "pagerduty", "apprise", "http"])
def test_every_notifier_a_tenant_may_name_fails_softly(caplog, notifier):
    route = AlertPlan(notifier=notifier, connection="not_there", events=("red",))

    with caplog.at_level(logging.ERROR):
        alerts.notify([route], "red", "acme orders 2026-11-21 is red")

    assert [r.getMessage() for r in caplog.records if r.name == "tenantdags.alerts"] == [
        f"not delivered by {notifier} over connection 'not_there' (is its provider installed, does the connection "
        "exist?): acme orders 2026-11-21 is red"
    ]


def test_a_route_hears_only_its_events(caplog):
    route = AlertPlan(notifier="slack", connection="slack_oncall", events=("sla_miss",))

    alerts.notify([route], "red", "acme orders 2026-11-21 is red")

    assert caplog.messages == []


def test_a_mail_goes_to_the_recipients_of_its_connection(monkeypatch):
    extra = (
        '{"conn_type": "smtp", "host": "127.0.0.1", "extra": {"from_email": "a@example.com", "to": "b@example.com"}}'
    )
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_ONCALL", extra)
    route = AlertPlan(notifier="smtp", connection="smtp_oncall", events=("red",))

    mail = alerts._notifier(route, "acme orders is red")

    assert isinstance(mail, SmtpNotifier)
    assert (mail.to, mail.smtp_conn_id, mail.html_content) == ("b@example.com", "smtp_oncall", "acme orders is red")
