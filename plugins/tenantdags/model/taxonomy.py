"""The one list of what can go wrong: how often it is tried again, whom it wakes, what it is called in a metric.

A kind is the same word in the exception, the QA summary, the alert, the metric and the UI; its runbook is
`docs/runbooks/<kind>.md`. All kinds `quality.<rule>` share one entry, page and label: `quality`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Severity = Literal["info", "ticket", "page"]  # in ascending order: for the digest, for working hours, for the night
Event = Literal["sla_miss", "missing", "red", "error", "warn", "recovery"]
SEVERITIES: tuple[Severity, ...] = ("info", "ticket", "page")
RUNBOOKS = "docs/runbooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How patient a task is. Waits are in units of Airflow's own retry delay (`default_task_retry_delay`, 5 minutes).

    The tier's `retries` is always the limit; `at_most` is a lower one of the kind.
    """

    first: float
    factor: float = 2.0
    longest: float = 6.0
    at_most: int | None = None

    def wait(self, retry: int, unit: timedelta) -> timedelta:
        """Before the `retry`-th retry, counted from 1."""
        return unit * min(self.longest, self.first * self.factor ** (retry - 1))

    def allows(self, retry: int) -> bool:
        return self.at_most is None or retry <= self.at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One word. `retry` None: trying again cannot help. `severity` is that of a tier that caps nothing."""

    word: str
    meaning: str
    event: Event
    severity: Severity
    retry: Retry | None = None

    @property
    def runbook(self) -> str:
        """The page on-call reads, from the project's folder."""
        return f"{RUNBOOKS}/{self.word}.md"


_PATIENT = Retry(first=1.0)  # with three retries 5, 10 and 20 minutes: a server that is started anew comes back
_SOON = Retry(first=0.4, longest=4.0)
_ONCE = Retry(first=0.2, at_most=1)  # a notebook that fails twice fails always, and each run costs

KINDS: tuple[Kind, ...] = (
    Kind(word="source.unreachable", meaning="The source does not answer.", event="error", severity="page",
         retry=_PATIENT),
    Kind(word="source.permission", meaning="The source refuses the login or a table.", event="error", severity="page"),
    Kind(word="source.busy", meaning="The source broke off: a deadlock, a timeout, no room.", event="error",
         severity="page", retry=_SOON),
    Kind(word="source.snapshot_off", meaning="The source's database does not allow snapshot isolation.", event="error",
         severity="page"),
    Kind(word="config.invalid", meaning="A file, a connection or a table is not as the plan needs it.", event="error",
         severity="page"),
    Kind(word="drift.additive", meaning="The source's table got something the contract does not know.", event="warn",
         severity="info"),
    Kind(word="drift.breaking", meaning="The source's table no longer fits the contract.", event="red",
         severity="page"),
    Kind(word="quality", meaning="A rule of the contract is broken: the data is not good enough.", event="red",
         severity="page"),
    Kind(word="gate.error", meaning="A rule could not be evaluated, so its gate stays closed.", event="error",
         severity="page", retry=Retry(first=0.2, at_most=2)),
    Kind(word="reconcile.mismatch", meaning="Rows or sums differ between two places.", event="red", severity="page"),
    Kind(word="staging.unavailable", meaning="Staged files cannot be written or found.", event="error",
         severity="page", retry=_SOON),
    Kind(word="landing.conflict", meaning="Landing holds something else than this run may find there.", event="error",
         severity="ticket"),
    Kind(word="landing.unreachable", meaning="ADLS does not answer or refuses.", event="error", severity="page",
         retry=_SOON),
    Kind(word="databricks.submit", meaning="Databricks refuses or does not answer.", event="error", severity="page",
         retry=_SOON),
    Kind(word="databricks.run", meaning="A notebook run or a SQL statement failed.", event="error", severity="page",
         retry=_ONCE),
    Kind(word="databricks.timeout", meaning="A notebook run or a SQL statement took too long.", event="error",
         severity="page", retry=_ONCE),
    Kind(word="publish.refused", meaning="The append may not be published: another one is newer, or a gate is closed.",
         event="error", severity="ticket"),
    Kind(word="late", meaning="The window is not published by its deadline, or soon will not be.", event="sla_miss",
         severity="page"),
    Kind(word="missing", meaning="The window's run never started.", event="missing", severity="page"),
    Kind(word="internal", meaning="An error of ours, or a task that was killed and told nothing.", event="error",
         severity="page", retry=Retry(first=1.0)),
)  # fmt: skip
_BY_WORD = {kind.word: kind for kind in KINDS}


def kind_of(word: str) -> Kind:
    """The entry of `source.busy` or `quality.pk_unique`. Raises KeyError for a word that is none."""
    return _BY_WORD[label(word)]


def label(word: str) -> str:
    """The word as a metric's label, of which there are only as many as kinds: `quality.pk_unique` → `quality`."""
    return "quality" if word.startswith("quality.") else word


def severity(word: str, loudest: Severity) -> Severity:
    """How loud a kind is for a tier that is at most `loudest`."""
    return min(kind_of(word).severity, loudest, key=SEVERITIES.index)
