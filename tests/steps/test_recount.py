"""Earlier windows counted anew at the source: what differs is seen, asked for once, and not in the way of due ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from sandbox.adls.client import Adls
from sandbox.services import Service
from tenantdags.model.errors import LandingConflict
from tenantdags.model.window import day_window, windows_before
from tenantdags.steps.extract import extract
from tenantdags.steps.landing import Landing
from tenantdags.steps.manifest import Differing, Manifest, Newest, Recount, SumTotal, Totals
from tenantdags.steps.pii import PiiKey
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.recount import (
    Published,
    PublishedTotals,
    command,
    compare,
    differences,
    follow_up,
    looks_back,
    published_before,
    run_id_of,
)
from tenantdags.steps.staging import Staging
from tests.steps import source_world as world

OLD, TODAY = day_window(date(2026, 11, 20), "Europe/Berlin"), day_window(date(2026, 11, 22), "Europe/Berlin")
NOW = datetime(2026, 11, 23, 2, 0, 13, tzinfo=UTC)


def totals(rows=3, amount: str | None = "60.06", newest: str | None = "2026-11-20T12:00:00") -> Totals:
    sums = (SumTotal(column="amount", by=(), group=(), sum=amount),)
    return Totals(rows=rows, sums=sums, newest=Newest(column="updated_at", value=newest))


# --- what differs, without any world


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (totals(), ()),
        (totals(amount="60.060"), ()),
        (totals(rows=1204), ("rows 3 → 1,204",)),
        (totals(amount="-1060.06"), ("sum of amount 60.06 → -1,060.06",)),
        (totals(rows=0, amount=None, newest=None), (
            "rows 3 → 0", "sum of amount 60.06 → none", "newest updated_at 2026-11-20T12:00:00 → None",
        )),
        (totals(newest="2026-11-22T08:00:00"), ("newest updated_at 2026-11-20T12:00:00 → 2026-11-22T08:00:00",)),
    ],
)  # fmt: skip
def test_a_difference_is_named_with_both_numbers(now, said):
    assert differences(totals(), now) == said


def test_what_was_not_taken_then_is_not_compared():
    old = Totals(rows=3)  # a manifest from before the contract had a measure, or the platform took the newest change

    assert differences(old, totals()) == ()
    assert differences(replace(totals(), newest=Newest(column="changed_on", value=None)), totals()) == ()


def test_sums_by_group_are_left_to_the_gates():
    grouped = SumTotal(column="amount", by=("currency",), group=("EUR",), sum="1")

    assert differences(replace(totals(), sums=(grouped, *totals().sums)), totals()) == ()


def test_windows_are_compared_in_their_order():
    first, second = windows_before(TODAY, 2, "Europe/Berlin")
    published = Published({first: PublishedTotals(4, totals()), second: PublishedTotals(1, totals())}, ("x: lost",))

    found = compare(published, [totals(), totals(rows=4)])

    assert [(d.window, d.generation, d.differs, d.settled) for d in found.differing] == [
        ("2026-11-20", 1, ("rows 3 → 4",), False)
    ]
    assert (found.windows, found.troubles) == (2, ("x: lost",))


@pytest.mark.parametrize(("now", "settled"), [(4, True), (5, False)])
def test_a_window_rolled_back_by_hand_is_settled_until_its_source_changes_again(now, settled):
    published = Published({OLD: PublishedTotals(3, totals(rows=3), newest=totals(rows=4))})

    [found] = compare(published, [totals(rows=now)]).differing

    assert found.settled == settled


def test_the_digest_is_of_the_source_alone():
    def digest(seen: Totals, now: Totals) -> str:
        return compare(Published({OLD: PublishedTotals(1, seen)}), [now]).differing[0].source

    assert digest(totals(), totals(rows=4)) == digest(totals(rows=9), totals(rows=4))
    assert len({digest(totals(), totals(rows=n)) for n in (4, 5, 6)}) == 3


def test_only_event_tables_look_back():
    orders, customers = world.plan_of("orders"), world.plan_of("customers")

    assert looks_back(orders)
    assert not looks_back(replace(orders, lookback=0))
    assert not looks_back(replace(customers, lookback=3))


def test_a_manifest_of_before_the_recount_can_still_be_read():
    written = manifest_of(world.plan_of("orders")).to_json()
    old = written.replace('"recount": null,', "").replace('"newest": null,', "")

    assert "newest" not in old
    assert Manifest.from_json(old) == Manifest.from_json(written)


def test_a_run_of_an_old_window_goes_behind_windows_in_time():
    from tenantdags.dag.priority import windows_behind

    assert windows_behind(run_id_of("2026-11-20", "abc"), timedelta(days=1), NOW) == 1


# --- following up, on a real container


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("recount")
    adls = Service("adls", run_dir)
    adls.start()
    sql, server = world.start(run_dir)
    adls.wait_ready()
    yield Adls(run_dir), server
    sql.stop()
    adls.stop()


@pytest.fixture
def landing(services, tmp_path):
    """A container of the test's own."""
    adls, _ = services
    name = f"c{abs(hash(tmp_path)):x}"
    BlobServiceClient(adls.direct_url, credential=adls.key).create_container(name)
    client = ContainerClient(adls.direct_url, name, credential=adls.key)
    return Landing(client, f"abfss://{name}@x.dfs.core.windows.net", "adls_landing", first_wait=0.05)


def manifest_of(plan, window=OLD, load_id="20261121T020000Z-aaaaaa", counted=None, **more) -> Manifest:
    counted = counted or Totals(rows=3)
    return Manifest(
        tenant=plan.tenant, table=plan.contract.table, contract=plan.contract.ref, contract_version="1.0.0",
        window_start=window.start, window_end=window.end, as_of_date=window.as_of_date, load_id=load_id,
        extracted_at=NOW, base_generation=0, rows=counted.rows, parts=(), columns=(), totals=counted, reconciled=True,
        pii_key_id=None, run_id="run-1", **more,
    )  # fmt: skip


def publish(landing, plan, window, manifest, staging) -> None:
    """A load staged without a row as the window's next generation, in landing alone."""
    staging.write_dir(plan, manifest.load_id)
    staging.write_manifest(plan, manifest, window)
    publish_load(landing, plan, window, manifest, staging)


def publish_load(landing, plan, window, manifest, staging) -> None:
    landing.upload(plan, window, manifest, staging)
    fact = Generation(
        generation=0, load_id=manifest.load_id, append_id="append", rows=manifest.rows, as_of_date=window.as_of_date,
        window_start=window.start, contract_version="1.0.0", run_id="run-1", published_at=NOW,
    )  # fmt: skip
    record = landing.published(plan, window)
    landing.swap_published(plan, window, (record.file if record else PublishedFile()).with_next(fact), record)


def differing(window=OLD, source="abc123", generation=1, **more) -> Differing:
    return Differing(
        window=window.key, window_start=window.start, generation=generation, differs=("rows 3 → 4",), source=source,
        **more,
    )  # fmt: skip


class Airflow:
    """What the run would ask its supervisor."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.refusal: str | None = None
        self.due: str | None = None

    def ask(self, run_id: str, window: str, note: str) -> str | None:
        self.asked.append((run_id, window, note))
        return self.refusal

    def follow_up(self, plan, landing, *found: Differing, troubles=()) -> list[str]:
        manifest = manifest_of(plan, TODAY, recount=Recount(windows=3, differing=found, troubles=troubles))
        told = follow_up(
            plan, manifest, landing, waiting=lambda: self.due, ask=self.ask, run_id="scheduled__x", now=NOW
        )  # fmt: skip
        return [entry.text for entry in told]


@pytest.fixture
def airflow():
    return Airflow()


@pytest.fixture
def orders(landing, tmp_path):
    """acme's orders with OLD and the day after it published."""
    plan = world.plan_of("orders")
    for window in (OLD, day_window(date(2026, 11, 21), "Europe/Berlin")):
        publish(landing, plan, window, manifest_of(plan, window), Staging(tmp_path / window.key))
    return plan


@pytest.mark.sandbox
def test_a_difference_is_asked_for_once(landing, airflow, orders):
    first = airflow.follow_up(orders, landing, differing())
    second = airflow.follow_up(orders, landing, differing())
    changed_again = airflow.follow_up(orders, landing, differing(source="def456"))

    assert airflow.asked == [
        ("recount__2026-11-20__abc123", "2026-11-20",
         "recount: 2026-11-20 differs from its source (rows 3 → 4); found by scheduled__x"),
        ("recount__2026-11-20__def456", "2026-11-20",
         "recount: 2026-11-20 differs from its source (rows 3 → 4); found by scheduled__x"),
    ]  # fmt: skip
    assert first == [
        "recount: 2026-11-20 differs from its source (rows 3 → 4); it is read again by run recount__2026-11-20__abc123."
    ]
    assert second == [
        "recount: 2026-11-20 differs from its source (rows 3 → 4); run recount__2026-11-20__abc123 was asked for it "
        "and has not published it: see that run."
    ]
    assert "it is read again by run recount__2026-11-20__def456" in changed_again[0]


@pytest.mark.sandbox
def test_one_window_is_asked_for_at_a_time_the_newest_first(landing, airflow, orders):
    newer = day_window(date(2026, 11, 21), "Europe/Berlin")

    both = airflow.follow_up(orders, landing, differing(), differing(newer))
    later = airflow.follow_up(orders, landing)
    nothing = airflow.follow_up(orders, landing)

    assert [window for _, window, _ in airflow.asked] == ["2026-11-21", "2026-11-20"]
    assert both[1].endswith("; it is asked for when the one before it is done.")
    assert later[0].endswith("; it is read again by run recount__2026-11-20__abc123.")
    assert nothing == []


@pytest.mark.sandbox
def test_a_due_window_without_a_run_goes_first(landing, airflow, orders):
    airflow.due = "2026-11-22"
    waiting = airflow.follow_up(orders, landing, differing())
    asked_before = list(airflow.asked)
    airflow.due = None
    airflow.follow_up(orders, landing)

    assert asked_before == []
    assert waiting[0].endswith("; it is asked for after 2026-11-22, which is due and has no run yet.")
    assert len(airflow.asked) == 1


@pytest.mark.sandbox
def test_a_window_published_anew_meanwhile_is_left_alone(landing, airflow, orders, tmp_path):
    airflow.due = "2026-11-22"
    airflow.follow_up(orders, landing, differing())
    publish(landing, orders, OLD, manifest_of(orders, load_id="20261123T020000Z-bbbbbb"), Staging(tmp_path / "again"))
    airflow.due = None

    told = airflow.follow_up(orders, landing)

    assert airflow.asked == []
    assert told[0].endswith("; it was published anew since, so nobody is asked.")
    assert airflow.follow_up(orders, landing) == []


@pytest.mark.sandbox
def test_who_cannot_be_asked_is_told_with_the_command_and_asked_again(landing, airflow, orders):
    airflow.refusal = "API_SERVER_ERROR: Dag has import errors."
    told = airflow.follow_up(orders, landing, differing())
    airflow.refusal = None
    again = airflow.follow_up(orders, landing)

    assert told == [
        "recount: 2026-11-20 differs from its source (rows 3 → 4); no run could be asked for: API_SERVER_ERROR: Dag "
        "has import errors. Run `airflow dags trigger acme__orders --run-id recount__2026-11-20__abc123 --conf "
        '\'{"window": "2026-11-20"}\'`.'
    ]
    assert command(orders, "2026-11-20", "r") in told[0].replace("recount__2026-11-20__abc123", "r")
    assert again[0].endswith("; it is read again by run recount__2026-11-20__abc123.")


@pytest.mark.sandbox
def test_a_window_rolled_back_by_hand_is_told_and_not_asked_for(landing, airflow, orders):
    told = airflow.follow_up(orders, landing, differing(settled=True), troubles=("2026-11-19: could not be compared.",))

    assert airflow.asked == []
    assert told == [
        "recount: 2026-11-20 differs from its source (rows 3 → 4); it did so when it was rolled back by hand, and is "
        "left alone until the source changes.",
        "recount: 2026-11-19: could not be compared.",
    ]


@pytest.mark.sandbox
def test_a_note_that_is_not_ours_is_refused(landing, airflow, orders):
    landing.blobs.write("x", "_ops/recount/acme/orders_v1/pending/2026-11-20.json", b"{}")

    with pytest.raises(LandingConflict, match="cannot be read as a recount's note"):
        airflow.follow_up(orders, landing)


# --- from the source to the difference


@pytest.fixture
def take(services, landing, tmp_path):
    """Extracts a window of a table, recounting what is published before it."""
    _, server = services
    world.fill_shared(server)

    def extracted(plan, window, name) -> tuple[Manifest, Staging]:
        staging = Staging(tmp_path / name)
        manifest = extract(
            plan, window, connect=world.connecting(server, plan), catalogue=world.catalogue_of(server, plan),
            files=landing.blobs, staging=staging, key=PiiKey("key-2026", bytes(32)), base_generation=0,
            run_id="scheduled__x", now=lambda: NOW, published=published_before(plan, window, landing),
        )  # fmt: skip
        return manifest, staging

    return extracted


LATE = """INSERT INTO Orders VALUES
(123, 1009, '2026-11-20 08:00:00', 'C0000009', NULL, 'NEW', 5, 'EUR', '2026-11-22', NULL)"""
CHANGES = {
    "a late row": (LATE, ("rows 3 → 4", "sum of amount", "newest updated_at")),
    "a hard delete": ("DELETE FROM Orders WHERE company_id = 123 AND order_id = 1002", ("rows 3 → 2", "sum of amount")),
    "all rows deleted": ("DELETE FROM Orders WHERE company_id = 123", ("rows 3 → 0", "→ none", "→ None")),
    "an update": (
        "UPDATE Orders SET status = 'PAID', updated_at = '2026-11-22' WHERE company_id = 123 AND order_id = 1005",
        ("newest updated_at 2026-11-20T23:00:00 → 2026-11-22T00:00:00",),
    ),
    "a neighbour's row": (LATE.replace("(123,", "(7,"), ()),
    "a row of another day": (LATE.replace("2026-11-20 08", "2026-11-17 08"), ()),
}


@pytest.mark.sandbox
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_at_the_source_of_a_published_window_is_found(change, services, landing, take):
    plan = world.plan_of("orders")
    old, staged = take(plan, OLD, "old")
    publish_load(landing, plan, OLD, old, staged)
    sql, said = CHANGES[change]
    services[1].execute("shared_sales", sql)

    recount = take(plan, TODAY, "today")[0].recount

    assert (recount.windows, recount.troubles) == (1, ())
    found = [(d.window, d.generation) for d in recount.differing]
    assert found == ([(OLD.key, 1)] if said else [])
    assert [part for part in said if part not in " ".join(recount.differing[0].differs)] == []


@pytest.mark.sandbox
def test_a_child_is_recounted_through_its_parent(services, landing, take):
    plan = replace(world.plan_of("order_lines"), lookback=3)
    old, staged = take(plan, OLD, "old")
    publish_load(landing, plan, OLD, old, staged)
    mine = "DELETE FROM OrderLines WHERE company_id = 123 AND order_id ="
    services[1].execute("shared_sales", f"{mine} 1001 AND line_no = 2")
    services[1].execute("shared_sales", f"{mine} 9999")  # whose order is not there

    [found] = take(plan, TODAY, "today")[0].recount.differing

    assert found.differs[:2] == ("rows 2 → 1", "sum of quantity 3 → 2")


@pytest.mark.sandbox
def test_after_a_rollback_the_load_that_was_put_aside_is_compared_as_well(services, landing, take, tmp_path):
    plan = world.plan_of("orders")
    first, staged = take(plan, OLD, "first")
    publish_load(landing, plan, OLD, first, staged)
    services[1].execute("shared_sales", LATE)
    second, staged = take(plan, OLD, "second")
    publish_load(landing, plan, OLD, second, staged)
    record = landing.published(plan, OLD)
    back = replace(record.file.generations[0], event="rollback", restores=1, reason="wrong", actor="ann")
    landing.swap_published(plan, OLD, record.file.with_next(back), record)

    [kept] = take(plan, TODAY, "today")[0].recount.differing
    services[1].execute("shared_sales", LATE.replace("1009", "1010"))
    [changed] = take(plan, TODAY, "again")[0].recount.differing

    assert (kept.generation, kept.settled, changed.settled) == (3, True, False)


@pytest.mark.sandbox
def test_a_published_load_without_its_manifest_is_told_and_stops_nothing(landing, take):
    plan = world.plan_of("orders")
    old, staged = take(plan, OLD, "old")
    publish_load(landing, plan, OLD, old, staged)
    landing.blobs.delete("x", f"{plan.landing.load_path(OLD, old.load_id)}/_manifest.json")

    recount = take(plan, TODAY, "today")[0].recount

    assert (recount.windows, recount.differing) == (0, ())
    assert recount.troubles == (
        f"2026-11-20: could not be compared with its source: load {old.load_id} has no manifest in landing, so it was "
        "not landed completely.",
    )


@pytest.mark.sandbox
def test_windows_before_the_first_are_not_asked_for(landing, take):
    plan = world.plan_of("orders")
    plan = replace(plan, schedule=replace(plan.schedule, first_window=date(2026, 11, 21)))

    assert published_before(plan, TODAY, landing) == Published({})
    assert take(plan, TODAY, "today")[0].recount == Recount(windows=0)
