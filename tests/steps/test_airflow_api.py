"""The client of Airflow's REST API: how it logs in, turns pages and says what went wrong in the server's words."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import date

import httpx
import pytest

from tenantdags.model.errors import (
    AirflowBusy,
    AirflowConflict,
    AirflowError,
    AirflowNotFound,
    AirflowRefused,
    AirflowUnreachable,
)
from tenantdags.model.window import day_window
from tenantdags.steps.airflow_api import AirflowApi, AirflowLogin

URL = "http://airflow.example.com:8080"
PASSWORD = "a-pass-word"
Handler = Callable[[httpx.Request], httpx.Response]


def api_of(handler: Handler, *, token: str = "") -> AirflowApi:
    login = AirflowLogin(URL, "" if token else "watch", "" if token else PASSWORD, token)
    return AirflowApi(login, transport=httpx.MockTransport(handler))


def answering(status: int = 200, body: object = None) -> Handler:
    """Lets everyone in, then answers with one status."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t0"})
        return httpx.Response(status, json=body if body is not None else {})

    return handle


def pool(name: str) -> dict[str, object]:
    numbers = dict.fromkeys(("running_slots", "queued_slots", "scheduled_slots", "deferred_slots"), 0)
    return {"name": name, "slots": 4, "open_slots": 4, "include_deferred": True, **numbers}


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "airflow.example.com", "port": 8080}, "http://airflow.example.com:8080"),
        ({"host": "airflow.example.com", "schema": "https"}, "https://airflow.example.com"),
        ({"host": "https://example.com/airflow/", "port": 8443}, "https://example.com:8443/airflow"),
        ({"host": "http://example.com:9000", "port": 8443}, "http://example.com:9000"),
    ],
)
def test_a_connection_says_where_airflow_is(fields, url):
    said = {"port": None, "schema": None, "login": "watch", "password": PASSWORD, "extra": {}, **fields}

    login = AirflowLogin.from_connection(**said)

    assert login.url == url
    assert PASSWORD not in repr(login)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"host": ""}, "host names no server"),
        ({"password": None}, "neither login and password nor a token"),
    ],
)
def test_half_a_connection_is_refused(fields, what):
    said = {"host": "a", "port": 1, "schema": "", "login": "watch", "password": PASSWORD, "extra": {}, **fields}

    with pytest.raises(ValueError, match=what):
        AirflowLogin.from_connection(**said)


def test_a_token_of_the_connection_is_used_as_it_is():
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, request.headers["Authorization"]))
        return httpx.Response(401, json={"detail": "Invalid JWT token"})

    with pytest.raises(AirflowRefused, match="Invalid JWT token"):
        api_of(handle, token="mine").dag("acme__orders")

    assert asked == [("/api/v2/dags/acme__orders", "Bearer mine")]


def test_a_token_that_ran_out_is_renewed_once():
    tokens = iter(["old", "new"])
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": next(tokens)})
        seen.append(request.headers["Authorization"])
        return httpx.Response(200 if seen[-1] == "Bearer new" else 401, json={"pools": [], "total_entries": 0})

    assert api_of(handle).pools() == ()
    assert seen == ["Bearer old", "Bearer new"]


def test_pages_are_turned_as_far_as_the_server_gives_them():
    names, offsets = [f"pool_{n}" for n in range(7)], []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        offsets.append(int(request.url.params["offset"]))
        page = names[offsets[-1] : offsets[-1] + 3]  # as [api] maximum_page_limit may have it
        return httpx.Response(200, json={"pools": [pool(n) for n in page], "total_entries": len(names)})

    assert [found.name for found in api_of(handle).pools()] == names
    assert offsets == [0, 3, 6]


def test_a_list_that_shrinks_while_it_is_read_ends():
    pages = iter([[pool("a")], []])

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        return httpx.Response(200, json={"pools": next(pages), "total_entries": 2})

    assert [found.name for found in api_of(handle).pools()] == ["a"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AirflowRefused),
        (403, AirflowRefused),
        (404, AirflowNotFound),
        (409, AirflowConflict),
        (503, AirflowBusy),
        (500, AirflowError),
        (422, AirflowError),
    ],
)
def test_a_refusal_is_typed_and_in_the_servers_words(status, kind):
    api = api_of(answering(status, {"detail": "There is already a running backfill for dag acme__orders"}))

    with pytest.raises(AirflowError) as raised:
        api.pause_backfill(7)

    assert type(raised.value) is kind
    said = f"PUT /api/v2/backfills/7/pause: {status} There is already a running backfill for dag acme__orders. Remedy: "
    assert str(raised.value).startswith(f"Airflow at {URL}: {said}")


def test_a_database_that_was_locked_is_worth_asking_again():
    message = "Serious error when handling your request. Look for ID AUXxi7rg"
    detail = {"reason": "Database error", "statement": "hidden", "orig_error": "hidden", "message": message}
    api = api_of(answering(500, {"detail": detail}))

    with pytest.raises(AirflowBusy, match=f"500 Database error: {message}. Remedy: Ask again"):
        api.pause_backfill(7)


def test_a_refused_login_does_not_repeat_what_was_sent():
    body = {"detail": [{"msg": "bad", "input": {"password": PASSWORD}}]}
    api = api_of(lambda _: httpx.Response(422, json=body))

    with pytest.raises(AirflowError) as raised:
        api.pools()

    assert PASSWORD not in str(raised.value)


def test_fields_that_do_not_fit_are_told_by_their_messages():
    api = api_of(answering(422, {"detail": [{"loc": ["body"], "msg": "Value error, to_date is before from_date"}]}))

    with pytest.raises(AirflowError, match="422 Value error, to_date is before from_date"):
        api.call("POST", "/backfills", body={})


@pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"[]", b'{"dags": [{"dag_id": "a"}], "total_entries": 1}'])
def test_an_answer_that_is_not_airflows_is_an_error(body):
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    with pytest.raises(AirflowError, match=r"an answer that is not Airflow 3\.3's"):
        api_of(handle, token="t").dags()


def test_no_server_is_told_with_its_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api = AirflowApi(AirflowLogin(f"http://127.0.0.1:{port}", "watch", PASSWORD), seconds=5)

    with pytest.raises(AirflowUnreachable) as raised:
        api.health()

    assert str(raised.value).startswith(f"Airflow at http://127.0.0.1:{port}: no answer: ConnectError ")


def test_a_server_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        api = AirflowApi(AirflowLogin(f"http://127.0.0.1:{deaf.getsockname()[1]}", token="t"), seconds=0.2)

        with pytest.raises(AirflowUnreachable, match="no answer: ReadTimeout"):
            api.dags()


def test_what_changes_something_is_sent_once_and_a_question_thrice():
    sent = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise httpx.ConnectError("refused")

    api = api_of(handle, token="t")
    for ask in (api.pools, lambda: api.pause("acme__orders")):
        with pytest.raises(AirflowUnreachable):
            ask()

    assert sent == ["GET", "GET", "GET", "PATCH"]


def test_the_runs_of_a_window_are_those_of_its_date_and_those_by_hand_that_have_it():
    window = day_window(date(2026, 11, 22), "Europe/Berlin")
    start, end, other = window.start.isoformat(), window.end.isoformat(), "2026-11-20T23:00:00Z"

    def handle(request: httpx.Request) -> httpx.Response:
        kinds = request.url.params.get_list("run_type")
        dated = kinds == ["scheduled", "backfill"] and request.url.params["logical_date_gte"] == start
        by_hand = [run("manual_2", start, "2026-11-24T09:00:00Z"), run("manual_1", other, "2026-11-24T08:00:00Z")]
        found = [run("scheduled_1", start, end)] if dated else by_hand if kinds == ["manual"] else []
        return httpx.Response(200, json={"dag_runs": found, "total_entries": len(found)})

    found = api_of(handle, token="t").runs_of_window("acme__orders", window)

    assert [each.run_id for each in found] == ["scheduled_1", "manual_2"]
    assert (found[0].start, found[0].finished) == (window.start, True)


def run(run_id: str, start: str, run_after: str) -> dict[str, object]:
    nothing = ("end_date", "queued_at", "start_date", "conf", "note", "triggering_user_name", "data_interval_end")
    return {
        "dag_id": "acme__orders", "dag_run_id": run_id, "state": "failed", "run_type": "scheduled",
        "logical_date": start, "data_interval_start": start, "run_after": run_after, **dict.fromkeys(nothing),
    }  # fmt: skip
