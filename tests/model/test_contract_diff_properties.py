"""Whatever changes together: each change is told in both directions, with the effect it has on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tenantdags.model.contract import Column, Contract, Pii
from tenantdags.model.contract_diff import breaking, changes_of, next_version
from tenantdags.model.project import load_contract
from tenantdags.model.sqltype import SqlType
from tests.model.test_contract_diff import ROOT

ORDERS = load_contract(ROOT, "orders@1")
ADDITIVE, BREAKING = "additive", "breaking"


@dataclass(frozen=True)
class Step:
    """One change that no other of the list touches: what it is about, and its effect there and back."""

    about: str
    there: str
    back: str
    do: Callable[[Contract], Contract]


def column(name: str, **changes: Any) -> Callable[[Contract], Contract]:
    def do(contract: Contract) -> Contract:
        return replace(
            contract, columns=tuple(replace(c, **changes) if c.name == name else c for c in contract.columns)
        )

    return do


def rule(name: str, **changes: Any) -> Callable[[Contract], Contract]:
    def do(contract: Contract) -> Contract:
        return replace(contract, checks=tuple(replace(c, **changes) if c.id == name else c for c in contract.checks))

    return do


def without_rule(name: str) -> Callable[[Contract], Contract]:
    return lambda contract: replace(contract, checks=tuple(c for c in contract.checks if c.id != name))


def plus(name: str, pii: Pii | None = None) -> Callable[[Contract], Contract]:
    new = Column(name=name, source_name=name, type=SqlType.parse("int"), pii=pii)
    return lambda contract: replace(contract, columns=(*contract.columns, new))


def window(**changes: Any) -> Callable[[Contract], Contract]:
    return lambda contract: replace(contract, window=replace(contract.window, **changes))


def table(**changes: Any) -> Callable[[Contract], Contract]:
    return lambda contract: replace(contract, **changes)


STEPS = (
    Step("note", ADDITIVE, BREAKING, plus("note")),
    Step("secret", ADDITIVE, ADDITIVE, plus("secret", Pii(category="name", handling="drop"))),
    Step("updated_at", BREAKING, ADDITIVE, column("updated_at", required=False)),
    Step("customer_id", BREAKING, BREAKING, column("customer_id", pii=Pii(category="pseudonym", handling="keep"))),
    Step("amount", BREAKING, BREAKING, column("amount", type=SqlType.parse("decimal(20,2)"))),
    Step("status", ADDITIVE, ADDITIVE, column("status", type=SqlType.parse("varchar(40)"))),
    Step("currency", ADDITIVE, ADDITIVE, column("currency", source_name="CurrencyCode")),
    Step("customer_email", BREAKING, ADDITIVE, column("customer_email", pii=Pii(category="contact", handling="drop"))),
    Step("status_enum", ADDITIVE, BREAKING, rule("status_enum", arguments=("NEW", "PAID"))),
    Step("currency_enum", BREAKING, ADDITIVE, rule("currency_enum", severity="warning")),
    Step("amount_range", BREAKING, ADDITIVE, without_rule("amount_range")),
    Step("volume_floor", ADDITIVE, ADDITIVE, without_rule("volume_floor")),
    Step("window", ADDITIVE, ADDITIVE, window(allow_empty=True)),
    Step("retention", BREAKING, ADDITIVE, table(retention_days=30)),
    Step("right of group", BREAKING, ADDITIVE, table(rights=(("tenant", ()),))),
    Step("source table", ADDITIVE, ADDITIVE, table(source_table="Orders2")),
    Step("schemaEvolution", ADDITIVE, ADDITIVE, table(additive="stop")),
    Step("owner", ADDITIVE, ADDITIVE, table(owner="somebody@example.com")),
    Step("grain", ADDITIVE, ADDITIVE, table(grain="a row per order")),
)


@given(st.lists(st.sampled_from(STEPS), unique=True))
@settings(max_examples=60, deadline=None)
def test_changes_made_together_are_each_told_there_and_back(steps):
    after = ORDERS
    for step in steps:
        after = step.do(after)

    there, back = changes_of(ORDERS, after), changes_of(after, ORDERS)

    assert {change.about: change.effect for change in there} == {step.about: step.there for step in steps}
    assert {change.about: change.effect for change in back} == {step.about: step.back for step in steps}
    assert breaking(there) == any(step.there == BREAKING for step in steps)
    assert next_version(ORDERS, there) == ("2.0.0" if breaking(there) else "1.1.0")


@given(st.lists(st.sampled_from(STEPS), unique=True, min_size=1), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_a_contract_was_changed_makes_no_difference(steps, random):
    shuffled = random.sample(steps, len(steps))

    one, other = ORDERS, ORDERS
    for step, its in zip(steps, shuffled, strict=True):
        one, other = step.do(one), its.do(other)

    assert {str(c) for c in changes_of(ORDERS, one)} == {str(c) for c in changes_of(ORDERS, other)}
