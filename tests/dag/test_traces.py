"""What the spans of tasks say, as a collector of Airflow's traces gets them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tenantdags.dag import run, traces
from tenantdags.model.errors import SourceUnreachable
from tests.dag.plans import plan_of, utc
from tests.dag.test_run import Ti

PLAN = plan_of("acme", "orders")


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def spanned(exported: InMemorySpanExporter, body: Any) -> dict[str, Any]:
    """What the span of a task says behind `body`, which is what the task does."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    with provider.get_tracer("airflow").start_as_current_span("worker.extract"):
        body()
    (span,) = exported.get_finished_spans()
    return dict(span.attributes or {})


def test_a_span_says_whose_task_it_is_which_window_and_what_went_wrong(exported: InMemorySpanExporter) -> None:
    end = utc("2026-11-21T23:00:00")
    context: Any = {
        "ti": Ti(), "task": SimpleNamespace(plan=PLAN), "dag_run": SimpleNamespace(run_type="scheduled", conf=None),
        "data_interval_start": end - timedelta(days=1), "data_interval_end": end,
    }  # fmt: skip

    def body() -> None:
        with suppress(AirflowException), run.failing(context):
            run.run_window(PLAN, context)
            raise SourceUnreachable(PLAN.at("2026-11-21"), "no answer to anna@example.com.", "Look at it.")

    assert spanned(exported, body) == {
        "tenantdags.tenant": "acme", "tenantdags.table": "orders", "tenantdags.tier": "gold",
        "tenantdags.window": "2026-11-21", "tenantdags.kind": "source.unreachable",
    }  # fmt: skip


def test_without_a_span_nothing_happens() -> None:
    traces.say(tenant="acme")
    traces.say_whose({})  # as of a task that is none of ours
