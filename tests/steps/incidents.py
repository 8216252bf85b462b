"""Incidents to tell of, and a post office that keeps what it was given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tenantdags.model.plan import AlertPlan
from tenantdags.steps.alert_delivery import Post
from tenantdags.steps.alert_records import Route
from tenantdags.steps.alerts import Broken, Incident, Links, Message, Subject
from tenantdags.steps.blobs import Blobs
from tests.steps.staged import plan_of

NOW = datetime(2026, 11, 22, 1, 7, tzinfo=UTC)  # 02:07 in Berlin
EVENTS = ("sla_miss", "missing", "red", "error", "recovery", "warn")
SLACK: Route = ("slack", "slack_oncall")
PAGER: Route = ("pagerduty", "pagerduty_oncall")
MINUTE = timedelta(minutes=1)


def subject(tenant: str = "acme", table: str = "orders", *, routes: tuple[Route, ...] = (SLACK,)) -> Subject:
    alerts = tuple(AlertPlan(notifier=n, connection=c, events=EVENTS) for n, c in routes)  # type: ignore[arg-type]
    return replace(Subject.of(replace(plan_of("acme", "orders"), alerts=alerts)), tenant=tenant, table=table)


def incident(
    tenant: str = "acme", table: str = "orders", *, routes: tuple[Route, ...] = (SLACK,), **changes: Any
) -> Incident:
    """acme's orders are red at 02:07, due at 06:00."""
    usual: dict[str, Any] = {
        "kind": "source.unreachable", "window": "2026-11-21", "at": NOW, "due": datetime(2026, 11, 22, 5, tzinfo=UTC),
        "cause": "the source cannot be reached: connection refused.", "readers": "gen 1 (410 rows) still visible",
        "failed_task": "extract", "tries": 4, "run_id": "scheduled__2026-11-22",
    }  # fmt: skip
    return Incident(subject=subject(tenant, table, routes=routes), **(usual | changes))


RED = incident(
    kind="quality.pk_unique",
    cause="3 duplicate keys (expected 0), and 1 more: status_required",
    broken=Broken(rule="pk_unique", value="3 duplicate keys", expected="0", more=("status_required",)),
    failed_task="check_extract",
    tries=1,
    links=Links(
        run="https://airflow.example/dags/acme__orders/runs/scheduled__2026-11-22",
        databricks="https://adb-1.azuredatabricks.net/jobs/runs/7",
        qa="https://lake.blob.core.windows.net/landing/_qa/tenant_id=acme/table=orders/as_of_date=2026-11-21/x.html",
    ),
)


class Memory(Blobs):
    """A container in this process, with the same compare-and-swap: for what needs hundreds of incidents."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, str]] = {}
        self._lock, self._versions = threading.Lock(), count()

    def read(self, where: str, path: str) -> tuple[bytes, str] | None:
        return self._kept.get(path)

    def write(self, where: str, path: str, data: bytes, content_type: str | None = None) -> None:
        with self._lock:
            self._kept[path] = (data, str(next(self._versions)))

    def swap(self, where: str, path: str, data: bytes, etag: str | None) -> str | None:
        with self._lock:
            found = self._kept.get(path)
            if (found[1] if found else None) != etag:
                return None
            self._kept[path] = (data, version := str(next(self._versions)))
            return version

    def names(self, where: str, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(path for path in self._kept if path.startswith(prefix)))

    def delete(self, where: str, path: str, etag: str | None = None) -> bool:
        with self._lock:
            found = self._kept.get(path)
            if found is None or (etag is not None and found[1] != etag):
                return False
            del self._kept[path]
            return True


@dataclass
class Office:
    """A post office: what went out by which route, in order. `broken` routes raise; `memory` may be taken away."""

    blobs: Callable[[], Blobs]
    sent: list[tuple[Route, Message]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    broken: dict[Route, Exception] = field(default_factory=dict)

    def send(self, route: Route, message: Message) -> None:
        if route in self.broken:
            raise self.broken[route]
        self.sent.append((route, message))

    @property
    def post(self) -> Post:
        return Post(blobs=self.blobs, send=self.send, say=self.said.append, send_seconds=5, memory_seconds=20)

    @property
    def subjects(self) -> list[str]:
        return [message.subject for _, message in self.sent]
