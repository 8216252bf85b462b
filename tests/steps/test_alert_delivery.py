"""Once each, by whichever process, and nothing lost: claims, failures, storms, mutes, recoveries, digests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from azure.storage.blob import BlobServiceClient

from tenantdags.steps import alert_mutes, alert_records, alert_storms
from tenantdags.steps.alert_delivery import deliver, recover, warn, within
from tenantdags.steps.alert_mutes import Mute
from tenantdags.steps.alert_records import Cell, Record, Route, State
from tenantdags.steps.alert_sweep import sweep
from tenantdags.steps.alerts import page
from tenantdags.steps.blobs import Blobs
from tests.steps.incidents import MINUTE, NOW, PAGER, RED, SLACK, Memory, Office, incident, subject

_NUMBERS = count()
CELL = Cell("acme", "orders", "2026-11-21")


@pytest.fixture
def blobs(request: pytest.FixtureRequest) -> Blobs:
    """A container of the test's own: in this process, and in Azurite for what processes race for."""
    if request.node.get_closest_marker("sandbox") is None:
        return Memory()
    adls = request.getfixturevalue("lakehouse").adls
    service = BlobServiceClient(adls.connection()["host"], credential=adls.key)
    client = service.create_container(f"alerts{next(_NUMBERS)}")
    return Blobs(client, "adls_landing", first_wait=0.05, read_timeout=5)


@pytest.fixture
def office(blobs: Blobs) -> Office:
    return Office(lambda: blobs)


@pytest.fixture
def watched(blobs: Blobs) -> Callable[[], None]:
    """A sweep ran just now, so what is held will be told."""
    return lambda: alert_storms.mark_swept(blobs, NOW)


def states(blobs: Blobs, cell: Cell = CELL) -> dict[str, list[str]]:
    record = alert_records.record_of(blobs, cell)
    assert record
    return {entry.kind: [told.state for told in entry.told] for entry in record.live}


def no_blobs() -> Blobs:
    raise ConnectionError("landing is away")


def hang() -> Blobs:
    time.sleep(60)
    return no_blobs()


# once each


def test_an_incident_is_told_once_however_many_notice_it(blobs, office):
    first = deliver(RED, office.post)
    again = [deliver(replace(RED, at=NOW + n * MINUTE), office.post) for n in range(1, 4)]

    assert (first, again) == ({SLACK: "sent"}, [{}, {}, {}])
    assert office.subjects == ["PAGE acme orders 2026-11-21 quality.pk_unique, 3 h 53 min left"]
    record = alert_records.record_of(blobs, CELL)
    assert record
    assert [(e.kind, e.times, e.first_at, e.last_at) for e in record.entries] == [
        ("quality.pk_unique", 4, NOW, NOW + 3 * MINUTE)
    ]


@pytest.mark.sandbox
def test_two_processes_at_the_same_instant_page_once(blobs, office):
    both = threading.Barrier(8)

    def notice() -> dict[Route, State]:
        both.wait(10)
        return deliver(RED, office.post)

    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(notice) for _ in range(8)]]

    assert len(office.sent) == 1
    assert sorted(len(each) for each in found) == [0] * 7 + [1]


def test_another_cause_is_another_incident(office):
    deliver(RED, office.post)
    deliver(incident(kind="late", at=NOW + 240 * MINUTE), office.post)

    assert office.subjects[1] == "PAGE acme orders 2026-11-21 late, 7 min over"


def test_every_route_is_told_by_itself(blobs, office):
    found = deliver(incident(routes=(SLACK, PAGER)), office.post)

    assert found == {SLACK: "sent", PAGER: "sent"}
    assert {route for route, _ in office.sent} == {SLACK, PAGER}


def test_a_clock_that_is_five_minutes_off_pages_nobody_twice(office):
    deliver(RED, office.post)
    deliver(replace(RED, at=NOW - 5 * MINUTE), office.post)

    assert len(office.sent) == 1


# nothing lost


def test_without_landing_people_are_told_all_the_same(office):
    away = Office(no_blobs)

    assert deliver(RED, away.post) == {SLACK: "sent"}
    assert len(away.sent) == 1
    assert away.said == ["an alert cannot be remembered and may be told twice: ConnectionError: landing is away"]


def test_a_landing_that_hangs_holds_nobody_up(office):
    slow = Office(hang)
    started = time.monotonic()

    found = deliver(RED, replace(slow.post, memory_seconds=0.2))

    assert found == {SLACK: "sent"}
    assert time.monotonic() - started < 30


def test_an_endpoint_that_hangs_holds_nobody_up_and_is_tried_again(blobs, office):
    gone = threading.Event()
    hanging = replace(office.post, send=lambda route, message: gone.wait(60), send_seconds=0.2)

    try:
        assert deliver(RED, hanging) == {SLACK: "failed"}
    finally:
        gone.set()

    assert office.said == ["not delivered by slack over connection 'slack_oncall': TimeoutError: no answer in time"]
    assert sweep(office.post, NOW + 2 * MINUTE).told == 1
    assert len(office.sent) == 1


def test_what_was_not_delivered_is_sent_by_the_sweep_once(blobs, office):
    office.broken[SLACK] = ConnectionError("503")
    assert deliver(RED, office.post) == {SLACK: "failed"}
    del office.broken[SLACK]

    found = [sweep(office.post, NOW + n * MINUTE) for n in (2, 3, 4)]

    assert [swept.told for swept in found] == [1, 0, 0]
    assert len(office.sent) == 1
    assert states(blobs) == {"quality.pk_unique": ["sent"]}


def test_a_route_that_stays_broken_is_tried_less_and_less(office):
    office.broken[SLACK] = ConnectionError("503")
    deliver(RED, office.post)

    tried = [n for n in range(1, 40) if sweep(office.post, NOW + n * MINUTE).failed]

    assert tried == [1, 3, 7, 15, 31]
    assert len([line for line in office.said if "not delivered" in line]) == 6


def test_a_process_that_died_while_sending_is_replaced(blobs, office):
    found = incident()
    alert_records.claim(blobs, found, page(found), (SLACK,), NOW, muted=False)  # and then it died

    assert deliver(replace(found, at=NOW + MINUTE), office.post) == {}
    assert sweep(office.post, NOW + 3 * MINUTE).told == 1
    assert len(office.sent) == 1


def test_a_file_that_nobody_can_read_stops_no_page(blobs, office):
    blobs.write("test", alert_records.path_of(CELL), b"{half a fi")

    assert deliver(RED, office.post) == {SLACK: "sent"}
    assert office.said[0].startswith("an alert cannot be remembered and may be told twice: JSONDecodeError")


def test_within_returns_raises_and_gives_up():
    assert within(5, lambda: 7) == 7
    with pytest.raises(ValueError, match="seven"):
        within(5, lambda: int("seven"))
    with pytest.raises(TimeoutError):
        within(0.05, lambda: time.sleep(5))


# the end


def test_one_recovery_when_the_window_is_published_after_all(blobs, office):
    deliver(RED, office.post)
    deliver(incident(kind="late", at=NOW + 240 * MINUTE), office.post)

    found = [recover(subject(), "2026-11-21", "gen 2 (412 rows)", NOW + 300 * MINUTE, office.post) for _ in range(3)]

    assert found == [{SLACK: "sent"}, {}, {}]
    message = office.sent[2][1]
    assert message.subject == "RECOVERED acme orders 2026-11-21: published after 5 h 0 min"
    assert message.resolves == (RED.fingerprint, incident(kind="late").fingerprint)


@pytest.mark.sandbox
def test_racing_recoveries_are_one(office):
    deliver(RED, office.post)
    both = threading.Barrier(6)

    def end() -> object:
        both.wait(10)
        return recover(subject(), "2026-11-21", "gen 2", NOW + 10 * MINUTE, office.post)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: end(), range(6)))

    assert [m.about for _, m in office.sent] == ["incident", "recovery"]


def test_a_window_nobody_was_told_of_recovers_in_silence(blobs, office):
    assert recover(subject(), "2026-11-21", "gen 1 (410 rows)", NOW, office.post) == {}
    assert (office.sent, office.said) == ([], [])


def test_a_route_that_wants_no_recoveries_gets_none(office):
    deliver(RED, office.post)
    quiet = subject()
    quiet = replace(quiet, routes=tuple(replace(route, events=("red",)) for route in quiet.routes))

    assert recover(quiet, "2026-11-21", "gen 2", NOW, office.post) == {}


def test_red_again_after_a_recovery_pages_again(office):
    deliver(RED, office.post)
    recover(subject(), "2026-11-21", "gen 2", NOW + 30 * MINUTE, office.post)

    assert deliver(replace(RED, at=NOW + 60 * MINUTE), office.post) == {SLACK: "sent"}
    assert [m.about for _, m in office.sent] == ["incident", "recovery", "incident"]


@pytest.mark.sandbox
def test_what_is_over_and_told_goes_out_of_the_way(blobs, office):
    deliver(RED, office.post)
    assert sweep(office.post, NOW + MINUTE).open == 1
    recover(subject(), "2026-11-21", "gen 2", NOW + 30 * MINUTE, office.post)

    assert sweep(office.post, NOW + 31 * MINUTE).open == 0
    assert alert_records.record_of(blobs, CELL) is None
    kept = blobs.read("test", "_ops/alerts/closed/2026-11-22/acme.orders.2026-11-21.json")
    assert kept
    assert [entry.kind for entry in Record.from_json(kept[0]).entries] == ["quality.pk_unique"]


# storms


def test_two_hundred_tenants_and_one_cause_are_one_page_and_one_digest(office, watched):
    watched()
    found = [incident(f"t{n:03}", at=NOW + timedelta(milliseconds=300 * n)) for n in range(200)]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda each: deliver(each, office.post), found))

    assert sorted(state for outcome in outcomes for state in outcome.values()) == ["held"] * 199 + ["sent"]
    assert len(office.sent) == 1
    sweep(office.post, NOW + 90 * timedelta(seconds=1))
    assert len(office.sent) == 1  # more may come: the last came half a minute ago
    sweep(office.post, NOW + 4 * MINUTE)
    sweep(office.post, NOW + 5 * MINUTE)
    assert len(office.sent) == 2
    paged, digest = (message for _, message in office.sent)
    assert digest.subject == "PAGE STORM source.unreachable: 199 windows more of 199 tenants"
    named = set(digest.text.splitlines()[2].partition(": ")[2].split(", ")) | {paged.subject.split()[1]}
    assert named == {f"t{n:03}" for n in range(200)}


@pytest.mark.sandbox
def test_racing_incidents_of_one_cause_are_one_page_and_one_digest(office, watched):
    watched()
    together = threading.Barrier(8)

    def notice(n: int) -> object:
        together.wait(10)
        return deliver(incident(f"t{n}"), office.post)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(notice, range(8)))
    sweep(office.post, NOW + 2 * MINUTE)

    assert len(office.sent) == 2
    assert office.subjects[1] == "PAGE STORM source.unreachable: 7 windows more of 7 tenants"


def test_a_storm_that_passes_is_told_together_too(blobs, office, watched):
    watched()
    for n in range(6):
        deliver(incident(f"t{n}", at=NOW), office.post)
    sweep(office.post, NOW + 2 * MINUTE)

    for n in range(6):
        recover(subject(f"t{n}"), "2026-11-21", "gen 1", NOW + 20 * MINUTE, office.post)
    sweep(office.post, NOW + 22 * MINUTE)
    sweep(office.post, NOW + 23 * MINUTE)

    assert office.subjects == [
        "PAGE t0 orders 2026-11-21 source.unreachable, 3 h 53 min left",
        "PAGE STORM source.unreachable: 5 windows more of 5 tenants",
        "RECOVERED t0 orders 2026-11-21: published after 20 min",
        "RECOVERED source.unreachable: 5 published, 0 still open",
    ]
    assert office.sent[3][1].resolves == (office.sent[1][1].fingerprint,)
    assert list(alert_records.records(blobs)) == []


def test_a_second_of_a_kind_waits_a_little_and_has_its_own_page(office, watched):
    watched()
    deliver(incident(), office.post)
    deliver(incident("globex", at=NOW + MINUTE), office.post)
    assert len(office.sent) == 1

    sweep(office.post, NOW + 3 * MINUTE)

    assert office.subjects[1] == "PAGE globex orders 2026-11-21 source.unreachable, 3 h 52 min left"


def test_a_window_that_is_red_again_within_minutes_is_no_crowd(office, watched):
    deliver(RED, office.post)
    recover(subject(), "2026-11-21", "gen 2", NOW + 2 * MINUTE, office.post)

    assert deliver(replace(RED, at=NOW + 3 * MINUTE), office.post) == {SLACK: "sent"}
    assert [m.about for _, m in office.sent] == ["incident", "recovery", "incident"]


def test_what_was_published_before_the_digest_is_not_in_it(office, watched):
    watched()
    for n in range(5):
        deliver(incident(f"t{n}"), office.post)
    recover(subject("t4"), "2026-11-21", "gen 1", NOW + MINUTE, office.post)

    sweep(office.post, NOW + 2 * MINUTE)

    assert office.sent[-1][1].text.splitlines()[2] == "orders 2026-11-21: t1, t2, t3"


def test_without_a_sweep_nothing_waits_and_a_crowd_is_one_page(blobs, office):
    for n in range(20):
        deliver(incident(f"t{n:02}"), office.post)

    assert [subject.split(" ")[1] for subject in office.subjects] == ["t00", "t01", "t02", "t03", "STORM"]
    assert office.sent[4][1].text.splitlines()[2] == "orders 2026-11-21: t00, t01, t02, t03, t04"
    sweep(office.post, NOW + 5 * MINUTE)
    assert office.subjects[5] == "PAGE STORM source.unreachable: 15 windows more of 15 tenants"


def test_another_kind_a_louder_one_and_a_later_one_page_at_once(office, watched):
    watched()
    deliver(incident(), office.post)
    deliver(incident("t1", kind="databricks.submit"), office.post)
    deliver(incident("t2", awaited=False), office.post)
    deliver(incident("t3", at=NOW + 4 * MINUTE, routes=(PAGER,)), office.post)

    assert len(office.sent) == 4


def test_a_storm_that_is_over_is_no_storm(office, watched):
    watched()
    deliver(incident(), office.post)
    deliver(incident("t1", at=NOW + 11 * MINUTE), office.post)

    assert len(office.sent) == 2


def test_a_route_hears_of_its_own_tenants_alone(office, watched):
    watched()
    for n in range(5):
        deliver(incident(f"a{n}", routes=(SLACK,)), office.post)
        deliver(incident(f"b{n}", routes=(PAGER,)), office.post)
    sweep(office.post, NOW + 3 * MINUTE)

    to_slack = " ".join(message.text for route, message in office.sent if route == SLACK)
    assert "a4" in to_slack
    assert "b" not in {word[0] for word in to_slack.split() if word[1:2].isdigit()}


def test_a_digest_that_was_not_delivered_is_sent_later(office, watched):
    watched()
    for n in range(5):
        deliver(incident(f"t{n}"), office.post)
    office.broken[SLACK] = ConnectionError("503")
    assert sweep(office.post, NOW + 2 * MINUTE).failed == 1
    del office.broken[SLACK]

    sweep(office.post, NOW + 3 * MINUTE)

    assert office.subjects[1:] == ["PAGE STORM source.unreachable: 4 windows more of 4 tenants"]


@pytest.mark.sandbox
def test_two_sweeps_at_once_tell_everything_once(office, watched):
    watched()
    for n in range(6):
        deliver(incident(f"t{n}"), office.post)
    deliver(RED, Office(office.blobs, broken={SLACK: ConnectionError("503")}).post)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sweep(office.post, NOW + 3 * MINUTE), range(4)))

    assert sorted(office.subjects) == [
        "PAGE STORM source.unreachable: 5 windows more of 5 tenants",
        "PAGE acme orders 2026-11-21 quality.pk_unique, 3 h 53 min left",
        "PAGE t0 orders 2026-11-21 source.unreachable, 3 h 53 min left",
    ]


# mutes


def muted(blobs: Blobs, table: str | None = "orders", minutes: int = 60) -> Mute:
    found = Mute(
        tenant="acme", table=table, until=NOW + minutes * MINUTE, reason="source moves", by="me", at=NOW - MINUTE
    )
    alert_mutes.mute(blobs, found)
    return found


@pytest.mark.parametrize("table", ["orders", None])
def test_a_mute_tells_nobody_and_records_all(blobs, office, table):
    muted(blobs, table)

    assert deliver(RED, office.post) == {}
    assert office.sent == []
    assert states(blobs) == {"quality.pk_unique": ["muted"]}


def test_a_mute_is_of_its_tenant_and_table_alone(blobs, office):
    muted(blobs)

    deliver(incident(table="customers"), office.post)
    deliver(incident("globex", kind="gate.error"), office.post)

    assert len(office.sent) == 2


def test_an_expired_mute_is_no_mute(blobs, office):
    muted(blobs, minutes=0)

    assert deliver(RED, office.post) == {SLACK: "sent"}


def test_what_is_still_wrong_when_a_mute_ends_is_told_then(blobs, office):
    muted(blobs, minutes=30)
    deliver(RED, office.post)

    assert sweep(office.post, NOW + 29 * MINUTE).told == 0
    assert sweep(office.post, NOW + 31 * MINUTE).told == 1
    assert len(office.sent) == 1


def test_what_was_mended_under_a_mute_is_told_to_nobody(blobs, office):
    muted(blobs, minutes=30)
    deliver(RED, office.post)
    recover(subject(), "2026-11-21", "gen 2", NOW + 10 * MINUTE, office.post)

    sweep(office.post, NOW + 40 * MINUTE)

    assert office.sent == []
    assert alert_records.record_of(blobs, CELL) is None


@pytest.mark.sandbox
def test_mutes_are_listed_and_lifted(blobs):
    found = muted(blobs)

    assert alert_mutes.mutes(blobs) == (found,)
    assert alert_mutes.unmute(blobs, "acme", "orders")
    assert not alert_mutes.unmute(blobs, "acme", "orders")
    assert alert_mutes.mutes(blobs) == ()


# the daily digest


@pytest.mark.sandbox
def test_the_warnings_of_a_day_are_one_message_the_next_morning(office):
    evening = NOW.replace(hour=22)
    warn(subject(), "2026-11-21", ["note is new"], evening, office.post)
    warn(subject(), "2026-11-21", ["note is new"], evening + MINUTE, office.post)  # a rerun says the same
    warn(subject("globex"), "2026-11-21", ["email_null_pct: 3 %"], evening, office.post)
    tomorrow = NOW + timedelta(days=1)

    told = [
        sweep(office.post, at).told for at in (evening + MINUTE, tomorrow.replace(hour=6), tomorrow.replace(hour=7))
    ]

    assert told == [0, 0, 1]
    assert sweep(office.post, tomorrow.replace(hour=8)).told == 0
    assert office.sent[0][1].text.splitlines() == [
        "WARNINGS of 2026-11-22: 2 windows",
        "acme orders 2026-11-21",
        "- note is new",
        "globex orders 2026-11-21",
        "- email_null_pct: 3 %",
    ]


def test_a_digest_stays_until_every_route_has_it(office):
    both = subject(routes=(SLACK, PAGER))
    warn(both, "2026-11-21", ["note is new"], NOW, office.post)
    office.broken[PAGER] = ConnectionError("503")
    morning = (NOW + timedelta(days=1)).replace(hour=7)

    sweep(office.post, morning)
    del office.broken[PAGER]
    sweep(office.post, morning + 5 * MINUTE)
    sweep(office.post, morning + 10 * MINUTE)

    assert [route for route, _ in office.sent] == [SLACK, PAGER]


def test_warnings_that_no_route_wants_are_kept_nowhere(blobs, office):
    quiet = replace(subject(), routes=())

    warn(quiet, "2026-11-21", ["note is new"], NOW, office.post)

    assert blobs.names("test", "_ops/alerts/warned/") == ()
