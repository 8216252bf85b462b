"""What Airflow has to know of us by name: the classes of ours that stand in serialised DAGs."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from tenantdags.dag import (
    backfill_slots,
    factory,  # noqa: F401 - see below
)
from tenantdags.dag.deadline import WindowDeadline
from tenantdags.dag.priority import InTimeFirst
from tenantdags.dag.timetable import TenantTimetable
from tenantdags.model import project  # noqa: F401 - see below

# factory and project are not named here. Whatever loads plugins before it forks (a scheduler with its LocalExecutor, a
# worker) has them in memory then, and no task spends 0.1 CPU-seconds on importing them.


class TenantDagsPlugin(AirflowPlugin):
    name = "tenantdags"
    timetables = [TenantTimetable]  # noqa: RUF012 - Airflow reads a plain class attribute
    deadline_references = [WindowDeadline]  # noqa: RUF012 - the same
    priority_weight_strategies = [InTimeFirst]  # noqa: RUF012 - the same
    listeners = [backfill_slots]  # noqa: RUF012 - the same
