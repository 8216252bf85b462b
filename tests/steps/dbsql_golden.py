"""Every Databricks SQL text the product can send, each beside the vendor's pages that allow it.

`python -m tests.steps.dbsql_golden` writes tests/golden/dbsql anew; read the difference before committing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlglot

from tenantdags.model.contract import Check, Contract, Pii
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType
from tenantdags.steps import dbsql, soda_run
from tenantdags.steps.reader_views import Shown, create_views, moves, seen, tenants_by_table
from tenantdags.steps.reconcile import families
from tenantdags.steps.soda_contract import soda_checks, to_yaml, unique_checks
from tenantdags.steps.statements import Statements
from tests.steps.staged import ROOT, plan_of, window_of_plan

FOLDER = ROOT / "tests" / "golden" / "dbsql"
MANUAL = "https://docs.databricks.com/en/sql/language-manual/"
CREATE_TABLE = ("sql-ref-syntax-ddl-create-table-using.html", "sql-ref-syntax-ddl-cluster-by.html")
STATISTICS = "sql-ref-syntax-ddl-tblproperties.html"
SELECT = ("sql-ref-syntax-qry-select.html", "sql-ref-parameter-marker.html")
WINNERS = ("functions/max_by.html", "sql-ref-syntax-qry-select-join.html")
GROUPS = ("sql-ref-syntax-qry-select-groupby.html", "functions/count.html", "functions/max.html")
VIEW = "sql-ref-syntax-ddl-create-view.html"
MAJORS = (
    "sql-ref-syntax-qry-select-cte.html", "sql-ref-syntax-qry-select-setops.html", "functions/coalesce.html",
    "functions/cast.html",
)  # fmt: skip
APPEND = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Golden:
    name: str
    pages: tuple[str, ...]
    sql: str

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.sql"

    @property
    def text(self) -> str:
        return "".join(f"-- {MANUAL}{page}\n" for page in self.pages) + self.sql + "\n"


def goldens() -> list[Golden]:
    return [*_once(), *(g for table in ("customers", "orders", "order_lines") for g in _of(plan_of("acme", table)))]


def _once() -> Iterator[Golden]:
    plan = plan_of("acme", "orders")
    for schema in dbsql.SCHEMAS:
        sql = dbsql.create_schema(plan.databricks.catalog, schema)
        yield Golden(f"create_schema_{schema}", ("sql-ref-syntax-ddl-create-schema.html",), sql)
    yield Golden("create_publish_log", CREATE_TABLE, dbsql.create_log(plan))
    yield Golden("create_qa_log", (*CREATE_TABLE, STATISTICS), dbsql.create_qa_log(plan))
    yield Golden("insert_qa_log", ("sql-ref-syntax-dml-insert-into.html", SELECT[1]), dbsql.insert_qa_log(plan))
    yield Golden("qa_logged", SELECT, dbsql.qa_logged(plan))
    yield Golden(
        "add_columns",
        ("sql-ref-syntax-ddl-alter-table-manage-column.html",),
        dbsql.add_columns(plan.curated, [("shipped_at", "TIMESTAMP"), ("odd`name", "DECIMAL(18,2)")]),
    )
    yield Golden("published_rows", (*SELECT, WINNERS[0]), dbsql.published_rows(plan))
    yield Golden("published_until", (*SELECT, "functions/max.html"), dbsql.published_until(plan))
    columns = dbsql.table_columns(plan.databricks.catalog)
    yield Golden("table_columns", ("information-schema/columns.html", *SELECT), columns)
    yield Golden("published_windows", SELECT, dbsql.published_windows(plan))
    yield Golden("insert_log", ("sql-ref-syntax-dml-insert-into.html", SELECT[1]), dbsql.insert_log(plan))
    for name, one in (("", False), ("_one_window", True)):
        yield Golden(f"log_rows{name}", SELECT, dbsql.log_rows(plan, one_window=one))
        yield Golden(f"appends{name}", (*SELECT, *GROUPS), dbsql.appends(plan, one_window=one))
    yield Golden("append_count", SELECT, dbsql.append_count(plan))
    yield Golden("tenants_by_table", (*SELECT, WINNERS[0], "functions/rlike.html"), tenants_by_table(plan))
    yield Golden("moves", SELECT, moves(plan))
    delete = dbsql.delete_appends(plan, 2)
    yield Golden("delete_appends", ("sql-ref-syntax-dml-delete-from.html", "functions/in.html", SELECT[1]), delete)


def _of(plan: TablePlan) -> Iterator[Golden]:
    name = plan.table
    yield Golden(f"create_curated_{name}", (*CREATE_TABLE, STATISTICS), dbsql.create_curated(plan))
    one = Shown(contracts=(plan.contract,), lowest=1)
    two = Shown(contracts=(plan.contract, next_major(plan)), lowest=1)
    for title, sql in zip(("view", "history_view"), create_views(plan, one), strict=False):
        yield Golden(f"create_{title}_{name}", (VIEW, *WINNERS), sql)
    for title, sql in zip(("view", "history_view"), create_views(plan, two), strict=False):
        yield Golden(f"create_{title}_{name}_of_two_majors", (VIEW, *WINNERS, *MAJORS), sql)
    counted = ("functions/count.html", "functions/rlike.html")
    yield Golden(f"seen_{name}", (*SELECT, WINNERS[0], *counted), seen(plan))
    if plan.contract.mode != "snapshot":
        yield Golden(f"keys_elsewhere_{name}", (*SELECT, *WINNERS), dbsql.keys_elsewhere(plan))
    for title, check in _references(plan):
        pages = ("sql-ref-syntax-qry-select-join.html", *SELECT, WINNERS[0])
        yield Golden(title, pages, dbsql.rows_without_parent(plan, check))
    keys = [check.columns for check in unique_checks(plan.contract, plan.checks)]
    pages = (*SELECT, "sql-ref-syntax-qry-select-groupby.html", "sql-ref-syntax-qry-select-setops.html")
    yield Golden(f"append_duplicates_{name}", pages, dbsql.append_duplicates(plan, [*keys, ("created_at",)]))
    counts = dbsql.append_counts(plan)
    yield Golden(f"append_counts_{name}", (*SELECT, "functions/lteqgtsign.html", "functions/count.html"), counts)
    for family in families(plan):
        title = f"append_sums_{name}" + (f"_by_{'_'.join(family.by)}" if family.by else "")
        yield Golden(title, (*SELECT, "functions/sum.html"), dbsql.append_sums(plan, family.columns, family.by))
    for i, sql in enumerate(soda_sql(plan)):
        yield Golden(f"soda_{name}_{i}", (SELECT[0], "functions/rlike.html", "functions/count.html"), sql)


def _references(plan: TablePlan) -> Iterator[tuple[str, Check]]:
    """The contract's own; of orders and customers ones that show a snapshot as parent and tables of themselves."""
    yield from ((f"rows_without_parent_{plan.table}_{c.id}", c) for c in plan.checks if c.kind == "reference")
    made = {
        "orders": (("customers", ("customers@1", "customer_id"), True), ("orders", ("orders@1", "order_id"), False)),
        "customers": (("customers", ("customers@1", "customer_id"), True),),
    }
    for parent, arguments, newest in made.get(plan.table, ()):
        key = "customer_id" if parent == "customers" else "order_id"
        check = Check(
            id="x", kind="reference", name="x", dimension="x", columns=(key,), arguments=arguments, of_newest=newest
        )
        yield f"rows_without_parent_{plan.table}_in_{parent}", check


def soda_sql(plan: TablePlan) -> list[str]:
    """What Soda sends for the plan's rules, asked of a warehouse that answers 0 to everything."""
    sent: list[str] = []

    def call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        sent.append(body["statement"])
        width = len(list(sqlglot.parse_one(body["statement"], dialect="databricks").args["expressions"]))
        columns = [{"name": f"c{i}", "type_name": "LONG"} for i in range(width)]
        answer = {"data_array": [["0"] * width]}
        return {
            "statement_id": "s", "status": {"state": "SUCCEEDED"}, "manifest": {"schema": {"columns": columns}},
            "result": answer,
        }  # fmt: skip

    checks = soda_checks(plan.contract, plan.checks)
    text = to_yaml(
        plan.contract, checks, f"curated/{plan.curated.replace('.', '/')}", dbsql.append_rows(plan, APPEND),
        dbsql.append_filter(APPEND), "`",
    )  # fmt: skip
    source = soda_run.on_databricks(Statements(call, "abc123").connection(), "curated")
    results = soda_run.evaluate(source, text, checks, window_of_plan(plan).end)
    assert {result.rule for result in results} == {check.id for check in checks}
    return sent


def next_major(plan: TablePlan) -> Contract:
    """Column for column the same, but for the last three: one is wider, one is another thing, one is new."""
    *same, wider, other, gone = plan.contract.columns
    columns = (
        *same,
        replace(wider, type=SqlType.parse("decimal(38,10)")),
        replace(other, pii=Pii(category="contact", handling="hash")),
        replace(gone, name="brand_new"),
    )
    return replace(plan.contract, major=2, version="2.0.0", columns=columns)


def with_descriptions(plan: TablePlan) -> TablePlan:
    """A plan whose columns carry texts that must be escaped."""
    columns = tuple(replace(c, description="it's \\ odd\nand long") for c in plan.contract.columns)
    return replace(plan, contract=replace(plan.contract, columns=columns))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.sql"):
        old.unlink()
    for golden in goldens():
        golden.path.write_text(golden.text, encoding="utf-8")
