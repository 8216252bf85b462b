"""What explain, retry and status say, word for word."""

from __future__ import annotations

import pytest

from tenantdags.model.deadline import due_of
from tenantdags.steps.alerts import Incident, Subject, page
from tests.dag.plans import ROOT
from tests.steps.airflow_facts import WINDOW
from tests.steps.on_call_cases import GOLDEN, NOW, PLAN, texts


@pytest.fixture(scope="module")
def said():
    return texts()


@pytest.mark.parametrize("name", sorted(path.name for path in texts()))
def test_the_text_is_the_golden_one(said, name):
    assert said[GOLDEN / name] == (GOLDEN / name).read_text()


def test_no_golden_is_left_over(said):
    assert set(GOLDEN.iterdir()) == set(said)


def test_the_page_for_on_call_shows_what_the_commands_say(said):
    """Every line of its examples stands in a golden text, or is the page's own example of a page or a cron."""
    shown = {line[4:] for line in (ROOT / "docs/on-call.md").read_text().splitlines() if line.startswith("    ")}
    golden = {line for text in said.values() for line in text.splitlines()}
    incident = Incident(
        subject=Subject.of(PLAN), kind="missing", window="2026-11-22", at=NOW, due=due_of(PLAN, WINDOW),
        cause="its run never started: paused by jane at 22:14 Sun 22 Nov", readers="nothing of this window",
    )  # fmt: skip

    left = {line for line in shown - golden - set(page(incident).text.splitlines()) if line.strip()}
    assert [line for line in left if "* * * *" not in line] == []
