"""Every error of ours: what happened, where, and how to fix it. Whether it is retried is in model/taxonomy.py.

TenantDagsError
├── ConfigError              config.invalid          one or more Problems in files, all at once
├── AirflowError             internal                Airflow's REST API did not do what a command asked
│   ├── AirflowUnreachable                           no answer
│   │   └── AirflowBusy                              429, 5xx that ask for patience, a locked database
│   ├── AirflowRefused                               401 or 403
│   ├── AirflowNotFound
│   └── AirflowConflict                              something stands in the way, such as another backfill
└── RunError                 one window of one table could not go on
    ├── SourceUnreachable    source.unreachable
    ├── SourcePermission     source.permission
    ├── SourceBusy           source.busy             deadlock, timeout
    ├── SnapshotOff          source.snapshot_off
    ├── DriftBreaking        drift.breaking
    ├── BadValue             quality.value           a value the contract's type or rule cannot hold
    ├── GateRed              quality.<rule>          a check failed: the data is not good enough
    ├── GateError            gate.error              a check could not be evaluated
    ├── ReconcileMismatch    reconcile.mismatch
    ├── StagingUnavailable   staging.unavailable
    ├── LandingUnreachable   landing.unreachable
    ├── LandingConflict      landing.conflict
    ├── DatabricksSubmit     databricks.submit
    ├── DatabricksRun        databricks.run
    ├── DatabricksTimeout    databricks.timeout
    ├── TableBehind          config.invalid          a table, view or container `tenantdags apply` has to make
    ├── WindowRefused        config.invalid          the window may not be run (off the grid, too early, too late)
    ├── PlanChanged          config.invalid          the files changed under a run, so its steps do not fit together
    ├── ConnectionMissing    config.invalid          an Airflow connection is missing or cannot be read
    └── PublishRefused       publish.refused
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tenantdags.model.taxonomy import kind_of


class TenantDagsError(Exception):
    """Base of all our errors. `kind` is the word used in exceptions, QA summaries and alerts alike."""

    kind: ClassVar[str] = "internal"


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a file: `file:line:column: path: what, remedy [rule]`. Lines and columns count from 1.

    `rule` is an id of docs/rules.md. A warning is legal but risky: it is shown and fails nothing.
    """

    file: str
    line: int
    column: int
    path: str
    text: str
    rule: str
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        # a document pasted as a value must neither flood a pull request nor look like several messages
        object.__setattr__(self, "path", _one_line(self.path, 200))
        object.__setattr__(self, "text", _one_line(self.text, 600))

    def __str__(self) -> str:
        said = [self.path, "warning" if self.severity == "warning" else "", f"{self.text} [{self.rule}]"]
        return f"{self.file}:{self.line}:{self.column}: {': '.join(filter(None, said))}"


def _one_line(text: str, limit: int) -> str:
    """Without line breaks, and cut off behind `limit` characters."""
    line = text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return line if len(line) <= limit else f"{line[:limit]} …"


class ConfigError(TenantDagsError):
    """All problems of one tenant file, contract or the defaults, sorted, one per line."""

    kind = "config.invalid"

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class AirflowError(TenantDagsError):
    """Airflow's REST API did not do what was asked. `where` is its address."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where, self.what, self.remedy = where, what, remedy
        super().__init__(where, what, remedy)

    def __str__(self) -> str:
        return f"Airflow at {self.where}: {self.what.rstrip('.')}. Remedy: {self.remedy}"


class AirflowUnreachable(AirflowError):
    pass


class AirflowBusy(AirflowUnreachable):
    pass


class AirflowRefused(AirflowError):
    pass


class AirflowNotFound(AirflowError):
    pass


class AirflowConflict(AirflowError):
    pass


class RunError(TenantDagsError):
    """One window of one table cannot go on. `where` is `TablePlan.at(window)`: 'acme orders 2026-11-21'."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where, self.what, self.remedy = where, what, remedy
        super().__init__(where, what, remedy)

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.what} Remedy: {self.remedy}"

    @property
    def retryable(self) -> bool:
        """Whether trying again can help: model/taxonomy.py says, by the kind."""
        return kind_of(self.kind).retry is not None


class SourceUnreachable(RunError):
    kind = "source.unreachable"


class SourcePermission(RunError):
    kind = "source.permission"


class SourceBusy(RunError):
    kind = "source.busy"


class SnapshotOff(RunError):
    kind = "source.snapshot_off"


class DriftBreaking(RunError):
    kind = "drift.breaking"


class BadValue(RunError):
    kind = "quality.value"


class GateRed(RunError):
    """A check of severity error failed. `rule` is the id of the first one."""

    def __init__(self, where: str, what: str, remedy: str, rule: str = "gate") -> None:
        super().__init__(where, what, remedy)
        self.rule = rule
        self.kind = f"quality.{rule}"  # type: ignore[misc]  # one class, one word per rule


class GateError(RunError):
    kind = "gate.error"


class ReconcileMismatch(RunError):
    kind = "reconcile.mismatch"


class StagingUnavailable(RunError):
    kind = "staging.unavailable"


class LandingUnreachable(RunError):
    kind = "landing.unreachable"


class LandingConflict(RunError):
    kind = "landing.conflict"


class DatabricksSubmit(RunError):
    kind = "databricks.submit"


class DatabricksRun(RunError):
    kind = "databricks.run"


class DatabricksTimeout(RunError):
    kind = "databricks.timeout"


class TableBehind(RunError):
    kind = "config.invalid"


class WindowRefused(RunError):
    kind = "config.invalid"


class PlanChanged(RunError):
    kind = "config.invalid"


class ConnectionMissing(RunError):
    kind = "config.invalid"


class PublishRefused(RunError):
    kind = "publish.refused"
