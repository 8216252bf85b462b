"""Who is told: one log line, then every notifier the tenant named for the event. A failing notifier stops nothing."""

from __future__ import annotations

import asyncio
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tenantdags.model.plan import AlertPlan, SlaPlan, TablePlan
from tenantdags.model.taxonomy import Event
from tenantdags.steps.alerts import Incident, page, routes_for

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier

_log = logging.getLogger("tenantdags.alerts")


def deliver(incident: Incident) -> None:
    """Tells everybody who wants to hear of this incident, once. Never raises, and takes a bounded time.

    For tasks and commands; in the triggerer it is `deliver_async`.
    """
    message = page(incident)
    _log.error(message.text)
    for route in routes_for(incident):
        _deliver(route, message.text)


def notify(alerts: Iterable[AlertPlan], event: Event, text: str) -> None:
    """Sends `text` by every route that wants `event`. Never raises: a missing provider or connection is logged."""
    for alert in alerts:
        if event in alert.events:
            _deliver(alert, text)


async def on_sla_miss(
    tenant: str, table: str, tier: str, due: str, ahead: str, routes: list[list[str]], context: Any
) -> None:
    """The deadline's callback, run by the triggerer: one clear line, then the routes (notifier, connection id).

    `ahead` is how long before the deadline this is a warning; empty for the miss itself.
    """
    run = context["dag_run"]
    said = f"is not published yet, {ahead} ahead" if ahead else "was not published in time"
    event = "sla_warning" if ahead else "sla_miss"
    text = f"{event}: {tenant} {table} {said}: {_window(run)}, due {due}, tier {tier}, run {run['dag_run_id']}"
    _log.error(text)
    alerts = [AlertPlan(notifier=name, connection=connection, events=("sla_miss",)) for name, connection in routes]
    await asyncio.gather(*(_deliver_async(alert, text) for alert in alerts))


def sla_miss_arguments(plan: TablePlan, sla: SlaPlan, ahead: timedelta) -> dict[str, Any]:
    """What `on_sla_miss` has to know; stored in clear in the metadata database, so ids only."""
    due = f"{sla.ready_by:%H:%M} {plan.schedule.time_zone}" if sla.ready_by else f"{sla.within} after the window's end"
    routes = [[a.notifier, a.connection] for a in plan.alerts if "sla_miss" in a.events]
    early = str(ahead) if ahead else ""
    return {
        "tenant": plan.tenant,
        "table": plan.table,
        "tier": plan.tier,
        "due": due,
        "ahead": early,
        "routes": routes,
    }


def _window(run: Mapping[str, Any]) -> str:
    start, end = run.get("data_interval_start"), run.get("data_interval_end")
    return f"window [{start}, {end})" if start else "without a window"


def _deliver(alert: AlertPlan, text: str) -> None:
    try:
        _notifier(alert, text).notify({})
    except Exception:  # noqa: BLE001 - see _undelivered
        _undelivered(alert, text)


async def _deliver_async(alert: AlertPlan, text: str) -> None:
    from asgiref.sync import sync_to_async

    try:
        # asgiref's thread, not asyncio's: only from there may a connection be read inside the triggerer.
        await (await sync_to_async(_notifier)(alert, text)).async_notify({})
    except Exception:  # noqa: BLE001 - see _undelivered
        _undelivered(alert, text)


def _undelivered(alert: AlertPlan, text: str) -> None:
    # Any failure: alerting must not turn a published window red, nor hide why a red one is red.
    _log.exception(
        "not delivered by %s over connection %r (is its provider installed, does the connection exist?): %s",
        alert.notifier, alert.connection, text,
    )  # fmt: skip


def _notifier(alert: AlertPlan, text: str) -> BaseNotifier:
    path, arguments = _NOTIFIERS[alert.notifier]
    notifier: BaseNotifier = pkgutil.resolve_name(path)(**arguments(alert.connection, text))
    return notifier


def _smtp(connection: str, text: str) -> dict[str, Any]:
    """Recipients stand in the connection's extra: `{"from_email": …, "to": …}`."""
    from airflow.sdk import BaseHook

    to = BaseHook.get_connection(connection).extra_dejson["to"]
    return {"smtp_conn_id": connection, "to": to, "subject": text[:120], "html_content": text}


_AT = "airflow.providers"
_NOTIFIERS: dict[str, tuple[str, Callable[[str, str], dict[str, Any]]]] = {
    "slack": (
        f"{_AT}.slack.notifications.slack_webhook:SlackWebhookNotifier",
        lambda connection, text: {"slack_webhook_conn_id": connection, "text": text},
    ),
    "smtp": (f"{_AT}.smtp.notifications.smtp:SmtpNotifier", _smtp),
    "pagerduty": (
        f"{_AT}.pagerduty.notifications.pagerduty:PagerdutyNotifier",
        lambda connection, text: {"pagerduty_events_conn_id": connection, "summary": text, "severity": "error"},
    ),
    "apprise": (
        f"{_AT}.apprise.notifications.apprise:AppriseNotifier",
        lambda connection, text: {"apprise_conn_id": connection, "body": text},
    ),
    "http": (
        f"{_AT}.http.notifications.http:HttpNotifier",
        lambda connection, text: {"http_conn_id": connection, "json": {"text": text}},
    ),
}
