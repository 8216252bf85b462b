"""Rules of `engine: tenantdags`: exact sums, a volume band from history, freshness. Each a Check, or a problem."""

from __future__ import annotations

from dataclasses import dataclass

from tenantdags.model.contract import Check, CheckKind, Column, Severity, Threshold
from tenantdags.model.contract_file import Custom, Quality
from tenantdags.model.document import Path, Problems
from tenantdags.model.fields import suggestion

WEEKS, AT_LEAST = 8, 4  # of history, when a band does not say
WIDTH = 4  # spreads from the median
_EXACT = Threshold(operator="=", values=(0,))
_OF_METRIC = {
    "sum": ("column", "by"),
    "volumeBand": ("weeks", "at_least", "width"),
    "freshness": ("column", "unit", "at_most"),
}
_ODCS = {"at_least": "atLeast", "at_most": "atMost"}


@dataclass(frozen=True, slots=True)
class _Made:
    """One entry and where it stands."""

    entry: Quality
    said: Custom
    path: Path
    problems: Problems

    def add(self, rule: str, name: str, text: str) -> None:
        self.problems.add(rule, (*self.path, "implementation", name), text)

    def check(
        self,
        kind: CheckKind,
        dimension: str,
        threshold: Threshold,
        arguments: tuple[str | int | None, ...],
        *,
        columns: tuple[str, ...] = (),
        severity: Severity = "error",
    ) -> Check:
        rule_id = self.entry.id or ""
        return Check(
            id=rule_id, kind=kind, name=self.entry.name or rule_id.replace("_", " "),
            dimension=self.entry.dimension or dimension, severity=self.entry.severity or severity, columns=columns,
            threshold=threshold, arguments=arguments,
        )  # fmt: skip


def custom_check(
    entry: Quality, path: Path, columns: tuple[Column, ...], of_column: Column | None, problems: Problems
) -> Check | None:
    """The check of one custom rule; `of_column` is the column it stands under, None under the table."""
    if entry.engine is None or entry.implementation is None:
        problems.add("CFG150", path, "a custom rule needs 'engine: tenantdags' and an implementation")
        return None
    made = _Made(entry, entry.implementation, path, problems)
    if entry.bounds():
        # the standard has no thresholds for custom rules
        problems.add(
            "CFG143", path, "a custom rule takes no threshold here; what it needs stands in its implementation"
        )
    for name in sorted({name for names in _OF_METRIC.values() for name in names}):
        said = _ODCS.get(name, name)
        if getattr(made.said, name) not in (None, ()) and name not in _OF_METRIC[made.said.metric]:
            made.add("CFG150", said, f"does not go with metric {made.said.metric}; delete it")
    if of_column is not None and made.said.metric == "volumeBand":
        problems.add("CFG146", path, "volumeBand is about the table; put the rule under the table's quality")
    makers = {"sum": _sum, "volumeBand": _band, "freshness": _freshness}
    return makers[made.said.metric](made, columns)


def band_problem(threshold: Threshold) -> str | None:
    """Why a threshold cannot be a band's width, if so."""
    if threshold.operator in ("<", "<=") and threshold.values[0] > 0:
        return None
    return "is no width of a band; say how many spreads from the median are normal, like must_be_less_or_equal_to: 6"


def _sum(made: _Made, columns: tuple[Column, ...]) -> Check | None:
    summed = _column(made, made.said.column, ("column",), columns)
    if summed and not summed.measure:
        remedy = "give it the custom property measure: {aggregation: [sum]}"
        made.add("CFG150", "column", f"{summed.name} is not a measure; {remedy}")
    for i, name in enumerate(made.said.by):
        grouped = _column(made, name, ("by", i), columns)
        if grouped and (grouped.hashed or not grouped.loaded):
            text = f"{name} is hashed or dropped, so groups cannot be compared with the source"
            made.problems.add("CFG151", (*made.path, "implementation", "by", i), text)
    return made.check("reconcile", "accuracy", _EXACT, ("sum", made.said.column, *made.said.by))


def _band(made: _Made, _: tuple[Column, ...]) -> Check | None:
    weeks = WEEKS if made.said.weeks is None else made.said.weeks
    at_least = min(AT_LEAST, weeks) if made.said.at_least is None else made.said.at_least
    if not 2 <= weeks <= 52:
        made.add("CFG161", "weeks", f"{weeks} must be 2 to 52: how many windows of the same weekday make the band")
    if not 2 <= at_least <= weeks:
        made.add("CFG161", "atLeast", f"{at_least} must be 2 to weeks ({weeks}): below that there is no band yet")
    width = WIDTH if made.said.width is None else made.said.width
    if width <= 0:
        made.add("CFG161", "width", f"{width} must be above 0: how many spreads from the median are normal")
    threshold = Threshold(operator="<=", values=(width,))
    return made.check("volume_band", "completeness", threshold, (weeks, at_least), severity="warning")


def _freshness(made: _Made, columns: tuple[Column, ...]) -> Check | None:
    column = _column(made, made.said.column, ("column",), columns)
    if column and (not column.type.clock or column.type.name == "date" or not column.loaded):
        made.add("CFG162", "column", f"{column.name} ({column.type}) must be a loaded column with date and time")
    if made.said.at_most is None:
        made.add("CFG142", "atMost", "is missing, so the rule could never fail; add it, like atMost: 24")
    threshold, unit = Threshold(operator="<=", values=(made.said.at_most or 0,)), made.said.unit or "hour"
    return made.check("freshness", "timeliness", threshold, (unit,), columns=(made.said.column or "",))


def _column(made: _Made, name: str | None, place: Path, columns: tuple[Column, ...]) -> Column | None:
    found = next((c for c in columns if c.name == name), None)
    if found is None:
        hint = suggestion(name or "", [c.name for c in columns])
        text = "is missing: the column" if name is None else f"{name!r} is not a column of this contract{hint}"
        made.problems.add("CFG144", (*made.path, "implementation", *place), text)
    return found
