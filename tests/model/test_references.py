"""Foreign keys of contracts: what they compile to, and which files a tenant's plans then hang on."""

from pathlib import Path

from tenantdags.model.contract import Check
from tenantdags.model.project import inputs_of, load_contract, load_tenant
from tests.tenants.cases import HERE, project_of

GOOD = HERE / "good"


def references(checks: tuple[Check, ...]) -> list[tuple[object, ...]]:
    return [(c.id, c.columns, c.arguments, c.severity) for c in checks if c.kind == "reference"]


def test_a_reference_names_the_parents_key_in_the_order_of_its_own_columns(tmp_path):
    root = project_of(GOOD / "references", tmp_path / "project")

    assert references(load_contract(root, "payments@1").checks) == [
        ("paid_order", ("order_id",), ("orders@1", "order_id"), "warning"),
        ("corrects_reference", ("corrects",), ("payments@1", "payment_id"), "error"),
    ]


def test_a_reference_follows_the_version_of_its_parent_that_the_tenant_loads(tmp_path):
    root = project_of(GOOD / "reference_to_the_loaded_version", tmp_path / "project")
    (lines,) = (plan for plan in load_tenant(root, "acme") if plan.table == "order_lines")

    assert references(lines.contract.checks) == [("order_exists", ("order_id",), ("orders@1", "order_id"), "error")]
    assert references(lines.checks) == [("order_exists", ("order_id",), ("orders@2", "order_id"), "error")]


def test_a_reference_to_a_table_that_the_tenant_does_not_load_is_in_no_plan(tmp_path):
    root = project_of(GOOD / "warnings_of_a_reference_to_what_is_not_loaded", tmp_path / "project")

    assert [references(plan.checks) for plan in load_tenant(root, "acme")] == [[]]


def test_contracts_may_refer_to_each_other(tmp_path):
    root = project_of(GOOD / "references", tmp_path / "project")
    orders = root / "include/contracts/orders.v1.odcs.yaml"
    there = "relationships: [{to: payments.v1.odcs.yaml#/schema/payments_tbl/properties/payment}]"
    text = "      - {id: first_payment, name: first_payment, logicalType: integer, physicalType: bigint, %s}\n"
    orders.write_text(orders.read_text().replace("    quality:\n", f"{text % there}    quality:\n", 1))

    assert references(load_contract(root, "orders@1").checks)[0][2] == ("payments@1", "payment_id")
    assert references(load_contract(root, "payments@1").checks)[0][2] == ("orders@1", "order_id")


def test_an_edit_of_the_contract_referred_to_is_an_edit_of_the_tenant(tmp_path):
    root = project_of(GOOD / "references", tmp_path / "project")
    tenant = root / "config/tenants/acme.yaml"
    tenant.write_text(tenant.read_text().replace("  orders:\n    contract: orders@1\n", ""))

    assert Path(root / "include/contracts/orders.v1.odcs.yaml") in inputs_of(root, "acme")
