"""The publish log, which the readers' views join: one row per generation of a window, as `_published.json` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from tenantdags.model.errors import PublishRefused
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.statements import Statements

_FACTS = [field.name for field in fields(Generation)]


@dataclass(frozen=True, slots=True)
class LogRow:
    """A generation as the log has it, and since when: until then readers saw the one before."""

    fact: Generation
    logged_at: datetime


def read(plan: TablePlan, statements: Statements, window: Window | None = None) -> tuple[LogRow, ...]:
    """The log's rows of the tenant's table, by window and generation; of one window alone where one is given."""
    parameters: dict[str, tuple[object, str]] = {
        "table_name": (plan.curated_name, "STRING"),
        "tenant_id": (plan.tenant, "STRING"),
    }
    if window:
        parameters["window_start"] = (window.start, "TIMESTAMP")
    found = statements.execute(dbsql.log_rows(plan, one_window=window is not None), parameters)
    rows = (dict(zip(found.columns, row, strict=True)) for row in found.rows)
    return tuple(LogRow(Generation(**{name: row[name] for name in _FACTS}), row["logged_at"]) for row in rows)


def lacking(file: PublishedFile, logged: Sequence[LogRow]) -> tuple[Generation, ...]:
    """What the file says and the log does not, newest first: in this order no reader sees a generation go back."""
    known = {(row.fact.generation, row.fact.append_id) for row in logged}
    return tuple(f for f in reversed(file.generations) if (f.generation, f.append_id) not in known)


def write(plan: TablePlan, facts: Sequence[Generation], statements: Statements, at: datetime) -> None:
    """Appends one row per generation, in the order given. Raises Databricks…"""
    for fact in facts:
        named = {name: getattr(fact, name) for name in _FACTS}
        whose = {"table_name": plan.curated_name, "tenant_id": plan.tenant}
        append(plan, {**named, **whose, "logged_at": at}, statements)


def append(plan: TablePlan, values: Mapping[str, object], statements: Statements) -> None:
    """One row; what `values` does not name is NULL."""
    statements.execute(dbsql.insert_log(plan), {name: (values.get(name), kind) for name, kind in dbsql.LOG})


def require_known(plan: TablePlan, window: Window, file: PublishedFile, logged: Sequence[LogRow]) -> None:
    """Raises PublishRefused for a log that holds what the file never said: the file was lost or brought back."""
    ours = {(fact.generation, fact.append_id) for fact in file.generations}
    strangers = sorted({(row.fact.generation, row.fact.append_id) for row in logged} - ours)
    if strangers:
        numbers = ", ".join(str(generation) for generation, _ in strangers)
        what = f"{plan.databricks.publish_log} holds generations ({numbers}) that _published.json does not know."
        remedy = f"`tenantdags doctor --tenant {plan.tenant} --table {plan.table}` tells what can be mended."
        raise PublishRefused(plan.at(window), what, remedy)
