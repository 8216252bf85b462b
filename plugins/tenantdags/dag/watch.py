"""The watchdog with Airflow's connections in hand: what the DAG `tenantdags_watch` and the command `watch` both do."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tenantdags.dag import world
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window

if TYPE_CHECKING:
    from tenantdags.steps.alerts import Incident
    from tenantdags.steps.blobs import Blobs
    from tenantdags.steps.watch import Look, World

_log = logging.getLogger(__name__)
THREADS = 8
APART = timedelta(seconds=15)  # between two looks, however many windows fall due
MOST = 4  # looks in one minute
LAST = timedelta(seconds=50)  # of a minute: what falls due later is left to the next one's look
API_SECONDS = 15.0  # what one question to Airflow may take, so that a hanging api-server holds up no page


def look_once(root: Path, now: datetime | None = None) -> Look:
    """One look at the whole fleet. Raises ConfigError, ConnectionMissing, LandingUnreachable or TableBehind."""
    from tenantdags.dag import metrics
    from tenantdags.model.metrics import of_look
    from tenantdags.steps.fleet import keep, read_fleet, with_kept
    from tenantdags.steps.ledger_file import read_ledger
    from tenantdags.steps.watch import WHERE, look

    blobs = platform_blobs(root, WHERE)
    kept, at = read_ledger(blobs, WHERE), now or datetime.now(UTC)
    fleet = with_kept(read_fleet(root), blobs, WHERE)
    digests = keep(fleet, root, blobs, WHERE, kept.ledger.digests, at)
    found = look(fleet, kept, digests, watch_world(blobs), at)
    metrics.send(of_look(found.by_tier, bool(found.troubles), found.waits))
    _sweep(root, at)
    return found


def next_look(found: Look) -> datetime:
    """When to look again: as the next minute begins, or before, where a window falls due in this one."""
    minute = found.at.replace(second=0, microsecond=0)
    soon = max(found.next_due, found.at + APART) if found.next_due else None
    return soon if soon and soon < minute + LAST else minute + timedelta(minutes=1)


def why(plan: TablePlan, window: Window, now: datetime) -> str:
    """Why a window is not published, as Airflow says it now. Raises AirflowError or ConnectionMissing."""
    from tenantdags.steps.airflow_view import AirflowView
    from tenantdags.steps.reasons import reason_of

    view = AirflowView(world.airflow_api("alerts", seconds=4))
    return reason_of(plan, window, view.facts(plan, window), now).text


def platform_blobs(root: Path, where: str) -> Blobs:
    """What the platform remembers, without a plan: a monitor's question must not depend on tenant files."""
    from tenantdags.steps.blobs import Blobs
    from tenantdags.steps.fleet import landing_of

    place = landing_of(root)
    container = world.container_of(place.connection, place.container, where)
    return Blobs(container, place.connection, first_wait=0.5, read_timeout=20)


def watch_world(blobs: Blobs) -> World:
    from tenantdags.steps.watch import WHERE, World

    return World(
        blobs=blobs,
        published=partial(_published, blobs),
        logged=_logged,
        airflow=partial(world.airflow_api, WHERE, seconds=API_SECONDS),
        tell=_tell,
        recovered=_recovered,
    )


def _published(blobs: Blobs, plan: TablePlan, window: Window) -> bool:
    from tenantdags.steps.landing import published_in

    record = published_in(blobs, plan, window)
    return record is not None and record.file.current is not None


def _logged(plan: TablePlan, since: datetime) -> frozenset[tuple[str, str, datetime]]:
    from tenantdags.steps import dbsql

    rows = world.statements(plan, "watch").execute(dbsql.published_windows(plan), {"since": (since, "TIMESTAMP")}).rows
    return frozenset((str(table), str(tenant), start) for table, tenant, start in rows)


def _tell(incidents: Sequence[Incident]) -> None:
    """Side by side, as one dead endpoint may hold up each for a minute."""
    from tenantdags.dag.alerts import deliver

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(deliver, incidents))


def _recovered(incidents: Sequence[Incident]) -> None:
    """The run that published a window tells so itself; this is for what was published without one."""
    from tenantdags.dag.alerts import recover

    for incident in incidents:
        recover(incident.subject, incident.window, incident.readers, incident.at)


def _sweep(root: Path, now: datetime) -> None:
    """Alerts that nobody got yet, ended mutes, digests."""
    from tenantdags.dag.alerts import sweep
    from tenantdags.steps.fleet import landing_of

    place = landing_of(root)
    swept = sweep(place.connection, place.container, now)
    if swept.failed:
        _log.error("%d alerts could not be delivered and will be sent again", swept.failed)
