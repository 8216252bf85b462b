"""What on-call is told: incidents, and the exact words of a page, a storm, a recovery and a digest. Pure text.

A page is read at night on a phone: its first line says it all, its other lines are short and each says one thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tenantdags.model.plan import AlertPlan, TablePlan
from tenantdags.model.taxonomy import Event, Severity, kind_of, severity

NO_WINDOW = "-"
NAMED = 30  # places that one digest names; the others are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The table an incident is about and who hears of it. Ids only: deadlines store it in clear."""

    tenant: str
    name: str
    tier: str
    table: str
    zone: str
    serving: str
    loudest: Severity
    routes: tuple[AlertPlan, ...]
    landing: tuple[str, str]  # connection id, container: where alerts are remembered
    runbook: str | None = None  # the table's own

    @classmethod
    def of(cls, plan: TablePlan) -> Subject:
        return cls(
            tenant=plan.tenant, name=plan.tenant_name, tier=plan.tier, table=plan.table, zone=plan.schedule.time_zone,
            serving=plan.serving, loudest=plan.loudest, routes=plan.alerts,
            landing=(plan.landing.connection, plan.landing.container), runbook=plan.contract.runbook,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Subject:
        routes = (AlertPlan(**{**route, "events": tuple(route["events"]), "severities": tuple(route["severities"])})
                  for route in raw["routes"])  # fmt: skip
        return cls(**{**raw, "routes": tuple(routes), "landing": tuple(raw["landing"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where to look. Each is a URL, or None when there is no such thing yet."""

    run: str | None = None
    databricks: str | None = None
    qa: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first broken rule, as the gate found it; `more` are the ids of the others."""

    rule: str
    value: str
    expected: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing that went wrong with one window. `kind` is a word of model/taxonomy.py.

    `window` is the window's key ('2026-11-21', '2026-11-21T14Z'), NO_WINDOW for what concerns the whole table.
    `at` and `due` are aware; `due` is when readers expect the window, None without an SLA. `ahead` marks the warning
    before a deadline. `readers` says what they see of the window now. `tries` counts from 1.
    """

    subject: Subject
    kind: str
    window: str
    at: datetime
    cause: str
    due: datetime | None = None
    ahead: bool = False
    readers: str = "unknown"
    broken: Broken | None = None
    failed_task: str | None = None
    tries: int = 1
    run_id: str | None = None
    links: Links = Links()

    @property
    def where(self) -> str:
        """`acme orders 2026-11-21`."""
        return " ".join(w for w in (self.subject.tenant, self.subject.table, self.window) if w != NO_WINDOW)

    @property
    def event(self) -> Event:
        return kind_of(self.kind).event

    @property
    def severity(self) -> Severity:
        """The kind's for this tier. A deadline that has not passed yet rings nobody out of bed."""
        found = severity(self.kind, self.subject.loudest)
        return "ticket" if self.ahead and found == "page" else found

    @property
    def fingerprint(self) -> str:
        """The same for everybody who notices this incident: 12 hex digits of window and kind."""
        parts = (self.subject.tenant, self.subject.table, self.window, self.kind, "ahead" if self.ahead else "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one route is sent. `fingerprint` is the deduplication key where a service knows such a thing."""

    subject: str
    text: str
    severity: Severity
    fingerprint: str
    action: Literal["trigger", "resolve"] = "trigger"


def routes_for(incident: Incident) -> tuple[AlertPlan, ...]:
    """Who is told at once; an incident of severity info waits for the daily digest."""
    return tuple(
        route
        for route in incident.subject.routes
        if incident.event in route.events and incident.severity in route.severities
    )


def page(incident: Incident, same_cause: Sequence[str] = ()) -> Message:
    """The message about one incident. `same_cause` are other places that have it now."""
    lines = [headline(incident), *_what(incident), *_who(incident, same_cause), *_where_to_look(incident)]
    return Message(
        subject=lines[0], text="\n".join(lines), severity=incident.severity, fingerprint=incident.fingerprint
    )


def headline(incident: Incident) -> str:
    """`PAGE acme orders 2026-11-21 quality.pk_unique, 3 h 53 min left`: what a locked phone shows."""
    left = time_left(incident)
    return f"{incident.severity.upper()} {incident.where} {incident.kind}{f', {left}' if left else ''}"


def time_left(incident: Incident) -> str | None:
    """`3 h 53 min left`, `5 min over`; None without a deadline."""
    if incident.due is None:
        return None
    over = incident.at - incident.due
    return f"{in_words(over)} over" if over >= timedelta() else f"{in_words(-over)} left"


def in_words(span: timedelta) -> str:
    """Whole minutes of a positive span: `53 min`, `3 h 53 min`, `2 d 3 h`."""
    minutes = int(span.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _what(incident: Incident) -> Iterable[str]:
    broken = incident.broken
    if broken is None:
        yield f"Cause: {incident.cause}"
    else:
        yield f"Rule {broken.rule}: {broken.value}"
        yield f"Expected: {broken.expected}"
    if broken and broken.more:
        yield f"Also broken: {', '.join(broken.more)}"
    if incident.failed_task:
        yield f"Failed: {incident.failed_task}, try {incident.tries}"


def _who(incident: Incident, same_cause: Sequence[str]) -> Iterable[str]:
    subject = incident.subject
    yield f"Tenant: {subject.name} ({subject.tenant}), {subject.tier}"
    if incident.due is not None:
        yield f"Deadline: {incident.due.astimezone(ZoneInfo(subject.zone)):%H:%M %a %d %b} {subject.zone}"
    yield f"Readers see: {incident.readers}"
    if same_cause:
        yield f"Same cause: {named(same_cause)}"
    yield f"Not affected: {subject.tenant}'s other tables, all other tenants" + (" but those" if same_cause else "")


def _where_to_look(incident: Incident) -> Iterable[str]:
    links, subject = incident.links, incident.subject
    told = (("Run", links.run), ("Databricks", links.databricks), ("QA", links.qa))
    yield from (f"{word}: {url}" for word, url in told if url)
    yield f"Runbook: {kind_of(incident.kind).runbook}"
    if subject.runbook:
        yield f"Table: {subject.runbook}"
    yield f"Fingerprint: {incident.fingerprint}"


def named(places: Sequence[str]) -> str:
    """`a, b, c`, and behind NAMED of them `and 170 more`."""
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{', '.join(places[:NAMED])}{more}"
