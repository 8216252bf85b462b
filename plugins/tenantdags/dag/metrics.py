"""Our measurements through Airflow's own metrics, StatsD or OpenTelemetry, as [metrics] sets them up; off unsaid."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tenantdags.model.metrics import METRICS, PREFIX, Point

_log = logging.getLogger(__name__)


def send(points: Iterable[Point]) -> None:
    """Never raises: a metric that gets lost must not fail a task."""
    from airflow.sdk.observability import stats

    try:
        for point in points:
            name, tags = f"{PREFIX}.{point.name}", dict(point.labels)
            if METRICS[point.name][0] == "gauge":
                stats.gauge(name, point.value, tags=tags)
            else:
                stats.incr(name, int(point.value), tags=tags)
    except Exception:  # noqa: BLE001 - whatever a metrics backend may raise
        _log.warning("metrics were not sent", exc_info=True)
