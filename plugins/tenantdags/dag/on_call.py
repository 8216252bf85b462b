"""The on-call commands with Airflow's connections in hand. What is decided and said is in steps/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tenantdags.dag import world
from tenantdags.dag.watch import platform_blobs, watch_world
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window

if TYPE_CHECKING:
    from tenantdags.steps.airflow_api import AirflowApi
    from tenantdags.steps.retry import NoRetry, Retry
    from tenantdags.steps.status_text import Status
    from tenantdags.steps.story import Story


@dataclass(frozen=True, slots=True)
class Asked:
    """What may be cleared, by whom it is cleared, and whether the DAG is paused."""

    found: Retry | NoRetry
    api: AirflowApi
    paused: bool


def story_of(root: Path, plan: TablePlan, window: Window) -> Story:
    from tenantdags.steps import alert_lines
    from tenantdags.steps.airflow_view import AirflowView
    from tenantdags.steps.story import Sources, story

    sources = Sources(
        root=root,
        landing=partial(world.landing, plan, window),
        airflow=lambda: AirflowView(world.airflow_api("explain")),
        told=lambda plan, window: tuple(alert_lines.told(platform_blobs(root, "explain"), plan, window)),
    )
    return story(plan, window, sources, datetime.now(UTC))


def retry_of(plan: TablePlan, window: Window, begin: str | None) -> Asked:
    """Raises AirflowError, ConnectionMissing or LandingUnreachable."""
    from tenantdags.steps.airflow_view import AirflowView
    from tenantdags.steps.retry import Retry, choose, require_startable

    api = world.airflow_api("retry")
    facts = AirflowView(api).facts(plan, window)
    record = world.landing(plan, window).published(plan, window)
    head = record.file.head if record else None
    found = choose(plan, window, facts, head, datetime.now(UTC), begin)
    if isinstance(found, Retry):
        found = require_startable(api, plan, window, found)
    return Asked(found, api, facts.dag is not None and facts.dag.paused)


def fleet_status(root: Path) -> Status:
    """Raises ConfigError, ConnectionMissing, LandingUnreachable or TableBehind."""
    from tenantdags.steps import alert_lines
    from tenantdags.steps.fleet import read_fleet, with_kept
    from tenantdags.steps.ledger_file import last_beat, read_ledger
    from tenantdags.steps.status_text import Status
    from tenantdags.steps.watch import survey

    blobs, now = platform_blobs(root, "status"), datetime.now(UTC)
    fleet = with_kept(read_fleet(root), blobs, "status")
    standings, troubles = survey(fleet, read_ledger(blobs, "status"), watch_world(blobs), now)
    beat = last_beat(blobs, "status")
    return Status(
        now=now,
        plans=fleet.plans,
        standings=standings,
        beat=beat[0] if beat else None,
        muted=tuple(alert_lines.muted(blobs, now)),
        undelivered=tuple(alert_lines.undelivered(blobs)),
        troubles=troubles,
    )
