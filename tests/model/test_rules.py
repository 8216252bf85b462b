"""Every rule is told by some case, every id is registered, and the page of rules is complete."""

import re
from pathlib import Path

import pytest

from tenantdags.model.rules import RULES, SECTIONS
from tests.rules_page import PAGE, page
from tests.tenants.cases import cases

ROOT = Path(__file__).parents[2]
ID = re.compile(r"\bCFG\d{3}\b")


def told(kind: str) -> set[str]:
    return {rule for case in cases(kind) for rule in re.findall(r"\[(CFG\d{3})\]$", text_of(case), re.M)}


def text_of(case: Path) -> str:
    return (case / "expected.txt").read_text()


def test_every_rule_of_check_is_told_by_some_case():
    errors = {rule.id for rule in RULES.values() if rule.told_by == "check" and rule.severity == "error"}
    warnings = {rule.id for rule in RULES.values() if rule.told_by == "check" and rule.severity == "warning"}

    assert errors - told("bad") == set()
    assert warnings - told("good") == set()


def test_no_message_has_an_unregistered_rule():
    assert told("bad") | told("good") <= set(RULES)


def test_every_message_has_a_rule():
    untold = [line for case in cases("bad") for line in text_of(case).splitlines() if not ID.search(line)]

    assert untold == []


def test_the_code_names_registered_rules_only():
    named = {
        rule: path.name
        for path in sorted((ROOT / "plugins").rglob("*.py"))
        if path.name != "rules.py"
        for rule in ID.findall(path.read_text())
    }

    assert {rule: file for rule, file in named.items() if rule not in RULES} == {}


def test_there_are_enough_rules_and_no_id_stands_twice():
    ids = [rule.id for rules in SECTIONS.values() for rule in rules]

    assert len(ids) == len(set(ids)) >= 40
    assert ids == sorted(ids)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_says_what_it_means_and_how_to_mend_it(rule):
    assert re.fullmatch(r"CFG\d{3}", rule.id)
    assert not rule.title.endswith(".")
    assert len(rule.meaning) > 20
    assert rule.meaning.endswith(".")
    assert rule.fix.endswith(".")
    assert rule.good


def test_the_page_of_rules_is_what_the_code_says():
    assert PAGE.read_text() == page()


def test_warnings_fail_nothing_and_errors_do():
    assert all(
        "[CFG9" not in line for case in cases("bad") for line in text_of(case).splitlines() if "warning: " not in line
    )
    assert {rule.severity for rule in RULES.values() if rule.id.startswith("CFG9")} == {"warning"}
