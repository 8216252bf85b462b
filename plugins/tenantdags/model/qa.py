"""The QA summary of one attempt at a window, as JSON: what `tenantdags schema qa` publishes. No row's values in it.

A field may be added within a format; one that is taken away or means something else makes the next format.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

QaOutcome = Literal["green", "red", "drift", "error", "killed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QaCheck(_Part):
    """One rule of a gate."""

    rule: str = Field(description="The rule's id in the contract.")
    outcome: Literal["pass", "warn", "fail", "error"] = Field(description="`error`: it could not be evaluated.")
    severity: Literal["error", "warning"] = Field(description="`error` closes the gate, `warning` only tells.")
    value: str = Field(description="What was found, never a row's value.")
    expected: str = Field(description="What the rule asks for.")
    failing_keys: tuple[str, ...] = Field(
        (), description="Keys of some of the rows that break it; personal ones as a hash."
    )


class QaGate(_Part):
    """What one gate judged of this attempt's load."""

    gate: Literal["check_extract", "check_load"]
    outcome: Literal["pass", "warn", "fail", "error"] = Field(description="The worst of its rules.")
    rows: int
    seconds: float
    load_id: str
    append_id: str | None
    not_evaluated: tuple[str, ...] = Field(description="Rules that were not asked, as files or schema had failed.")
    results: tuple[QaCheck, ...]


class QaTask(_Part):
    """How a task of the attempt ended."""

    task_id: str
    state: str | None
    try_number: int = Field(description="0: the task did not start in this attempt.")
    seconds: float | None
    error_kind: str | None
    error_text: str | None


class QaRows(_Part):
    """Rows along the way; null: it did not come so far."""

    source: int | None
    staged: int | None
    landed: int | None
    appended: int | None
    published: int | None


class QaReaders(_Part):
    """What readers see of the window."""

    generation: int
    load_id: str
    append_id: str
    rows: int


class QaBroken(_Part):
    """The first broken rule."""

    rule: str
    value: str
    expected: str
    more: tuple[str, ...] = Field(description="The other broken rules.")


class QaRecounted(_Part):
    """An earlier window whose rows at the source are no longer those that are published."""

    window: str
    differs: tuple[str, ...]
    asked: str | None = Field(description="The run that reads it again; null: nobody was asked.")
    text: str


class QaRecount(_Part):
    """What the lookback counted anew at the source."""

    windows: int
    differing: tuple[QaRecounted, ...]


class QaDriftLine(_Part):
    """One way in which the source differs from the contract and does not break it."""

    change: str
    column: str
    text: str
    fingerprint: str
    new: bool = Field(description="True in the run that met it first.")


class QaDrift(_Part):
    """Additive drift; breaking drift ends the run."""

    lines: tuple[QaDriftLine, ...]
    to_paste: str | None = Field(description="YAML for the contract's `properties`: the columns it lacks.")


class QaDocument(_Part):
    """One attempt at one window."""

    format: Literal[1] = 1
    line: str = Field(description="All of it in one line.")
    outcome: QaOutcome
    kind: str | None = Field(description="The kind of failure, see docs/runbooks; null when green.")
    cause: str | None
    remedy: str | None = Field(description="What the task that failed says would mend it.")
    runbook: str | None = Field(description="The page that says what to do, in the project's folder.")
    failed_task: str | None
    broken: QaBroken | None
    tenant: str
    tenant_name: str
    tier: str
    table: str
    contract: str
    contract_version: str
    serving: str = Field(description="The view readers ask.")
    window: str = Field(description="The window's key: its date, for hours with the UTC hour.")
    window_start: datetime
    window_end: datetime
    as_of_date: date
    time_zone: str
    run_id: str
    attempt: str = Field(description="The run's id and how often it was cleared.")
    reason: str | None = Field(description="Why a person asked for this run, if one did.")
    by: str | None = Field(description="Who asked for it.")
    load_id: str | None
    append_id: str | None
    databricks_run: str | None
    rows: QaRows
    gates: tuple[QaGate, ...]
    warnings: tuple[str, ...]
    recount: QaRecount | None = Field(description="Null: this run does not look back.")
    drift: QaDrift
    tasks: tuple[QaTask, ...]
    readers: QaReaders | None = Field(description="Null: nothing is published, or it is not known.")
    readers_unknown: str | None = Field(description="Why it is not known.")
    summarised_at: datetime
