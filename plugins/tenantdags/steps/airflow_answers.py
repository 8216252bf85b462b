"""What Airflow's REST API tells us, parsed once: frozen values with aware datetimes in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
FINISHED = ("success", "failed")  # the final states of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Dag:
    """A DAG as Airflow has it stored. Stale: its file is gone, or has an import error."""

    dag_id: str
    paused: bool
    stale: bool
    import_errors: bool
    file: str  # of the loader, as the bundle names it
    parsed: datetime | None
    next_start: datetime | None  # of the next scheduled run's data interval
    next_due: datetime | None  # when that run starts

    @classmethod
    def from_json(cls, raw: Json) -> Dag:
        return cls(
            dag_id=raw["dag_id"],
            paused=raw["is_paused"],
            stale=raw["is_stale"],
            import_errors=raw["has_import_errors"],
            file=raw["relative_fileloc"] or raw["fileloc"],
            parsed=_instant(raw["last_parsed_time"]),
            next_start=_instant(raw["next_dagrun_data_interval_start"]),
            next_due=_instant(raw["next_dagrun_run_after"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRun:
    """One run. `start` and `end` are its data interval; a run triggered without a date has none."""

    dag_id: str
    run_id: str
    state: str  # queued, running, success, failed
    run_type: str  # scheduled, backfill, manual, asset_triggered
    logical_date: datetime | None
    start: datetime | None
    end: datetime | None
    run_after: datetime
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    conf: Json
    note: str | None
    user: str | None  # who triggered it

    @classmethod
    def from_json(cls, raw: Json) -> DagRun:
        return cls(
            dag_id=raw["dag_id"],
            run_id=raw["dag_run_id"],
            state=raw["state"],
            run_type=raw["run_type"],
            logical_date=_instant(raw["logical_date"]),
            start=_instant(raw["data_interval_start"]),
            end=_instant(raw["data_interval_end"]),
            run_after=_known(raw["run_after"]),
            queued_at=_instant(raw["queued_at"]),
            started_at=_instant(raw["start_date"]),
            ended_at=_instant(raw["end_date"]),
            conf=raw["conf"] or {},
            note=raw["note"],
            user=raw["triggering_user_name"],
        )

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInstance:
    """One task of one run. `state` is None before the scheduler looked at it."""

    dag_id: str
    run_id: str
    task_id: str
    state: str | None
    try_number: int
    max_tries: int
    pool: str
    scheduled_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None

    @classmethod
    def from_json(cls, raw: Json) -> TaskInstance:
        return cls(
            dag_id=raw["dag_id"],
            run_id=raw["dag_run_id"],
            task_id=raw["task_id"],
            state=raw["state"],
            try_number=raw["try_number"],
            max_tries=raw["max_tries"],
            pool=raw["pool"],
            scheduled_at=_instant(raw["scheduled_when"]),
            queued_at=_instant(raw["queued_when"]),
            started_at=_instant(raw["start_date"]),
            ended_at=_instant(raw["end_date"]),
            seconds=raw["duration"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """A DAG file that could not be loaded; `text` ends with our own words where the file is a tenant's."""

    file: str
    text: str
    at: datetime

    @classmethod
    def from_json(cls, raw: Json) -> ImportProblem:
        return cls(file=raw["filename"], text=raw["stack_trace"], at=_known(raw["timestamp"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Airflow's backfill of one DAG, over the windows that start in `[first, last]`."""

    id: int
    dag_id: str
    first: datetime
    last: datetime
    paused: bool
    reprocess: str  # none, failed, completed
    max_active_runs: int
    created_at: datetime
    completed_at: datetime | None
    conf: Json

    @classmethod
    def from_json(cls, raw: Json) -> Backfill:
        return cls(
            id=raw["id"],
            dag_id=raw["dag_id"],
            first=_known(raw["from_date"]),
            last=_known(raw["to_date"]),
            paused=raw["is_paused"],
            reprocess=raw["reprocess_behavior"],
            max_active_runs=raw["max_active_runs"],
            created_at=_known(raw["created_at"]),
            completed_at=_instant(raw["completed_at"]),
            conf=raw["dag_run_conf"] or {},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """An Airflow pool and who uses it. Slots of -1 are unlimited."""

    name: str
    slots: int
    open: int
    running: int
    queued: int
    scheduled: int
    deferred: int
    include_deferred: bool

    @classmethod
    def from_json(cls, raw: Json) -> PoolUse:
        return cls(
            name=raw["name"],
            slots=raw["slots"],
            open=raw["open_slots"],
            running=raw["running_slots"],
            queued=raw["queued_slots"],
            scheduled=raw["scheduled_slots"],
            deferred=raw["deferred_slots"],
            include_deferred=raw["include_deferred"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of Airflow's audit log: who did what."""

    what: str
    who: str | None
    at: datetime
    extra: str
    run_id: str | None = None

    @classmethod
    def from_json(cls, raw: Json) -> Event:
        at, extra = _known(raw["when"]), raw["extra"] or ""
        return cls(what=raw["event"], who=raw["owner"], at=at, extra=extra, run_id=raw["run_id"])


@dataclass(frozen=True, slots=True)
class Component:
    """One part of Airflow: `healthy`, `unhealthy`, or None where it has never run; and its last heartbeat."""

    status: str | None
    heartbeat: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """What the api-server says of the others."""

    components: Mapping[str, Component]  # metadatabase, scheduler, triggerer, dag_processor

    @classmethod
    def from_json(cls, raw: Json) -> Health:
        found = {name: part for name, part in raw.items() if isinstance(part, dict)}
        return cls(
            {n: Component(part["status"], _instant(part.get(f"latest_{n}_heartbeat"))) for n, part in found.items()}
        )

    @property
    def sick(self) -> tuple[str, ...]:
        """The components that do not work, by name."""
        return tuple(sorted(name for name, part in self.components.items() if part.status != "healthy"))


def _instant(text: str | None) -> datetime | None:
    return _known(text) if text else None


def _known(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
