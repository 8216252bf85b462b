"""Deadlines by Airflow's own scheduler loop, with the watch beside it: each late window is told once.

The loop makes the runs and their deadlines and finds which have passed; what it queues for the triggerer is run here,
by Airflow's own trigger. An hour is an argument: the clock of each of them is moved on, and nobody waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from airflow._shared.module_loading import import_string
from airflow.executors.base_executor import BaseExecutor
from airflow.jobs import scheduler_job_runner
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.callback import TriggererCallback
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.utils.db import add_default_pool_if_not_exists, synchronize_log_template
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from tenantdags.dag import alerts, watch, world
from tenantdags.dag import deadline as deadline_module
from tenantdags.model.plan import AlertPlan, SlaPlan
from tenantdags.model.window import day_window
from tenantdags.steps.fleet import Fleet as Watched
from tenantdags.steps.landing import PUBLISHED
from tenantdags.steps.ledger_file import read_ledger
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.watch import World, look
from tests.dag.fleet import Fleet
from tests.dag.plans import ROOT, plan_of
from tests.dag.receivers import Receiver, http
from tests.metadata import metadata_database
from tests.steps.airflow_facts import dag, paused, pool, run
from tests.steps.fake_airflow import FakeAirflow
from tests.steps.incidents import EVENTS, Memory

pytestmark = pytest.mark.airflow
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ROUTE = AlertPlan(notifier="http", connection="oncall", events=EVENTS)  # type: ignore[arg-type]
DAG = "acme__orders"


class Idle(BaseExecutor):
    """Takes tasks, and runs none."""

    def _process_workloads(self, workloads: Any) -> None:
        self.queued_tasks.clear()


class Night:
    """acme's orders of yesterday, due in an hour; the scheduler, the triggerer and the watch at any instant."""

    def __init__(self, receiver: Receiver, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
        self.receiver, self.memory, self.patch = receiver, memory, monkeypatch
        self.now = datetime.now(UTC)
        self.due = self.now + HOUR
        self.window = day_window(self.now.date() - timedelta(days=1), "UTC")
        made = plan_of("acme", "orders", alerts=(ROUTE,))
        schedule = replace(
            made.schedule, time_zone="UTC", first_window=self.window.as_of_date, settle=timedelta(),
            jitter=timedelta(),
        )  # fmt: skip
        self.plan = replace(made, schedule=schedule, sla=SlaPlan(within=self.due - self.window.end))
        self.airflow = FakeAirflow(dags=[dag()], pools=[pool()])
        monkeypatch.setattr(world, "airflow_api", lambda at, seconds: self.airflow.api())
        Fleet([self.plan])
        job = Job()
        job.prepare_for_execution()
        self.scheduler = SchedulerJobRunner(job, num_runs=1, executors=[Idle()])
        self.look(self.now - 12 * HOUR)  # the watch has known the table for a while

    def loop(self, at: datetime) -> None:
        """One turn of the scheduler as if it were `at`."""
        self._set_clock(at)
        self.scheduler._run_scheduler_loop()

    def triggerer(self, at: datetime) -> None:
        """Runs what waits for it."""
        self._set_clock(at)
        with create_session() as session:
            for callback in session.scalars(select(TriggererCallback)).all():
                if callback.trigger is not None:
                    trigger = import_string(callback.trigger.classpath)(**callback.trigger.kwargs)
                    for event in asyncio.run(_events(trigger)):
                        callback.handle_event(event, session)

    def look(self, at: datetime) -> None:
        self.airflow.runs = [_as_said(found) for found in self.runs()]
        beside = World(
            blobs=self.memory,
            published=partial(watch._published, self.memory),
            logged=lambda plan, since: (),
            airflow=self.airflow.api,
            tell=watch._tell,
            recovered=watch._recovered,
        )
        look(Watched(plans=(self.plan,)), read_ledger(self.memory, "watch"), {}, beside, at)

    def everybody(self, at: datetime) -> None:
        self.loop(at)
        self.triggerer(at)
        self.look(at)

    def runs(self) -> list[DagRun]:
        with create_session() as session:
            return list(session.scalars(select(DagRun).order_by(DagRun.data_interval_start)))

    def deadlines(self) -> list[Deadline]:
        with create_session() as session:
            return list(session.scalars(select(Deadline)))

    def callbacks(self) -> list[TriggererCallback]:
        """Those that the scheduler gave to the triggerer."""
        with create_session() as session:
            return [each for each in session.scalars(select(TriggererCallback)) if each.trigger is not None]

    def end(self, state: TaskInstanceState, *only: str) -> None:
        """Every task of the run, or those, came to this; what it makes of the run is the scheduler's."""
        with create_session() as session:
            for task in session.scalars(select(TaskInstance)):
                if not only or task.task_id in only:
                    task.state = state

    def clear(self) -> None:
        with create_session() as session:
            clear_task_instances(list(session.scalars(select(TaskInstance))), session)

    def pause(self, said: bool) -> None:
        with create_session() as session:
            session.get_one(DagModel, DAG).is_paused = said
        self.airflow.dags = [dag(paused=said)]
        self.airflow.events = [(DAG, paused())] if said else []

    def publish(self) -> None:
        window = self.window
        fact = Generation(
            generation=1, load_id="l", append_id="a", rows=3, as_of_date=window.as_of_date, window_start=window.start,
            run_id="r", published_at=window.end, contract_version="1.0.0",
        )  # fmt: skip
        path = f"{self.plan.landing.window_path(window)}/{PUBLISHED}"
        self.memory.write("test", path, PublishedFile((fact,)).to_json().encode())

    @property
    def told(self) -> list[str]:
        """The first line of each message, without how long is left."""
        return [request.json["subject"].partition(",")[0] for request in self.receiver.requests]

    def says(self, kind: str) -> str:
        return f"PAGE acme orders {self.window.as_of_date} {kind}"

    def _set_clock(self, at: datetime) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # every caller names a zone
                return at.astimezone(tz)

        self.patch.setattr(scheduler_job_runner, "datetime", Clock)
        self.patch.setattr(deadline_module, "datetime", Clock)
        self.patch.setattr(alerts, "_now", lambda: at)


async def _events(trigger: Any) -> list[Any]:
    return [event async for event in trigger.run()]


def _as_said(found: DagRun) -> Any:
    return run(
        state=str(found.state), run_id=found.run_id, start=found.data_interval_start, end=found.data_interval_end,
        logical_date=found.logical_date, run_after=found.run_after,
    )  # fmt: skip


@pytest.fixture
def night(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Night]]:
    memory = Memory()
    monkeypatch.setattr(alerts, "memory", lambda connection, container: memory)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(ROOT / "dags"))
    with http(Receiver()) as receiver, metadata_database(tmp_path):
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL", json.dumps({"conn_type": "http", "host": receiver.url}))
        synchronize_log_template()
        add_default_pool_if_not_exists()
        yield partial(Night, receiver, memory, monkeypatch)


def test_a_run_that_is_not_done_is_told_once_by_whoever_comes_first(night: Callable[[], Night]) -> None:
    one = night()

    for at in (one.now, one.due - MINUTE):
        one.everybody(at)
    early = list(one.told)
    for minutes in (1, 2, 90):
        one.everybody(one.due + minutes * MINUTE)

    assert (len(one.runs()), early, one.told) == (1, [], [one.says("late")])


def test_a_run_made_late_but_before_the_deadline_has_one(night: Callable[[], Night]) -> None:
    one = night()

    one.loop(one.due - 5 * MINUTE)
    one.everybody(one.due + MINUTE)

    assert one.told == [one.says("late")]


def test_a_run_that_the_scheduler_makes_after_the_deadline_is_told_by_the_watch_alone(
    night: Callable[[], Night],
) -> None:
    one = night()

    one.look(one.due)
    one.everybody(one.due + 10 * MINUTE)
    one.everybody(one.due + HOUR)

    assert (len(one.runs()), one.deadlines(), one.told) == (1, [], [one.says("missing")])


def test_a_dag_that_is_paused_and_unpaused_around_its_deadline(night: Callable[[], Night]) -> None:
    one = night()
    one.pause(True)
    one.everybody(one.now)
    one.everybody(one.due + MINUTE)
    made_while_paused = len(one.runs())

    one.pause(False)
    one.everybody(one.due + 10 * MINUTE)

    assert (made_while_paused, len(one.runs()), one.deadlines(), one.told) == (0, 1, [], [one.says("missing")])


def test_a_dag_that_is_paused_with_its_run_under_way(night: Callable[[], Night]) -> None:
    one = night()
    one.loop(one.now)
    one.pause(True)

    one.everybody(one.due + MINUTE)
    one.pause(False)
    one.everybody(one.due + 10 * MINUTE)

    assert one.told == [one.says("late")]


def test_a_failed_run_that_is_cleared_keeps_its_deadline(night: Callable[[], Night]) -> None:
    one = night()
    one.loop(one.now)
    one.end(TaskInstanceState.FAILED)
    one.loop(one.now + MINUTE)
    failed = one.runs()[0].state
    one.clear()

    one.everybody(one.due + MINUTE)

    assert (failed, len(one.deadlines()), one.told) == ("failed", 1, [one.says("late")])


def test_a_run_that_was_marked_successful_and_is_cleared_has_no_deadline_and_the_watch_tells(
    night: Callable[[], Night],
) -> None:
    one = night()
    one.loop(one.now)
    one.end(TaskInstanceState.SUCCESS)
    one.loop(one.now + MINUTE)
    succeeded = one.runs()[0].state
    one.clear()

    one.everybody(one.due + MINUTE)
    one.everybody(one.due + HOUR)

    assert (succeeded, one.deadlines(), one.told) == ("success", [], [one.says("late")])


def test_a_run_between_two_tries_is_told_and_its_end_as_well(night: Callable[[], Night]) -> None:
    one = night()
    one.loop(one.now)
    one.end(TaskInstanceState.UP_FOR_RETRY, "extract")

    one.everybody(one.due + MINUTE)
    one.publish()
    for minutes in (5, 6):
        one.everybody(one.due + minutes * MINUTE)

    over = f"RECOVERED acme orders {one.window.as_of_date}: published after 4 min"
    assert one.told == [one.says("late"), over]


def test_a_triggerer_that_was_down_adds_nothing_to_what_the_watch_told(night: Callable[[], Night]) -> None:
    one = night()
    one.loop(one.now)

    one.loop(one.due + MINUTE)
    one.look(one.due + 2 * MINUTE)
    by_the_watch = list(one.told)
    one.triggerer(one.due + HOUR)

    assert (by_the_watch, one.told) == ([one.says("late")], [one.says("late")])


def test_a_triggerer_that_was_down_tells_when_nobody_has(night: Callable[[], Night]) -> None:
    one = night()
    one.loop(one.now)
    one.loop(one.due + MINUTE)

    for minutes in (30, 31):
        one.triggerer(one.due + minutes * MINUTE)
    one.look(one.due + HOUR)

    assert one.told == [one.says("late")]


def test_a_triggerer_that_was_down_says_nothing_of_what_is_published_meanwhile(night: Callable[[], Night]) -> None:
    one = night()
    one.loop(one.now)
    one.loop(one.due + MINUTE)
    one.publish()

    one.triggerer(one.due + 30 * MINUTE)
    one.look(one.due + HOUR)

    assert one.told == []


def test_two_schedulers_queue_one_callback(night: Callable[[], Night]) -> None:
    one = night()
    one.loop(one.now)

    for _ in range(2):
        one.loop(one.due + MINUTE)

    assert len(one.callbacks()) == 1
