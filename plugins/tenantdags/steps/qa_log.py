"""The QA log in Databricks: one row per attempt, taken from its QA document."""

from __future__ import annotations

from tenantdags.model.plan import TablePlan
from tenantdags.model.qa import QaDocument
from tenantdags.model.window import Window
from tenantdags.steps import dbsql
from tenantdags.steps.statements import Statements

_KEY = ("tenant_id", "table_name", "window_start", "attempt")


def log(
    plan: TablePlan, window: Window, document: QaDocument, address: str | None, statements: Statements, *, again: bool
) -> None:
    """`again`: this attempt may have its row already. Raises DatabricksSubmit, DatabricksRun, …, TableBehind."""
    asked, row = statements.of(plan, window), _row(plan, document, address)
    if again and asked.execute(dbsql.qa_logged(plan), {name: row[name] for name in _KEY}).rows:
        return
    asked.execute(dbsql.insert_qa_log(plan), row)


def _row(plan: TablePlan, document: QaDocument, address: str | None) -> dict[str, tuple[object, str]]:
    gates = {gate.gate: gate.outcome for gate in document.gates}
    found: dict[str, object] = {
        **{name: getattr(document, name, None) for name, _ in dbsql.QA_LOG},
        **{f"{place}_rows": rows for place, rows in document.rows.model_dump().items()},
        "tenant_id": document.tenant,
        "table_name": plan.curated_name,
        "rule": document.broken.rule if document.broken else None,
        "generation": document.readers.generation if document.readers else None,
        "check_extract": gates.get("check_extract"),
        "check_load": gates.get("check_load"),
        "warnings": len(document.warnings),
        "summary": address,
    }
    return {name: (found[name], kind) for name, kind in dbsql.QA_LOG}
