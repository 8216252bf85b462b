"""The Databricks SQL we send, whole texts against tests/golden/dbsql; see dbsql_golden for how they are made."""

from __future__ import annotations

import re

import pytest
import sqlglot

from tenantdags.steps import dbsql
from tests.steps.dbsql_golden import FOLDER, MANUAL, Golden, goldens, with_descriptions
from tests.steps.staged import plan_of


@pytest.fixture(scope="module")
def sent() -> list[Golden]:
    return goldens()


def test_every_statement_is_its_golden_file(sent):
    assert {g.path.name: g.path.read_text(encoding="utf-8") for g in sent} == {g.path.name: g.text for g in sent}


def test_every_golden_file_is_a_statement_we_send(sent):
    assert sorted(FOLDER.glob("*.sql")) == sorted(g.path for g in sent)


def test_every_golden_file_names_the_pages_that_allow_it(sent):
    assert all(g.pages and g.text.startswith(f"-- {MANUAL}") for g in sent)


def test_every_text_is_one_databricks_statement(sent):
    assert [g.name for g in sent if len(sqlglot.parse(g.sql, dialect="databricks")) != 1] == []


def test_values_are_parameters(sent):
    literals = {
        g.name: set(re.findall(r"'([^']*)'", g.sql))
        for g in sent
        if g.name.split("_")[0] in ("append", "appends", "delete", "keys", "insert", "log", "table")
    }

    assert len(literals) >= 10
    assert {name: found for name, found in literals.items() if found} == {}


@pytest.mark.parametrize(
    ("name", "quoted"), [("a", "`a`"), ("odd name", "`odd name`"), ("a` DROP TABLE x", "`a`` DROP TABLE x`")]
)
def test_an_identifier_is_quoted_so_that_it_stays_one(name, quoted):
    assert dbsql.quote(name) == quoted


def test_texts_of_the_contract_are_escaped_in_comments():
    sql = dbsql.create_curated(with_descriptions(plan_of("acme", "orders")))

    assert "`status` STRING COMMENT 'it\\'s \\\\ odd and long'" in sql
    assert len(sqlglot.parse(sql, dialect="databricks")) == 1
