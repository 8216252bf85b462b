"""Exact casts and value rules, batch by batch."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from tenantdags.model.contract import Check
from tenantdags.model.errors import BadValue
from tenantdags.model.sqltype import SqlType
from tenantdags.steps.columns import Conform, arrow_type, exact, failing_rows, load_columns, staged_schema
from tenantdags.steps.pii import PiiKey
from tests.steps.tsql_golden import EVERY_TYPE, column, every_type, example, with_columns

KEY = PiiKey("k", b"k" * 32)


def rule(kind, *arguments) -> Check:
    return Check(id="r", kind=kind, name="r", dimension="conformity", columns=("x",), arguments=arguments)


@pytest.mark.parametrize(
    ("check", "failing"),
    [
        (rule("required"), 1), (rule("null_count"), 1), (rule("null_percent", "n/a"), 2),
        (rule("pattern", "^C[0-9]{7}$"), 3), (rule("enum", "C0000001", "n/a"), 2), (rule("length", 2, None), 1),
        (rule("length", None, 3), 2), (rule("length", 1, 8), 1), (rule("invalid_count", "values", "n/a"), 3),
        (rule("invalid_percent", "pattern", "^C"), 2),
    ],
)  # fmt: skip
def test_a_rule_counts_the_rows_that_break_it(check, failing):
    values = pa.array(["C0000001", "C000000", None, "n/a", ""])

    assert failing_rows(check, values) == failing


@pytest.mark.parametrize(
    ("check", "failing"),
    [(rule("range", "0", None), 1), (rule("range", None, "1.5"), 1), (rule("range", "-1", "9"), 0)],
)
def test_a_range_compares_numbers_exactly(check, failing):
    assert failing_rows(check, pa.array([Decimal("-0.01"), Decimal("1.51"), None])) == failing


def test_an_unknown_kind_of_rule_is_not_passed_over():
    with pytest.raises(ValueError, match="cannot be evaluated on a stream"):
        failing_rows(rule("freshness"), pa.array(["x"]))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([Decimal("1.234")]), "decimal(18,2)"), (pa.array([Decimal("123456.78")]), "decimal(6,2)"),
        (pa.array([2**40]), "int"), (pa.array([1.5]), "int"), (pa.array([b"\xff\xfe"]), "varchar(2)"),
        (pa.array([1_500], pa.timestamp("ns")), "datetime2(7)"),
    ],
)  # fmt: skip
def test_a_value_that_would_change_is_refused(values, kind):
    with pytest.raises(pa.ArrowInvalid):
        exact(values, SqlType.parse(kind), "UTC")


def test_an_unknown_zone_is_no_bad_value():
    plan = example("globex", "orders")
    lost = replace(plan, source=replace(plan.source, time_zone="Nowhere/Never"))

    with pytest.raises(pa.ArrowInvalid, match="Nowhere/Never"):
        Conform(lost, "w", KEY)


def test_a_narrower_source_value_takes_the_contracts_type():
    assert exact(pa.array([7], pa.int32()), SqlType("bigint"), "UTC").type == pa.int64()
    cast = exact(pa.array([Decimal("1.5")], pa.decimal128(10, 1)), SqlType.parse("decimal(18,2)"), "UTC")
    assert (cast.type, cast.to_pylist()) == (pa.decimal128(18, 2), [Decimal("1.50")])


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("UTC", datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 2, 30, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 7, 1), datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 1, 30), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
    ],
)
def test_a_naive_clock_is_read_in_the_sources_zone(zone, local, instant):
    values = exact(pa.array([local, None], pa.timestamp("us")), SqlType.parse("datetime2(3)"), zone)

    assert values.type == pa.timestamp("us", "UTC")
    assert values.to_pylist() == [instant, None]


def test_a_bad_value_names_column_and_type_and_not_the_value():
    plan = with_columns(example("globex", "orders"), (column("amount", "decimal(6,2)"),))
    batch = pa.RecordBatch.from_arrays(
        [pa.array([Decimal("98765432.10")]), pa.array(["globex_sales"])], ["amount", "_source_tenant"]
    )

    with pytest.raises(BadValue) as caught:
        Conform(plan, "globex orders 2026-11-20", None)(batch)

    assert str(caught.value) == (
        "globex orders 2026-11-20: quality.value: a value of amount cannot become decimal(6,2) without loss. "
        "Remedy: Correct it at the source, or change the type in a new contract version."
    )
    assert caught.value.__cause__ is None


def test_the_padding_of_a_tenants_char_column_is_not_part_of_its_name():
    plan = with_columns(example("globex", "orders"), (column("id", "int"),))
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array(["ACME  "])], ["id", "_source_tenant"])

    assert Conform(plan, "w", None)(batch).column("_source_tenant").to_pylist() == ["ACME"]


def test_the_staged_type_of_every_source_type_is_what_its_databricks_type_reads():
    plan = every_type(example("globex", "orders"))
    delta = {
        pa.bool_(): "BOOLEAN", pa.int16(): "SMALLINT", pa.int32(): "INT", pa.int64(): "BIGINT", pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE", pa.date32(): "DATE", pa.string(): "STRING", pa.binary(): "BINARY",
        pa.timestamp("us", "UTC"): "TIMESTAMP", pa.decimal128(38, 10): "DECIMAL(38,10)",
        pa.decimal128(19, 4): "DECIMAL(19,4)", pa.decimal128(10, 4): "DECIMAL(10,4)",
    }  # fmt: skip

    found = [delta[field.type] for field in staged_schema(plan)][:-1]

    assert found == [c.type for c in load_columns(plan)]
    assert len(found) == len(EVERY_TYPE)


def test_a_hashed_column_is_staged_as_text_whatever_it_was():
    plan = example("acme", "customers")

    schema = staged_schema(plan)

    assert {schema.field(c.name).type for c in plan.contract.columns if c.hashed} == {pa.string()}
    assert arrow_type(SqlType("bigint")) == pa.int64()
