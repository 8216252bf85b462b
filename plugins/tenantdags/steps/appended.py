"""The appends that lie in a curated table: every execution of the load notebook left one, seen by readers or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql
from tenantdags.steps.statements import Statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """`rows` rows of one load; `loaded_at` is Databricks' clock, aware UTC. One without rows leaves no trace."""

    window_start: datetime
    as_of_date: date
    load_id: str
    append_id: str
    rows: int
    loaded_at: datetime


def appends(plan: TablePlan, statements: Statements, window: Window | None = None) -> tuple[Append, ...]:
    """All of one tenant's, or those of one window, oldest first within a window."""
    parameters: dict[str, tuple[object, str]] = {"tenant_id": (plan.tenant, "STRING")}
    if window:
        parameters["window_start"] = (window.start, "TIMESTAMP")
    found = statements.execute(dbsql.appends(plan, one_window=window is not None), parameters)
    rows = (dict(zip(found.columns, row, strict=True)) for row in found.rows)
    return tuple(
        Append(
            window_start=row["window_start"], as_of_date=row["as_of_date"], load_id=row["_load_id"],
            append_id=row["_append_id"], rows=row["row_count"], loaded_at=row["loaded_at"],
        )
        for row in rows
    )  # fmt: skip
