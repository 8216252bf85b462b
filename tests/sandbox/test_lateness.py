"""The demo's edit of a tenant file: one table's run starts, and is promised, at the instants that it says."""

from types import SimpleNamespace
from typing import Any

from sandbox.lateness import TABLE, TENANT, Lateness
from sandbox.project import copy_project
from sandbox.recount import Cell
from tenantdags.model.deadline import due_of
from tenantdags.model.project import load_tenant
from tenantdags.model.runs import run_of
from tenantdags.model.window import day_window
from tests.dag.plans import utc


def test_a_window_is_promised_to_the_second_and_again(tmp_path):
    first = utc("2026-11-24T00:00:00").date()
    project = copy_project(tmp_path / "project", tmp_path / "staging", {TENANT: first})
    stage: Any = SimpleNamespace(project=project)
    late = Lateness(stage, Cell(TENANT, TABLE, first))
    others = [plan for plan in load_tenant(project, TENANT) if plan.table != TABLE]

    late._promise(utc("2026-11-25T20:00:00"), utc("2026-11-25T21:00:00"))
    late._promise(utc("2026-11-25T19:03:21"), utc("2026-11-25T19:04:11"))

    found = {plan.table: plan for plan in load_tenant(project, TENANT)}
    window = day_window(first, found[TABLE].schedule.time_zone)
    assert run_of(found[TABLE], window).start == utc("2026-11-25T19:03:21")
    assert due_of(found[TABLE], window) == utc("2026-11-25T19:04:11")
    assert [plan for table, plan in found.items() if table != TABLE] == others
