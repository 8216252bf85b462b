"""Whose windows a run of the bulk DAG is about, and params that name none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from tenantdags.dag import world
from tenantdags.dag.bulk import BulkExtract, bulk_dag, chunk_of
from tenantdags.model.errors import SourceUnreachable, WindowRefused
from tests.dag.plans import ROOT
from tests.steps.source_world import Files

USUAL = {"tenant": "acme", "table": "orders", "first": "2026-11-01", "last": "2026-11-07", "again": False}


def context(**changes: Any) -> Any:
    return {"params": {**USUAL, **changes}}


def test_a_run_is_about_the_windows_from_first_to_last():
    plan, windows = chunk_of(str(ROOT), context())

    assert (plan.dag_id, len(windows), str(windows[0]), str(windows[-1])) == (
        "acme__orders", 7, "2026-11-01", "2026-11-07",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table": "order"}, "acme has no table 'order'."),
        ({"table": "customers"}, "a snapshot table has no past to load."),
        ({"tenant": "nobody"}, "config/tenants/nobody.yaml:1:1: does not exist; the project needs it [CFG001]."),
        ({"first": "2026-02-30"}, "2026-02-30 does not exist: February 2026 has 28 days."),
        ({"first": "2026-11-08"}, "the start 2026-11-08 lies after the end 2026-11-07; both belong to the backfill."),
        ({"first": "2026-10-31"}, "2026-10-31 lies before first_window 2026-11-01."),
        ({"last": "2027-11-07"}, "372 windows are too many for one chunk."),
    ],
)
def test_params_that_name_no_windows_are_refused(changes, said):
    with pytest.raises(WindowRefused) as refused:
        chunk_of(str(ROOT), context(**changes))

    assert refused.value.what == said


def test_its_tasks_stand_in_the_line_of_every_run_and_publish_decides():
    dag = bulk_dag(Path(ROOT))

    assert [task.task_id for task in dag.topological_sort()] == [
        "extract", "check_extract", "upload", "load", "check_load", "publish", "summarise",
    ]  # fmt: skip
    assert dag.max_active_runs == 1
    assert dag.task_dict["summarise"].is_teardown


def test_a_source_that_cannot_be_read_is_told_of_every_window_once_the_tries_are_used_up(monkeypatch):
    landing = SimpleNamespace(blobs=Files(), published=lambda plan, window: None)
    monkeypatch.setattr(world, "landing", lambda plan, at="": landing)

    def away(*_: object) -> None:
        raise SourceUnreachable("acme orders", "mssql_shared1 did not answer.", "Start it.")

    monkeypatch.setattr(BulkExtract, "_extract", away)
    extract: Any = bulk_dag(ROOT).task_dict["extract"]
    plan, windows = chunk_of(str(ROOT), context())

    def step(attempt: int) -> None:
        extract.step(plan, windows, context() | {"run_id": "r", "ti": SimpleNamespace(try_number=attempt, max_tries=2)})

    with pytest.raises(AirflowException, match="7 windows are tried again"):
        step(1)
    step(3)

    notes = extract.notebook(plan, {"run_id": "r"}).read()
    assert [(str(window), note.failure.step, note.failure.kind) for window, note in notes.items()] == [
        (f"2026-11-0{day}", "extract", "source.unreachable") for day in range(1, 8)
    ]
