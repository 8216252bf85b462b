"""What explain, retry and status say, word for word."""

from __future__ import annotations

import pytest

from tests.steps.on_call_cases import GOLDEN, texts


@pytest.fixture(scope="module")
def said():
    return texts()


@pytest.mark.parametrize("name", sorted(path.name for path in texts()))
def test_the_text_is_the_golden_one(said, name):
    assert said[GOLDEN / name] == (GOLDEN / name).read_text()


def test_no_golden_is_left_over(said):
    assert set(GOLDEN.iterdir()) == set(said)
