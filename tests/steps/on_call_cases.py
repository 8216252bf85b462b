"""What on-call reads, case by case: tests/golden/on_call holds each text. `python -m tests.regenerate` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from tenantdags.model.ledger import overdue_from
from tenantdags.model.plan import SlaPlan, TablePlan
from tenantdags.model.window import day_window
from tenantdags.steps.airflow_answers import TaskInstance
from tenantdags.steps.published import Generation
from tenantdags.steps.reasons import Facts, Reason, reason_of
from tenantdags.steps.retry import Retry, choose
from tenantdags.steps.retry import lines as retry_lines
from tenantdags.steps.status_text import Status
from tenantdags.steps.status_text import to_lines as status_lines
from tenantdags.steps.story import Attempt, Changes, Green, Story
from tenantdags.steps.story_text import to_lines as story_lines
from tenantdags.steps.watch import Standing
from tests.dag.plans import ROOT, plan_of, utc
from tests.steps.airflow_facts import STARTED, WINDOW, dag, facts, health, paused, run, task, tasks

NOW = utc("2026-11-23T05:12:20")
GOLDEN = ROOT / "tests" / "golden" / "on_call"
PLAN = plan_of("acme", "orders", sla=SlaPlan(ready_by=time(6), warn_before=timedelta(minutes=45)))
YESTERDAY = day_window(date(2026, 11, 21), "Europe/Berlin")
UNREACHABLE = ("source.unreachable", "acme orders 2026-11-22: source.unreachable: mssql_shared1 does not answer. "
               "Remedy: Check host, port and firewall of mssql_shared1.")  # fmt: skip
QUALITY = ("quality.pk_unique", "acme orders 2026-11-22: quality.pk_unique: 5 duplicate keys (expected 0). "
           "Remedy: Mend the rows at the source, then clear `extract`.")  # fmt: skip
NOTEBOOK = ("databricks.run", "acme orders 2026-11-22: databricks.run: run 7 ended FAILED: out of memory. "
            "Remedy: Look at https://adb-1/jobs/runs/7; clear `load` when the cause is gone.")  # fmt: skip
ENDED = STARTED + timedelta(seconds=34)


def generation(number: int, **changes: Any) -> Generation:
    said: dict[str, Any] = {
        "generation": number, "load_id": "20261122T020452Z-7f3a", "append_id": "11111111-2222-3333-4444-555555555555",
        "rows": 410, "as_of_date": WINDOW.as_of_date, "window_start": WINDOW.start, "contract_version": "1.0.0",
        "run_id": "scheduled__0", "published_at": utc("2026-11-22T02:05:40"),
    }  # fmt: skip
    return Generation(**{**said, **changes})


def attempt(outcome: str, error: tuple[str, str] | None = None, **changes: Any) -> Attempt:
    kind, text = error or (None, "")
    cause, _, remedy = text.partition(" Remedy: ")
    rows = {"source": 412, "staged": 412, "landed": None, "appended": None, "published": None}
    said: dict[str, Any] = {
        "run_id": "scheduled__1", "outcome": outcome, "kind": kind, "cause": cause.split(f"{kind}: ")[-1] or None,
        "remedy": remedy or None, "failed_task": None, "at": ENDED, "rows": rows, "contract_version": "1.0.0",
    }  # fmt: skip
    return Attempt(**{**said, **changes})


def story(now: datetime = NOW, **changes: Any) -> Story:
    said: dict[str, Any] = {"plan": PLAN, "window": WINDOW, "now": now, "due": utc("2026-11-23T05:00:00")}
    found = changes.get("facts")
    if found:
        said["reason"] = reason_of(PLAN, WINDOW, found, now)
        said["tasks"] = tuple((each, found.tasks) for each in found.runs[-1:])
    return Story(**{**said, **changes})


def failed_at(step: str, error: tuple[str, str], **changes: Any) -> Facts:
    done = tasks(step, "failed", seconds=3.2, started_at=STARTED + timedelta(seconds=30), **changes)
    timed = tuple(replace(each, seconds=6.1) if each.state == "success" else each for each in done)
    return facts(runs=(run("failed", ended_at=ENDED),), tasks=timed, error=error)


def red() -> Story:
    green = Green(window=YESTERDAY, fact=generation(1))
    diff = (("config/tenants/acme.yaml", ("- settle: 3h", "+ settle: 1h")),)
    return story(
        utc("2026-11-23T02:07:00"),
        facts=failed_at("check_extract", QUALITY),
        attempts=(attempt("red", QUALITY),),
        deeds=((utc("2026-11-23T02:05:40"), "jane changed the run's state or note"),),
        told=((utc("2026-11-23T02:05:26"), "PAGE quality.pk_unique, sent by slack over slack_oncall"),),
        green=green,
        changes=Changes(contract=("1.0.0", "1.1.0"), parts=("columns",), files=diff),
    )


def never_started() -> Story:
    return story(
        facts=facts(dag=dag(paused=True), paused_by=paused()),
        deeds=((paused().at, "jane paused the DAG"),),
        green=Green(window=YESTERDAY, fact=generation(1)),
        changes=Changes(parts=(), files=()),
    )


def green() -> Story:
    rows = {"source": 412, "staged": 412, "landed": 412, "appended": 412, "published": 412}
    done = tuple(task(step, "success", seconds=6.1) for step in ("extract", "load", "publish"))
    own = generation(1, rows=412, published_at=ENDED, run_id="scheduled__1")
    return story(
        facts=facts(runs=(run("success", ended_at=ENDED),), tasks=done),
        attempts=(attempt("green", rows=rows),),
        generations=(own,),
        green=Green(window=WINDOW, fact=own),
    )


def no_airflow() -> Story:
    return story(
        attempts=(attempt("error", UNREACHABLE),),
        gaps=("Airflow at http://127.0.0.1:8080: no answer: ConnectError. Remedy: Start the api-server.",),
    )


def rerun_under_way() -> Story:
    """A window that is published, read anew after a rollback."""
    again = facts(runs=(run("running"),), tasks=tasks("load", "deferred"))
    back = generation(
        3, restores=1, actor="jane", reason="half the orders were missing", published_at=utc("2026-11-22T09:30:00")
    )
    before = (generation(1), generation(2, rows=205, published_at=utc("2026-11-22T08:11:00")))
    return story(facts=again, generations=(*before, back), green=Green(window=WINDOW, fact=back))


STORIES: dict[str, Callable[[], Story]] = {
    each.__name__: each for each in (red, never_started, green, no_airflow, rerun_under_way)
}


def retry_text(found: Facts, readers: Generation | None = None, begin: str | None = None, now: datetime = NOW) -> str:
    chosen = choose(PLAN, WINDOW, found, readers, now, begin)
    cleared: Iterable[TaskInstance] = ()
    if isinstance(chosen, Retry):
        every = tuple(task(step, "failed") for step in _ORDER)
        cleared = every[_ORDER.index(chosen.task) :]
    is_paused = found.dag is not None and found.dag.paused
    return _text(retry_lines(PLAN, WINDOW, chosen, tuple(cleared), is_paused))


_ORDER = ("extract", "check_extract", "upload", "load", "check_load", "publish", "summarise")
LANDING = ("landing.unreachable", "acme orders 2026-11-22: landing.unreachable: landing answered 503. Remedy: Wait.")

RETRIES: dict[str, Callable[[], str]] = {
    "source_unreachable": lambda: retry_text(failed_at("extract", UNREACHABLE)),
    "quality": lambda: retry_text(failed_at("check_extract", QUALITY)),
    "notebook": lambda: retry_text(failed_at("load", NOTEBOOK)),
    "landing": lambda: retry_text(failed_at("upload", LANDING)),
    "landing_long_ago": lambda: retry_text(failed_at("upload", LANDING), now=NOW + timedelta(days=4)),
    "named": lambda: retry_text(failed_at("load", NOTEBOOK), begin="extract"),
    "published": lambda: retry_text(facts(runs=(run("success", ended_at=ENDED),)), readers=generation(1)),
    "marked_successful": lambda: retry_text(facts(runs=(run("success", ended_at=ENDED),))),
    "running": lambda: retry_text(facts(runs=(run(),), tasks=tasks("load", "deferred"))),
    "no_pool": lambda: retry_text(facts(runs=(run(),), tasks=tasks("extract", "scheduled"), pools={})),
    "paused": lambda: retry_text(replace(failed_at("load", NOTEBOOK), dag=dag(paused=True), paused_by=paused())),
    "no_run": lambda: retry_text(facts(dag=dag(next_start=WINDOW.end))),
    "no_scheduler": lambda: retry_text(facts(health=health(scheduler=STARTED))),
}


def standing(plan: TablePlan, found: Facts) -> Standing:
    overdue = overdue_from(plan, WINDOW) <= NOW
    return Standing(plan=plan, window=WINDOW, overdue=overdue, reason=reason_of(plan, WINDOW, found, NOW))


def in_berlin(plan: TablePlan) -> TablePlan:
    return replace(plan, sla=PLAN.sla, schedule=replace(plan.schedule, time_zone="Europe/Berlin"))


def a_bad_night() -> Status:
    plans = [plan_of(tenant, table) for tenant in ("acme", "globex", "northwind") for table in ("customers", "orders")]
    by_id = {plan.dag_id: plan for plan in plans}
    by_id["globex__orders"] = in_berlin(by_id["globex__orders"])
    by_id["acme__customers"] = replace(by_id["acme__customers"], sla=SlaPlan(within=timedelta(hours=7)))
    standings = [
        standing(replace(by_id["acme__orders"], sla=PLAN.sla), failed_at("check_extract", QUALITY)),
        standing(by_id["globex__orders"], facts(dag=dag(paused=True), paused_by=paused())),
        standing(by_id["acme__customers"], failed_at("load", NOTEBOOK)),
        standing(by_id["northwind__orders"], facts(runs=(run(),), tasks=tasks("extract", "scheduled"), pools={})),
        standing(by_id["globex__customers"], facts(runs=(run(),), tasks=tasks("load", "deferred"))),
    ]  # fmt: skip
    return Status(
        now=NOW,
        plans=plans,
        standings=standings,
        beat=NOW - timedelta(seconds=14),
        muted=("northwind until 09:00 Mon 23 Nov: the server moves",),
        undelivered=("acme orders 2026-11-22 quality.pk_unique: http over oncall_hook, 3 tries: ConnectError",),
        troubles=("Airflow at http://127.0.0.1:8080: no answer: ReadTimeout. Remedy: Start the api-server.",),
    )


def a_good_night() -> Status:
    plans = [plan_of(tenant, "orders") for tenant in ("acme", "globex", "northwind")]
    return Status(now=NOW, plans=plans, standings=[], beat=None)


def a_storm() -> Status:
    plans = [replace(in_berlin(plan_of("globex", "orders")), tenant=f"tenant{number}") for number in range(60)]
    why = Reason(kind="late", text="Airflow could not be asked why: no answer: ConnectError")
    missed = [Standing(plan=plan, window=WINDOW, overdue=True, reason=why) for plan in plans]
    return Status(now=NOW, plans=plans, standings=missed, beat=NOW)


STATUSES: dict[str, Callable[[], Status]] = {each.__name__: each for each in (a_bad_night, a_good_night, a_storm)}


def texts() -> dict[Any, str]:
    """Every golden file, and what it should hold."""
    found = {f"explain_{name}": _text(story_lines(make())) for name, make in STORIES.items()}
    found |= {f"retry_{name}": make() for name, make in RETRIES.items()}
    found |= {f"status_{name}": _text(status_lines(make())) for name, make in STATUSES.items()}
    return {GOLDEN / f"{name}.txt": text for name, text in found.items()}


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
