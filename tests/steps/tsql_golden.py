"""Every T-SQL statement the product can send, by name, with the vendor's pages that allow it.

`python -m tests.steps.tsql_golden` writes tests/golden/tsql anew; read the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from tenantdags.model.contract import Check, Column, WindowRule
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant
from tenantdags.model.sqltype import SqlType
from tenantdags.model.window import Window, day_window, window_of, windows_before
from tenantdags.steps import tsql
from tenantdags.steps.tsql import Statement

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "tests/golden/tsql"
LEARN = "https://learn.microsoft.com/sql/"

SELECT = "t-sql/queries/select-transact-sql"
CAST = "t-sql/functions/cast-and-convert-transact-sql"
COUNT = "t-sql/functions/count-big-transact-sql"
SUM = "t-sql/functions/sum-transact-sql"
MAX = "t-sql/functions/max-transact-sql"
MIN = "t-sql/functions/min-transact-sql"
ORDER_BY = "t-sql/queries/select-order-by-clause-transact-sql"
SUBQUERY = "relational-databases/performance/subqueries"
UNION = "t-sql/language-elements/set-operators-union-transact-sql"
EXISTS = "t-sql/language-elements/exists-transact-sql"
DB_NAME = "t-sql/functions/db-name-transact-sql"
CASE = "t-sql/language-elements/case-transact-sql"
GROUP_BY = "t-sql/queries/select-group-by-transact-sql"
COLLATE = "t-sql/statements/collations"
MASKING = "relational-databases/security/dynamic-data-masking"
HAS_PERMS = "t-sql/functions/has-perms-by-name-transact-sql"
QUOTENAME = "t-sql/functions/quotename-transact-sql"
COLUMNS = "relational-databases/system-catalog-views/sys-columns-transact-sql"
TYPES = "relational-databases/system-catalog-views/sys-types-transact-sql"
OBJECTS = "relational-databases/system-catalog-views/sys-objects-transact-sql"
INDEXES = "relational-databases/system-catalog-views/sys-indexes-transact-sql"
INDEX_COLUMNS = "relational-databases/system-catalog-views/sys-index-columns-transact-sql"
SYS_TABLES = "relational-databases/system-catalog-views/sys-tables-transact-sql"
FOREIGN_KEYS = "relational-databases/system-catalog-views/sys-foreign-keys-transact-sql"
FOREIGN_KEY_COLUMNS = "relational-databases/system-catalog-views/sys-foreign-key-columns-transact-sql"
COMPUTED = "relational-databases/system-catalog-views/sys-computed-columns-transact-sql"
VISIBILITY = "relational-databases/security/metadata-visibility-configuration"
TOP = "t-sql/queries/top-transact-sql"
DATABASES = "relational-databases/system-catalog-views/sys-databases-transact-sql"
ISOLATION = "t-sql/statements/set-transaction-isolation-level-transact-sql"
BEGIN = "t-sql/language-elements/begin-transaction-transact-sql"
COMMIT = "t-sql/language-elements/commit-transaction-transact-sql"

WINDOW_TYPES = (
    "date", "datetime", "smalldatetime", "datetime2(0)", "datetime2(3)", "datetime2(7)", "datetimeoffset(0)",
    "datetimeoffset(7)",
)  # fmt: skip
EVERY_TYPE = (
    "bit", "tinyint", "smallint", "int", "bigint", "real", "float", "decimal(38,10)", "money", "smallmoney", "date",
    "time(0)", "time(7)", "datetime", "smalldatetime", "datetime2(0)", "datetime2(7)", "datetimeoffset(3)",
    "datetimeoffset(7)", "char(3)", "varchar(20)", "varchar(max)", "nchar(3)", "nvarchar(20)", "nvarchar(max)", "text",
    "ntext", "binary(4)", "varbinary(4)", "varbinary(max)", "image", "uniqueidentifier", "xml", "rowversion",
)  # fmt: skip
SUMMED = ("tinyint", "smallint", "int", "bigint", "decimal(18,2)", "decimal(38,10)", "money", "smallmoney")


@dataclass(frozen=True, slots=True)
class Golden:
    name: str
    pages: tuple[str, ...]
    statement: Statement

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.sql"

    @property
    def text(self) -> str:
        pages = [f"-- {LEARN}{page}" for page in self.pages]
        parameters = [f"-- parameter {n}: {p!r}" for n, p in enumerate(self.statement.parameters, 1)]
        return "\n".join([*pages, *parameters, self.statement.text, ""])


def example(tenant: str, table: str) -> TablePlan:
    return next(plan for plan in load_tenant(ROOT, tenant) if plan.table == table)


def day_of(plan: TablePlan) -> Window:
    return day_window(date(2026, 11, 20), plan.schedule.time_zone)


def tenant_type(plan: TablePlan) -> SqlType | None:
    return SqlType("int") if plan.source.tenant_column else None


def column(name: str, type_text: str, *, measure: bool = False) -> Column:
    return Column(name=name, source_name=name, type=SqlType.parse(type_text), measure=measure)


def with_columns(plan: TablePlan, columns: tuple[Column, ...], checks: tuple[Check, ...] = ()) -> TablePlan:
    return replace(plan, contract=replace(plan.contract, columns=columns, checks=checks), checks=checks)


def windowed_by(plan: TablePlan, type_text: str, zone: str = "UTC") -> TablePlan:
    rule = WindowRule(column="placed", column_type=SqlType.parse(type_text))
    narrow = with_columns(plan, (column("id", "int"), column("placed", type_text)))
    contract = replace(narrow.contract, window=rule)
    return replace(narrow, contract=contract, source=replace(plan.source, time_zone=zone))


def every_type(plan: TablePlan, types: tuple[str, ...] = EVERY_TYPE) -> TablePlan:
    return with_columns(plan, tuple(column(f"c{n}", text) for n, text in enumerate(types)))


def every_measure(plan: TablePlan) -> TablePlan:
    return with_columns(plan, tuple(column(f"m{n}", text, measure=True) for n, text in enumerate(SUMMED)))


def goldens() -> tuple[Golden, ...]:
    return (*_session(), *_catalogue(), *_examples(), *_windows(), *_variants())


def _session() -> Iterator[Golden]:
    yield Golden("session_snapshot", (ISOLATION,), Statement(tsql.SNAPSHOT))
    yield Golden("session_read_committed", (ISOLATION,), Statement(tsql.READ_COMMITTED))
    yield Golden("session_begin", (BEGIN,), Statement(tsql.BEGIN))
    yield Golden("session_commit", (COMMIT,), Statement(tsql.COMMIT))


def _catalogue() -> Iterator[Golden]:
    pages = (COLUMNS, TYPES, OBJECTS, SYS_TABLES, MASKING, HAS_PERMS, QUOTENAME)
    yield Golden("catalogue_columns", pages, tsql.catalogue_columns(example("acme", "orders")))
    yield Golden("catalogue_columns_with_parent", pages, tsql.catalogue_columns(example("acme", "order_lines")))
    yield Golden("catalogue_snapshot_state", (DATABASES, DB_NAME), tsql.snapshot_state())
    indexes = tsql.indexed_columns(example("acme", "order_lines"), "Orders")
    yield Golden("catalogue_indexed_columns", (INDEXES, INDEX_COLUMNS, COLUMNS, OBJECTS), indexes)
    yield Golden("infer_tables", (OBJECTS, VISIBILITY), tsql.tables_of("dbo"))
    yield Golden("infer_columns", pages, tsql.columns_of("dbo", "Orders"))
    yield Golden("infer_keys", (INDEXES, INDEX_COLUMNS, COLUMNS, OBJECTS), tsql.keys_of("dbo", "Orders"))
    related = (FOREIGN_KEYS, FOREIGN_KEY_COLUMNS, COLUMNS, OBJECTS, VISIBILITY)
    yield Golden("infer_foreign_keys", related, tsql.foreign_keys_of("dbo", "OrderLines"))
    yield Golden("infer_computed", (COMPUTED, OBJECTS, VISIBILITY), tsql.computed_of("dbo", "Orders"))
    yield Golden("no_rows_orders", (SELECT, TOP), tsql.no_rows(example("acme", "orders")))


def _examples() -> Iterator[Golden]:
    """Shared database (acme) and own database (globex), each table of the example contracts."""
    for tenant, where in (("acme", "shared"), ("globex", "own")):
        for table in ("customers", "orders", "order_lines"):
            plan = example(tenant, table)
            window, kind = day_of(plan), tenant_type(plan)
            scope = (*([EXISTS] if table == "order_lines" else []), *([DB_NAME] if where == "own" else []))
            yield Golden(f"rows_{table}_{where}", (SELECT, CAST, *scope), tsql.select_rows(plan, window, kind))
            newest = [MAX] if plan.contract.mode == "event" else []
            pages = (SELECT, COUNT, SUM, *newest, CAST, *scope, *([CASE] if table == "order_lines" else []))
            yield Golden(f"totals_{table}_{where}", pages, tsql.control_totals(plan, window, kind))
            if plan.contract.mode == "event":
                before = windows_before(window, 3, plan.schedule.time_zone)
                pages = (UNION, COUNT, SUM, MAX, CAST, *scope)
                yield Golden(f"recount_{table}_{where}", pages, tsql.recount(plan, before, kind))
                both = tuple(reversed(before))[:2]
                ordered = (SELECT, ORDER_BY, *([MIN, SUBQUERY] if table == "order_lines" else []), CAST, *scope)
                yield Golden(f"range_{table}_{where}", ordered, tsql.select_range(plan, both, kind))
                yield Golden(f"range_totals_{table}_{where}", pages, tsql.totals_of(plan, both, kind))
            for by in tsql.groupings(plan):
                statement = tsql.grouped_totals(plan, window, kind, by)
                yield Golden(f"totals_{table}_by_{'_'.join(by)}_{where}", (GROUP_BY, COLLATE, SUM, CAST), statement)
                before = tuple(reversed(windows_before(window, 2, plan.schedule.time_zone)))
                several = tsql.grouped_totals_of(plan, before, kind, by)
                pages = (UNION, GROUP_BY, COLLATE, SUM, CAST)
                yield Golden(f"range_totals_{table}_by_{'_'.join(by)}_{where}", pages, several)


def _windows() -> Iterator[Golden]:
    """One statement per type a window column may have, and what a zone, a clock change and an hour do to bounds."""
    plan = example("globex", "orders")
    for text in WINDOW_TYPES:
        name = text.replace("(", "_").rstrip(")")
        statement = tsql.select_rows(windowed_by(plan, text), day_of(plan), None)
        yield Golden(f"rows_windowed_by_{name}", (SELECT, CAST), statement)
    berlin = windowed_by(plan, "datetime2(3)", "Europe/Berlin")
    night = day_window(date(2026, 10, 25), "Europe/Berlin")
    yield Golden("rows_of_a_25_hour_day", (SELECT, CAST), tsql.select_rows(berlin, night, None))
    hour = window_of(night.start, night.start.replace(hour=23), "hour", "Europe/Berlin")
    yield Golden("rows_of_an_hour", (SELECT, CAST), tsql.select_rows(windowed_by(plan, "datetime2(3)"), hour, None))


def _variants() -> Iterator[Golden]:
    plan = example("acme", "orders")
    window, number = day_of(plan), SqlType("int")
    yield Golden("rows_every_type", (SELECT, CAST), tsql.select_rows(every_type(plan), window, number))
    yield Golden(
        "totals_every_type", (SELECT, COUNT, CASE, CAST), tsql.control_totals(every_type(plan), window, number)
    )
    yield Golden(
        "totals_every_measure", (SELECT, COUNT, SUM, CAST), tsql.control_totals(every_measure(plan), window, number)
    )
    for text, value in (("varchar(20)", "ACME-1"), ("uniqueidentifier", "0E984725-C51C-4BF4-9960-E1C80E27ABA0")):
        named = replace(windowed_by(plan, "date"), source=replace(plan.source, tenant_value=value))
        statement = tsql.select_rows(named, window, SqlType.parse(text))
        yield Golden(f"rows_of_a_tenant_by_{text.partition('(')[0]}", (SELECT, CAST), statement)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = {golden.path for golden in goldens()}
    for stale in set(FOLDER.glob("*.sql")) - kept:
        stale.unlink()
    for golden in goldens():
        golden.path.write_text(golden.text, encoding="utf-8")


if __name__ == "__main__":
    main()
