"""The drift matrix cell by cell, which source types a contract type can take, and how the catalogue is read."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tenantdags.model.contract import Column
from tenantdags.model.drift_policy import MATRIX, Additive, Cell
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType
from tenantdags.steps.drift import KEPT, Drift, Found, Look, Looks, bounded, compare, fits, found_columns, sentences
from tests.steps.tsql_golden import column, example, with_columns

PLAN = example("acme", "orders")
LINES = example("acme", "order_lines")
LATIN, GREEK = "Latin1_General_100_CI_AS", "Greek_100_CI_AS"


def as_declared(plan: TablePlan = PLAN, *without: str) -> list[Found]:
    """The columns of a source that is what the contract says."""
    columns = [found_of(c, plan.source.table) for c in plan.contract.columns if c.name not in without]
    return [*columns, Found(plan.source.table, "company_id", SqlType("int"), "int", nullable=False)]


def found_of(column: Column, table: str = "Orders") -> Found:
    collation = LATIN if column.type.text else None
    return Found(table, column.source_name, column.type, column.type.tsql, not column.required, collation)


def new(name: str, type_text: str, **more) -> Found:
    return Found("Orders", name, SqlType.parse(type_text), type_text, nullable=True, **more)


@dataclass(frozen=True)
class Source:
    """What a scenario makes of the good source."""

    columns: list[Found] = field(default_factory=as_declared)
    told_apart: bool = False
    plan: TablePlan = PLAN

    def change(self, column: str, **changes) -> "Source":
        swapped = [replace(f, **changes) if f.name == column else f for f in self.columns]
        assert swapped != self.columns, column
        return replace(self, columns=swapped)

    def type(self, name: str, text: str) -> "Source":
        return self.change(name, type=SqlType.parse(text), type_text=text)

    def swap(self, name: str, *others: Found) -> "Source":
        at = [f.name for f in self.columns].index(name)
        return replace(self, columns=[*self.columns[:at], *others, *self.columns[at + 1 :]])

    def add(self, *found: Found) -> "Source":
        return replace(self, columns=[*self.columns, *found])

    def drift(self, additive: Additive = "allow") -> Drift:
        plan = replace(self.plan, contract=replace(self.plan.contract, additive=additive))
        return compare(plan, self.columns, before=first_looks(self.plan), told_apart=self.told_apart)


def first_looks(plan: TablePlan) -> Looks:
    return compare(plan, as_declared(plan)).looks


def child(columns: list[Found] | None = None, *parent: Found) -> Source:
    orders = [found_of(c) for c in PLAN.contract.columns if c.name in ("order_id", "order_date")]
    orders.append(Found("Orders", "company_id", SqlType("int"), "int", nullable=False))
    return Source([*as_declared(LINES), *(orders if columns is None else columns), *parent], plan=LINES)


GOOD = Source()
SCENARIOS: dict[str, Callable[[], Source]] = {
    "added": lambda: GOOD.add(new("channel", "varchar(10)")),
    "dropped": lambda: GOOD.swap("amount"),
    "renamed": lambda: GOOD.swap("amount", new("total", "decimal(18,2)")),
    "reordered": lambda: replace(GOOD, columns=GOOD.columns[::-1]),
    "widened": lambda: GOOD.type("amount", "decimal(20,2)"),
    "narrowed": lambda: GOOD.type("amount", "decimal(9,2)"),
    "retyped": lambda: GOOD.type("amount", "money"),
    "nullable": lambda: GOOD.change("status", nullable=True),
    "not_null": lambda: GOOD.change("customer_email", nullable=False),
    "collation": lambda: GOOD.change("status", collation=GREEK),
    "identity": lambda: GOOD.change("order_id", identity=True),
    "computed": lambda: GOOD.change("amount", computed=True),
    "case": lambda: GOOD.change("status", name="Status"),
    "case_told_apart": lambda: replace(GOOD.change("status", name="Status"), told_apart=True),
    "system_versioned": lambda: replace(GOOD, columns=[replace(f, temporal_type=2) for f in GOOD.columns]),
    "history_table": lambda: replace(GOOD, columns=[replace(f, temporal_type=1) for f in GOOD.columns]),
    "no_table": lambda: replace(GOOD, columns=[]),
    "no_parent": lambda: child([]),
    "parent_column": lambda: child([f for f in child().columns if f.table == "Orders" and f.name != "order_id"]),
    "window_missing": lambda: child([f for f in child().columns if f.table == "Orders" and f.name != "order_date"]),
    "window_type": lambda: child().type("order_date", "date"),
    "window_nullable": lambda: GOOD.change("order_date", nullable=True),
    "window_computed": lambda: GOOD.change("order_date", computed=True),
    "tenant_column": lambda: GOOD.swap("company_id"),
    "masked": lambda: GOOD.change("customer_email", masked=True),
}


def test_every_cell_of_the_matrix_has_a_scenario():
    assert list(SCENARIOS) == [cell.change for cell in MATRIX]


@pytest.mark.parametrize("additive", ["allow", "stop"])
@pytest.mark.parametrize("cell", MATRIX, ids=lambda cell: cell.change)
def test_a_cell_of_the_matrix_does_what_the_matrix_says(cell: Cell, additive: Additive):
    differences = SCENARIOS[cell.change]().drift(additive).differences

    wanted = cell.allow if additive == "allow" else cell.stop
    assert [(d.change, d.level) for d in differences] == ([] if wanted == "pass" else [(cell.change, wanted)])


@pytest.mark.parametrize("cell", [cell for cell in MATRIX if cell.since], ids=lambda cell: cell.change)
def test_what_a_contract_does_not_say_is_no_difference_at_first_sight(cell: Cell):
    source = SCENARIOS[cell.change]()

    assert compare(PLAN, source.columns).differences == ()


def test_the_good_source_is_good():
    assert (GOOD.drift().differences, child().drift().differences) == ((), ())
    assert GOOD.drift().tenant_type == SqlType("int")


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

    row = ("Orders", "x", name, length, precision, scale, True, "Latin1_General_100_CI_AS", True, True, 1, 2)
    [found] = found_columns([row])

    assert (found.type, found.type_text) == (SqlType.parse(type_text), type_text)
    assert (found.nullable, found.collation) == (True, "Latin1_General_100_CI_AS")
    assert (found.identity, found.computed, found.period, found.temporal_type) == (True, True, True, 2)


@pytest.mark.parametrize("name", [None, "sql_variant", "hierarchyid"])
def test_a_type_no_contract_can_name_is_shown_and_never_fits(name):
    [found] = found_columns([("Orders", "amount", name, 16, 0, 0, True, None, False, False, 0, 0)])

    [line] = sentences(GOOD.swap("amount", found).drift().breaking, "allow")
    assert line == f"amount: contract decimal(18,2), source {name or 'a CLR type'}"


def test_what_is_wider_says_so_and_what_is_another_type_does_not():
    drift = GOOD.type("amount", "decimal(20,2)").type("status", "nvarchar(12)").drift()

    assert sentences(drift.breaking, "allow") == (
        "status: contract varchar(12), source nvarchar(12)",
        "amount: contract decimal(18,2), source decimal(20,2), which is wider",
    )


@pytest.mark.parametrize(
    ("found", "contract", "change"),
    [
        ("bigint", "int", "widened"), ("varchar(max)", "varchar(20)", "widened"), ("float", "real", "widened"),
        ("datetime2(7)", "datetime2(3)", "widened"), ("decimal(18,3)", "decimal(18,2)", "retyped"),
        ("decimal(19,3)", "decimal(18,2)", "widened"), ("char(3)", "varchar(3)", "retyped"),
        ("datetime", "datetime2(3)", "retyped"), ("smallint", "int", "narrowed"),
        ("decimal(9,1)", "decimal(18,2)", "narrowed"),
    ],
)  # fmt: skip
def test_wider_narrower_and_other_types_are_told_apart(found, contract, change):
    plan = with_columns(PLAN, (column("order_date", "datetime2(3)"), column("x", contract)))
    columns = [found_of(plan.contract.columns[0]), new("x", found), new("company_id", "int")]

    assert [d.change for d in compare(plan, [replace(f, nullable=False) for f in columns]).differences] == [change]


def test_a_renamed_column_names_its_successor_and_is_not_told_as_added():
    drift = SCENARIOS["renamed"]().drift()

    assert sentences(drift.differences, "allow") == (
        "amount: contract decimal(18,2), the source has no such column; total stands in its place and looks renamed",
    )


@pytest.mark.parametrize(
    "source",
    [
        GOOD.swap("amount", new("total", "decimal(20,2)")),  # of another type
        GOOD.swap("amount").add(new("total", "decimal(18,2)")),  # at another place
        GOOD.swap("amount", new("total", "decimal(18,2)"), new("net", "decimal(18,2)")),  # one of two
    ],
    ids=["type", "place", "two"],
)
def test_what_only_may_be_a_rename_is_a_dropped_and_an_added_column(source):
    assert {d.change for d in source.drift().differences} == {"dropped", "added"}


def test_two_renamed_columns_side_by_side_are_not_guessed():
    plan = with_columns(PLAN, (column("order_date", "datetime2(3)"), column("a", "int"), column("b", "int")))
    named = [new("order_date", "datetime2(3)"), new("x", "int"), new("y", "int"), new("company_id", "int")]

    found = compare(plan, [replace(f, nullable=False) for f in named]).differences
    assert [d.change for d in found] == ["dropped", "dropped", "added", "added"]


def test_a_text_column_of_a_hashed_value_still_tells_its_collation():
    [line] = sentences(GOOD.change("customer_id", collation=GREEK).drift().warnings, "allow")

    assert line == f"customer_id: its collation was {LATIN} and is {GREEK}"


def test_the_period_columns_of_a_temporal_table_are_added_columns():
    period = [new(name, "datetime2(7)", period=True, temporal_type=2) for name in ("valid_from", "valid_to")]
    drift = GOOD.add(*period).drift()

    assert [(d.change, d.text) for d in drift.differences] == [
        ("added", f"{n}: period column datetime2(7), which the contract does not have; it is not extracted")
        for n in ("valid_from", "valid_to")
    ]
    assert drift.to_paste[0] == (
        "- {id: valid_from, name: valid_from, logicalType: timestamp, physicalType: datetime2(7)}"
        "  # review: a period column"
    )


def wide(number: int) -> list[Found]:
    return [new(f"extra_{n:04d}", "int") for n in range(number)]


def test_a_table_of_1024_columns_is_one_line_and_a_bounded_manifest():
    extra = 1024 - len(GOOD.columns)
    drift = GOOD.add(*wide(extra)).drift()
    [line] = sentences(drift.warnings, "allow")

    assert len(drift.warnings) == extra
    assert line.endswith(f"extra_0011 int and {extra - 12:,} more")
    assert len(bounded(drift.warnings)) == KEPT + 1
    assert bounded(drift.warnings)[-1].text == "965 more, from extra_0050 to extra_1014"
    assert drift.to_paste[-1] == "# and 965 more"


def test_the_line_that_stands_for_many_changes_with_each_of_them():
    few, more = (bounded(GOOD.add(*wide(n)).drift().warnings)[-1] for n in (60, 61))

    assert few.fingerprint != more.fingerprint


def test_a_contract_of_1024_columns_is_compared_with_all_of_them():
    plan = with_columns(PLAN, (*PLAN.contract.columns, *(column(f"extra_{n:04d}", "int") for n in range(1015))))
    found = [*as_declared(PLAN), *wide(1015)]

    assert compare(plan, found).differences == ()
    assert [d.column for d in compare(plan, found[:-1]).breaking] == ["extra_1014"]


def test_a_fingerprint_is_of_the_difference_alone():
    first, again = (
        source.differences[0] for source in (SCENARIOS["added"]().drift(), SCENARIOS["added"]().drift("stop"))
    )
    other = GOOD.add(new("channel", "varchar(11)")).drift().differences[0]

    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_lines_to_paste_are_the_contracts_new_columns():
    added = [
        new("DeliveryEmail", "nvarchar(320)"), new("birth_date", "date"), new("no", "int"),
        new("amount due", "decimal(9,2)"), Found("Orders", "place", None, "geography", nullable=True),
        new("a[b", "int"), new("tenant_id", "int"),
        replace(new("Status2", "bit"), computed=True, nullable=False),
    ]  # fmt: skip

    assert GOOD.add(*added).drift().to_paste == (
        "- {id: delivery_email, name: delivery_email, physicalName: DeliveryEmail, logicalType: string, "
        "physicalType: nvarchar(320), classification: restricted, tags: [pii], "
        "customProperties: [{property: pii, value: {category: contact, handling: hash}}]}"
        "  # review: personal data, guessed from the name",
        "- {id: birth_date, name: birth_date, logicalType: date, physicalType: date, classification: restricted, "
        "tags: [pii], customProperties: [{property: pii, value: {category: birthday, handling: drop}}]}"
        "  # review: personal data, guessed from the name",
        "- {id: 'no', name: 'no', logicalType: integer, physicalType: int}",
        "- {id: amount_due, name: amount_due, physicalName: 'amount due', logicalType: number, "
        "physicalType: 'decimal(9,2)'}",
        "# place geography: left out, a contract knows no such type",
        "# a[b int: left out, its name cannot be written in a contract",
        "- {id: source_tenant_id, name: source_tenant_id, physicalName: tenant_id, logicalType: integer, "
        "physicalType: int}",
        "- {id: status2, name: status2, physicalName: Status2, logicalType: boolean, physicalType: bit, "
        "required: true}  # review: computed at the source",
    )


def test_a_look_is_what_a_contract_does_not_say():
    assert GOOD.drift().looks["status"] == Look(nullable=False, collation=LATIN, computed=False)


def test_names_are_compared_as_a_case_insensitive_source_would():
    shouted = [replace(f, table=f.table.upper(), name=f.name.upper()) for f in as_declared()]

    assert compare(PLAN, shouted).differences == ()


def test_everything_that_differs_is_told_at_once():
    lines = sentences(compare(PLAN, as_declared(PLAN, "amount", "status")).breaking, "allow")

    assert lines == (
        "status: contract varchar(12), the source has no such column",
        "amount: contract decimal(18,2), the source has no such column",
    )


def test_a_child_needs_its_parents_key_window_and_tenant_column():
    drift = child([new("placed", "date")]).drift()

    assert sentences(drift.breaking, "allow") == (
        "Orders.order_id: the parent has no such column",
        "Orders.order_date: the window column is missing",
        "Orders.company_id: the tenant column is missing or of a type that cannot be compared",
    )
