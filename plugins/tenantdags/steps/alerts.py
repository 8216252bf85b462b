"""What on-call is told: incidents, and the exact words of a page, a storm, a recovery and a digest. Pure text.

A page is read at night on a phone: its first line says it all, its other lines are short and each says one thing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tenantdags.model.plan import AlertPlan, TablePlan
from tenantdags.model.taxonomy import Event, Severity, kind_of, severity

NO_WINDOW = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The table an incident is about and who hears of it. Ids only: deadlines store it in clear."""

    tenant: str
    name: str
    tier: str
    table: str
    zone: str
    source: str  # connection id
    loudest: Severity
    routes: tuple[AlertPlan, ...]
    landing: tuple[str, str, str]  # connection id, container, the table's prefix: where alerts are remembered
    runbook: str | None = None  # the table's own

    @classmethod
    def of(cls, plan: TablePlan) -> Subject:
        return cls(
            tenant=plan.tenant, name=plan.tenant_name, tier=plan.tier, table=plan.table, zone=plan.schedule.time_zone,
            source=plan.source.connection, loudest=plan.loudest, routes=plan.alerts,
            landing=(plan.landing.connection, plan.landing.container, plan.landing.prefix),
            runbook=plan.contract.runbook,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON without defaults: Airflow stores it in every DAG, and tuples with their kind and version."""
        plain = _told(self) | {"routes": [_told(route) for route in self.routes]}
        listed: dict[str, Any] = json.loads(json.dumps(plain))
        return listed

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Subject:
        routes = tuple(AlertPlan(**_tuples(route)) for route in raw["routes"])
        return cls(**{**raw, "routes": routes, "landing": tuple(raw["landing"])})


def _tuples(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}


def _told(one: Subject | AlertPlan) -> dict[str, Any]:
    """Its fields by name, in as far as they are no defaults."""
    said = {field.name: (getattr(one, field.name), field.default) for field in fields(one)}
    return {name: value for name, (value, default) in said.items() if value != default}


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
    before a deadline; `awaited` is False for a backfill or a manual run, which nobody waits for at night. `readers`
    says what they see of the window now. `tries` counts from 1.
    """

    subject: Subject
    kind: str
    window: str
    at: datetime
    cause: str
    due: datetime | None = None
    ahead: bool = False
    awaited: bool = True
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
        """The kind's for this tier; only what readers wait for, and wait for already, rings at night."""
        found = severity(self.kind, self.subject.loudest)
        return "ticket" if found == "page" and (self.ahead or not self.awaited) else found

    @property
    def fingerprint(self) -> str:
        """The same for everybody who notices this incident: 12 hex digits of window and kind."""
        parts = (self.subject.tenant, self.subject.table, self.window, self.kind)
        return fingerprint_of(*parts, *(["ahead"] if self.ahead else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one route is sent; the text begins with the subject.

    `fingerprint` is the deduplication key where a service knows such a thing, `resolves` are those that are over.
    """

    subject: str
    text: str
    severity: Severity
    fingerprint: str
    resolves: tuple[str, ...] = ()
    about: Literal["incident", "recovery", "digest"] = "incident"


def fingerprint_of(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def routes_for(incident: Incident) -> tuple[AlertPlan, ...]:
    """Who is told at once; an incident of severity info waits for the daily digest."""
    return tuple(
        route
        for route in incident.subject.routes
        if incident.event in route.events and incident.severity in route.severities
    )


def page(incident: Incident) -> Message:
    """The message about one incident."""
    lines = [headline(incident), *_what(incident), *_who(incident), *_where_to_look(incident)]
    return Message(
        subject=lines[0], text="\n".join(lines), severity=incident.severity, fingerprint=incident.fingerprint
    )


def storm_page(storm_of: Incident, places: Sequence[str], fingerprint: str) -> Message:
    """In place of the page of one more incident, when nobody is there to collect those that follow."""
    subject = f"{storm_of.severity.upper()} STORM {storm_of.kind}: {len(places)} windows so far"
    lines = (
        subject, f"Cause of the last: {storm_of.cause}", *by_window(places), "Further ones of this kind do not page.",
        f"Runbook: {kind_of(storm_of.kind).runbook}", f"Fingerprint: {fingerprint}",
    )  # fmt: skip
    return Message(subject=subject, text="\n".join(lines), severity=storm_of.severity, fingerprint=fingerprint)


def storm_digest(kind: str, loud: Severity, places: Sequence[str], first: str, fingerprint: str) -> Message:
    """Everything that came with the first page of its kind, in one message."""
    tenants = len({place.split(" ")[0] for place in places})
    windows = f"{len(places)} window{'s' if len(places) > 1 else ''}"
    subject = f"{loud.upper()} STORM {kind}: {windows} more of {tenants} tenants"
    lines = (subject, f"Paged: {first}", *by_window(places), f"Runbook: {kind_of(kind).runbook}",
             f"Fingerprint: {fingerprint}")  # fmt: skip
    return Message(subject=subject, text="\n".join(lines), severity=loud, fingerprint=fingerprint, about="digest")


def storm_over(kind: str, loud: Severity, places: Sequence[str], left: int, fingerprint: str) -> Message:
    """The recoveries of what a digest told. The service's own incident ends with the last one."""
    subject = f"RECOVERED {kind}: {len(places)} published, {left} still open"
    lines = (subject, *by_window(places), f"Fingerprint: {fingerprint}")
    return Message(
        subject=subject, text="\n".join(lines), severity=loud, fingerprint=fingerprint, about="recovery",
        resolves=() if left else (fingerprint,),
    )  # fmt: skip


def recovery(where: str, told: Sequence[tuple[str, str, datetime]], said: str, loud: Severity, at: datetime) -> Message:
    """`told`: kind, fingerprint and time of what was told before; `said`: what readers see from now on."""
    began = min(when for _, _, when in told) if told else at
    subject = f"RECOVERED {where}: published after {in_words(at - began)}"
    lines = (subject, f"Was: {', '.join(kind for kind, _, _ in told)}", f"Readers see: {said}")
    return Message(
        subject=subject, text="\n".join(lines), severity=loud, fingerprint=fingerprint_of(where, "recovery"),
        resolves=tuple(fingerprint for _, fingerprint, _ in told), about="recovery",
    )  # fmt: skip


def digest(day: date, warned: Sequence[tuple[str, Sequence[str]]]) -> Message:
    """The warnings of one day: `(place, lines)`."""
    places = f"{len(warned)} window{'s' if len(warned) > 1 else ''}"
    subject = f"WARNINGS of {day.isoformat()}: {places}"
    lines = [subject]
    for where, said in sorted(warned):
        lines += [where, *(f"- {line}" for line in said)]
    fingerprint = fingerprint_of("digest", day.isoformat())
    return Message(subject=subject, text="\n".join(lines), severity="info", fingerprint=fingerprint, about="digest")


def by_window(places: Sequence[str]) -> Iterator[str]:
    """`orders 2026-11-21: acme, globex`: all of them, one line per table and window."""
    found: dict[str, list[str]] = {}
    for place in places:
        tenant, _, rest = place.partition(" ")
        found.setdefault(rest, []).append(tenant)
    yield from (f"{rest}: {', '.join(sorted(tenants))}" for rest, tenants in sorted(found.items()))


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
        if f"expected {broken.expected}" not in broken.value:
            yield f"Expected: {broken.expected}"
    if broken and broken.more:
        yield f"Also broken: {', '.join(broken.more)}"
    if incident.failed_task:
        yield f"Failed: {incident.failed_task}, try {incident.tries}"


def _who(incident: Incident) -> Iterable[str]:
    subject = incident.subject
    yield f"Tenant: {subject.name} ({subject.tenant}), {subject.tier}"
    if incident.due is not None:
        yield f"Deadline: {incident.due.astimezone(ZoneInfo(subject.zone)):%H:%M %a %d %b} {subject.zone}"
    yield f"Readers see: {incident.readers}"
    yield f"Not affected: {_not_affected(incident)}"


def _not_affected(incident: Incident) -> str:
    """As far as the kind of cause allows to say: what is published stays readable in any case."""
    subject, reach = incident.subject, kind_of(incident.kind).reach
    if reach == "table":
        return f"{subject.tenant}'s other tables, all other tenants"
    if reach == "source":
        return f"tenants on other sources than {subject.source}"
    return "published windows; any tenant may have this"


def _where_to_look(incident: Incident) -> Iterable[str]:
    links, subject = incident.links, incident.subject
    told = (("Run", links.run), ("Databricks", links.databricks), ("QA", links.qa))
    yield from (f"{word}: {url}" for word, url in told if url)
    yield f"Runbook: {kind_of(incident.kind).runbook}"
    if subject.runbook:
        yield f"Table: {subject.runbook}"
    yield f"Fingerprint: {incident.fingerprint}"
