"""What the seed contracts promise, and that they are contracts for everyone else too."""

import re
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from open_data_contract_standard.model import OpenDataContractStandard

from tenantdags.model.checks import ALWAYS
from tenantdags.model.column_rules import _pattern_problem
from tenantdags.model.contract import Check, CheckKind, Contract
from tenantdags.model.contract_words import check_words
from tenantdags.model.odcs import standard_problems
from tenantdags.model.project import contract_refs, load_contract

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "include/contracts").glob("*.odcs.yaml"))


def contract(ref: str) -> Contract:
    return load_contract(ROOT, ref)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_contract_is_valid_for_the_standard_and_its_library(path):
    assert standard_problems(path.name, path.read_text()) == ()
    assert OpenDataContractStandard.from_file(str(path)).kind == "DataContract"


@pytest.mark.parametrize("ref", contract_refs(ROOT))
def test_personal_columns_are_hashed_or_dropped(ref):
    personal = [c for c in contract(ref).columns if c.pii or c.classification == "restricted"]

    assert all(c.hashed or not c.loaded for c in personal)


def test_orders_are_found_by_their_own_date():
    window = contract("orders@1").window

    assert (window.column, str(window.column_type), window.parent) == ("order_date", "datetime2(3)", None)


def test_order_lines_are_found_by_their_orders_date():
    window = contract("order_lines@1").window

    assert (window.column, str(window.column_type)) == ("order_date", "datetime2(3)")
    assert window.parent is not None
    assert (window.parent.contract, window.parent.table, window.parent.on) == (
        "orders@1", "Orders", (("order_id", "order_id"),),
    )  # fmt: skip


def test_customers_are_a_snapshot_that_may_be_observed_for_two_days():
    customers = contract("customers@1")

    assert (customers.mode, customers.window.column) == ("snapshot", None)
    assert customers.window.observe_within == timedelta(hours=48)


def test_value_rules_on_hashed_columns_are_seen_before_hashing_and_no_others():
    seen = {c.id for ref in contract_refs(ROOT) for c in contract(ref).checks if c.before_hashing}

    assert seen == {"customer_id_pattern", "email_shape", "phone_pattern"}


def test_a_key_that_a_contract_guards_itself_is_not_checked_twice():
    unique = [c for c in contract("order_lines@1").checks if c.kind == "unique"]

    assert [(c.id, c.columns) for c in unique] == [("pk_unique", ("order_id", "line_no"))]


@pytest.mark.parametrize("pattern", ["^(CARD|CASH)$", "^[A-Z|]{2}$", r"^a\|b$", "^[^|)(]+$", "^(?:a|(b|c))$", "^[]|]$"])
def test_a_bound_pattern_is_accepted(pattern):
    assert _pattern_problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "^a|b$", "^(a)|(b)$", "a$", "^a", r"^\d$", r"^(a)\1$", "^(?=a)a$", "^a++$", "^($", "^[[a]$", "^[a&&b]$",
    ],
)  # fmt: skip
def test_a_pattern_that_engines_read_differently_or_match_in_part_is_refused(pattern):
    assert _pattern_problem(pattern)


@pytest.mark.parametrize("ref", contract_refs(ROOT))
def test_a_contracts_runbook_exists_and_names_only_rules_it_has(ref):
    found = contract(ref)
    text = (ROOT / str(found.runbook)).read_text()
    named = {rule for rule in re.findall(r"`quality\.(\w+)`", text) if rule}

    assert named <= {*(c.id for c in found.checks), *ALWAYS}
    assert named


WORDS: dict[str, tuple[tuple[str | int | None, ...], str]] = {
    "required": ((), "a is present"),
    "unique": ((), "a is unique"),
    "enum": (("X", "Y"), "a is X or Y"),
    "pattern": (("^x$",), "a matches ^x$"),
    "range": (("0", None), "a is at least 0"),
    "length": ((2, 9), "a is at least 2 and at most 9 characters"),
    "row_count": ((), "rows: = 0"),
    "null_count": (("n/a",), "rows where a is missing or 'n/a': = 0"),
    "null_percent": ((), "% of rows where a is missing: = 0"),
    "invalid_count": (("values", "X"), "a is X"),
    "invalid_percent": (("pattern", "^x$"), "a matches ^x$"),
    "freshness": (("hour",), "from the newest a to the window's end, in hours: = 0"),
    "sql": (("SELECT 1",), "SELECT 1: = 0"),
    "reconcile": (("sum", "a", "b"), "sum of a is the source's, to the last digit, per b"),
    "reference": (("orders@1", "id"), "a is the id of a published row of orders@1"),
    "volume_band": (
        (8, 4),
        "rows as in the last 8 windows of this weekday, once there are 4; spreads from their median: = 0",
    ),
}


def test_every_kind_of_check_has_words():
    assert set(WORDS) == set(get_args(CheckKind))


@pytest.mark.parametrize("kind", WORDS)
def test_a_check_in_words(kind):
    arguments, words = WORDS[kind]
    check = Check(id="x", kind=kind, name="x", dimension="x", columns=("a",), arguments=arguments)

    assert check_words(check) == words
