"""Alerting inside Airflow: tasks, the deadline's callback and commands deliver their incidents through here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tenantdags.model.plan import LandingPlan, TablePlan
from tenantdags.model.window import Window, window_of
from tenantdags.steps.alerts import Incident, Links, Subject, fingerprint_of

if TYPE_CHECKING:
    from tenantdags.steps.alert_delivery import Post
    from tenantdags.steps.alert_records import Route, State
    from tenantdags.steps.alert_sweep import Swept
    from tenantdags.steps.blobs import Blobs
    from tenantdags.steps.summarise import QaSummary

_log = logging.getLogger("tenantdags.alerts")


def deliver(incident: Incident) -> dict[Route, State]:
    """Tells everybody who wants to hear of this incident, once, whoever else noticed it.

    Never raises; takes a bounded time (about 50 s when everything hangs). What became of the routes it had to tell.
    """
    from tenantdags.steps.alert_delivery import deliver as tell
    from tenantdags.steps.alerts import headline

    _log.error("%s: %s", headline(incident), incident.cause)
    return tell(incident, post(incident.subject))


def recover(subject: Subject, window: str, readers: str, now: datetime) -> None:
    """The window is published: who was told that it was not, hears so once. Never raises."""
    from tenantdags.steps.alert_delivery import recover as tell

    tell(subject, window, readers, now, post(subject))


def sweep(connection: str, container: str, now: datetime) -> Swept:
    """What the watchdog does every minute: alerts that failed or were forgotten, ended mutes, digests.

    Raises LandingUnreachable and the like.
    """
    from tenantdags.steps.alert_sweep import sweep as look_after

    return look_after(_post(connection, container), now)


def memory(connection: str, container: str) -> Blobs:
    """The container alerts are remembered in, asked less patiently than for data."""
    from tenantdags.dag.world import container_of
    from tenantdags.steps.blobs import Blobs

    return Blobs(container_of(connection, container, "alerts"), connection, first_wait=0.2, read_timeout=5)


def post(subject: Subject) -> Post:
    return _post(*subject.landing[:2])


def _post(connection: str, container: str) -> Post:
    from tenantdags.dag.notifiers import send
    from tenantdags.steps.alert_delivery import Post

    return Post(blobs=partial(memory, connection, container), send=send, say=_log.error)


def links(dag_id: str, run_id: str, databricks: str | None = None, qa: str | None = None) -> Links:
    """Where to look at a run, in Airflow's UI and beside it."""
    from urllib.parse import quote

    from airflow.sdk.configuration import conf

    base = conf.get("api", "base_url", fallback="") or "http://localhost:8080"
    run = f"{base.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id)}"
    return Links(run=run, databricks=databricks, qa=qa)


async def on_sla_miss(subject: dict[str, Any], context: Any, every: str = "day", ahead: float = 0.0) -> None:
    """The deadline's callback, run by the triggerer. `ahead` (seconds): this is the warning before the deadline."""
    await asyncio.to_thread(_miss, Subject.from_dict(subject), every, timedelta(seconds=ahead), context)


def sla_miss_arguments(plan: TablePlan, ahead: timedelta) -> dict[str, Any]:
    """What `on_sla_miss` has to know: ids only and no more, for Airflow stores it in clear and twice in a DAG."""
    heard = tuple(replace(route, events=("sla_miss",)) for route in plan.alerts if "sla_miss" in route.events)
    arguments: dict[str, Any] = {"subject": replace(Subject.of(plan), routes=heard).to_dict()}
    if plan.schedule.every != "day":
        arguments["every"] = plan.schedule.every
    return arguments | ({"ahead": ahead.total_seconds()} if ahead else {})


def _miss(subject: Subject, every: Any, ahead: timedelta, context: Mapping[str, Any]) -> None:
    from tenantdags.steps.alert_delivery import within

    run = context["dag_run"]
    start, end = (_instant(run[f"data_interval_{side}"]) for side in ("start", "end"))
    window, now = window_of(start, end, every, subject.zone), _now()
    try:
        readers, known, paged = within(10, partial(_seen, subject, window))
    except Exception as error:  # noqa: BLE001 - then the page says what is not known
        _log.error("what readers see of %s is not known: %s", window, error)
        readers, known, paged = None, (), False
    if readers:
        return  # published before its run is done, by a backfill or an earlier run: nobody waits for it
    if paged:
        return  # the watchdog told of this window before its run began, and tells when it is published
    try:
        cause = within(10, partial(_why, subject, window, now))
    except Exception as error:  # noqa: BLE001 - then the page says what the deadline knows
        _log.warning("why %s %s %s is late could not be asked: %s", subject.tenant, subject.table, window, error)
        cause = f"the run is {run.get('state') or 'not done'}"
    before = f"; told before: {', '.join(known)}" if known else ""
    deliver(
        Incident(
            subject=subject,
            kind="late",
            window=window.key,
            at=now,
            due=_instant(context["deadline"]["deadline_time"]) + ahead,
            ahead=bool(ahead),
            cause=f"{cause}{before}",
            readers="unknown" if readers is None else "nothing of this window yet",
            run_id=run["dag_run_id"],
            links=links(f"{subject.tenant}__{subject.table}", run["dag_run_id"]),
        )
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _instant(said: Any) -> datetime:
    """Airflow hands over a datetime or its text, depending on where the callback waited."""
    return said if isinstance(said, datetime) else datetime.fromisoformat(said)


def _why(subject: Subject, window: Window, now: datetime) -> str:
    """Airflow asked as the watchdog asks it; raises whatever keeps it from being asked."""
    from tenantdags.dag.bundle import project_root
    from tenantdags.dag.watch import why
    from tenantdags.model.project import load_tenant

    (plan,) = (plan for plan in load_tenant(project_root(), subject.tenant) if plan.table == subject.table)
    return why(plan, window, now)


def _seen(subject: Subject, window: Window) -> tuple[str, tuple[str, ...], bool]:
    """(the generation that readers see, empty for none; the kinds of what is open for this window; whether it was
    paged as missing)."""
    from tenantdags.steps.alert_records import Cell, record_of
    from tenantdags.steps.landing import PUBLISHED
    from tenantdags.steps.published import PublishedFile

    connection, container, prefix = subject.landing
    blobs = memory(connection, container)
    folder = LandingPlan(connection=connection, container=container, prefix=prefix).window_path(window)
    found = blobs.read(subject.tenant, f"{folder}/{PUBLISHED}")
    current = PublishedFile.from_json(found[0]).current if found else None
    record = record_of(blobs, Cell(subject.tenant, subject.table, window.key))
    known = tuple(entry.kind for entry in record.live) if record else ()
    missing = fingerprint_of(subject.tenant, subject.table, window.key, "missing")
    paged = record is not None and record.entry(missing) is not None
    return f"generation {current.generation}" if current else "", known, paged


def tell(plan: TablePlan, window: Window, summary: QaSummary, run_type: str) -> None:
    """Who has to hear of an attempt: an incident, the end of one, warnings for the daily digest. Never raises."""
    from tenantdags.model.deadline import due_of
    from tenantdags.steps.alert_delivery import warn
    from tenantdags.steps.qa_summary import news, seen_by_readers
    from tenantdags.steps.summarise import incident

    document, now, subject = summary.document, _now(), Subject.of(plan)
    if lines := news(document):
        warn(subject, window.key, lines, now, post(subject))
    if document.outcome == "green":
        recover(subject, window.key, seen_by_readers(document), now)
        return
    # Backfills and manual runs have no promise to keep.
    awaited = run_type == "scheduled"
    looked = links(plan.dag_id, document.run_id, document.databricks_run, summary.page)
    at = due_of(plan, window) if awaited else None
    deliver(incident(plan, document, at=now, due=at, links=looked, awaited=awaited))
