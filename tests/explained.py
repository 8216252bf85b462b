"""The golden files of `tenantdags plan --explain`: a shared database, a parent, and settings at every level."""

import tempfile
from functools import cache
from pathlib import Path

from tenantdags.model.plan_text import to_text
from tenantdags.model.project import explain_tenant
from tests.tenants.cases import HERE, ROOT, project_of

FOLDER = ROOT / "tests/golden/explain"
CASE = HERE / "good/settings_at_every_level"


@cache
def texts() -> dict[Path, str]:
    """Each golden file and what it should hold."""
    with tempfile.TemporaryDirectory() as folder:
        case = project_of(CASE, Path(folder) / "project")
        found = {FOLDER / f"{CASE.name}.txt": _text(case, "acme", "orders")}
    examples = (("acme", "orders"), ("acme", "order_lines"), ("northwind", "customers"))
    return {**{FOLDER / f"{t}__{table}.txt": _text(ROOT, t, table) for t, table in examples}, **found}


def _text(root: Path, tenant: str, table: str) -> str:
    return next(to_text(plan, origins) for plan, origins in explain_tenant(root, tenant) if plan.table == table)
