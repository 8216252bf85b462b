"""A threshold is a rule only when some measured number passes it and some other fails it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantdags.model.contract import Threshold
from tenantdags.model.thresholds import _holds, verdict


def of(operator, *values) -> Threshold:
    return Threshold(operator=operator, values=tuple(Decimal(v) if isinstance(v, str) else v for v in values))


FAIL, PASS = ("CFG058", "can never fail"), ("CFG059", "can never pass")


@pytest.mark.parametrize(
    ("threshold", "counts", "percents"),
    [
        (of("=", 0), None, None),
        (of("=", "0.5"), PASS, None),
        (of("!=", "0.5"), FAIL, None),
        (of("=", -1), PASS, PASS),
        (of(">", 0), None, None),
        (of(">=", 0), FAIL, FAIL),
        (of(">", -1), FAIL, FAIL),
        (of(">", 100), None, PASS),
        (of(">=", 100), None, None),
        (of("<", 0), PASS, PASS),
        (of("<", 1), None, None),
        (of("<", 100), None, None),
        (of("<=", 100), None, FAIL),
        (of("<", 101), None, FAIL),
        (of("<", "0.5"), None, None),
        (of("between", 0, 100), None, FAIL),
        (of("between", -5, -1), PASS, PASS),
        (of("between", "0.2", "0.8"), PASS, None),
        (of("not between", 0, 100), None, PASS),
        (of("not between", -5, -1), FAIL, FAIL),
        (of("not between", "0.2", "0.8"), FAIL, None),
    ],
    ids=str,
)
def test_a_threshold_that_decides_nothing_is_told(threshold, counts, percents):
    assert verdict(threshold, percent=False) == counts
    assert verdict(threshold, percent=True) == percents


numbers = st.decimals(-3, 103, places=1)
single = st.builds(lambda o, v: of(o, v), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), numbers)
pairs = st.builds(
    lambda o, a, b: of(o, min(a, b), max(a, b)), st.sampled_from(["between", "not between"]), numbers, numbers
)


@given(single | pairs, st.booleans())
def test_the_verdict_agrees_with_trying_every_number(threshold, percent):
    step = Decimal("0.05") if percent else 1
    every = [step * n for n in range(2001)] if percent else range(110)
    outcomes = {_holds(threshold, number) for number in every}

    found = verdict(threshold, percent=percent)

    assert found == (None if len(outcomes) == 2 else FAIL if True in outcomes else PASS)
