"""Measurements that leave through Airflow's StatsD, and the monitoring files that know them."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import yaml

from tenantdags.dag import metrics
from tenantdags.model.metrics import LABELS, METRICS, PREFIX, Point, of_attempt, of_look
from tests.dag.plans import ROOT

MONITORING = ROOT / "include" / "monitoring"
END = datetime(2026, 11, 22, 23, tzinfo=UTC)


def document(outcome: str = "green", kind: str | None = None) -> Any:
    return SimpleNamespace(
        tenant="acme", table="orders", tier="gold", kind=kind, outcome=outcome, window_end=END,
        gates=(SimpleNamespace(outcome="pass"),), summarised_at=END + timedelta(hours=3),
        rows=SimpleNamespace(published=412),
    )  # fmt: skip


def test_an_attempt_is_measured_with_few_labels():
    points = {p.name: (p.value, dict(p.labels)) for p in of_attempt(document(), END + timedelta(hours=6))}

    whose = {"tenant": "acme", "table": "orders", "tier": "gold"}
    assert points == {
        "attempts": (1, whose | {"kind": "green"}), "gates": (1, whose | {"kind": "pass"}),
        "minutes_to_deadline": (180, whose), "rows": (412, whose), "freshness_minutes": (180, whose),
    }  # fmt: skip


def test_a_rules_name_is_no_label():
    points = list(of_attempt(document("red", "quality.pk_unique"), None))

    assert [dict(p.labels)["kind"] for p in points if p.name == "attempts"] == ["quality"]
    assert "rows" not in {p.name for p in points}


SEND = """
from tenantdags.dag.metrics import send
from tenantdags.model.metrics import of_look
send(of_look({"gold": 2}, False, {}))
"""


def test_they_leave_through_airflows_statsd_as_tags(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        settings = {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(server.getsockname()[1]),
                    "STATSD_INFLUXDB_ENABLED": "True"}  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)
        monkeypatch.setenv("PYTHONPATH", str(ROOT / "plugins"))
        subprocess.run([sys.executable, "-c", INITIALISED + SEND], check=True, capture_output=True)
        packets: set[str] = set()
        while len(packets) < 2:  # Airflow sends some of its own
            said = server.recv(1000).decode()
            packets |= {said} if PREFIX in said else set()

    assert packets == {"airflow.tenantdags.overdue,tier=gold:2|g", "airflow.tenantdags.looks,kind=ok:1|c"}


# a task's process does this before the operator runs
INITIALISED = """
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
"""


def test_a_metric_that_cannot_be_sent_fails_nothing(caplog):
    metrics.send([Point("no_such_metric", 1, ())])

    assert "metrics were not sent" in caplog.text


def test_the_mapping_knows_exactly_our_metrics():
    mapping = yaml.safe_load((MONITORING / "statsd-mapping.yaml").read_text())["mappings"]

    kinds = {name: "_total" if kind == "count" else "" for name, (kind, _) in METRICS.items()}
    assert {each["match"]: each["name"] for each in mapping} == {
        f"airflow.{PREFIX}.{name}": f"{PREFIX}_{name}{suffix}" for name, suffix in kinds.items()
    }


def test_the_rules_ask_for_metrics_and_labels_that_exist():
    (group,) = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    mapped = {each["name"] for each in yaml.safe_load((MONITORING / "statsd-mapping.yaml").read_text())["mappings"]}

    text = " ".join(str(rule) for rule in group["rules"])
    assert all({"alert", "expr", "labels", "annotations"} <= rule.keys() for rule in group["rules"])
    assert set(re.findall(r"tenantdags_\w+", text)) <= mapped
    assert set(re.findall(r"\$labels\.(\w+)", text)) <= set(LABELS)


def test_a_look_is_measured_by_tier():
    waits = {("gold", "source"): timedelta(minutes=12), ("gold", "curated"): timedelta()}

    points = list(of_look({"silver": 0, "gold": 2}, True, waits))

    assert [(p.name, p.value, p.labels) for p in points] == [
        ("overdue", 2, (("tier", "gold"),)), ("overdue", 0, (("tier", "silver"),)),
        ("pool_wait_minutes", 0, (("tier", "gold"), ("kind", "curated"))),
        ("pool_wait_minutes", 12, (("tier", "gold"), ("kind", "source"))), ("looks", 1, (("kind", "trouble"),)),
    ]  # fmt: skip
