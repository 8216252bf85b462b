"""What really arrives at each service, sent by Airflow's own notifiers to receivers on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest

from tenantdags.dag.notifiers import send
from tenantdags.steps.alerts import Message, digest, page
from tests.dag.receivers import Receiver, certificate, http, proxy_to, smtp
from tests.steps.incidents import NOW, RED

PAGE = page(RED)
END = Message(
    subject="RECOVERED acme orders 2026-11-21: published after 5 h 0 min",
    text="RECOVERED acme orders 2026-11-21: published after 5 h 0 min\nReaders see: gen 2 (412 rows)",
    severity="page",
    fingerprint="end",
    resolves=("a1", "b2"),
    about="recovery",
)
Connect = Callable[..., str]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http(Receiver()) as found:
        yield found


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes an Airflow connection and returns its id."""

    def made(**fields: object) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL", json.dumps(fields))
        return "oncall"

    return made


def test_slack_gets_the_page_with_its_three_characters_escaped(receiver: Receiver, connect: Connect) -> None:
    connection = connect(conn_type="slackwebhook", host=receiver.url, password="T000/B000/secret")
    message = Message(subject="s", text="rows < 3 & > 1 'x'", severity="page", fingerprint="f")

    send(("slack", connection), message)
    send(("slack", connection), PAGE)

    first, second = receiver.requests
    assert first.path == "/T000/B000/secret"
    assert first.json["text"] == "rows &lt; 3 &amp; &gt; 1 'x'"
    assert second.json["text"] == PAGE.text.replace("&", "&amp;")
    assert second.json["unfurl_links"] is False


def test_a_webhook_gets_json_and_a_key_to_know_it_again_by(receiver: Receiver, connect: Connect) -> None:
    connection = connect(conn_type="http", host=f"{receiver.url}/hooks/oncall", password="t0ken", login="me")

    send(("http", connection), PAGE)

    (request,) = receiver.requests
    assert request.path.rstrip("/") == "/hooks/oncall"
    assert request.headers["Idempotency-Key"] == RED.fingerprint
    assert request.json == {
        "about": "incident", "severity": "page", "subject": PAGE.subject, "text": PAGE.text,
        "fingerprint": RED.fingerprint, "resolves": [],
    }  # fmt: skip


def test_a_mail_has_the_first_line_as_its_subject(connect: Connect) -> None:
    mails: list[EmailMessage] = []
    with smtp(mails) as port:
        extra = {"from_email": "a@example.com", "to": "night@example.com", "disable_ssl": True, "disable_tls": True}
        connection = connect(conn_type="smtp", host="127.0.0.1", port=port, extra=extra)

        send(("smtp", connection), PAGE)

    (mail,) = mails
    assert (mail["Subject"], mail["From"], mail["To"]) == (PAGE.subject, "a@example.com", "night@example.com")
    (body,) = [part for part in mail.walk() if part.get_content_type() == "text/html"]
    assert PAGE.text.splitlines()[1] in body.get_content()
    assert "acme&#x27;s other tables" in body.get_content()


def test_a_mail_without_recipients_says_what_its_connection_lacks(connect: Connect) -> None:
    connection = connect(conn_type="smtp", host="127.0.0.1", port=1)

    with pytest.raises(ValueError, match="'oncall' has no `to` in its extra"):
        send(("smtp", connection), PAGE)


def test_apprise_reaches_what_its_connection_names(receiver: Receiver, connect: Connect) -> None:
    config = {"path": f"json://127.0.0.1:{receiver.port}/oncall", "tag": "all"}
    connection = connect(conn_type="apprise", extra={"config": config})

    send(("apprise", connection), PAGE)
    send(("apprise", connection), END)

    first, second = receiver.requests
    assert (first.path, first.json["title"], first.json["type"]) == ("/oncall", PAGE.subject, "failure")
    assert first.json["message"] == PAGE.text
    assert second.json["type"] == "success"


def test_apprise_tells_when_its_service_refuses(receiver: Receiver, connect: Connect) -> None:
    receiver.answer = (500, b"no")
    config = {"path": f"json://127.0.0.1:{receiver.port}/oncall", "tag": "all"}

    with pytest.raises(ConnectionError, match="did not take the message"):
        send(("apprise", connect(conn_type="apprise", extra={"config": config})), PAGE)


def test_opsgenie_opens_an_alert_and_closes_those_that_are_over(receiver: Receiver, connect: Connect) -> None:
    receiver.answer = (202, b'{"result": "ok", "took": 0.1, "requestId": "r"}')
    connection = connect(conn_type="opsgenie", host=receiver.url, password="k3y")

    send(("opsgenie", connection), PAGE)
    send(("opsgenie", connection), END)

    opened, *closed = receiver.requests
    assert (opened.method, opened.path, opened.headers["Authorization"]) == ("POST", "/v2/alerts", "GenieKey k3y")
    assert opened.json == {
        "message": PAGE.subject, "description": PAGE.text, "alias": RED.fingerprint, "priority": "P1",
        "source": "tenantdags",
    }  # fmt: skip
    assert [request.path for request in closed] == [
        "/v2/alerts/a1/close?identifierType=alias", "/v2/alerts/b2/close?identifierType=alias",
    ]  # fmt: skip
    assert closed[0].json == {"note": END.text}


def test_pagerduty_triggers_and_resolves_by_the_fingerprint(
    connect: Connect, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = certificate(tmp_path, "events.pagerduty.com")
    receiver = Receiver(answer=(202, b'{"status": "success", "message": "ok", "dedup_key": "k"}'))
    with http(receiver, tls), proxy_to(receiver.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        connection = connect(conn_type="pagerduty_events", password="r0uting")

        send(("pagerduty", connection), PAGE)
        send(("pagerduty", connection), END)

    opened, *closed = (request.json for request in receiver.requests)
    assert receiver.requests[0].path == "/v2/enqueue"
    assert (opened["event_action"], opened["dedup_key"], opened["routing_key"]) == (
        "trigger",
        RED.fingerprint,
        "r0uting",
    )
    assert opened["payload"] == {
        "summary": PAGE.subject, "severity": "critical", "source": "tenantdags", "custom_details": {"text": PAGE.text},
    }  # fmt: skip
    assert [(event["event_action"], event["dedup_key"]) for event in closed] == [("resolve", "a1"), ("resolve", "b2")]


@pytest.mark.parametrize("notifier", ["slack", "pagerduty", "opsgenie", "smtp", "apprise", "http"])
def test_a_connection_that_is_not_there_is_an_error(notifier: str) -> None:
    with pytest.raises(Exception, match="not_there"):
        send((notifier, "not_there"), PAGE)


@pytest.mark.parametrize("answer", [(500, b"no"), (404, b"no"), (0, b"NOT HTTP\r\n\r\n"), (0, b"")])
@pytest.mark.parametrize("notifier", ["slack", "http"])
def test_a_refusal_or_an_answer_that_is_none_is_an_error(
    notifier: str, answer: tuple[int, bytes], receiver: Receiver, connect: Connect
) -> None:
    receiver.answer = answer
    kind = "slackwebhook" if notifier == "slack" else "http"

    with pytest.raises(Exception, match=r"\w"):
        send((notifier, connect(conn_type=kind, host=receiver.url, password="token")), PAGE)


@pytest.mark.parametrize("notifier", ["slack", "http"])
def test_an_answer_with_a_strange_body_is_a_delivery(notifier: str, receiver: Receiver, connect: Connect) -> None:
    receiver.answer = (200, b"\xff\xfe<html>not what anybody expects")
    kind = "slackwebhook" if notifier == "slack" else "http"

    send((notifier, connect(conn_type=kind, host=receiver.url, password="token")), PAGE)

    assert len(receiver.requests) == 1


@pytest.mark.parametrize("notifier", ["slack", "http"])
def test_an_endpoint_that_hangs_is_given_up(
    notifier: str, receiver: Receiver, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantdags.dag.notifiers.SECONDS", 1)
    receiver.hang = threading.Event()
    kind, started = "slackwebhook" if notifier == "slack" else "http", time.monotonic()

    try:
        with pytest.raises(Exception, match=r"(?i)time"):
            send((notifier, connect(conn_type=kind, host=receiver.url, password="token")), PAGE)
    finally:
        receiver.hang.set()

    assert time.monotonic() - started < 30
    assert len(receiver.requests) == 1


def test_a_text_that_looks_like_a_template_is_sent_as_it_is(receiver: Receiver, connect: Connect) -> None:
    strange = digest(NOW.date(), [("acme orders", ["{{ conn.mssql_acme.password }} {% raw %}"])])

    send(("http", connect(conn_type="http", host=receiver.url)), strange)

    assert receiver.requests[0].json["text"] == strange.text
