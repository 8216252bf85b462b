"""One look of the watchdog against a real container, with an Airflow that says what each test makes it say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from tenantdags.model.errors import DatabricksSubmit, LandingUnreachable
from tenantdags.model.plan import SlaPlan, TablePlan
from tenantdags.model.pools import SLOTS
from tenantdags.model.window import Window, day_window
from tenantdags.steps import watch
from tenantdags.steps.airflow_answers import Component
from tenantdags.steps.alerts import Incident
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.fleet import Fleet
from tenantdags.steps.landing import Landing, published_in
from tenantdags.steps.ledger_file import LEDGER, last_beat, read_ledger
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.watch import Logged, Look, World, look
from tenantdags.steps.watch_text import look_lines
from tests.dag.plans import plan_of, utc
from tests.steps.airflow_facts import dag, paused, pool, run, tasks
from tests.steps.fake_airflow import FakeAirflow
from tests.steps.lakehouse import Lakehouse

pytestmark = pytest.mark.sandbox
BERLIN = "Europe/Berlin"
DUE = utc("2026-11-23T05:00:00")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LAST_NIGHT = day_window(date(2026, 11, 22), BERLIN)
_containers = count()


def plan_for(tenant: str = "acme", table: str = "orders", **schedule: object) -> TablePlan:
    made = replace(plan_of("acme", table), tenant=tenant, sla=SlaPlan(ready_by=time(6)))
    landing = replace(made.landing, prefix=f"{table}/v1/tenant_id={tenant}")
    first = replace(made.schedule, first_window=LAST_NIGHT.as_of_date, **schedule)  # type: ignore[arg-type]
    return replace(made, landing=landing, schedule=first)


class Night:
    """A fleet, a container and an Airflow; `look` at an instant, and what was told by then."""

    def __init__(self, container: ContainerClient, *plans: TablePlan, broken: dict[str, str] | None = None) -> None:
        self.fleet = Fleet(plans=plans, broken=broken or {})
        self.container, self.blobs = container, Blobs(container, "adls_landing", first_wait=0.01)
        self.airflow = FakeAirflow(dags=[dag(dag_id=plan.dag_id) for plan in plans], pools=[pool(scheduled=0)])
        self.told: list[Incident] = []
        self.recovered: list[Incident] = []
        self.logged: Logged | Exception = ()
        self.tell_fails = False
        self.look(DUE - 12 * HOUR)  # the watch has known these tables for a while
        self.airflow.asked.clear()

    def look(self, now: datetime) -> Look:
        return look(self.fleet, read_ledger(self.blobs, "watch"), {}, self.world(), now)

    def world(self) -> World:
        return World(
            blobs=self.blobs,
            published=lambda plan, window: published_in(self.blobs, plan, window) is not None,
            logged=self._logged,
            airflow=self.airflow.api,
            tell=self._tell,
            recovered=self.recovered.extend,
        )

    def publish(self, plan: TablePlan, window: Window = LAST_NIGHT) -> None:
        landing = Landing(self.container, "abfss://x", "adls_landing", first_wait=0.01)
        landing.swap_published(plan, window, PublishedFile().with_next(generation(window)), None)

    @property
    def causes(self) -> list[str]:
        return [f"{each.where} {each.kind}: {each.cause}" for each in self.told]

    def _tell(self, incidents: Sequence[Incident]) -> None:
        if self.tell_fails:
            raise KeyboardInterrupt
        self.told.extend(incidents)

    def _logged(self, plan: TablePlan, since: datetime) -> Logged:
        if isinstance(self.logged, Exception):
            raise self.logged
        return self.logged


def generation(window: Window) -> Generation:
    return Generation(
        generation=1, load_id="20261123T020452Z-1", append_id="a", rows=3, as_of_date=window.as_of_date,
        window_start=window.start, contract_version="1.0.0", run_id="r", published_at=datetime.now(UTC),
    )  # fmt: skip


@pytest.fixture
def container(lakehouse: Lakehouse) -> ContainerClient:
    service = BlobServiceClient(lakehouse.adls.connection()["host"], credential=lakehouse.adls.key)
    return service.create_container(f"watch-{next(_containers)}")


def test_a_night_that_goes_well_asks_little_and_says_nothing(container):
    plan = plan_for()
    night = Night(container, plan)
    night.publish(plan)

    looks = [night.look(DUE + minute * MINUTE) for minute in range(-2, 3)]

    assert night.told == []
    assert [each.reads for each in looks] == [0, 0, 1, 0, 0]
    assert night.airflow.asked.count("GET /dags") == len(looks) + 1  # how many there are, and once in a while which
    assert not any("dagRuns" in asked for asked in night.airflow.asked)


def test_a_run_that_never_started_is_told_at_the_first_look_with_its_cause(container):
    plan = plan_for()
    night = Night(container, plan)
    night.airflow.dags = [dag(paused=True)]
    night.airflow.events = [("acme__orders", paused())]

    before, at, after = (night.look(DUE + minute * MINUTE) for minute in (-1, 0, 1))

    assert night.causes == ["acme orders 2026-11-22 missing: its run never started: paused by jane at 22:14 Sun 22 Nov"]
    assert (night.told[0].at, night.told[0].due, night.told[0].ahead) == (DUE, DUE, False)
    assert (before.overdue, at.overdue, after.overdue, len(after.told)) == (0, 1, 1, 0)
    assert list(look_lines(at)) == [
        "2026-11-23 05:00:00Z 1 table, 1 window waited for, 1 overdue",
        "told     acme orders 2026-11-22 missing: its run never started: paused by jane at 22:14 Sun 22 Nov",
    ]


def test_a_window_published_late_is_told_as_back(container):
    plan = plan_for()
    night = Night(container, plan)
    night.airflow.runs, night.airflow.tasks = [run()], list(tasks("load", "running"))
    night.look(DUE)
    night.publish(plan)

    after = night.look(DUE + MINUTE)

    assert night.causes == ["acme orders 2026-11-22 late: load runs since 03:04 Mon 23 Nov, try 1 of 4"]
    assert night.told[0].links.run == "http://airflow.example.com:8080/dags/acme__orders/runs/scheduled__1"
    assert [each.fingerprint for each in night.recovered] == [night.told[0].fingerprint]
    assert list(look_lines(after)) == [
        "2026-11-23 05:01:00Z 1 table, 0 windows waited for, 0 overdue",
        "back     acme orders 2026-11-22 is published",
    ]


def test_what_was_told_as_missing_stays_missing_when_its_run_starts(container):
    plan = plan_for()
    night = Night(container, plan)
    night.look(DUE)
    night.airflow.runs, night.airflow.tasks = [run()], list(tasks("load", "running"))
    night.publish(plan)
    night.look(DUE + MINUTE)

    assert [(each.kind, each.fingerprint) for each in night.recovered] == [("missing", night.told[0].fingerprint)]


def test_a_missing_pool_is_warned_of_by_name_hours_before_it_is_too_late(container):
    plan = plan_for()
    night = Night(container, plan)
    night.airflow.pools = []
    night.airflow.runs, night.airflow.tasks = [run()], list(tasks("extract", "scheduled"))

    night.look(LAST_NIGHT.end + plan.schedule.settle + plan.schedule.jitter + 5 * MINUTE)
    night.look(DUE)

    slot = "extract is scheduled since 03:04 Mon 23 Nov and waits for a slot of pool source_mssql_shared1"
    said = f"acme orders 2026-11-22 late: {slot}, which does not exist; run `tenantdags apply`"
    assert night.causes == [said, said]
    assert [each.ahead for each in night.told] == [True, False]


def test_a_dead_airflow_is_said_and_the_page_goes_out(container):
    night = Night(container, plan_for())
    night.airflow.down = True

    found = night.look(DUE)

    assert night.causes == [
        "acme orders 2026-11-22 late: Airflow could not be asked why: no answer: ConnectError Connection refused"
    ]
    assert found.troubles == (
        "Airflow at http://airflow.example.com:8080: no answer: ConnectError Connection refused. Remedy: Start the "
        "api-server, or correct host and port of connection airflow_api.",
    )


def test_a_dead_scheduler_is_warned_of_once_its_heartbeat_is_old(container):
    plan = plan_for()
    night = Night(container, plan)
    start = LAST_NIGHT.end + plan.schedule.settle + plan.schedule.jitter
    night.airflow.components["scheduler"] = Component("unhealthy", start + 2 * MINUTE)

    for minute in range(10):
        night.look(start + minute * MINUTE)

    assert len(night.told) == 1
    assert night.told[0].at == start + 8 * MINUTE
    assert night.told[0].ahead
    assert night.causes[0].startswith(
        "acme orders 2026-11-22 missing: its run never started: the scheduler does not run"
    )


def test_a_dag_that_is_not_there_is_warned_of_soon_after_its_start(container):
    plan, other = plan_for(), plan_for("globex")
    night = Night(container, plan, other)
    night.airflow.dags = [dag(dag_id="globex__orders"), dag(dag_id="somebody_elses")]
    night.publish(other)

    night.look(LAST_NIGHT.end + plan.schedule.settle + plan.schedule.jitter + 5 * MINUTE)

    assert night.causes == ["acme orders 2026-11-22 missing: its run never started: Airflow has no DAG acme__orders"]


def test_a_dag_that_was_made_switched_off_and_never_ran_is_nobodys_alarm(container):
    plan = plan_for(paused_on_creation=True)
    night = Night(container, plan)
    night.airflow.dags = [dag(paused=True)]

    night.look(DUE)
    assert night.told == []
    night.airflow.dags = [dag()]
    night.look(DUE + MINUTE)

    assert len(night.told) == 1


def test_a_tenant_with_a_broken_file_is_watched_by_its_last_good_one(container):
    plan = plan_for()
    problem = "config/tenants/acme.yaml:8:1: time_zon: unknown key, did you mean 'time_zone'? [CFG010]"
    night = Night(container, plan, broken={"acme": problem})
    night.airflow.down = True

    found = night.look(DUE)

    assert night.causes == [
        "acme orders 2026-11-22 late: Airflow could not be asked why: no answer: ConnectError Connection refused; "
        f"the tenant's file is broken: {problem}"
    ]
    assert found.troubles[0] == f"acme is watched by its last good files: {problem}"


def test_two_watchdogs_at_once_keep_one_ledger(container):
    plan = plan_for()
    first, second = Night(container, plan), Night(container, plan)
    kept = [read_ledger(night.blobs, "watch") for night in (first, second)]

    looks = [
        look(night.fleet, its, {}, night.world(), DUE + timedelta(seconds=seconds))
        for seconds, (night, its) in enumerate(zip((first, second), kept, strict=True))
    ]

    assert [each.kept for each in looks] == [True, False]
    # with one fingerprint, so that the alerts' memory makes one page of it
    assert [each.fingerprint for each in first.told] == [each.fingerprint for each in second.told] != []
    assert second.look(DUE + MINUTE).told == ()


def test_a_watchdog_killed_while_it_tells_tells_again(container):
    night = Night(container, plan_for())
    night.tell_fails = True
    with pytest.raises(KeyboardInterrupt):
        night.look(DUE)
    night.tell_fails = False

    night.look(DUE + MINUTE)

    assert len(night.told) == 1


def test_the_most_urgent_is_told_first(container):
    gold, bronze = plan_for("acme", priority=300), plan_for("umbrella", priority=100)
    night = Night(container, bronze, gold)

    night.look(DUE)

    assert [each.subject.tenant for each in night.told] == ["acme", "umbrella"]


def test_many_windows_are_looked_up_in_the_log_at_once(container, monkeypatch):
    monkeypatch.setattr(watch, "LOG_FROM", 3)
    plans = [plan_for(f"t{number}") for number in range(5)]
    night = Night(container, *plans)
    night.logged = {("orders_v1", f"t{number}", LAST_NIGHT.start) for number in range(4)}
    night.publish(plans[4])  # killed between file and log

    found = night.look(DUE)

    assert (found.asked_log, found.reads, found.overdue) == (True, 1, 0)


def test_a_log_that_does_not_answer_is_done_without(container, monkeypatch):
    monkeypatch.setattr(watch, "LOG_FROM", 3)
    plans = [plan_for(f"t{number}") for number in range(5)]
    night = Night(container, *plans)
    night.logged = DatabricksSubmit("watch", "the SQL statement API did not answer.", "Look at the warehouse.")
    for plan in plans:
        night.publish(plan)

    found = night.look(DUE)

    assert (found.reads, found.overdue) == (5, 0)
    assert found.troubles[0].startswith("the publish log cannot be asked, so landing is: watch: databricks.submit")


def test_a_whole_fleet_that_is_late_asks_airflow_for_some(container, monkeypatch):
    monkeypatch.setattr(watch, "DETAILS", 2)
    night = Night(container, *(plan_for(f"t{number}") for number in range(5)))

    found = night.look(DUE)

    assert len(found.told) == 5
    assert sum("/dagRuns" in asked for asked in night.airflow.asked) == 2 * 3  # two lists of runs and the active ones


def test_a_ledger_that_is_damaged_is_begun_anew(container):
    night = Night(container, plan_for())
    night.blobs.write("a test", LEDGER, b'{"format": 1, "tables": [')

    found = night.look(DUE - HOUR)
    again = night.look(DUE - HOUR + MINUTE)

    assert found.troubles[0].startswith("_ops/watch/ledger.json was not readable and is begun anew: ")
    assert (found.kept, again.troubles) == (True, ())


def test_a_published_file_that_is_damaged_counts_as_unpublished_and_is_told(container):
    plan = plan_for()
    night = Night(container, plan)
    night.blobs.write("a test", f"{plan.landing.window_path(LAST_NIGHT)}/_published.json", b"torn")

    found = night.look(DUE)

    assert len(night.told) == 1
    assert "landing.conflict: _published.json of this window cannot be read" in found.troubles[0]


def test_how_long_tasks_wait_for_a_slot_is_measured_by_tier(container):
    plan = plan_for()
    night = Night(container, plan)
    night.airflow.tasks = [
        *tasks("extract", "scheduled", scheduled_at=DUE - 12 * MINUTE),
        *tasks("extract", "scheduled", scheduled_at=DUE - 3 * MINUTE),
        *tasks("load", "running", scheduled_at=DUE - HOUR, pool="curated_orders_v1"),
        *tasks("extract", "scheduled", dag_id="somebody__else", scheduled_at=DUE - HOUR),
    ]

    night.airflow.pools = [pool(scheduled=0), pool("default_pool", scheduled=7)]
    nobody_waits = night.look(DUE - HOUR)
    asked = list(night.airflow.asked)
    night.airflow.pools = [pool(scheduled=3)]
    some_wait = night.look(DUE)

    assert not any("taskInstances" in each for each in asked)
    assert nobody_waits.waits == {("gold", slots): timedelta() for slots in SLOTS}
    assert {key: wait for key, wait in some_wait.waits.items() if wait} == {("gold", "source"): 12 * MINUTE}


def test_an_airflow_that_cannot_be_asked_says_nothing_of_waits(container):
    night = Night(container, plan_for())
    night.airflow.down = True

    assert night.look(DUE).waits == {}


def test_every_look_leaves_a_heartbeat(container):
    assert last_beat(Blobs(container, "adls_landing"), "a test") is None
    night = Night(container, plan_for())

    night.look(DUE)

    beat = last_beat(night.blobs, "a test")
    assert beat is not None
    assert (beat[0], beat[1]["overdue"]) == (DUE, 1)


def test_without_landing_it_says_so_instead_of_knowing_nothing(container, lakehouse):
    night = Night(container, plan_for())
    lakehouse.adls.fault("503", method="GET", path="ledger.json", times=50)

    with pytest.raises(LandingUnreachable):
        night.look(DUE)


def test_the_log_says_what_was_published(lakehouse, staging, fresh):
    from tenantdags.steps import dbsql
    from tests.steps.staged import good_rows

    plan = plan_of("acme", "orders")
    window, later = fresh(plan), fresh(plan)
    for each in (window, later):
        lakehouse.published_window(plan, each, good_rows(plan, each, 3), staging, f"load-{each.key}")

    rows = lakehouse.statements().execute(dbsql.published_windows(plan), {"since": (later.start, "TIMESTAMP")}).rows

    assert ("orders_v1", "acme", later.start) in rows
    assert ("orders_v1", "acme", window.start) not in rows


def test_a_dag_listing_is_read_again_when_the_number_of_dags_changes(container):
    night = Night(container, plan_for())
    night.look(DUE - HOUR)
    night.airflow.asked.clear()
    night.airflow.dags.append(dag(dag_id="other"))

    night.look(DUE - HOUR + MINUTE)
    night.look(DUE - HOUR + 2 * MINUTE)

    assert night.airflow.asked.count("GET /dags") == 3  # twice how many, once which
