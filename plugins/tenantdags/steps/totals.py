"""Control totals: what a window holds, counted and summed at the source, in the transaction that reads its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tenantdags.model.errors import BadValue
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType
from tenantdags.model.window import Window
from tenantdags.steps import tsql
from tenantdags.steps.manifest import Newest, SumTotal, Totals, utc_text
from tenantdags.steps.source import Session


def of_window(plan: TablePlan, window: Window, session: Session, tenant_type: SqlType | None) -> Totals:
    """Raises BadValue where a loaded clock is finer than microseconds."""
    [row] = session.rows(tsql.control_totals(plan, window, tenant_type))
    totals, counts = _counted(plan, row)
    _refuse_too_fine(plan, window, counts)
    sums = list(totals.sums)
    for by in tsql.groupings(plan):
        sums += _group_sums(plan, by, session.rows(tsql.grouped_totals(plan, window, tenant_type, by)))
    return replace(totals, sums=tuple(sums))


def of_windows(
    plan: TablePlan, windows: Sequence[Window], session: Session, tenant_type: SqlType | None
) -> dict[Window, Totals | BadValue]:
    """The same of many windows in as few statements, or why a window cannot be loaded."""
    counted = {
        windows[row[0]]: _counted(plan, row[1:]) for row in session.rows(tsql.totals_of(plan, windows, tenant_type))
    }
    sums = {window: list(totals.sums) for window, (totals, _) in counted.items()}
    for by in tsql.groupings(plan):
        rows = session.rows(tsql.grouped_totals_of(plan, windows, tenant_type, by))
        for i, window in enumerate(windows):
            sums[window] += _group_sums(plan, by, [row[1:] for row in rows if row[0] == i])
    found: dict[Window, Totals | BadValue] = {}
    for window, (totals, counts) in counted.items():
        try:
            _refuse_too_fine(plan, window, counts)
            found[window] = replace(totals, sums=tuple(sums[window]))
        except BadValue as error:
            found[window] = error
    return found


def recounted(
    plan: TablePlan, windows: Sequence[Window], session: Session, tenant_type: SqlType | None
) -> list[Totals]:
    """What tells whether a window changed, of each window."""
    rows = session.rows(tsql.recount(plan, windows, tenant_type)) if windows else []
    return [_counted(plan, row[1:])[0] for row in sorted(rows)]


def _counted(plan: TablePlan, row: Sequence[Any]) -> tuple[Totals, Sequence[Any]]:
    """What `tsql.control_totals` and `tsql.recount` count, and the rest of the row."""
    summed, changed = tsql.summed_columns(plan), tsql.changed_column(plan)
    rows, *rest = row
    sums = [SumTotal(column=c.name, by=(), group=(), sum=_plain(v)) for c, v in zip(summed, rest, strict=False)]
    rest = rest[len(summed) :]
    newest = Newest(column=changed.name, value=_iso(rest.pop(0))) if changed else None
    return Totals(rows=int(rows), sums=tuple(sums), newest=newest), rest


def _refuse_too_fine(plan: TablePlan, window: Window, counts: Sequence[int]) -> None:
    fine = [(c, n) for c, n in zip(tsql.finer_than_microseconds(plan), counts, strict=True) if n]
    if fine:
        listed = ", ".join(f"{c.name} ({c.type}) in {n} rows" for c, n in fine)
        what = f"a seventh fractional digit, which microseconds cannot hold, stands in {listed}."
        raise BadValue(plan.at(window), what, "Round it at the source, or leave the column out of the contract.")


def _group_sums(plan: TablePlan, by: tuple[str, ...], rows: Sequence[Sequence[object]]) -> list[SumTotal]:
    """One total per group and column. No personal column is among them: the contract's reader refuses that."""
    columns, size = tsql.reconciled_by(plan, by), len(by)
    named = [(tuple(_group_text(value) for value in row[:size]), row[size:]) for row in rows]
    named.sort(key=lambda item: tuple(text or "" for text in item[0]))
    return [
        SumTotal(column=c.name, by=by, group=group, sum=_plain(v))
        for group, values in named
        for c, v in zip(columns, values, strict=True)
    ]


def _group_text(value: object) -> str | None:
    """As the gates' SQL engines write it: true, not True."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _iso(value: Any) -> str | None:
    """A date or time as text; an offset is the same instant whatever it is written in."""
    if value is None:
        return None
    aware = isinstance(value, datetime) and value.tzinfo is not None
    return utc_text(value) if aware else str(value.isoformat())


def _plain(value: object) -> str | None:
    """`0.0000000000`, never `0E-10`."""
    return None if value is None else format(Decimal(str(value)), "f")
