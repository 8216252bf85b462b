"""A client of Airflow's public REST API (/api/v2), for commands that must work where Airflow itself does not run.

It imports no Airflow, so it works while the scheduler is dead and from any machine that reaches the api-server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from tenantdags.model.errors import (
    AirflowBusy,
    AirflowConflict,
    AirflowError,
    AirflowNotFound,
    AirflowRefused,
    AirflowUnreachable,
)
from tenantdags.model.window import Window
from tenantdags.steps.airflow_answers import (
    Backfill,
    Dag,
    DagRun,
    Event,
    Health,
    ImportProblem,
    Json,
    PoolUse,
    TaskInstance,
)
from tenantdags.steps.redact import redact

CONNECTION = "airflow_api"
PAGE = 100  # the server's own limit unless [api] maximum_page_limit says more
SECONDS = 30.0
ANY = "~"  # every DAG, or every run
SCHEDULED, BACKFILL, MANUAL = "scheduled", "backfill", "manual"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AirflowLogin:
    """Where the api-server is and who asks. Either a token, or a user whom `POST /auth/token` gives one."""

    url: str  # without a slash at its end
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    verify: bool | str = True  # a file of certificates, or False

    @classmethod
    def from_connection(
        cls, *, host: str, port: int | None, schema: str | None, login: str | None, password: str | None,
        extra: Mapping[str, Any],
    ) -> AirflowLogin:  # fmt: skip
        """Of an Airflow connection of type http; `extra` may hold `token` and `verify`.

        Raises ValueError with what is missing.
        """
        url = host if "://" in host else f"{schema or 'http'}://{host}"
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("host names no server")
        if port and parts.port is None:
            url = parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
        if not extra.get("token") and not (login and password):
            raise ValueError("it has neither login and password nor a token in its extra")
        return cls(url.rstrip("/"), login or "", password or "", str(extra.get("token") or ""), _verify(extra))


class AirflowApi:
    """One logged-in user of one Airflow. Every method raises AirflowError, or the more precise of its kinds.

    Questions are asked again when no connection could be made; what changes something is sent once.
    """

    def __init__(
        self, login: AirflowLogin, *, seconds: float = SECONDS, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url, self._login = login.url, login
        # a proxy of the environment must not see loopback calls
        env = not _is_loopback(urlsplit(login.url).hostname or "")
        self._http = httpx.Client(
            base_url=login.url, timeout=seconds, verify=login.verify, trust_env=env, transport=transport
        )
        self._token = login.token

    def close(self) -> None:
        self._http.close()

    # what is asked

    def health(self) -> Health:
        """Needs no login."""
        return self._parsed(Health.from_json, self._answer(self._sent("GET", "/api/v2/monitor/health", {})))

    def dags(self, *, prefix: str = "", stale: bool = True) -> tuple[Dag, ...]:
        """Every DAG that Airflow has stored, by id; `prefix` of their ids; without the stale ones."""
        query: Json = {"order_by": "dag_id", "exclude_stale": not stale}
        if prefix:
            query["dag_id_prefix_pattern"] = prefix
        return self._all("/dags", "dags", Dag.from_json, query)

    def count_dags(self) -> int:
        """How many DAGs there are that are not stale, in one short question."""
        raw = self.call("GET", "/dags", query={"limit": 1, "exclude_stale": True})
        return self._parsed(lambda raw: int(raw["total_entries"]), raw)

    def dag(self, dag_id: str) -> Dag:
        return self._parsed(Dag.from_json, self.call("GET", f"/dags/{quote(dag_id)}"))

    def runs(self, dag_id: str = ANY, **query: Any) -> tuple[DagRun, ...]:
        """Runs of a DAG or of all. The query is the API's: state, run_type (lists), run_after_gte, end_date_gte …"""
        query.setdefault("order_by", ["dag_id", "run_after"])
        return self._all(f"/dags/{quote(dag_id)}/dagRuns", "dag_runs", DagRun.from_json, query)

    def runs_of_window(self, dag_id: str, window: Window) -> tuple[DagRun, ...]:
        """Every run whose data interval is this window, the last one last. A window without a run: nothing."""
        at = window.start.isoformat()
        dated = self.runs(dag_id, logical_date_gte=at, logical_date_lte=at, run_type=[SCHEDULED, BACKFILL])
        # a run by hand has the date of its trigger, and the window before it as its interval
        by_hand = self.runs(dag_id, run_type=[MANUAL], run_after_gte=window.end.isoformat())
        found = [*dated, *(run for run in by_hand if run.start == window.start)]
        return tuple(sorted(found, key=lambda run: (run.started_at or run.run_after, run.run_id)))

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return self._parsed(DagRun.from_json, self.call("GET", _run(dag_id, run_id)))

    def tasks(self, dag_id: str = ANY, run_id: str = ANY, **query: Any) -> tuple[TaskInstance, ...]:
        """Task instances of one run, or of all. The query is the API's: state, pool (lists), start_date_gte …"""
        return self._all(f"{_run(dag_id, run_id)}/taskInstances", "task_instances", TaskInstance.from_json, query)

    def newest_tasks(self, dag_id: str, count: int, **query: Any) -> tuple[TaskInstance, ...]:
        """The `count` (at most 100) task instances of the DAG that began last."""
        query = {"order_by": "-start_date", "limit": count, **query}
        raw = self.call("GET", f"{_run(dag_id, ANY)}/taskInstances", query=query)
        return self._parsed(lambda raw: tuple(map(TaskInstance.from_json, raw["task_instances"])), raw)

    def waiting_tasks(self, count: int) -> tuple[TaskInstance, ...]:
        """The `count` (at most 100) tasks that wait for a slot of their pool, those of the oldest runs first."""
        query = {"state": ["scheduled"], "order_by": "run_after", "limit": count}
        raw = self.call("GET", f"{_run(ANY, ANY)}/taskInstances", query=query)
        return self._parsed(lambda raw: tuple(map(TaskInstance.from_json, raw["task_instances"])), raw)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """The value that a task pushed, as JSON; None when it pushed none."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        try:
            return _unwrapped(self.call("GET", path)["value"])
        except AirflowNotFound:
            return None

    def events(self, dag_id: str, *kinds: str, newest: int = 20) -> tuple[Event, ...]:
        """What people did to a DAG, by the audit log: its `newest` lines of these kinds, the newest first."""
        query: Json = {"dag_id": dag_id, "order_by": "-when", "limit": newest}
        raw = self.call("GET", "/eventLogs", query=query | ({"included_events": list(kinds)} if kinds else {}))
        return self._parsed(lambda raw: tuple(map(Event.from_json, raw["event_logs"])), raw)

    def import_errors(self) -> tuple[ImportProblem, ...]:
        return self._all("/importErrors", "import_errors", ImportProblem.from_json, {})

    def pools(self) -> tuple[PoolUse, ...]:
        return self._all("/pools", "pools", PoolUse.from_json, {})

    def backfills(self, dag_id: str) -> tuple[Backfill, ...]:
        """Every backfill of the DAG, the oldest first, also those that ended."""
        return self._all("/backfills", "backfills", Backfill.from_json, {"dag_id": dag_id, "order_by": "id"})

    def backfill(self, backfill_id: int) -> Backfill:
        return self._parsed(Backfill.from_json, self.call("GET", f"/backfills/{backfill_id}"))

    # what is changed

    def pause(self, dag_id: str, paused: bool = True) -> Dag:
        return self._parsed(Dag.from_json, self.call("PATCH", f"/dags/{quote(dag_id)}", body={"is_paused": paused}))

    def reparse(self, dag_id: str) -> None:
        """Asks for the DAG's file to be parsed soon, which is when Airflow decides which run comes next."""
        token = self.call("GET", f"/dags/{quote(dag_id)}")["file_token"]
        with suppress(AirflowConflict):  # somebody has asked already
            self.call("PUT", f"/parseDagFile/{quote(token)}")

    def trigger(self, dag_id: str, **body: Any) -> DagRun:
        """A run by hand. Raises AirflowConflict when there is one of that id or date."""
        body = {"logical_date": None, **body}
        return self._parsed(DagRun.from_json, self.call("POST", f"/dags/{quote(dag_id)}/dagRuns", body=body))

    def patch_run(self, dag_id: str, run_id: str, *, state: str | None = None, note: str | None = None) -> DagRun:
        """Marks a run as queued, success or failed, or writes its note."""
        body = {name: value for name, value in (("state", state), ("note", note)) if value is not None}
        return self._parsed(DagRun.from_json, self.call("PATCH", _run(dag_id, run_id), body=body))

    def clear_run(self, dag_id: str, run_id: str, *, only_failed: bool = False) -> None:
        """Runs the whole run, or what failed of it, again, on the DAG as it stands now."""
        body = {"dry_run": False, "only_failed": only_failed, "run_on_latest_version": True}
        self.call("POST", f"{_run(dag_id, run_id)}/clear", body=body)

    def clear_tasks(
        self, dag_id: str, run_id: str, *task_ids: str, downstream: bool = True, dry_run: bool = False
    ) -> tuple[TaskInstance, ...]:
        """The task instances that are cleared (or would be), with the states they had. Running ones are a conflict."""
        body = {
            "dry_run": dry_run, "only_failed": False, "dag_run_id": run_id, "task_ids": list(task_ids),
            "include_downstream": downstream, "run_on_latest_version": True, "prevent_running_task": True,
        }  # fmt: skip
        found = self.call("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", body=body)
        return self._parsed(lambda raw: tuple(map(TaskInstance.from_json, raw["task_instances"])), found)

    def fail_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Ends a task instance, also one that runs; what follows it does not begin, its run's teardown does."""
        self.call("PATCH", f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}", body={"new_state": "failed"})

    def dry_run_backfill(self, dag_id: str, first: datetime, last: datetime, **body: Any) -> tuple[datetime, ...]:
        """The logical dates of the runs that `create_backfill` would make, in its order."""
        found = self.call("POST", "/backfills/dry_run", body=_backfill(dag_id, first, last, body))
        dates = self._parsed(lambda raw: [each["logical_date"] for each in raw["backfills"]], found)
        return tuple(datetime.fromisoformat(each) for each in dates)

    def create_backfill(self, dag_id: str, first: datetime, last: datetime, **body: Any) -> Backfill:
        """Over the windows that start in `[first, last]`. `body` is the API's: reprocess_behavior, max_active_runs,
        run_backwards, dag_run_conf. Raises AirflowConflict while another backfill of the DAG is not complete."""
        found = self.call("POST", "/backfills", body=_backfill(dag_id, first, last, body))
        return self._parsed(Backfill.from_json, found)

    def pause_backfill(self, backfill_id: int, paused: bool = True) -> Backfill:
        """Raises AirflowConflict when it is complete already."""
        found = self.call("PUT", f"/backfills/{backfill_id}/{'pause' if paused else 'unpause'}")
        return self._parsed(Backfill.from_json, found)

    def cancel_backfill(self, backfill_id: int) -> Backfill:
        """Its queued runs fail, its running ones go on. Raises AirflowConflict when it is complete already."""
        return self._parsed(Backfill.from_json, self.call("PUT", f"/backfills/{backfill_id}/cancel"))

    # how

    def token(self) -> str:
        """The token that is used, got by login where there is none yet."""
        if not self._token:
            login = {"username": self._login.user, "password": self._login.password}
            answer = self._sent("POST", "/auth/token", {"json": login})
            found = self._answer(answer)
            self._token = self._parsed(lambda raw: str(raw["access_token"]), found)
        return self._token

    def call(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Json | None = None) -> Json:
        """Any call below /api/v2, as the API has it. A token that has run out is renewed once."""
        how: Json = {"params": query} if query else {}
        if body is not None:
            how["json"] = body
        answer = self._authorised(method, path, how)
        if answer.status_code == 401 and not self._login.token:
            self._token = ""
            answer = self._authorised(method, path, how)
        return self._answer(answer)

    def _authorised(self, method: str, path: str, how: Json) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token()}"}
        return self._sent(method, f"/api/v2{path}", {**how, "headers": headers})

    def _sent(self, method: str, path: str, how: Json) -> httpx.Response:
        for _ in range(2 if method == "GET" else 0):
            try:
                return self._http.request(method, path, **how)
            except httpx.ConnectError:
                continue
            except httpx.HTTPError as error:
                raise self._unreachable(error) from None
        try:
            return self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _answer(self, answer: httpx.Response) -> Json:
        if answer.is_success:
            return self._parsed(lambda raw: raw, {} if answer.content in (b"", b"null") else _json(answer))
        said = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {_detail(answer)}"
        match answer.status_code:
            case 401 | 403:
                remedy = f"Correct login and password (or the token) of connection {CONNECTION}, or the user's role."
                raise AirflowRefused(self.url, said, remedy)
            case 404:
                raise AirflowNotFound(self.url, said, "Look whether the DAG or the run is still there.")
            case 409:
                raise AirflowConflict(self.url, said, "Look at what stands in the way, then ask again.")
        if answer.status_code in (429, 502, 503, 504) or _is_rolled_back(answer):
            raise AirflowBusy(self.url, said, "Ask again; look at the api-server's log if it stays so.")
        raise AirflowError(self.url, said, "Look at the api-server's log.")

    def _unreachable(self, error: httpx.HTTPError) -> AirflowUnreachable:
        said = f"no answer: {type(error).__name__} {redact(error, 200)}".rstrip()
        remedy = f"Start the api-server, or correct host and port of connection {CONNECTION}."
        return AirflowUnreachable(self.url, said, remedy)

    def _parsed(self, parse: Callable[[Json], T], raw: Any) -> T:
        try:
            if not isinstance(raw, dict):
                raise TypeError(type(raw).__name__)
            return parse(raw)
        except (KeyError, TypeError, ValueError) as error:
            said = f"an answer that is not Airflow 3.3's: {type(error).__name__} {redact(error, 100)}"
            raise AirflowError(self.url, said, f"Look whether connection {CONNECTION} names the api-server.") from None

    def _all(self, path: str, key: str, parse: Callable[[Json], T], query: Mapping[str, Any]) -> tuple[T, ...]:
        return tuple(self._pages(path, key, parse, query))

    def _pages(self, path: str, key: str, parse: Callable[[Json], T], query: Mapping[str, Any]) -> Iterator[T]:
        """The server may give fewer than are asked for, so what has come decides where the next page begins."""
        offset, total = 0, 1
        while offset < total:
            raw = self.call("GET", path, query={**query, "limit": PAGE, "offset": offset})
            page = self._parsed(lambda raw: [parse(each) for each in raw[key]], raw)
            yield from page
            total = raw.get("total_entries") or 0
            offset += len(page)
            if not page:
                return


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='~')}/dagRuns/{quote(run_id, safe='~')}"


def _backfill(dag_id: str, first: datetime, last: datetime, body: Mapping[str, Any]) -> Json:
    return {"dag_id": dag_id, "from_date": first.isoformat(), "to_date": last.isoformat(), **body}


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None  # a page of a proxy, say


def _is_rolled_back(answer: httpx.Response) -> bool:
    """Airflow's 500 for a database that was locked, deadlocked or away; what is wrong with the request has others."""
    raw = _json(answer)
    said = raw.get("detail") if isinstance(raw, dict) else None
    return answer.status_code == 500 and isinstance(said, dict) and said.get("reason") == "Database error"


def _detail(answer: httpx.Response) -> str:
    """The server's own words. They may quote what was sent, which for a login is the password."""
    raw = _json(answer)
    said = raw.get("detail") if isinstance(raw, dict) else None
    if answer.request.url.path.endswith("/auth/token"):
        said = None
    if isinstance(said, dict):
        said = ": ".join(str(said[word]) for word in ("reason", "message") if said.get(word))
    if isinstance(said, list):
        said = "; ".join(str(each.get("msg", each)) if isinstance(each, dict) else str(each) for each in said)
    text = " ".join(str(said or answer.reason_phrase).split())
    return text if len(text) <= 300 else f"{text[:299]}…"


def _unwrapped(value: Any) -> Any:
    """XCom without the wrappers that Airflow puts around tuples."""
    if isinstance(value, list):
        return [_unwrapped(each) for each in value]
    if isinstance(value, dict):
        inner = value["__data__"] if value.get("__classname__") == "builtins.tuple" else None
        return {k: _unwrapped(v) for k, v in value.items()} if inner is None else _unwrapped(inner)
    return value


def _verify(extra: Mapping[str, Any]) -> bool | str:
    verify = extra.get("verify", True)
    return verify if isinstance(verify, bool) else str(verify)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
