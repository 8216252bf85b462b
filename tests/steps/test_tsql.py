"""The T-SQL we send, whole texts against tests/golden/tsql; see tsql_golden for how they are made."""

import re

import pytest
import sqlglot

from tenantdags.model.sqltype import SqlType
from tenantdags.steps import tsql
from tests.steps.tsql_golden import FOLDER, LEARN, Golden, day_of, example, goldens

ALL = goldens()


@pytest.mark.parametrize("golden", ALL, ids=lambda g: g.name)
def test_a_statement_is_its_golden_file(golden: Golden):
    assert golden.path.read_text(encoding="utf-8") == golden.text


def test_every_golden_file_is_a_statement_we_send():
    assert sorted(FOLDER.glob("*.sql")) == sorted(golden.path for golden in ALL)


@pytest.mark.parametrize("golden", ALL, ids=lambda g: g.name)
def test_a_golden_file_names_the_page_that_allows_it(golden: Golden):
    assert golden.text.startswith(f"-- {LEARN}")


@pytest.mark.parametrize("golden", [g for g in ALL if not g.name.startswith("session_")], ids=lambda g: g.name)
def test_a_query_parses_as_t_sql_and_holds_no_value(golden: Golden):
    text = golden.statement.text.replace("%s", "?")

    assert len(sqlglot.parse(text, dialect="tsql")) == 1
    assert text.count("?") == len(golden.statement.parameters)
    assert not re.search(r"NOLOCK|READPAST|READUNCOMMITTED", text, re.IGNORECASE)


def test_every_bound_is_cast_to_its_declared_type():
    for golden in ALL:
        if golden.name.startswith(("rows_", "totals_", "recount_")):
            assert golden.statement.text.count("?") == golden.statement.text.count("CAST(? AS ")


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("Orders", "[Orders]"), ("odd name", "[odd name]"), ("a]; DROP TABLE x --", "[a]]; DROP TABLE x --]")],
)
def test_an_identifier_is_quoted_so_that_it_stays_one(name, quoted):
    assert tsql.quote(name) == quoted


@pytest.mark.parametrize("name", ["", "a" * 129, "line\nbreak", "nul\0"])
def test_what_is_no_identifier_is_refused(name):
    with pytest.raises(ValueError, match="no SQL Server identifier"):
        tsql.quote(name)


def test_totals_and_rows_are_of_the_same_rows():
    for tenant in ("acme", "globex"):
        for table in ("customers", "orders", "order_lines"):
            plan = example(tenant, table)
            kind = SqlType("int") if tenant == "acme" else None
            rows, totals = (f(plan, day_of(plan), kind) for f in (tsql.select_rows, tsql.control_totals))

            assert rows.text.partition("\nFROM ")[2] == totals.text.partition("\nFROM ")[2]
            assert rows.parameters == totals.parameters


def test_a_column_outside_the_contract_is_never_selected():
    plan = example("acme", "orders")

    text = tsql.select_rows(plan, day_of(plan), SqlType("int")).text

    assert set(re.findall(r"t\.\[(\w+)\]", text)) == {c.source_name for c in plan.contract.columns} | {"company_id"}


def test_a_dropped_column_is_not_selected_unless_a_rule_needs_it():
    plan = example("acme", "customers")

    assert "[name]" not in tsql.select_rows(plan, day_of(plan), SqlType("int")).text


def test_a_shared_database_without_its_tenant_type_is_refused():
    plan = example("acme", "orders")

    with pytest.raises(ValueError, match="declared type"):
        tsql.select_rows(plan, day_of(plan), None)
