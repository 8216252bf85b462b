"""When a window's data must be ready: the tenant's `sla:` as an Airflow deadline reference."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.deadline import BaseDeadlineReference

from tenantdags.model.deadline import due
from tenantdags.model.plan import SlaPlan, TablePlan
from tenantdags.model.window import Window, window_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tenantdags.model.window import Every

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class WindowDeadline(BaseDeadlineReference):
    """Evaluated by the scheduler when it creates a run. Every field has a default: Airflow builds one without any.

    `ready_by` is HH:MM[:SS] or empty; `within` and `ahead` (a warning before the deadline) are seconds.
    """

    every: Every = "day"
    zone: str = "UTC"
    ready_by: str = ""
    within: float = 0.0
    ahead: float = 0.0

    # What Airflow hands to _evaluate_with beside the session.
    required_kwargs = frozenset({"dag_id", "run_id"})

    @classmethod
    def of(cls, plan: TablePlan, sla: SlaPlan, ahead: timedelta = timedelta()) -> WindowDeadline:
        return cls(
            every=plan.schedule.every,
            zone=plan.schedule.time_zone,
            ready_by=sla.ready_by.isoformat() if sla.ready_by else "",
            within=sla.within.total_seconds() if sla.within else 0.0,
            ahead=ahead.total_seconds(),
        )

    def serialize_reference(self) -> dict[str, Any]:
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        defaults = {field.name: field.default for field in fields(self)}
        return {"reference_type": self.reference_name} | {k: v for k, v in said.items() if v != defaults[k]}

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> WindowDeadline:
        return cls(**{f.name: reference_data[f.name] for f in fields(cls) if f.name in reference_data})

    def due(self, window: Window) -> datetime:
        ready_by = time.fromisoformat(self.ready_by) if self.ready_by else None
        sla = SlaPlan(ready_by=ready_by, within=None if ready_by else timedelta(seconds=self.within))
        return due(sla, window, self.zone) - timedelta(seconds=self.ahead)

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str, **_: Any) -> datetime | None:
        try:
            return self._due_of_run(session, dag_id, run_id)
        except Exception:  # noqa: BLE001 - logged with its trace, and why is below
            # An exception here ends the scheduler's loop for every DAG; a run without an alarm is the lesser harm.
            _log.exception("%s %s has no deadline: it could not be worked out", dag_id, run_id)
            return None

    def _due_of_run(self, session: Session, dag_id: str, run_id: str) -> datetime | None:
        from airflow.models.dagrun import DagRun
        from airflow.utils.types import DagRunType
        from sqlalchemy import select

        columns = select(DagRun.run_type, DagRun.data_interval_start, DagRun.data_interval_end)
        run = session.execute(columns.where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one_or_none()
        # Backfills and manual runs have no promise to keep.
        if run is None or run.run_type != DagRunType.SCHEDULED or run.data_interval_start is None:
            return None
        at = self.due(window_of(run.data_interval_start, run.data_interval_end, self.every, self.zone))
        # A catch-up run that is created after its deadline would page at once, for every window of an outage.
        return at if at > datetime.now(UTC) else None
