"""What config/tenants/<tenant>.yaml and config/defaults.yaml may say. The descriptions here are docs/tenant-file.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tenantdags.model import taxonomy
from tenantdags.model.contract import Severity
from tenantdags.model.fields import (
    CatalogName,
    Clock,
    Compute,
    ConnectionId,
    ContainerName,
    ContractRef,
    Day,
    DayPart,
    Duration,
    FileUrl,
    Lookback,
    Name,
    PollSeconds,
    PositiveDuration,
    Priority,
    Retries,
    Scalar,
    Slots,
    SqlName,
    Strict,
    WarehouseId,
    WorkspacePath,
    Zone,
    refused,
)
from tenantdags.model.thresholds import Bounds
from tenantdags.model.window import Every

Notifier = Literal["slack", "pagerduty", "opsgenie", "smtp", "apprise", "http"]
Loud = Literal["page", "ticket"]


class Sla(Strict):
    """When readers expect the data. Exactly one of `ready_by` and `within`."""

    ready_by: Clock | None = Field(
        None, description='A time of day in the tenant\'s zone, on the day after the window, in quotes: `"06:00"`.'
    )
    within: PositiveDuration | None = Field(None, description="How long after the window's end, like `6h`.")
    warn_before: PositiveDuration | None = Field(
        None, description="How long before that on-call is warned, like `45m`."
    )

    @model_validator(mode="after")
    def _one_deadline(self) -> Sla:
        if (self.ready_by is None) == (self.within is None):
            raise refused("CFG049", "needs exactly one of ready_by and within")
        if self.within and self.warn_before and self.warn_before >= self.within:
            raise refused("CFG050", "warn_before must be shorter than within")
        return self


class Alert(Strict):
    """One route to a human."""

    notifier: Notifier = Field(description="The Airflow notifier: slack, pagerduty, opsgenie, smtp, apprise or http.")
    connection: ConnectionId = Field(description="The id of the notifier's Airflow connection.")
    events: tuple[taxonomy.Event, ...] = Field(
        description="What is told: any of `sla_miss` (a deadline passed, or soon will), `missing` (a run never "
        "started), `red` (a gate, drift), `error` (a task), `recovery` (published after all), `warn` (a daily digest)."
    )
    severities: tuple[Loud, ...] = Field(
        ("page", "ticket"), description="Only incidents this loud: `page`, `ticket` or both. Unsaid: both."
    )

    @model_validator(mode="after")
    def _told_something(self) -> Alert:
        if not self.events or len(set(self.events)) != len(self.events):
            raise refused("CFG055", "events needs at least one event, each once")
        if not self.severities or len(set(self.severities)) != len(self.severities):
            raise refused("CFG055", "severities needs at least one severity, each once")
        return self


class Backfill(Strict):
    """How much backfills may take, and when. Where another level says `backfill`, it counts whole."""

    max_active_runs: Slots = Field(2, description="Windows that all backfills of the tenant run at once, at most.")
    hours: DayPart | None = Field(
        None,
        description="The part of the day, by the tenant's clock, in which a backfilled window may begin, in quotes: "
        '`"22:00-05:00"`. Unsaid: all day.',
    )


class Settings(Strict):
    """What may stand in a table, a tenant, a tier and the defaults. The first of these that says it wins, whole."""

    every: Every | None = Field(None, description="The grid of the windows in the tenant's zone: `day` or `hour`.")
    settle: Duration | None = Field(None, description="A run starts this long after its window's end.")
    jitter: Duration | None = Field(
        None, description="Runs are spread over this long after that, by a fixed offset per tenant and table."
    )
    lookback: Lookback | None = Field(None, description="How many earlier windows are recounted at the source.")
    retries: Retries | None = Field(None, description="How often a task is tried again after a passing failure.")
    sla: Sla | None = Field(None, description="When readers expect the data: `ready_by` or `within`.")
    alerts: tuple[Alert, ...] | None = Field(None, description="Who is told what. `[]` tells nobody.")
    paused_on_creation: bool | None = Field(None, description="Whether a new DAG waits to be switched on.")
    backfill: Backfill | None = Field(None, description="What backfills may take: `max_active_runs` and `hours`.")


class Source(Strict):
    """Where a tenant's rows come from."""

    connection: ConnectionId = Field(description="The id of the Airflow connection to SQL Server.")
    database: SqlName = Field(description="The database.")
    schema_: SqlName = Field("dbo", alias="schema", description="The schema of the source tables.")
    time_zone: Zone = Field(description="What datetimes without an offset mean in the source, like `UTC`.")
    tenant_column: SqlName | None = Field(
        None, description="Shared databases only: the column that tells tenants apart. Goes with `tenant_value`."
    )
    tenant_value: Scalar | None = Field(None, description="This tenant's value in `tenant_column`.")
    isolation: Literal["snapshot", "read_committed"] = Field(
        "snapshot",
        description="`snapshot`: totals and rows are read at one instant and must agree. "
        "`read_committed`: for databases without snapshot isolation; totals are recorded as not reconciled.",
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Source:
        if (self.tenant_column is None) != (self.tenant_value is None):
            raise refused(
                "CFG046", "tenant_column and tenant_value go together: a shared database needs both, an own one neither"
            )
        return self


class Override(Bounds):
    """A tenant's own threshold or severity for one rule of the contract: a `must_…` key, `severity`, or both."""

    severity: Severity | None = Field(None, description="`error` closes the gate, `warning` only tells.")

    @model_validator(mode="after")
    def _says_something(self) -> Override:
        self.one_bound_at_most()
        if self.severity is None and not self.bounds():
            raise refused("CFG061", "changes nothing; give a threshold or a severity, or delete it")
        return self


class Table(Settings):
    """One table of a tenant, and so one DAG."""

    contract: ContractRef = Field(
        description="`<table>@<major>`: the file include/contracts/<table>.v<major>.odcs.yaml."
    )
    flags: dict[Name, bool] = Field(
        default_factory=dict, description="Switches for this table, declared in config/defaults.yaml."
    )
    source_table: SqlName | None = Field(None, description="The source's name for it, when it is not the contract's.")
    first_window: Day | None = Field(None, description="The tenant's, unless this table starts at another date.")
    checks: dict[str, Override] = Field(
        default_factory=dict,
        description="Thresholds and severities by the contract's rule id; nothing else can change.",
    )


class Tenant(Settings):
    """One tenant: config/tenants/<tenant>.yaml."""

    tenant: Name = Field(description="The tenant's id; the same as the file's name.")
    name: str = Field(description="The name people know.", min_length=1, max_length=200)
    group: Name = Field(description="The one group of config/groups.yaml this tenant may be aggregated with.")
    tier: Name = Field(description="One of the tiers of config/defaults.yaml.")
    time_zone: Zone = Field(description="The zone of this tenant's calendar: windows and dates are cut in it.")
    first_window: Day = Field(description="The first date that is loaded; windows from here on are never skipped.")
    source: Source = Field(description="Where the rows come from.")
    pii_key: ConnectionId | None = Field(
        None, description="The connection that holds the key personal columns are hashed with."
    )
    flags: dict[Name, bool] = Field(
        default_factory=dict, description="Switches for this tenant, declared in config/defaults.yaml."
    )
    tables: dict[Name, Table] = Field(description="The allow-list: a table that is not here is not read.", min_length=1)


class Tier(Settings):
    """What tenants of one tier share."""

    priority: Priority | None = Field(
        None, description="Where slots are short, the tier with the higher number goes first. Unsaid: 100."
    )
    loudest: taxonomy.Severity | None = Field(
        None,
        description="How loud an alert may be: `page` rings at night, `ticket` waits for the morning, `info` is in the "
        "daily digest alone. Unsaid: `page`.",
    )


class Staging(Strict):
    """Where a run leaves its files until they are landed."""

    url: FileUrl = Field(description="`file:///…`: a folder that every worker sees.")
    keep_failed: PositiveDuration = Field(description="How long the files of a failed run stay.")


class Landing(Strict):
    """The ADLS container every load is kept in."""

    connection: ConnectionId = Field(description="The id of the `wasb` connection.")
    container: ContainerName = Field(description="The container.")


class Databricks(Strict):
    """Where loads run and tables live."""

    connection: ConnectionId = Field(description="The id of the `databricks` connection.")
    catalog: CatalogName = Field(description="The Unity catalog with the schemas curated, ops and serving.")
    warehouse_id: WarehouseId = Field(description="The SQL warehouse that answers checks, publishes and `apply`.")
    notebook: WorkspacePath = Field(description="The workspace path of include/notebooks/load.py.")
    compute: Compute = Field(description="`serverless`, or the id of an existing cluster.")
    poll_seconds: PollSeconds = Field(15, description="How often a running load is asked for its state.")
    timeout: PositiveDuration = Field(description="A load that runs longer is cancelled.")


class BackfillPools(Strict):
    """Slots that backfills have to themselves, so that they never take one of a scheduled run."""

    source: Slots = Field(1, description="Extracts of backfills that read through one source connection at once.")
    curated: Slots = Field(4, description="Loads of backfills that append to one curated table at once.")


class Pools(Strict):
    """How many tasks may be at one thing at once, whatever waits. `tenantdags apply` makes the pools in Airflow."""

    source: Slots = Field(4, description="Extracts that read through one source connection at once.")
    connections: dict[ConnectionId, Slots] = Field(
        default_factory=dict, description="The same for single source connections, by their id."
    )
    curated: Slots = Field(16, description="Loads that append to one curated table at once.")
    backfill: BackfillPools = Field(
        default_factory=BackfillPools, description="The same for backfills, which come on top."
    )


class Flag(Strict):
    """A switch that tenants and tables may set, and nothing else may."""

    owner: str = Field(description="Who decides about it, and takes it out again.", min_length=1)
    default: bool = Field(description="What holds for a tenant that does not say it.")
    description: str = Field(description="What it switches.", min_length=1)


class Group(Strict):
    """Tenants that may be aggregated with each other."""

    description: str = Field(
        description="Whose tenants these are, and why they may be looked at together.", min_length=1
    )


class Groups(Strict):
    """config/groups.yaml: every group a tenant may belong to."""

    groups: dict[Name, Group] = Field(description="The groups by name.", min_length=1)


class Defaults(Settings):
    """config/defaults.yaml: the platform, and what tenants need not say."""

    flags: dict[Name, Flag] = Field(default_factory=dict, description="Every switch there is, by name.")
    tiers: dict[Name, Tier] = Field(description="The tiers tenants choose from.", min_length=1)
    landing: Landing = Field(description="Where loads are kept.")
    staging: Staging = Field(description="Where files wait.")
    databricks: Databricks = Field(description="Where loads run.")
    pools: Pools = Field(default_factory=Pools, description="How much runs at once.")
