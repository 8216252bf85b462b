"""The one list of what can go wrong: how often it is tried again, whom it wakes, what it is called in a metric.

A kind is the same word in the exception, the QA summary, the alert, the metric and the UI; its runbook is
`docs/runbooks/<kind>.md`. All kinds `quality.<rule>` share one entry, page and label: `quality`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Severity = Literal["info", "ticket", "page"]  # in ascending order: for the digest, for working hours, for the night
Reach = Literal["table", "source", "platform"]  # how far the cause may reach
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

    def most(self, retries: int) -> int:
        """The tier's retries, or fewer."""
        return retries if self.at_most is None else min(retries, self.at_most)

    def allows(self, retry: int) -> bool:
        return self.at_most is None or retry <= self.at_most


@dataclass(frozen=True, slots=True)
class Kind:
    """One word. `severity` is that of a tier that caps nothing. Without `retry` a task fails at once."""

    word: str
    reach: Reach
    event: Event
    severity: Severity
    meaning: str
    retry: Retry | None = None

    @property
    def runbook(self) -> str:
        """The page on-call reads, from the project's folder."""
        return f"{RUNBOOKS}/{self.word}.md"


_PATIENT = Retry(first=1.0)  # with three retries 5, 10 and 20 minutes: a server that is started anew comes back
_SOON = Retry(first=0.4, longest=4.0)
_ONCE = Retry(first=0.2, at_most=1)  # a notebook that fails twice fails always, and each run costs
_TWICE = Retry(first=0.2, at_most=2)

KINDS: tuple[Kind, ...] = (
    Kind("source.unreachable", "source", "error", "page", "The source does not answer.", _PATIENT),
    Kind("source.permission", "source", "error", "page", "The source refuses the login or a table."),
    Kind("source.busy", "source", "error", "page", "The source broke off: a deadlock, a timeout, no room.", _SOON),
    Kind("source.snapshot_off", "source", "error", "page", "The source's database allows no snapshot isolation."),
    Kind("config.invalid", "table", "error", "page", "A file, a connection or a table is not as the plan needs it."),
    Kind("drift.additive", "table", "warn", "info", "The source's table has something the contract does not know."),
    Kind("drift.breaking", "table", "red", "page", "The source's table no longer fits the contract."),
    Kind("quality", "table", "red", "page", "A rule of the contract is broken: the data is not good enough."),
    Kind("gate.error", "platform", "error", "page", "A rule could not be evaluated, so its gate stays closed.", _TWICE),
    Kind("reconcile.mismatch", "table", "red", "page", "Rows or sums differ between two places."),
    Kind("staging.unavailable", "platform", "error", "page", "Staged files cannot be written or found.", _SOON),
    Kind("landing.conflict", "table", "error", "ticket", "Landing holds something else than this run may find there."),
    Kind("landing.unreachable", "platform", "error", "page", "ADLS does not answer, or refuses.", _SOON),
    Kind("databricks.submit", "platform", "error", "page", "Databricks does not answer, or refuses.", _SOON),
    Kind("databricks.run", "platform", "error", "page", "A notebook run or a SQL statement failed.", _ONCE),
    Kind("databricks.timeout", "platform", "error", "page", "A notebook run or a SQL statement took too long.", _ONCE),
    Kind("publish.refused", "table", "error", "ticket", "Something newer is published, or a gate is not open."),
    Kind("late", "table", "sla_miss", "page", "The window is not published by its deadline, or soon will not be."),
    Kind("missing", "platform", "missing", "page", "The window's run never started."),
    Kind("internal", "platform", "error", "page", "An error of ours, or a task was killed and told nothing.", _PATIENT),
)
_BY_WORD = {kind.word: kind for kind in KINDS}


def kind_of(word: str) -> Kind:
    """The entry of `source.busy` or `quality.pk_unique`; a word that is none, told by older code, is `internal`."""
    return _BY_WORD[label(word)]


def label(word: str) -> str:
    """The word as a metric's label, of which there are only as many as kinds: `quality.pk_unique` → `quality`."""
    bounded = "quality" if word.startswith("quality.") else word
    return bounded if bounded in _BY_WORD else "internal"


def severity(word: str, loudest: Severity) -> Severity:
    """How loud a kind is for a tier that is at most `loudest`."""
    return min(kind_of(word).severity, loudest, key=SEVERITIES.index)
