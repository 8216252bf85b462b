"""What Airflow has to know of us by name: the classes of ours that stand in serialised DAGs."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from tenantdags.dag import backfill_slots
from tenantdags.dag.deadline import WindowDeadline
from tenantdags.dag.priority import InTimeFirst
from tenantdags.dag.timetable import TenantTimetable


class TenantDagsPlugin(AirflowPlugin):
    name = "tenantdags"
    timetables = [TenantTimetable]  # noqa: RUF012 - Airflow reads a plain class attribute
    deadline_references = [WindowDeadline]  # noqa: RUF012 - the same
    priority_weight_strategies = [InTimeFirst]  # noqa: RUF012 - the same
    listeners = [backfill_slots]  # noqa: RUF012 - the same
