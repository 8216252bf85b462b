"""How many rows the driver fetches at a time: few enough for a small buffer, whatever the table's columns."""

import pytest

from tenantdags.steps.extract import BATCH_BYTES, HASHED_BATCH_BYTES, batch_rows
from tenantdags.steps.tsql import selected_columns
from tests.steps.tsql_golden import every_type, example

ORDERS = example("acme", "orders")


@pytest.mark.parametrize(
    ("types", "rows"),
    [
        (("bigint", "int", "date"), 20_000),
        (("bigint", "nvarchar(max)"), 1_000),
        (("xml",), 1_000),
        (("nvarchar(4000)",) * 50, BATCH_BYTES // (50 * 8002)),
    ],
)
def test_wide_rows_come_in_smaller_batches(types, rows):
    assert batch_rows(every_type(ORDERS, types)) == rows


def test_a_row_wider_than_the_buffer_is_still_fetched():
    assert batch_rows(every_type(ORDERS, ("nvarchar(4000)",) * 4_000)) == 1


def test_hashing_leaves_less_room():
    customers = example("acme", "customers")
    assert any(column.hashed for column in customers.contract.columns)
    width = sum(column.type.buffer_bytes for column in selected_columns(customers))

    assert batch_rows(customers) == min(20_000, HASHED_BATCH_BYTES // width)
