"""Which edits of the files a run may meet between its steps, and which end it."""

import shutil
from pathlib import Path

import pytest

from tenantdags.model.fingerprint import changed, fingerprints
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant

ROOT = Path(__file__).parents[2]
ACME, DEFAULTS, ORDERS = "config/tenants/acme.yaml", "config/defaults.yaml", "include/contracts/orders.v1.odcs.yaml"


def orders(root: Path) -> TablePlan:
    (plan,) = (plan for plan in load_tenant(root, "acme") if plan.table == "orders")
    return plan


def changed_by(root: Path, file: str, old: str, new: str) -> list[str]:
    """The parts of acme's orders that one edit of one file changes."""
    for folder in ("config", "include/contracts"):
        shutil.copytree(ROOT / folder, root / folder)
    before = orders(root)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    after = orders(root)
    assert after != before
    return changed(fingerprints(before), after)


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        (ACME, "tenant_value: 123", "tenant_value: 124", ["source"]),
        (ACME, "connection: mssql_shared1", "connection: mssql_shared2", ["source"]),
        (DEFAULTS, "container: landing", "container: other", ["landing"]),
        (DEFAULTS, "catalog: prod", "catalog: test", ["databricks.catalog"]),
        (ORDERS, "physicalName: Orders", "physicalName: Bills", ["source"]),
        (ORDERS, "column: order_date, changed", "column: updated_at, changed", ["window"]),
    ],
)
def test_what_was_extracted_and_where_it_goes_must_not_change(tmp_path, file, old, new, parts):
    assert changed_by(tmp_path, file, old, new) == parts


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (ACME, "name: ", "name: New "),
        (DEFAULTS, "poll_seconds: ", "poll_seconds: 1"),
        (DEFAULTS, "retries: ", "retries: 1"),
        (ORDERS, "allow_empty: false", "allow_empty: true"),
    ],
)
def test_what_only_steers_a_step_may_change(tmp_path, file, old, new):
    assert changed_by(tmp_path, file, old, new) == []


def test_fingerprints_tell_no_value():
    plan = orders(ROOT)

    assert all(len(digest) == 16 for digest in fingerprints(plan).values())
    assert plan.source.connection not in str(fingerprints(plan))
