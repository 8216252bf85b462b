"""Which source types a contract type can take, and how the catalogue's rows are read."""

import pytest

from tenantdags.model.sqltype import SqlType
from tenantdags.steps.drift import Found, compare, fits, found_columns
from tests.steps.tsql_golden import example

PLAN = example("acme", "orders")
LINES = example("acme", "order_lines")


@pytest.mark.parametrize(
    ("found", "contract"),
    [
        ("int", "int"), ("tinyint", "bigint"), ("smallint", "int"), ("decimal(10,2)", "decimal(18,2)"),
        ("decimal(10,1)", "decimal(18,2)"), ("varchar(10)", "varchar(20)"), ("varchar(8000)", "varchar(max)"),
        ("nvarchar(max)", "nvarchar(max)"), ("datetime2(0)", "datetime2(3)"),
        ("datetimeoffset(3)", "datetimeoffset(7)"), ("real", "float"), ("real", "float(24)"), ("float(24)", "real"),
        ("rowversion", "timestamp"), ("time(0)", "time(7)"),
        ("varbinary(4)", "varbinary(8)"),
    ],
)  # fmt: skip
def test_every_value_of_a_narrower_type_fits(found, contract):
    assert fits(SqlType.parse(found), SqlType.parse(contract))


@pytest.mark.parametrize(
    ("found", "contract"),
    [
        ("bigint", "int"), ("decimal(19,2)", "decimal(18,2)"), ("decimal(18,3)", "decimal(18,2)"),
        ("decimal(18,0)", "decimal(18,2)"), ("varchar(21)", "varchar(20)"), ("varchar(max)", "varchar(20)"),
        ("nvarchar(max)", "nvarchar(4000)"), ("nvarchar(20)", "varchar(20)"), ("char(3)", "varchar(3)"),
        ("datetime2(7)", "datetime2(3)"), ("datetime", "datetime2(3)"), ("float", "real"), ("int", "decimal(18,2)"),
        ("money", "decimal(19,4)"), ("smallmoney", "money"), ("date", "datetime2(3)"), ("bit", "tinyint"),
        ("datetime2(3)", "datetimeoffset(3)"),
    ],
)  # fmt: skip
def test_a_wider_or_another_type_does_not_fit(found, contract):
    assert not fits(SqlType.parse(found), SqlType.parse(contract))


@pytest.mark.parametrize(
    ("row", "type_text"),
    [
        (("nvarchar", 640, 0, 0), "nvarchar(320)"), (("nvarchar", -1, 0, 0), "nvarchar(max)"),
        (("varchar", 12, 0, 0), "varchar(12)"),
        (("char", 3, 0, 0), "char(3)"), (("numeric", 9, 18, 2), "decimal(18,2)"),
        (("datetime2", 7, 23, 3), "datetime2(3)"), (("time", 5, 16, 7), "time(7)"), (("money", 8, 19, 4), "money"),
        (("timestamp", 8, 0, 0), "timestamp"), (("float", 8, 53, 0), "float"),
    ],
)  # fmt: skip
def test_a_row_of_sys_columns_is_read_as_its_declared_type(row, type_text):
    name, length, precision, scale = row

    [found] = found_columns([("Orders", "x", name, length, precision, scale, True)])

    assert (found.type, found.type_text) == (SqlType.parse(type_text), type_text)


@pytest.mark.parametrize("name", [None, "sql_variant", "hierarchyid"])
def test_a_type_no_contract_can_name_is_shown_and_never_fits(name):
    [found] = found_columns([("Orders", "amount", name, 16, 0, 0, True)])

    assert found.type is None
    lines = compare(PLAN, [*_all_but("amount"), found]).breaking
    assert lines == (f"amount: contract decimal(18,2), source {name or 'a CLR type'}",)


def _all_but(*names: str, plan=PLAN) -> list[Found]:
    columns = [
        Found("Orders", c.source_name, c.type, c.type.tsql, False) for c in plan.contract.columns if c.name not in names
    ]
    return [*columns, Found("Orders", "company_id", SqlType("int"), "int", False)]


def test_a_source_as_declared_has_no_drift():
    drift = compare(PLAN, _all_but())

    assert (drift.breaking, drift.warnings, drift.tenant_type) == ((), (), SqlType("int"))


def test_names_are_compared_as_a_case_insensitive_source_would():
    shouted = [Found(f.table.upper(), f.name.upper(), f.type, f.type_text, f.nullable) for f in _all_but()]

    assert compare(PLAN, shouted).breaking == ()


def test_everything_that_differs_is_told_at_once():
    lines = compare(PLAN, _all_but("amount", "status")).breaking

    assert lines == (
        "status: contract varchar(12), the source has no such column",
        "amount: contract decimal(18,2), the source has no such column",
    )


def test_a_child_needs_its_parents_key_window_and_tenant_column():
    children = [Found("OrderLines", c.source_name, c.type, c.type.tsql, False) for c in LINES.contract.columns]
    children.append(Found("OrderLines", "company_id", SqlType("int"), "int", False))
    parent = [Found("Orders", "placed", SqlType("date"), "date", False)]

    assert compare(LINES, [*children, *parent]).breaking == (
        "Orders.order_id: the parent has no such column",
        "Orders.order_date: the window column is missing",
        "Orders.company_id: the tenant column is missing or of a type that cannot be compared",
    )
