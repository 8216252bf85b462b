"""Every text that on-call gets, word for word."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tenantdags.model.plan import AlertPlan
from tenantdags.steps.alerts import (
    Incident,
    Subject,
    digest,
    in_words,
    page,
    recovery,
    routes_for,
    storm_digest,
    storm_over,
    storm_page,
)
from tests.repository import ROOT
from tests.steps.incidents import EVENTS, NOW, RED, incident
from tests.steps.staged import plan_of

PAGE = """\
PAGE acme orders 2026-11-21 quality.pk_unique, 3 h 53 min left
Rule pk_unique: 3 duplicate keys
Expected: 0
Also broken: status_required
Failed: check_extract, try 1
Tenant: Acme Ltd (acme), gold
Deadline: 06:00 Sun 22 Nov Europe/Berlin
Readers see: gen 1 (410 rows) still visible
Not affected: acme's other tables, all other tenants
Run: https://airflow.example/dags/acme__orders/runs/scheduled__2026-11-22
Databricks: https://adb-1.azuredatabricks.net/jobs/runs/7
QA: https://lake.blob.core.windows.net/landing/_qa/tenant_id=acme/table=orders/as_of_date=2026-11-21/x.html
Runbook: docs/runbooks/quality.md
Table: docs/runbooks/orders.md
Fingerprint: 6c1a28f2a0c5"""


def test_a_page_says_everything():
    message = page(RED)

    assert message.text == PAGE.replace("6c1a28f2a0c5", RED.fingerprint)
    assert (message.subject, message.severity) == (PAGE.splitlines()[0], "page")


def test_lines_fit_a_phone():
    words = [line for line in page(RED).text.splitlines() if "https://" not in line]

    assert max(map(len, words)) <= 64


def test_an_outage_says_how_far_it_reaches():
    text = page(incident()).text.splitlines()

    assert text[:2] == [
        "PAGE acme orders 2026-11-21 source.unreachable, 3 h 53 min left",
        "Cause: the source cannot be reached: connection refused.",
    ]
    assert "Failed: extract, try 4" in text
    assert "Not affected: tenants on other sources than mssql_shared1" in text
    assert "Not affected: published windows; any tenant may have this" in page(incident(kind="databricks.submit")).text


def test_a_miss_says_how_far_over_it_is():
    late = incident(
        kind="late", at=datetime(2026, 11, 22, 5, 4, 30, tzinfo=UTC), cause="the run is running", failed_task=None
    )

    assert page(late).text.splitlines()[:3] == [
        "PAGE acme orders 2026-11-21 late, 4 min over",
        "Cause: the run is running",
        "Tenant: Acme Ltd (acme), gold",
    ]


def test_a_table_without_a_deadline_says_none():
    text = page(replace(RED, due=None)).text

    assert text.startswith("PAGE acme orders 2026-11-21 quality.pk_unique\n")
    assert "Deadline" not in text


@pytest.mark.parametrize(
    ("changes", "loudest", "expected"),
    [
        ({}, "page", "page"),
        ({}, "ticket", "ticket"),
        ({"ahead": True, "kind": "late"}, "page", "ticket"),
        ({"awaited": False}, "page", "ticket"),
        ({"awaited": False}, "info", "info"),
        ({"kind": "publish.refused"}, "page", "ticket"),
    ],
)
def test_only_what_readers_wait_for_pages(changes, loudest, expected):
    found = incident(**changes)

    assert replace(found, subject=replace(found.subject, loudest=loudest)).severity == expected


def routed(found: Incident, **route) -> bool:
    alert = AlertPlan(**({"notifier": "slack", "connection": "c", "events": EVENTS} | route))
    return bool(routes_for(replace(found, subject=replace(found.subject, routes=(alert,)))))


def test_a_route_hears_its_events_and_severities():
    assert routed(RED, events=("red",))
    assert not routed(RED, events=("error", "sla_miss", "missing"))
    assert routed(RED, severities=("page",))
    assert not routed(RED, severities=("ticket",))
    assert routed(incident(), events=("error",))
    assert routed(incident(kind="late"), events=("sla_miss",))
    assert routed(incident(kind="missing"), events=("missing",))


def test_what_is_only_information_waits_for_the_digest():
    quiet = replace(RED, subject=replace(RED.subject, loudest="info"))

    assert not routed(quiet)


def test_a_fingerprint_is_the_same_for_whoever_notices():
    seen_again = replace(RED, at=NOW + timedelta(hours=3), cause="other words", run_id="another", broken=None)
    others = {incident(table="customers"), incident(window="2026-11-20"), incident(kind="late"), incident("globex"),
              incident(kind="late", ahead=True), incident()}  # fmt: skip

    assert seen_again.fingerprint == RED.fingerprint
    assert len({RED.fingerprint, *(each.fingerprint for each in others)}) == 7


def test_a_subject_travels_with_a_deadline():
    found = Subject.of(plan_of("acme", "orders"))

    assert Subject.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=59), "0 min"), (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h 0 min"), (timedelta(hours=25, minutes=1), "1 d 1 h"),
    ],
)  # fmt: skip
def test_spans_are_whole_minutes(span, words):
    assert in_words(span) == words


PLACES = ["acme orders 2026-11-21", "globex orders 2026-11-21", "acme customers 2026-11-21"]


def test_a_storm_without_a_sweep():
    assert (
        storm_page(incident(), PLACES, "abc123").text
        == """\
PAGE STORM source.unreachable: 3 windows so far
Cause of the last: the source cannot be reached: connection refused.
customers 2026-11-21: acme
orders 2026-11-21: acme, globex
Further ones of this kind do not page.
Runbook: docs/runbooks/source.unreachable.md
Fingerprint: abc123"""
    )


def test_the_digest_of_a_storm_names_all():
    places = [f"t{n:03} orders 2026-11-21" for n in range(199)]

    message = storm_digest("source.unreachable", "page", places, "acme orders 2026-11-21 at 01:07 UTC", "abc123")

    assert (
        message.text
        == f"""\
PAGE STORM source.unreachable: 199 windows more of 199 tenants
Paged: acme orders 2026-11-21 at 01:07 UTC
orders 2026-11-21: {", ".join(f"t{n:03}" for n in range(199))}
Runbook: docs/runbooks/source.unreachable.md
Fingerprint: abc123"""
    )


def test_the_end_of_a_storm():
    assert (
        storm_over("source.unreachable", "page", PLACES, 2, "abc123").text
        == """\
RECOVERED source.unreachable: 3 published, 2 still open
customers 2026-11-21: acme
orders 2026-11-21: acme, globex
Fingerprint: abc123"""
    )
    assert storm_over("source.unreachable", "page", PLACES, 2, "abc123").resolves == ()
    assert storm_over("source.unreachable", "page", PLACES, 0, "abc123").resolves == ("abc123",)


def test_a_recovery_says_what_it_ends():
    told = [("quality.pk_unique", "a1", NOW), ("late", "b2", NOW + timedelta(hours=4))]

    message = recovery("acme orders 2026-11-21", told, "gen 2 (412 rows)", "page", NOW + timedelta(hours=5))

    assert (
        message.text
        == """\
RECOVERED acme orders 2026-11-21: published after 5 h 0 min
Was: quality.pk_unique, late
Readers see: gen 2 (412 rows)"""
    )
    assert message.resolves == ("a1", "b2")


def test_the_digest_of_a_day():
    warned = [
        ("globex orders 2026-11-21", ["check_load: email_null_pct: 2.5 % (expected less than 2 %)"]),
        ("acme orders 2026-11-21", ["column note is new", "check_load: email_null_pct: 3 % (expected less than 2 %)"]),
    ]

    assert (
        digest(date(2026, 11, 22), warned).text
        == """\
WARNINGS of 2026-11-22: 2 windows
acme orders 2026-11-21
- column note is new
- check_load: email_null_pct: 3 % (expected less than 2 %)
globex orders 2026-11-21
- check_load: email_null_pct: 2.5 % (expected less than 2 %)"""
    )


def test_the_page_in_the_documentation_is_this_one():
    shown = "\n".join(f"    {line}" for line in page(RED).text.splitlines())

    assert shown in (ROOT / "docs/alerts.md").read_text()
