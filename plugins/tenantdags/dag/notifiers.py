"""Airflow's notifiers: one message by one route, or an exception. What each service calls text, severity and key."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tenantdags.model.taxonomy import Severity
from tenantdags.steps.alert_records import Route
from tenantdags.steps.alerts import Message

if TYPE_CHECKING:
    from airflow.providers.apprise.notifications.apprise import AppriseNotifier
    from airflow.sdk import BaseNotifier

# shorter than what delivery waits: a call that is given up must not arrive later all the same
SECONDS = 10
_PAGERDUTY: Mapping[Severity, str] = {"page": "critical", "ticket": "warning", "info": "info"}
_OPSGENIE: Mapping[Severity, str] = {"page": "P1", "ticket": "P3", "info": "P5"}


def send(route: Route, message: Message) -> None:
    """Raises whatever the notifier raises: no provider, no connection, no answer, a refusal."""
    notifier, connection = route
    _SENDERS[notifier](connection, message)


def _slack(connection: str, message: Message) -> None:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    notifier: BaseNotifier = SlackWebhookNotifier(
        slack_webhook_conn_id=connection,
        text=html.escape(message.text, quote=False),  # the three characters that Slack wants escaped
        unfurl_links=False,
        timeout=SECONDS,
    )
    # a refusal is raised before the answer is read: behind it an answer that is no text is a delivery all the same
    with suppress(UnicodeDecodeError):
        notifier.notify({})


def _pagerduty(connection: str, message: Message) -> None:
    """One event per incident; a recovery resolves those that were told by this route."""
    from airflow.providers.pagerduty.notifications.pagerduty import PagerdutyNotifier

    over = message.about == "recovery"
    for key in message.resolves if over else (message.fingerprint,):
        notifier: BaseNotifier = PagerdutyNotifier(
            pagerduty_events_conn_id=connection,
            summary=message.subject,
            severity=_PAGERDUTY[message.severity],
            source="tenantdags",
            action="resolve" if over else "trigger",
            dedup_key=key,
            custom_details={"text": message.text},
        )
        notifier.notify({})


def _opsgenie(connection: str, message: Message) -> None:
    from airflow.providers.opsgenie.notifications.opsgenie import OpsgenieNotifier

    if message.about == "recovery":
        for key in message.resolves:
            hook = OpsgenieNotifier(payload={"message": message.subject}, opsgenie_conn_id=connection).hook
            hook.close_alert(identifier=key, identifier_type="alias", payload={"note": message.text})
        return
    payload: Any = {
        "message": message.subject[:130],  # Opsgenie's limits
        "description": message.text[:15_000],
        "alias": message.fingerprint,
        "priority": _OPSGENIE[message.severity],
        "source": "tenantdags",
    }
    OpsgenieNotifier(payload=payload, opsgenie_conn_id=connection).notify({})


def _smtp(connection: str, message: Message) -> None:
    """Recipients stand in the connection's extra: `{"from_email": …, "to": …}`."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier
    from airflow.sdk import BaseHook

    extra = BaseHook.get_connection(connection).extra_dejson
    if not extra.get("to"):
        raise ValueError(f"connection {connection!r} has no `to` in its extra")
    SmtpNotifier(
        smtp_conn_id=connection,
        to=extra["to"],
        subject=message.subject,
        html_content=f"<pre>{html.escape(message.text)}</pre>",
    ).notify({})


def _apprise(connection: str, message: Message) -> None:
    from apprise import NotifyType

    over, loud = message.about == "recovery", message.severity == "page"
    kind = NotifyType.SUCCESS if over else NotifyType.FAILURE if loud else NotifyType.WARNING
    made = _checked_apprise()
    notifier: BaseNotifier = made(
        apprise_conn_id=connection, title=message.subject, body=message.text, notify_type=kind
    )
    notifier.notify({})


def _checked_apprise() -> type[AppriseNotifier]:
    """The provider's hook drops Apprise's answer, so a message that reached nobody would look delivered."""
    import apprise
    from airflow.providers.apprise.hooks.apprise import AppriseHook
    from airflow.providers.apprise.notifications.apprise import AppriseNotifier

    class Checked(AppriseNotifier):
        def notify(self, context: Any) -> None:
            hook, services = AppriseHook(self.apprise_conn_id), apprise.Apprise()
            hook.set_config_from_conn(conn=hook.get_connection(self.apprise_conn_id), apprise_obj=services)
            if not services.notify(body=self.body, title=self.title or "", notify_type=self.notify_type, tag=self.tag):
                raise ConnectionError("a service of the connection did not take the message, or it names none")

    return Checked


def _http(connection: str, message: Message) -> None:
    """JSON to the connection's URL. A receiver that knows the key takes a message that is sent again for the same."""
    from airflow.providers.http.notifications.http import HttpNotifier

    body = {
        "about": message.about,
        "severity": message.severity,
        "subject": message.subject,
        "text": message.text,
        "fingerprint": message.fingerprint,
        "resolves": list(message.resolves),
    }
    HttpNotifier(
        http_conn_id=connection,
        json=body,
        headers={"Content-Type": "application/json", "Idempotency-Key": message.fingerprint},
        extra_options={"timeout": SECONDS},
    ).notify({})


_SENDERS: dict[str, Callable[[str, Message], None]] = {
    "slack": _slack,
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "smtp": _smtp,
    "apprise": _apprise,
    "http": _http,
}
