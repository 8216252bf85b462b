"""Every kind of change of a contract: what it is called, whether it breaks readers, and why."""

from pathlib import Path

import pytest

from tenantdags.model.contract import Contract
from tenantdags.model.contract_diff import breaking, changes_of, next_version
from tenantdags.model.project import contract_of, load_contract

ROOT = Path(__file__).parents[2]
Edit = tuple[str, str]


def edited(ref: str, *edits: Edit) -> Contract:
    table = ref.partition("@")[0]
    file = f"include/contracts/{table}.v1.odcs.yaml"
    text = (ROOT / file).read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return contract_of(ROOT, ref, file, text)


def told(before: Contract, after: Contract) -> list[str]:
    return [str(change) for change in changes_of(before, after)]


RULES = "    quality:\n      - {id: pk"
SEGMENT = "      - {id: segment, name: segment, logicalType: string, physicalType: varchar(20)}\n"
NOTE = "      - {id: note, name: note, logicalType: string, physicalType: nvarchar(20)}\n"
RIGHTS = "[{scope: tenant}, {scope: group, exclude: [customer_id, customer_email]}]"
AMOUNT = "physicalType: 'decimal(18,2)', required: true"
CHANGES: dict[str, tuple[str, list[Edit], list[str]]] = {
    # columns
    "a new column": ("orders@1", [(RULES, NOTE + RULES)], [
        "additive  note: is new, nvarchar(20); windows loaded before hold NULL in it"]),
    "a new required column": (
        "orders@1", [(RULES, f"{NOTE[:-2]}, required: true}}\n{RULES}")], [
        "additive  note: is new, nvarchar(20); windows loaded before hold NULL in it, though it is required"]),
    "a column is gone": ("customers@1", [
        (SEGMENT, "")], [
        "breaking  segment: is gone; who selects it gets an error, or NULL for new windows"]),
    "a column is renamed": ("customers@1", [("{id: segment, name: segment", "{id: segment, name: part")], [
        "breaking  segment: is gone; who selects it gets an error, or NULL for new windows",
        "additive  part: is new, varchar(20); windows loaded before hold NULL in it"]),
    "another name at the source": ("customers@1", [("name: segment,", "name: segment, physicalName: Segment2,")], [
        "additive  segment: is read from Segment2, not segment; readers know it by the same name"]),
    "a wider type of the same kind of table column": ("orders@1", [("varchar(12)", "varchar(20)")], [
        "additive  status: was varchar(12) and is varchar(20); the table holds STRING as before"]),
    "a wider number": ("orders@1", [("'decimal(18,2)'", "'decimal(20,2)'")], [
        "breaking  amount: was decimal(18,2) and is decimal(20,2); the table holds DECIMAL(18,2), which cannot become "
        "DECIMAL(20,2)"]),
    "another kind of type": ("customers@1", [
        ("logicalType: boolean, physicalType: bit", "logicalType: integer, physicalType: tinyint")], [
        "breaking  is_active: was bit and is tinyint; the table holds BOOLEAN, which cannot become SMALLINT"]),
    "no longer required": ("orders@1", [(AMOUNT, "physicalType: 'decimal(18,2)'")], [
        "breaking  amount: is no longer required; readers may meet NULL where there was none"]),
    "required": ("customers@1", [("physicalType: varchar(20)}", "physicalType: varchar(20), required: true}")], [
        "additive  segment: is required; it is stricter"]),
    "in clear": ("orders@1", [("category: contact, handling: hash", "category: contact, handling: keep")], [
        "breaking  customer_email: is no longer hashed; its values are others than before, and match none that is "
        "loaded"]),
    "dropped in the stream": ("customers@1", [
        ("contact, handling: hash}}]\n        quality", "contact, handling: drop}}]\n        quality")], [
        "breaking  email: is dropped in the stream; who selects it gets an error, or NULL for new windows"]),
    "no longer dropped": ("customers@1", [("category: name, handling: drop", "category: name, handling: hash")], [
        "additive  name: is no longer dropped in the stream; windows loaded before hold NULL in it"]),
    "another category": ("customers@1", [("category: name,", "category: nickname,")], [
        "additive  name: is restricted, nickname now; its values are the same"]),
    "no longer a measure": ("order_lines@1", [
        (", customProperties: [{property: measure, value: {aggregation: [sum]}}]", ""),
        ("      - {id: reconcile_quantity, name: sum(quantity) equals source, type: custom, engine: tenantdags, "
         "dimension: accuracy, severity: error, implementation: {metric: sum, column: quantity}}\n", "")], [
        "additive  quantity: is no longer a measure; its values are the same",
        "additive  reconcile_quantity: is no longer checked; the gate is lower, but the columns mean the same"]),
    "another order": ("customers@1", [
        (SEGMENT, ""), (RULES, SEGMENT + RULES)], [
        "additive  columns: stand in another order; they are read by name"]),
    # values
    "another allowed value": ("orders@1", [("{value: RETURNED}", "{value: RETURNED}, {value: LOST}")], [
        "breaking  status_enum: lets other values through: status is NEW, PAID, SHIPPED, RETURNED or LOST; readers may "
        "meet values that could not be before"]),
    "fewer allowed values": ("orders@1", [(", {value: RETURNED}", "")], [
        "additive  status_enum: changed: status is NEW, PAID or SHIPPED; it lets nothing more through"]),
    "no range any more": ("customers@1", [("logicalTypeOptions: {minimum: 0}, ", "")], [
        "breaking  credit_limit_range: is no longer checked; readers may meet values that could not be before"]),
    # rules
    "a rule only warns": ("orders@1", [("completeness, severity: error", "completeness, severity: warning")], [
        "additive  volume_floor: only warns; the gate is lower, but the columns mean the same"]),
    "a lower floor": ("orders@1", [("mustBeGreaterThan: 0,", "mustNotBe: 7,")], [
        "additive  volume_floor: lets more through: rows: != 7; the gate is lower, but the columns mean the same"]),
    "a higher floor": ("orders@1", [("mustBeGreaterThan: 0,", "mustBeGreaterThan: 9,")], [
        "additive  volume_floor: changed: rows: > 9; it lets nothing more through"]),
    "a new rule": ("orders@1", [
        ("    quality:\n", "    quality:\n      - {id: rows_cap, metric: rowCount, mustBeLessThan: 9}\n")], [
        "additive  rows_cap: is new: rows: < 9; it is stricter"]),
    # the table
    "another key": ("order_lines@1", [
        (", primaryKey: true, primaryKeyPosition: 2", ""), ("[order_id, line_no]", "[order_id]")], [
        "breaking  grain: the key was order_id, line_no and is order_id; a row is another thing now",
        "breaking  pk_unique: checks something else: order_id is unique; readers may meet values that could not be "
        "before"]),
    "other words for the grain": ("orders@1", [("one row per order_id", "a row per order")], [
        "additive  grain: its words changed; the key is the same"]),
    "another mode": ("orders@1", [
        ("value: event", "value: snapshot"), ("{column: order_date, changed", "{changed")], [
        "breaking  mode: was event and is snapshot; windows mean something else, and the view shows other rows"]),
    "another window column": ("orders@1", [("{column: order_date,", "{column: updated_at,")], [
        "breaking  window: rows belong to it by updated_at, not by order_date; as_of_date means something else"]),
    "another changed column": ("orders@1", [("changed: updated_at, ", "")], [
        "additive  window: changed is none now; only the recount of late rows reads it"]),
    "empty windows": ("orders@1", [("allow_empty: false", "allow_empty: true")], [
        "additive  window: an empty window is legal; the gate lets more through: readers may meet a day without rows"]),
    "observed for longer": ("customers@1", [("observe_within: 48h", "observe_within: 72h")], [
        "additive  window: it may be observed for 3d; readers see the same rows"]),
    "another source table": ("orders@1", [("physicalName: Orders", "physicalName: OrdersArchive")], [
        "additive  source table: Orders became OrdersArchive; readers see the same columns"]),
    "additions stop": ("orders@1", [("additive: allow", "additive: stop")], [
        "additive  schemaEvolution: new source columns were let pass and are stopped; it is about runs, not about "
        "readers"]),
    "kept for less long": ("orders@1", [("value: 400", "value: 90")], [
        "breaking  retention: was 400 days and is 90 days; readers may no longer count on older windows"]),
    "kept for longer": ("orders@1", [("value: 400", "value: 800")], [
        "additive  retention: was 400 days and is 800 days; nothing goes earlier than before"]),
    "a right less": ("orders@1", [(RIGHTS, "[{scope: tenant}]")], [
        "breaking  right of group: is taken away; who had it may not aggregate any more"]),
    "a right with less": ("orders@1", [
        (RIGHTS, "[{scope: tenant, exclude: [amount]}, {scope: group, exclude: [customer_id]}]")], [
        "breaking  right of tenant: is without amount; who had it may not read them any more",
        "additive  right of group: leaves less out; nobody loses a column"]),
    "a right more": ("customers@1", [("[{scope: tenant}]", "[{scope: tenant}, {scope: all}]")], [
        "additive  right of all: is new; nobody loses one"]),
    "another owner": ("orders@1", [("oncall@example.com", "sales@example.com")], [
        "additive  owner: is sales@example.com now; readers do not see it"]),
    "another runbook": ("orders@1", [("docs/runbooks/orders.md", "docs/runbooks/sales.md")], [
        "additive  runbook: is docs/runbooks/sales.md now; readers do not see it"]),
    "other words": ("orders@1", [("by the day it was placed", "by its day")], [
        "additive  texts: its words or its version changed; readers see the same rows"]),
    "comments": ("orders@1", [("# Orders.", "# All orders.")], []),
    "joined by other columns": ("order_lines@1", [('"on": [order_id]', '"on": [order_id, updated_at]')], [
        "breaking  window: the parent is joined by other columns; rows may belong to other windows"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_with_its_effect_and_the_reason(name):
    ref, edits, wanted = CHANGES[name]

    assert told(load_contract(ROOT, ref), edited(ref, *edits)) == wanted


def test_the_opposite_of_a_stricter_promise_is_a_breaking_one():
    """What is told as harmless one way, and is about values, is never harmless both ways."""
    for name in ("required", "fewer allowed values", "no longer dropped", "a new column"):
        ref, edits, _ = CHANGES[name]

        assert not breaking(changes_of(load_contract(ROOT, ref), edited(ref, *edits))), name
        assert breaking(changes_of(edited(ref, *edits), load_contract(ROOT, ref))), name


@pytest.mark.parametrize("ref", ["orders@1", "customers@1", "order_lines@1"])
def test_a_contract_does_not_differ_from_itself(ref):
    assert changes_of(load_contract(ROOT, ref), load_contract(ROOT, ref)) == ()


def test_a_breaking_change_asks_for_a_new_major_version_and_any_other_for_a_minor_one():
    before = load_contract(ROOT, "orders@1")
    versions = {
        name: next_version(before, changes_of(before, edited("orders@1", *CHANGES[name][1])))
        for name in ("a wider number", "a higher floor")
    }

    assert versions == {"a wider number": "2.0.0", "a higher floor": "1.1.0"}
