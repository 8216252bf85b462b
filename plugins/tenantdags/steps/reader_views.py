"""The views that readers use: per window the winning append, per tenant exactly one major version of the contract.

With two majors the view has the columns of the newest one that some tenant is served from. An older major's column is
taken over when its name, its handling of personal data and its values are the same; else it is NULL there: a hash is
no e-mail address, and what one major hides another one must not show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tenantdags.model.contract import Column, Contract
from tenantdags.model.plan import TablePlan
from tenantdags.steps.dbsql import indented, literal, quote, quote_path, winners

_STAMPS = ("tenant_id", "as_of_date", "window_start")
_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INT": 10, "BIGINT": 19}


@dataclass(frozen=True, slots=True)
class Shown:
    """The majors of one table that tenants are served from, oldest first; `lowest` is where no word was ever said."""

    contracts: tuple[Contract, ...]
    lowest: int

    @property
    def newest(self) -> Contract:
        return self.contracts[-1]


def create_views(plan: TablePlan, shown: Shown) -> Iterator[str]:
    """`serving.<table>`; for snapshots it shows the newest window alone, and `<table>_history` shows all."""
    purpose = shown.newest.purpose
    if shown.newest.mode != "snapshot":
        yield _view(plan, shown, plan.serving, purpose, newest=False)
        return
    yield _view(plan, shown, plan.serving, purpose, newest=True)
    yield _view(plan, shown, f"{plan.serving}_history", f"{purpose} Every snapshot.", newest=False)


def emptied(shown: Shown) -> Iterator[tuple[Contract, str, str]]:
    """(older contract, column, why): what is NULL, or not there at all, for tenants of that major."""
    columns = {column.name.lower(): column for column in shown.newest.loaded_columns}
    for contract in shown.contracts[:-1]:
        older = {column.name.lower(): column for column in contract.loaded_columns}
        for name, column in columns.items():
            if (why := _unlike(older.get(name), column, contract)) is not None:
                yield contract, column.name, f"NULL: {why}"
        for name, column in older.items():
            if name not in columns:
                yield contract, column.name, f"not shown: {shown.newest.ref} has no such column"


def _view(plan: TablePlan, shown: Shown, view: str, comment: str, *, newest: bool) -> str:
    head = f"CREATE OR REPLACE VIEW {quote_path(view)}\nCOMMENT {literal(comment)}\nAS "
    (first, *others) = shown.contracts
    if not others:
        its = plan.under(first)
        chosen = _newest(winners(its)) if newest else winners(its)
        return f"{head}{_rows(its, shown.newest)}\nJOIN (\n{indented(chosen)}\n) AS published\n{_on()}"
    served = f"WITH served AS (\n{indented(_served(plan))}\n),\npublished AS (\n{indented(_published(plan, shown))}\n)"
    if newest:
        served += f",\nnewest AS (\n{indented(_newest('published', 'table_name'))}\n)"
    source = "newest" if newest else "published"
    parts = (
        f"{_rows(plan.under(contract), shown.newest)}\nJOIN {source} AS published\n{_on()}\n"
        f"  AND published.table_name = {literal(plan.under(contract).curated_name)}"
        for contract in shown.contracts
    )
    return f"{head}{served}\n" + "\nUNION ALL\n".join(parts)


def _served(plan: TablePlan) -> str:
    """Which curated table each tenant's readers were last moved to."""
    return f"""\
SELECT tenant_id, max_by(serves, generation) AS serves
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = {literal(plan.serving_name)}
GROUP BY tenant_id"""


def _published(plan: TablePlan, shown: Shown) -> str:
    """The winning append of every window of every tenant, under the major the tenant is served from."""
    names = [plan.under(contract).curated_name for contract in shown.contracts]
    unsaid = f"{plan.contract.table}_v{shown.lowest}"
    return f"""\
SELECT entry.table_name, entry.tenant_id, entry.window_start, max_by(entry.append_id, entry.generation) AS append_id
FROM {quote_path(plan.databricks.publish_log)} AS entry
LEFT JOIN served ON entry.tenant_id = served.tenant_id
WHERE entry.table_name IN ({", ".join(map(literal, names))})
  AND entry.table_name = coalesce(served.serves, {literal(unsaid)})
GROUP BY entry.table_name, entry.tenant_id, entry.window_start"""


def _newest(chosen: str, *also: str) -> str:
    """Of every tenant the newest window."""
    keys = ", ".join((*also, "tenant_id"))
    source = chosen if chosen.isidentifier() else f"(\n{indented(chosen)}\n)"
    return f"""\
SELECT {keys}, max(window_start) AS window_start, max_by(append_id, window_start) AS append_id
FROM {source}
GROUP BY {keys}"""


def _rows(plan: TablePlan, newest: Contract) -> str:
    older = {column.name.lower(): column for column in plan.contract.loaded_columns}
    columns = [_value(older.get(c.name.lower()), c, plan.contract) for c in newest.loaded_columns]
    listed = ", ".join([*columns, *(f"data.{quote(name)}" for name in _STAMPS)])
    return f"SELECT {listed}\nFROM {quote_path(plan.curated)} AS data"


def _on() -> str:
    return """\
  ON data.tenant_id = published.tenant_id
  AND data.window_start = published.window_start
  AND data._append_id = published.append_id"""


def _value(older: Column | None, column: Column, contract: Contract) -> str:
    if older is None or _unlike(older, column, contract) is not None:
        return f"CAST(NULL AS {column.delta_type}) AS {quote(column.name)}"
    if older.delta_type != column.delta_type:
        return f"CAST(data.{quote(older.name)} AS {column.delta_type}) AS {quote(column.name)}"
    return f"data.{quote(column.name)}"


def _unlike(older: Column | None, column: Column, contract: Contract) -> str | None:
    """Why the values of an older major cannot stand in this column; None when they can."""
    if older is None:
        return f"{contract.ref} has no such column"
    was, now = _handling(older), _handling(column)
    if was != now:
        return f"{contract.ref} {was} it, and this one {now} it"
    if older.delta_type != column.delta_type and not _fits(older.delta_type, column.delta_type):
        return f"it is {older.delta_type} in {contract.ref}, and {column.delta_type} here"
    return None


def _handling(column: Column) -> str:
    return "hashes" if column.hashed else "keeps"


def _fits(kind: str, into: str) -> bool:
    """Whether every value of one type is one of the other, and means the same."""
    digits, scale = _number(kind)
    if digits is None or scale is None:
        return (kind, into) == ("FLOAT", "DOUBLE")
    if into == "STRING":
        return kind in _DIGITS
    wider, finer = _number(into)
    return wider is not None and finer is not None and finer >= scale and wider - finer >= digits - scale


def _number(kind: str) -> tuple[int | None, int | None]:
    """(digits, of them behind the point) of an exact number type."""
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind.replace(" ", ""))
    return (int(decimal[1]), int(decimal[2])) if decimal else (_DIGITS.get(kind), 0)


def seen(plan: TablePlan) -> str:
    """What readers see of one window: rows in the view, the append they are of, and which major the view shows.

    `serves` is where the tenant's readers were moved to, NULL for never; `majors` under how many it ever published.
    Parameters: table_name, serving_name, tenant_id, as_of_date, window_start.
    """
    log = quote_path(plan.databricks.publish_log)
    view = plan.serving if plan.contract.mode != "snapshot" else f"{plan.serving}_history"
    majors = literal(f"^{plan.contract.table}_v[1-9][0-9]*$")
    return f"""\
SELECT
  (SELECT count(*) FROM {quote_path(view)}
   WHERE tenant_id = :tenant_id AND as_of_date = :as_of_date AND window_start = :window_start) AS row_count,
  (SELECT max_by(append_id, generation) FROM {log}
   WHERE table_name = :table_name AND tenant_id = :tenant_id AND window_start = :window_start) AS append_id,
  (SELECT max_by(serves, generation) FROM {log}
   WHERE table_name = :serving_name AND tenant_id = :tenant_id) AS serves,
  (SELECT count(DISTINCT table_name) FROM {log}
   WHERE tenant_id = :tenant_id AND table_name RLIKE {majors}) AS majors"""


def tenants_by_table(plan: TablePlan) -> str:
    """Which tenants ever published under which majors, and which one each was moved to. No parameters."""
    return f"""\
SELECT tenant_id, table_name, max_by(serves, generation) AS serves
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = {literal(plan.serving_name)} OR table_name RLIKE {literal(f"^{plan.contract.table}_v[1-9][0-9]*$")}
GROUP BY tenant_id, table_name
ORDER BY tenant_id, table_name"""


def moves(plan: TablePlan) -> str:
    """When one tenant's readers were moved to which curated table. Parameters: table_name, tenant_id."""
    return f"""\
SELECT generation, serves, published_at, actor
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = :table_name AND tenant_id = :tenant_id
ORDER BY generation"""
