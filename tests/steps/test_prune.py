"""Pruning: what may go and what never, decided from facts; then in a lakehouse, killed and raced and repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tenantdags.dag.platform_dags import PRUNE, platform_dags
from tenantdags.model.errors import DatabricksSubmit, LandingUnreachable, PublishRefused
from tenantdags.steps.appended import Append, appends
from tenantdags.steps.prune import Doomed, Found, doomed_of, prune, prune_tables, require_limit, survey
from tenantdags.steps.publish_log import LogRow
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.rollback import propose, rollback
from tests.steps.meeting import meeting
from tests.steps.staged import ROOT, plan_of, window_of_plan

PLAN = plan_of("acme", "orders")
WINDOW = window_of_plan(PLAN)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


def day(number: int) -> datetime:
    """So many days ago."""
    return NOW - timedelta(days=number)


def fact(append: str, published: datetime, load: str | None = None, **changes) -> Generation:
    return Generation(
        generation=0, load_id=load or f"load_{append}", append_id=append, rows=3, as_of_date=WINDOW.as_of_date,
        window_start=WINDOW.start, contract_version="1.0.0", run_id="r", published_at=published, **changes,
    )  # fmt: skip


def append(name: str, loaded: datetime, load: str | None = None) -> Append:
    return Append(
        window_start=WINDOW.start, as_of_date=WINDOW.as_of_date, load_id=load or f"load_{name}", append_id=name, rows=3,
        loaded_at=loaded,
    )  # fmt: skip


def file_of(*facts: Generation, **pruned) -> PublishedFile:
    file = PublishedFile(**pruned)
    for each in facts:
        file = file.with_next(each)
    return file


def found(file: PublishedFile, *more: Append, logged: dict[int, datetime] | None = None, loads: tuple[str, ...] = ()):
    """A window in which everything that was published was loaded, landed and logged in its time."""
    at = logged if logged is not None else {f.generation: f.published_at for f in file.generations}
    mine = {f.append_id: append(f.append_id, f.published_at, f.load_id) for f in file.generations}
    files = {a.load_id: ["part-00000.parquet"] for a in (*mine.values(), *more)} | {
        load: ["x.parquet"] for load in loads
    }
    rows = tuple(LogRow(f, at[f.generation]) for f in file.generations if f.generation in at)
    return Found(window=WINDOW, file=file, logged=rows, appends=(*mine.values(), *more), loads=files)


A, B, C = fact("A", day(30)), fact("B", day(20)), fact("C", day(6))
BACK = replace(A, event="rollback", restores=1, published_at=day(10))
RERUN = append("again", day(9), "load_B")


@pytest.mark.parametrize(
    ("window", "gone"),
    [
        (found(file_of(A)), ""),
        (found(file_of(A, B)), "A load_A"),
        (found(file_of(A, B, C)), "A load_A"),  # B was seen until 6 days ago
        (found(file_of(A, B), logged={1: day(30)}), ""),  # the log lags, so its readers still see A
        (found(file_of(A, B), logged={1: day(30), 2: day(3)}), ""),  # it was mended 3 days ago
        (found(file_of(A, B, C), logged={1: day(30), 3: day(6)}), ""),  # they saw A until 6 days ago
        (found(file_of(A, B, BACK)), "B"),  # the source was last seen by load B, so that stays
        (found(file_of(A, B, BACK, replace(C, published_at=day(8)))), "A B load_A load_B"),
        (found(file_of(A, B), append("litter", day(8))), "A litter load_A"),  # its load's id says no time
        (found(file_of(A, B), append("litter", day(6))), "A load_A"),
        (found(file_of(A, B), RERUN), "A again load_A"),  # load B is what readers see
        (found(file_of(B, replace(B, append_id="again", published_at=day(9))), RERUN), "B"),
        (found(PublishedFile(), append("litter", day(8), "20261114T020000Z-abc")), "litter 20261114T020000Z-abc"),
        (found(PublishedFile(), append("litter", day(6), "20261114T020000Z-abc")), ""),  # loaded again since
        (found(PublishedFile(), loads=("20261114T020000Z-abc", "20261116T020000Z-abc")), "20261114T020000Z-abc"),
        (found(file_of(A, C, pruned_appends={"A": day(1)}, pruned_loads={"load_A": day(1)})), "A load_A"),  # half gone
    ],
)
def test_what_goes(window, gone):
    doomed = doomed_of(window, NOW - WEEK)

    assert sorted([*(a.append_id for a in doomed.appends), *doomed.loads]) == sorted(gone.split())


def test_a_shorter_time_than_a_query_may_run_is_refused():
    require_limit(WEEK)
    with pytest.raises(ValueError, match="what was seen within 7 days stays"):
        require_limit(WEEK - timedelta(seconds=1))


def load_id(days: int) -> str:
    return f"{day(days):%Y%m%dT%H%M%SZ}-abc{days:03}"


@pytest.fixture
def window(fresh):
    return fresh(PLAN)


@pytest.fixture
def generation(shortcut, window):
    """Publishes so many rows so many days ago."""
    return lambda count, days: shortcut.window(PLAN, window, count, load_id(days), day(days))[1].append_id


def world(lakehouse):
    return lakehouse.landing(PLAN), lakehouse.statements()


def mine(lakehouse, window, before=NOW - WEEK) -> Doomed:
    """What a prune would take of the test's own window."""
    landing, statements = world(lakehouse)
    doomed = survey(PLAN, landing, statements, before).doomed
    return next((each for each in doomed if each.window == window), Doomed(window=window))


def left(lakehouse, window) -> tuple[set[str], set[str]]:
    """(appends in the table, loads in landing)"""
    shelves = lakehouse.landing(PLAN).shelves(PLAN, window)
    rows = appends(PLAN, lakehouse.statements(), window)
    return {a.append_id for a in rows}, {load for shelf in shelves for load in shelf.loads}


def seen(lakehouse, window) -> int:
    rows: dict[str, int] = dict(lakehouse.visible(PLAN))
    return rows.get(str(window.as_of_date), 0)


def do(lakehouse, doomed: Doomed, landing=None) -> Doomed:
    there = landing or lakehouse.landing(PLAN)
    return prune(PLAN, doomed, there, lakehouse.statements(), NOW - WEEK, lambda: NOW)


@pytest.mark.sandbox
def test_what_is_superseded_goes_and_readers_see_what_they_saw(lakehouse, shortcut, window, generation):
    a, b, c = generation(150, 30), generation(140, 20), generation(130, 10)
    litter = shortcut.land(PLAN, window, 120, load_id(9))
    shortcut.append(PLAN, window, litter, day(9))

    gone = do(lakehouse, mine(lakehouse, window))

    assert [append.rows for append in gone.appends] == [150, 140, 120]
    assert {load: len(names) for load, names in gone.loads.items()} == {load_id(n): 3 for n in (30, 20, 9)}
    assert left(lakehouse, window) == ({c}, {load_id(10)})
    assert seen(lakehouse, window) == 130
    assert not mine(lakehouse, window)
    file = lakehouse.landing(PLAN).published(PLAN, window).file
    assert [file.gone(fact) for fact in file.generations] == [True, True, False]
    assert {a, b} < set(file.pruned_appends)
    with pytest.raises(PublishRefused, match="generation 2 was pruned"):
        propose(PLAN, window, None, *world(lakehouse))


@pytest.mark.sandbox
@pytest.mark.parametrize("killed", ["before the rows", "among the files"])
def test_killed_on_its_way_the_next_prune_ends_it(lakehouse, window, generation, killed):
    generation(150, 30)
    b = generation(140, 20)
    doomed = mine(lakehouse, window)
    if killed == "before the rows":
        lakehouse.databricks.fault("sql_500", path="DELETE FROM")
    else:
        lakehouse.adls.fault("403", method="DELETE", path="part-00001")
    with pytest.raises((DatabricksSubmit, LandingUnreachable)):
        do(lakehouse, doomed)
    halfway = left(lakehouse, window)

    rest = mine(lakehouse, window, before=day(3650))  # what was marked goes whatever its age
    do(lakehouse, rest)

    assert halfway[1] == {load_id(30), load_id(20)}
    assert len(rest.appends) == (1 if killed == "before the rows" else 0)
    assert left(lakehouse, window) == ({b}, {load_id(20)})
    assert seen(lakehouse, window) == 140


@pytest.mark.sandbox
def test_a_run_that_is_cleared_after_a_week_is_published_or_pruned_and_never_half(lakehouse, shortcut, window):
    manifest = shortcut.land(PLAN, window, 150, load_id(9))
    loaded = shortcut.append(PLAN, window, manifest, day(9))
    doomed, barrier = mine(lakehouse, window), Barrier(2)

    def publish():
        try:
            return lakehouse.publish(PLAN, window, manifest, loaded, meeting(lakehouse, PLAN, barrier)).rows
        except PublishRefused as refused:
            return refused.what

    with ThreadPoolExecutor(2) as pool:
        published = pool.submit(publish)
        gone = pool.submit(do, lakehouse, doomed, meeting(lakehouse, PLAN, barrier))
        outcomes = (published.result(), len(gone.result().appends))

    refused = f"append {loaded.append_id} of load {load_id(9)} was pruned, so there is nothing left to publish."
    assert outcomes in ((150, 0), (refused, 1))
    assert seen(lakehouse, window) == (150 if outcomes[0] == 150 else 0)
    assert bool(left(lakehouse, window)[0]) == (outcomes[0] == 150)


@pytest.mark.sandbox
def test_a_rollback_to_what_is_being_pruned_keeps_it_or_is_refused(lakehouse, window, generation):
    generation(150, 30)
    generation(140, 20)
    doomed, proposed, barrier = mine(lakehouse, window), propose(PLAN, window, None, *world(lakehouse)), Barrier(2)

    def back():
        landing = meeting(lakehouse, PLAN, barrier)
        clients = (landing, lakehouse.statements())
        try:
            return rollback(PLAN, window, proposed, *clients, reason="off", actor="maria", now=lambda: NOW).rows
        except PublishRefused as refused:
            return refused.what

    with ThreadPoolExecutor(2) as pool:
        rolled = pool.submit(back)
        gone = pool.submit(do, lakehouse, doomed, meeting(lakehouse, PLAN, barrier))
        outcomes = (rolled.result(), len(gone.result().appends))

    refused = "generation 1 was pruned: its rows or its files are no longer there."
    assert outcomes in ((150, 0), (refused, 1))
    assert seen(lakehouse, window) == (150 if outcomes[0] == 150 else 140)


@pytest.mark.sandbox
def test_windows_that_do_not_fit_together_are_left_alone_with_the_reason(lakehouse, fresh, shortcut):
    torn, lagging = fresh(PLAN), fresh(PLAN)
    for n, window in enumerate((torn, lagging)):
        shortcut.window(PLAN, window, 150, load_id(30 + n), day(30))
        shortcut.window(PLAN, window, 140, load_id(20 + n), day(20))
    landing = lakehouse.landing(PLAN)
    landing.blobs.write("test", f"{PLAN.landing.window_path(torn)}/_published.json", b"{torn")
    record = landing.published(PLAN, lagging)
    landing.swap_published(PLAN, lagging, record.file.with_next(fact("elsewhere", day(10))), record)

    said: list[str] = []
    totals = prune_tables([PLAN], lambda plan: world(lakehouse), WEEK, lambda: NOW, said.append, dry_run=True)

    reasons = {line.split()[2]: line for line in said}
    assert "left alone: _published.json of this window cannot be read" in reasons[torn.key]
    assert "left alone: _published.json and the publish log do not agree" in reasons[lagging.key]
    assert all("`tenantdags doctor` first" in reasons[w.key] for w in (torn, lagging))
    assert totals.failed == 0


@pytest.mark.sandbox
def test_the_command_counts_first_then_removes_and_then_finds_nothing(airflow_connections, lakehouse, fresh, shortcut):
    plan = plan_of("acme", "order_lines")
    window = fresh(plan)
    shortcut.window(plan, window, 150, load_id(30), day(30))
    shortcut.window(plan, window, 140, load_id(20), day(20))

    def said(*words):
        done = CliRunner().invoke(app, ["prune", *words])
        return done.exit_code, done.output.splitlines()

    mine = ("--tenant", "acme", "--table", "order_lines")
    line = f"acme order_lines {window.key} (order_lines@1): 1 append with 150 rows, 1 load with 3 files"
    told = said(*mine)
    done = said(*mine, "--yes")
    again = said(*mine, "--yes")

    assert told[0] == done[0] == again[0] == 0
    assert line in told[1]
    assert told[1][-1].startswith("would remove ")
    assert told[1][-1].endswith("; nothing was changed, --yes does it")
    assert (line in done[1], done[1][-1]) == (True, told[1][-1].replace("would remove", "removed").partition(";")[0])
    assert again[1][-1] == "removed 0 appends with 0 rows, 0 loads with 0 files"
    assert dict(lakehouse.visible(plan))[str(window.as_of_date)] == 140
    assert said("--older-than", "6d") == (
        1, ["--older-than 6d: what was seen within 7 days stays: a running query may still read it"],
    )  # fmt: skip
    assert said("--older-than", "a week")[1][0].startswith("--older-than: 'a week' is not a duration")
    assert said("--table", "order_line")[1] == ["no tenant has a table 'order_line', did you mean 'order_lines'?"]


@pytest.mark.sandbox
def test_the_platforms_dag_prunes_every_table_of_the_project(airflow_connections, lakehouse, fresh, shortcut):
    plan = plan_of("globex", "orders")
    window = fresh(plan)
    shortcut.window(plan, window, 150, load_id(30), day(30))
    shortcut.window(plan, window, 140, load_id(20), day(20))
    prune_all: Any = platform_dags(ROOT)[PRUNE].tasks[0]

    prune_all.execute({})

    assert {a.rows for a in appends(plan, lakehouse.statements(), window)} == {140}
