"""A contract as a page that people read: what a row is, its columns, what is checked, what is promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantdags.model.checks import ALWAYS
from tenantdags.model.contract import Check, Column, Contract
from tenantdags.model.fields import iso_duration
from tenantdags.model.thresholds import described

_HANDLED = {"hash": "hashed", "drop": "not loaded", "keep": "in clear"}
_ALWAYS_WORDS = {
    "schema": "the files have exactly these columns and types",
    "tenant_purity": "every row is this tenant's",
    "rows_reconcile": "source = staged = landed = appended, in rows",
    "not_empty": "the window has rows",
}


def page(contract: Contract, used_by: Sequence[str] = ()) -> str:
    """The whole page; ends with a line break. `used_by` are tenants."""
    parts = [_head(contract), _table(contract), _promises(contract, used_by)]
    blocks = ["\n".join(line for line in part if line is not None) for part in parts]
    columns = "\n".join(["Columns", *(f"  {line}" for line in _columns(contract))])
    checks = "\n".join(["Checks", *(f"  {line}" for line in _checks(contract))])
    return "\n\n".join([blocks[0], blocks[1], columns, checks, blocks[2]]) + "\n"


def check_words(check: Check) -> str:
    """`status is NEW, PAID, SHIPPED or RETURNED; 0 rows may not`."""
    return f"{_said(check)}{_bound(check)}{'' if check.severity == 'error' else ' (warns)'}"


def _head(contract: Contract) -> Iterator[str]:
    yield f"{contract.name} ({contract.ref}, version {contract.version})"
    yield contract.purpose


def _table(contract: Contract) -> Iterator[str]:
    yield f"Grain    {contract.grain}; the key is {', '.join(contract.keys)}"
    yield f"Mode     {contract.mode}: {_mode(contract)}"
    yield f"Source   {contract.source_table}; a new column there {_additive(contract)}, a missing one stops runs"
    yield f"File     {contract.file}"


def _mode(contract: Contract) -> str:
    window = contract.window
    if contract.mode == "snapshot":
        within = f", within {iso_duration(window.observe_within)} of the window's end" if window.observe_within else ""
        return f"a window is the whole table as it was observed{within}"
    place = f"{window.column} of {window.parent.contract}" if window.parent else f"{window.column}"
    empty = "may be empty" if window.allow_empty else "is never empty"
    changed = f"; {window.changed} tells changed rows" if window.changed else ""
    return f"a row belongs to the window of its {place} ({window.column_type}); a window {empty}{changed}"


def _additive(contract: Contract) -> str:
    return "is warned of" if contract.additive == "allow" else "stops runs"


def _columns(contract: Contract) -> list[str]:
    rows = [_column(column) for column in contract.columns]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]


def _column(column: Column) -> tuple[str, str, str, str]:
    said = [
        f"key {column.key_position}" if column.key_position else "",
        "measure" if column.measure else "",
        f"{column.pii.category}, {_HANDLED[column.pii.handling]}" if column.pii else column.classification or "",
        f"at the source {column.source_name}" if column.source_name != column.name else "",
        column.description or "",
    ]
    return (
        column.name,
        str(column.type),
        "required" if column.required else "",
        "; ".join(word for word in said if word),
    )


def _checks(contract: Contract) -> list[str]:
    always = [rule for rule in ALWAYS if rule != "not_empty" or not contract.window.allow_empty]
    rows = [(rule, _ALWAYS_WORDS.get(rule, "always")) for rule in always]
    rows += [(check.id, check_words(check)) for check in contract.checks]
    width = max(len(rule) for rule, _ in rows)
    return [f"{rule:<{width}}  {words}" for rule, words in rows]


def _promises(contract: Contract, used_by: Sequence[str]) -> Iterator[str]:
    retention = f"{contract.retention_days} days" if contract.retention_days else "not said"
    rights = "; ".join(
        f"{scope}{' without ' + ', '.join(without) if without else ''}" for scope, without in contract.rights
    )
    yield f"Retention  {retention}"
    yield f"Rights     {rights or 'not said'}"
    yield f"Owner      {contract.owner or 'not said'}"
    yield f"Runbook    {contract.runbook or 'not said'}"
    yield f"Used by    {', '.join(used_by) or 'nobody'}"


def _said(check: Check) -> str:
    columns, values = ", ".join(check.columns), [str(value) for value in check.arguments]
    if check.kind == "enum" or values[:1] == ["values"]:
        return f"{columns} is {_one_of(values if check.kind == 'enum' else values[1:])}"
    if check.kind == "pattern" or values[:1] == ["pattern"]:
        return f"{columns} matches {values[-1]}"
    if check.kind in ("range", "length"):
        return f"{columns} {_between(check)}"
    if check.kind == "reference":
        return f"{columns} is the {', '.join(values[1:])} of a published row of {values[0]}"
    if check.kind == "reconcile":
        return _reconciled(values)
    if check.kind == "freshness":
        return f"from the newest {columns} to the window's end, in {values[0]}s:"
    if check.kind == "volume_band":
        weeks, least = values
        return (
            f"rows as in the last {weeks} windows of this weekday, once there are {least}; spreads from their median:"
        )
    also = f" or {_one_of([repr(value) for value in values])}" if values else ""
    words = {
        "required": f"{columns} is present",
        "unique": f"{columns} {'is' if len(check.columns) == 1 else 'are together'} unique",
        "row_count": "rows:",
        "null_count": f"rows where {columns} is missing{also}:",
        "null_percent": f"% of rows where {columns} is missing{also}:",
    }
    return words.get(check.kind) or f"{values[0]}:"


def _reconciled(values: Sequence[str]) -> str:
    metric, column, *by = values
    return f"{metric} of {column} is the source's, to the last digit{', per ' + ', '.join(by) if by else ''}"


def _one_of(values: Sequence[str]) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else "".join(values)


def _between(check: Check) -> str:
    low, high = check.arguments
    unit = " characters" if check.kind == "length" else ""
    said = [f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else ""]
    return f"is {' and '.join(word for word in said if word)}{unit}"


def _bound(check: Check) -> str:
    """Without a word where the rule holds for every row."""
    threshold = described(check.threshold)
    if check.kind in ("row_count", "null_count", "null_percent", "sql", "freshness", "volume_band"):
        return f" {threshold}"
    of = "% of rows" if check.kind == "invalid_percent" else "rows"
    return "" if threshold == "= 0" else f"; {of} that are not: {threshold}"
