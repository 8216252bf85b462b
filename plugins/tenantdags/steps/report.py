"""What a gate found, and what the tasks of a run tell each other. Small and JSON-plain: these travel in XCom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

GateName = Literal["check_extract", "check_load"]
Outcome = Literal["pass", "warn", "fail", "error"]  # error: could not be evaluated, so the gate is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One evaluated rule. `value` and `expected` are short texts and never hold a row's values.

    `failing_keys` are keys of some rows that break the rule. They leave the process by the tenant's folder in landing
    alone, never by XCom.
    """

    rule: str
    outcome: Outcome
    value: str
    expected: str
    severity: Literal["error", "warning"] = "error"
    failing_keys: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        return said(self.value, self.expected)


def said(value: str, expected: str) -> str:
    """`5 missing status (expected 0)`; a value that says itself what was expected is left as it is."""
    return value if f"; expected {expected}" in value else f"{value} (expected {expected})"


def strict(
    rule: str, good: bool, value: str, expected: str, *, severity: Literal["error", "warning"] = "error"
) -> CheckResult:
    """The result of a check of our own; a broken one of severity warning only warns."""
    outcome: Outcome = "pass" if good else "warn" if severity == "warning" else "fail"
    return CheckResult(rule=rule, outcome=outcome, value=value, expected=expected, severity=severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """All rules of one gate on one load. `outcome` is the worst of them; an empty report is an error.

    `load_id` and, behind the load, `append_id` say what was judged: publish accepts no other. `landed` is how many rows
    lay in landing then. `not_evaluated` names the rules that were not asked because files or schema had failed before.
    """

    gate: GateName
    rows: int
    results: tuple[CheckResult, ...]
    seconds: float
    load_id: str
    append_id: str | None = None
    landed: int | None = None
    not_evaluated: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        order: tuple[Outcome, ...] = ("error", "fail", "warn", "pass")
        found = {r.outcome for r in self.results} or {"error"}
        return next(o for o in order if o in found)

    def with_keys(self, keys: Mapping[str, Sequence[str]]) -> GateReport:
        """With the failing keys of these rules."""
        results = tuple(replace(r, failing_keys=tuple(keys.get(r.rule, r.failing_keys))) for r in self.results)
        return replace(self, results=results)

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The failing keys by rule, where there are any."""
        return {r.rule: r.failing_keys for r in self.results if r.failing_keys}

    def to_dict(self) -> dict[str, Any]:
        """For XCom, so without failing keys."""
        raw = asdict(self)
        for result in raw["results"]:
            del result["failing_keys"]
        return raw

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> GateReport:
        results = tuple(CheckResult(**r) for r in raw["results"])
        return cls(**{**raw, "results": results, "not_evaluated": tuple(raw["not_evaluated"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What of a load lies in landing: rows by its files' footers, and what is wrong with the files."""

    rows: int
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One notebook execution: the rows it says it appended under `append_id`."""

    append_id: str
    rows: int
    run_id: int
    run_page_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The window's generation that readers see from now on."""

    generation: int
    load_id: str
    append_id: str
    rows: int
