"""The one list of kinds: complete, with a page each; how patient and how loud each is."""

import re
from datetime import timedelta

import pytest

from tenantdags.model import errors
from tenantdags.model.taxonomy import KINDS, RUNBOOKS, Retry, kind_of, label, severity
from tests import runbooks_page
from tests.repository import ROOT

# the words of the contract with on-call; taking one away or renaming it breaks routes, runbooks and dashboards
WORDS = [
    "source.unreachable", "source.permission", "source.busy", "source.snapshot_off", "config.invalid", "drift.additive",
    "drift.breaking", "quality", "gate.error", "reconcile.mismatch", "staging.unavailable", "landing.conflict",
    "landing.unreachable", "databricks.submit", "databricks.run", "databricks.timeout", "publish.refused", "late",
    "missing", "internal",
]  # fmt: skip
MINUTE = timedelta(minutes=1)


def raised() -> set[str]:
    """The kinds of all our exception classes."""
    classes: list[type[errors.TenantDagsError]] = [errors.TenantDagsError, errors.ConfigError, errors.RunError]
    classes += errors.RunError.__subclasses__()
    return {found.kind for found in classes}


def test_the_words_are_these():
    assert [kind.word for kind in KINDS] == WORDS


def test_every_exception_is_of_a_kind():
    assert {label(word) for word in raised()} <= set(WORDS)
    assert {word for word in raised() if label(word) == "internal"} == {"internal"}


def test_contract_errors_fail_at_once_and_outages_are_waited_for():
    retried = {kind.word for kind in KINDS if kind.retry}

    assert retried == {
        "source.unreachable", "source.busy", "gate.error", "staging.unavailable", "landing.unreachable",
        "databricks.submit", "databricks.run", "databricks.timeout", "internal",
    }  # fmt: skip
    assert not errors.DriftBreaking("w", "x", "y").retryable
    assert not errors.GateRed("w", "x", "y", rule="pk_unique").retryable
    assert errors.SourceUnreachable("w", "x", "y").retryable


def test_a_source_gets_more_patience_than_a_notebook():
    source, notebook = kind_of("source.unreachable").retry, kind_of("databricks.run").retry
    assert source
    assert notebook

    assert [source.wait(n, 5 * MINUTE) / MINUTE for n in (1, 2, 3, 4, 5)] == [5, 10, 20, 30, 30]
    assert [source.allows(n) for n in (1, 2, 3)] == [True, True, True]
    assert notebook.wait(1, 5 * MINUTE) == MINUTE
    assert [notebook.allows(n) for n in (1, 2)] == [True, False]
    assert (source.most(3), notebook.most(3), Retry(first=1, at_most=5).most(3)) == (3, 1, 3)


@pytest.mark.parametrize(
    ("word", "loudest", "expected"),
    [
        ("quality.pk_unique", "page", "page"), ("quality.pk_unique", "ticket", "ticket"), ("late", "info", "info"),
        ("landing.conflict", "page", "ticket"), ("drift.additive", "page", "info"), ("unheard.of", "page", "page"),
    ],
)  # fmt: skip
def test_the_tier_caps_how_loud_a_kind_is(word, loudest, expected):
    assert severity(word, loudest) == expected


def test_labels_are_bounded():
    assert {label(f"quality.rule_{n}") for n in range(1000)} == {"quality"}
    assert label("something.new") == "internal"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.word)
def test_every_kind_has_a_runbook_that_says_what_on_call_asks(kind):
    text = (ROOT / kind.runbook).read_text()

    assert text.startswith(f"# {kind.word}\n\n{kind.meaning}")
    found = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert found == ["What readers see", "Look first", "Safe to do", "Escalate"]


def test_the_index_is_what_the_list_says():
    assert runbooks_page.PAGE.read_text() == runbooks_page.page()


def test_every_page_is_of_a_kind_or_a_table():
    pages = {path.stem for path in (ROOT / RUNBOOKS).glob("*.md")} - {"README"}
    tables = {path.name.partition(".")[0] for path in (ROOT / "include/contracts").glob("*.odcs.yaml")}

    assert pages - tables == set(WORDS)
