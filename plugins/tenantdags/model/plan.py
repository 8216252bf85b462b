"""Everything that will happen, decided: one frozen TablePlan per tenant and table. No Airflow, network or secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from typing import Literal

from tenantdags.model.contract import Check, Contract
from tenantdags.model.hours import Hours
from tenantdags.model.taxonomy import Event, Severity
from tenantdags.model.window import Every, Window, day_window, hour_window


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """A run of a window starts at its end + settle + jitter (jitter is fixed per tenant and table)."""

    every: Every
    time_zone: str
    first_window: date
    settle: timedelta
    jitter: timedelta
    paused_on_creation: bool
    retries: int
    priority: int = 100  # the tier's: where slots are short, the higher goes first


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """Where the rows come from. Tenant column and value are both set (shared database) or both None."""

    connection: str
    database: str
    schema: str
    table: str
    time_zone: str
    isolation: Literal["snapshot", "read_committed"]
    tenant_column: str | None = None
    tenant_value: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingPlan:
    """Where extract leaves files for check and upload, and how long a failed run's files stay."""

    url: str
    keep_failed: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingPlan:
    """The immutable landing zone. `prefix` is `<table>/v<major>/tenant_id=<tenant>`."""

    connection: str
    container: str
    prefix: str

    def of_major(self, major: int) -> LandingPlan:
        """The same tenant's table under another major version of its contract."""
        table, _, tenant = self.prefix.split("/")
        return replace(self, prefix=f"{table}/v{major}/{tenant}")

    def window_path(self, window: Window) -> str:
        """`<prefix>/as_of_date=<date>[/window=<HHMM>Z]`: the only place where a landing path is built."""
        hour = f"/window={window.start:%H%M}Z" if window.every == "hour" else ""
        return f"{self.prefix}/as_of_date={window.as_of_date.isoformat()}{hour}"

    def load_path(self, window: Window, load_id: str) -> str:
        return f"{self.window_path(window)}/load_id={load_id}"

    def window_in(self, path: str, zone: str) -> Window | None:
        """The inverse of `window_path`: whose folder this path begins with; None for one that lies elsewhere."""
        cell = re.match(r"/as_of_date=(\d{4}-\d\d-\d\d)(?:/window=(\d{4})Z)?/", path.removeprefix(self.prefix))
        try:
            day = date.fromisoformat(cell[1]) if cell else None
        except ValueError:
            return None
        if cell is None or day is None:
            return None
        return hour_window(day, cell[2], zone) if cell[2] else day_window(day, zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabricksPlan:
    """Who loads and who is asked. `compute` is `serverless` or the id of an existing cluster."""

    connection: str
    catalog: str
    warehouse_id: str
    notebook: str
    compute: str
    poll_seconds: int
    timeout: timedelta

    @property
    def publish_log(self) -> str:
        return f"{self.catalog}.ops.publish_log"

    @property
    def qa_log(self) -> str:
        return f"{self.catalog}.ops.qa_log"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsPlan:
    """The Airflow pools that extract and load take a slot of, and how many slots each has for all tenants.

    Backfills have pools of their own, `backfill_<pool>`: they come on top and take no slot of a scheduled run.
    """

    source: str
    source_slots: int
    curated: str
    curated_slots: int
    source_backfill_slots: int = 1
    curated_backfill_slots: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillPlan:
    """How many windows the tenant's backfills run at once, and by its clock when one may begin (None: always)."""

    max_active_runs: int = 2
    hours: Hours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaPlan:
    """Exactly one of ready_by (tenant's zone, the day after the window's as_of_date) and within (after its end)."""

    ready_by: time | None = None
    within: timedelta | None = None
    warn_before: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPlan:
    """One route: which notifier, by which connection, for which events and how loud ones."""

    notifier: str
    connection: str
    events: tuple[Event, ...]
    severities: tuple[Severity, ...] = ("page", "ticket")


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """One DAG: everything about one table of one tenant."""

    tenant: str
    tenant_name: str
    group: str
    tier: str
    table: str
    file: str  # the tenant file, relative to the project
    contract: Contract
    schedule: SchedulePlan
    source: SourcePlan
    staging: StagingPlan
    landing: LandingPlan
    databricks: DatabricksPlan
    pools: PoolsPlan
    checks: tuple[Check, ...]  # the contract's, with the tenant's thresholds and severities
    lookback: int
    pii_connection: str | None
    sla: SlaPlan | None
    alerts: tuple[AlertPlan, ...] = ()
    loudest: Severity = "page"  # the tier's: how loud an alert may be
    flags: tuple[tuple[str, bool], ...] = ()
    backfill: BackfillPlan = BackfillPlan()

    @property
    def dag_id(self) -> str:
        return f"{self.tenant}__{self.table}"

    @property
    def curated_name(self) -> str:
        """`orders_v1`: the curated table's last part, and its name in the publish log."""
        return f"{self.contract.table}_v{self.contract.major}"

    @property
    def curated(self) -> str:
        return f"{self.databricks.catalog}.curated.{self.curated_name}"

    @property
    def serving(self) -> str:
        return f"{self.databricks.catalog}.serving.{self.contract.table}"

    @property
    def serving_name(self) -> str:
        """The name in the publish log under which it says which major each tenant's readers see."""
        return f"serving.{self.contract.table}"

    @property
    def beside(self) -> bool:
        """Whether it only runs beside another major, `orders_v2` beside `orders`: readers are not moved to it."""
        return self.table == self.curated_name != self.contract.table

    @property
    def asset_uri(self) -> str:
        """One outlet asset per tenant and table; emitted by publish only.

        Airflow asks no provider about a scheme that begins with x-.
        """
        return f"x-tenant://{self.databricks.catalog}/{self.table}/{self.tenant}"

    def under(self, contract: Contract) -> TablePlan:
        """The same tenant's table under another major version of its contract: where that one's data lies."""
        return replace(self, contract=contract, landing=self.landing.of_major(contract.major))

    def at(self, window: Window | str) -> str:
        """`acme orders 2026-11-21`: how every message names the place."""
        return f"{self.tenant} {self.table} {window}"
