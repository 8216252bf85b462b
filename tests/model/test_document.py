"""YAML becomes plain data with places, or problems with places; it never becomes anything else."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantdags.model.document import MAX_BYTES, parse, path_text
from tenantdags.model.errors import ConfigError


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse("a.yaml", text)
    return [str(problem) for problem in caught.value.problems]


def test_plain_data_keeps_its_types_exactly():
    document = parse("a.yaml", "t: x\nn: 12\nd: 0.10\nb: true\nday: 2026-11-01\nl: [1, two]\nm: {k: -3}\nq: '06:00'\n")

    assert document.data == {
        "t": "x", "n": 12, "d": Decimal("0.10"), "b": True, "day": date(2026, 11, 1), "l": (1, "two"), "m": {"k": -3},
        "q": "06:00",
    }  # fmt: skip
    assert str(document.data["d"]) == "0.10"


def test_places_count_from_one_and_tell_key_from_value():
    document = parse("a.yaml", "a:\n  b: [x, y]\n")

    assert document.keys[("a", "b")] == (2, 3)
    assert document.values[("a", "b", 1)] == (2, 10)
    assert str(document.problem("CFG012", ("a", "b"), "is odd", at_key=True)) == "a.yaml:2:3: a.b: is odd [CFG012]"
    assert str(document.problem("CFG012", ("a", "b", 1), "is odd")) == "a.yaml:2:10: a.b[1]: is odd [CFG012]"


def test_a_problem_of_something_missing_stands_at_what_should_hold_it():
    document = parse("a.yaml", "a:\n  b: {}\n")

    assert str(document.problem("CFG013", ("a", "b", "c"), "is missing")) == "a.yaml:2:6: a.b.c: is missing [CFG013]"
    assert str(document.problem("CFG013", ("x",), "is missing")) == "a.yaml:1:1: x: is missing [CFG013]"


def test_on_is_a_key_like_any_other():
    assert parse("a.yaml", "on: x\n").data == {"on": "x"}


def test_all_problems_are_told_at_once_in_order():
    assert refused("a: yes\nb: 012\na: 1\nc: 7:30\n") == [
        'a.yaml:1:4: a: yes means true in YAML; write true, or "yes" for the text [CFG017]',
        "a.yaml:2:4: b: 012 is a number YAML readers disagree on; "
        'write a plain decimal number, or "012" for the text [CFG017]',
        "a.yaml:3:1: a: duplicate key, it already stands in line 1 [CFG009]",
        'a.yaml:4:4: c: 7:30 may be read as a number by YAML; put it in quotes: "7:30" [CFG017]',
    ]


@pytest.mark.parametrize("number", ["0x1F", "0b1", "1_000", "+.inf", ".nan", "1.5e+3", "010", "1:30:00"])
def test_numbers_that_readers_disagree_on_are_refused(number):
    assert len(refused(f"a: {number}\n")) == 1


@pytest.mark.parametrize(
    "tag", ["!!binary eA==", "!!set {a}", "!!omap [a: 1]", "!mine x", "!!python/name:os.system ''"]
)
def test_tags_are_refused(tag):
    (problem,) = refused(f"a: {tag}\n")

    assert "is not allowed; write plain YAML" in problem


def test_a_file_of_nested_aliases_is_refused_before_it_is_expanded():
    laughs = "a: &a [x, x]\n" + "".join(
        f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefghij", "bcdefghijk", strict=True)
    )

    assert refused(laughs)[0] == "a.yaml:1:4: anchor '&a' is not allowed; write the value out [CFG007]"


def test_nesting_that_would_overflow_the_parser_is_refused():
    (problem,) = refused("a: " + "[" * 400_000)

    assert problem == "a.yaml:1:53: is nested more than 50 levels deep [CFG006]"


def test_a_file_too_large_is_refused_unread():
    assert refused("#" * (MAX_BYTES + 1)) == [
        "a.yaml:1:1: is larger than 1,000,000 bytes; no such file is meant to be [CFG003]"
    ]


@pytest.mark.parametrize("text", ["a: \x00\n", "a: \x07\n", "a: '\n", "{", "]", "a: b: c\n", "? [a]\n: b\n"])
def test_what_is_not_yaml_of_ours_is_one_problem(text):
    assert len(refused(text)) == 1


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_but_never_breaks(text):
    with suppress(ConfigError):
        assert isinstance(parse("a.yaml", text).data, dict)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(-(10**37), 10**37), min_size=1))
def test_whole_numbers_come_back_as_they_were_written(numbers):
    assert parse("a.yaml", "".join(f"{key}: {value}\n" for key, value in numbers.items())).data == numbers


def test_a_path_reads_like_the_file():
    assert path_text(("alerts", 0, "events", 1)) == "alerts[0].events[1]"
    assert path_text(()) == ""
