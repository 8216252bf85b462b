"""What a measured number must be: thresholds as contracts and tenants write them, and whether they can fail at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import AliasGenerator, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from tenantdags.model.contract import Number, Operator, Threshold
from tenantdags.model.fields import Strict, refused

_OPERATORS: dict[str, Operator] = {
    "must_be": "=",
    "must_not_be": "!=",
    "must_be_greater_than": ">",
    "must_be_greater_or_equal_to": ">=",
    "must_be_less_than": "<",
    "must_be_less_or_equal_to": "<=",
    "must_be_between": "between",
    "must_not_be_between": "not between",
}


def _number(value: Any) -> Number:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    raise refused("CFG062", f"must be a number, not {value!r}")


def _pair(value: Any) -> tuple[Number, Number]:
    if isinstance(value, tuple) and len(value) == 2 and _number(value[0]) < _number(value[1]):
        return value[0], value[1]
    raise refused("CFG062", "must be two numbers, the smaller first, like [0, 100]")


Bound = Annotated[int | Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Pair = Annotated[
    tuple[int | Decimal, int | Decimal],
    BeforeValidator(_pair),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]


class Bounds(Strict):
    """At most one threshold, with the names tenant files use."""

    range_key: ClassVar[str] = "must_be_between"

    must_be: Bound | None = Field(None, description="The measured number must be this.")
    must_not_be: Bound | None = Field(None, description="It must not be this.")
    must_be_greater_than: Bound | None = Field(None, description="It must be greater.")
    must_be_greater_or_equal_to: Bound | None = Field(None, description="It must be this or greater.")
    must_be_less_than: Bound | None = Field(None, description="It must be less.")
    must_be_less_or_equal_to: Bound | None = Field(None, description="It must be this or less.")
    must_be_between: Pair | None = Field(None, description="It must be in this range, ends included.")
    must_not_be_between: Pair | None = Field(None, description="It must be outside this range.")

    def bounds(self) -> tuple[Threshold, ...]:
        said = [(op, getattr(self, name)) for name, op in _OPERATORS.items() if getattr(self, name) is not None]
        return tuple(Threshold(operator=op, values=v if isinstance(v, tuple) else (v,)) for op, v in said)

    def one_bound_at_most(self) -> None:
        """Raises when two thresholds are given: which one counts would be a guess."""
        if len(self.bounds()) > 1:
            raise refused("CFG060", f"has more than one threshold; give one, a range is {self.range_key}: [low, high]")


class CamelBounds(Bounds):
    """The same with the names ODCS uses: mustBe, mustBeLessThan …"""

    range_key = "mustBeBetween"
    model_config = ConfigDict(alias_generator=AliasGenerator(alias=to_camel))


def described(threshold: Threshold) -> str:
    """`= 0`, `between 1 and 9`: how a threshold reads in plans and messages."""
    return f"{threshold.operator} {' and '.join(map(str, threshold.values))}"


def verdict(threshold: Threshold, *, percent: bool) -> tuple[str, str] | None:
    """The rule it breaks and why: it can never fail or never pass, over counts or 0 to 100 percent; None if it can."""
    outcomes = {_holds(threshold, number) for number in _samples(threshold, percent)}
    if outcomes == {True}:
        return "CFG058", "can never fail"
    return ("CFG059", "can never pass") if outcomes == {False} else None


def lets_more_through(new: Threshold, old: Threshold, *, percent: bool) -> bool:
    """Whether some number passes `new` that `old` would have stopped."""
    tried = _samples(new, percent) | _samples(old, percent)
    return any(_holds(new, number) and not _holds(old, number) for number in tried)


def _samples(threshold: Threshold, percent: bool) -> set[Number]:
    # a threshold changes its answer only at its values, so these points see every answer it can give
    near = {n for v in threshold.values for n in (v, v - 1, v + 1, int(v), int(v) + 1)}
    if percent:
        return {n for n in {*near, 0, 100, Decimal("0.000001"), Decimal("99.999999")} if 0 <= n <= 100}
    return {n for n in {*near, 0, int(max(threshold.values)) + 2} if n >= 0 and n == int(n)}


def _holds(threshold: Threshold, number: Number) -> bool:
    first, last = threshold.values[0], threshold.values[-1]
    answers: dict[Operator, bool] = {
        "=": number == first,
        "!=": number != first,
        ">": number > first,
        ">=": number >= first,
        "<": number < first,
        "<=": number <= first,
        "between": first <= number <= last,
        "not between": not first <= number <= last,
    }
    return answers[threshold.operator]
