"""Rolling back: what is chosen, what is refused, what a reader and the next run make of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from threading import Barrier
from typing import Any

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tenantdags.model.errors import DatabricksSubmit, PublishRefused
from tenantdags.steps.landing import PublishedRecord
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.rollback import Rollback, propose, rollback, usable_reason
from tenantdags.steps.statements import Result
from tests.steps.lakehouse import NOW
from tests.steps.meeting import meeting
from tests.steps.staged import plan_of, window_of_plan

PLAN = plan_of("acme", "orders")
WINDOW = window_of_plan(PLAN)
FIRST, SECOND, THIRD = (f"20261122T02000{n}Z-abc{n}" for n in (1, 2, 3))


def file_of(*appends: str | int, **changes) -> PublishedFile:
    """A letter publishes an append, a number rolls back to the append of that generation."""
    file = PublishedFile(**changes)
    for each in appends:
        back = file.generations[each - 1] if isinstance(each, int) else None
        fact = back or Generation(
            generation=0, load_id=f"load{each}", append_id=str(each), rows=3, as_of_date=date(2026, 11, 21),
            window_start=WINDOW.start, contract_version="1.2.0", run_id="r", published_at=NOW,
        )  # fmt: skip
        file = file.with_next(replace(fact, event="rollback", restores=fact.origin) if back else fact)
    return file


class Shelf:
    """A landing zone with one file, of a table that also has these other majors."""

    def __init__(self, file: PublishedFile, *majors: int) -> None:
        self.file, self.majors = file, majors

    def published(self, plan, window):
        return PublishedRecord(self.file, "etag") if self.file.generations else None

    def published_majors(self, plan, window):
        return self.majors


class Warehouse:
    """A log that says what the file says, and a table that holds three rows of every append."""

    def __init__(self, file: PublishedFile, rows: int = 3) -> None:
        self.file, self.rows = file, rows

    def of(self, plan, window):
        return self

    def execute(self, sql, parameters=None):
        if "count(*)" in sql:
            return Result(("row_count",), ((self.rows,),))
        names = (*Generation.__slots__, "logged_at")
        facts = self.file.generations
        return Result(names, tuple((*(getattr(f, n) for n in Generation.__slots__), NOW) for f in facts))


def proposal(file: PublishedFile, to: int | None = None, *, plan=PLAN, majors=(), warehouse=None) -> Rollback:
    landing: Any = Shelf(file, *majors)
    statements: Any = warehouse or Warehouse(file)
    return propose(plan, WINDOW, to, landing, statements)


@pytest.mark.parametrize(
    ("appends", "to", "expected"),
    [
        ("AB", None, (1, "A", 3)),
        ("ABC", None, (2, "B", 4)),
        ("ABC", 1, (1, "A", 4)),
        (("A", "B", 1), 2, (2, "B", 4)),  # forward again
        (("A", "B", 1, "C"), None, (1, "A", 5)),  # what was seen before C, not what was rolled back
        (("A", "B", 1, "C"), 3, (1, "A", 5)),  # a rollback is followed to what it restored
        (("A", "B", "C", 2), None, (1, "A", 5)),
    ],
)
def test_what_a_rollback_shows_again(appends, to, expected):
    found = proposal(file_of(*appends), to)

    assert (found.target.generation, found.target.append_id, found.number) == expected


@pytest.mark.parametrize(
    ("file", "to", "refusal"),
    [
        (file_of("A"), None, "readers see generation 1, the first of orders@1; nothing was published before it."),
        (file_of("A", "B", 1), None, "nothing was published before it. Remedy: `--to 2` takes the last rollback back."),
        (file_of("A", "B"), 2, "readers see generation 2 already, as generation 2."),
        (file_of("A", "B", 1), 1, "readers see generation 1 already, as generation 3."),
        (file_of("A", "B"), 3, "there is no generation 3; there are 1 to 2."),
        (file_of("A", "B"), 0, "there is no generation 0; there are 1 to 2."),
        (file_of("A", "B", pruned_appends={"A": NOW}), None, "generation 1 was pruned"),
        (file_of("A", "B", pruned_loads={"loadA": NOW}), None, "generation 1 was pruned"),
        (PublishedFile(), None, "nothing is published of it under orders@1. Remedy: `tenantdags history acme orders"),
    ],
)
def test_what_cannot_be_rolled_back_is_refused(file, to, refusal):
    with pytest.raises(PublishRefused) as caught:
        proposal(file, to)

    assert refusal in str(caught.value)
    assert str(caught.value).startswith("acme orders 2026-11-21: publish.refused: ")


def test_a_rollback_stays_within_one_major():
    other = replace(PLAN, contract=replace(PLAN.contract, major=2))
    with pytest.raises(PublishRefused, match=r"generation 1 is of version 1\.2\.0, not of orders@2"):
        proposal(file_of("A", "B"), plan=other)
    with pytest.raises(PublishRefused, match=r"under orders@2, only under orders@1\. Remedy: .*docs/migrations"):
        proposal(PublishedFile(), plan=other, majors=[1])


def test_a_generation_whose_rows_are_gone_is_refused():
    file = file_of("A", "B")

    with pytest.raises(PublishRefused, match=r"published 3 rows; prod\.curated\.orders_v1 holds 0 of them"):
        proposal(file, warehouse=Warehouse(file, rows=0))


def test_a_log_that_is_behind_is_mended_first():
    with pytest.raises(PublishRefused, match=r"lacks generations .*First `tenantdags doctor --tenant acme"):
        proposal(file_of("A", "B"), warehouse=Warehouse(file_of("A")))


@pytest.mark.parametrize("empty", ["", " ", "x", "…"])
def test_a_reason_is_words(empty):
    assert usable_reason("  sums\nare  off ") == "sums are off"
    with pytest.raises(ValueError, match="say in words why"):
        usable_reason(empty)
    with pytest.raises(ValueError, match="501 letters; 500 must do"):
        usable_reason("ab" * 250 + "c")


@pytest.fixture
def window(fresh):
    return fresh(PLAN)


@pytest.fixture
def publish(shortcut, window):
    """Publishes so many rows as the next generation of the window."""
    return lambda load_id, count: shortcut.window(PLAN, window, count, load_id)


def seen(lakehouse, window) -> int:
    rows: dict[str, int] = dict(lakehouse.visible(PLAN))
    return rows.get(str(window.as_of_date), 0)


def roll_back(lakehouse, window, to=None, landing=None, now=lambda: NOW):
    world = (landing or lakehouse.landing(PLAN), lakehouse.statements())
    return rollback(
        PLAN, window, propose(PLAN, window, to, *world), *world, reason="sums are off", actor="maria", now=now
    )


@pytest.mark.sandbox
def test_readers_see_the_earlier_rows_again_and_the_log_says_why(lakehouse, window, publish):
    publish(FIRST, 150)
    publish(SECOND, 140)

    done = roll_back(lakehouse, window)

    assert seen(lakehouse, window) == 150
    sql = "SELECT event, restores, reason, actor, load_id, rows, published_at FROM prod.ops.publish_log "
    sql += "WHERE table_name = 'orders_v1' AND window_start = :w AND generation = 3"
    assert lakehouse.statements().execute(sql, {"w": (window.start, "TIMESTAMP")}).rows == (
        ("rollback", 1, "sums are off", "maria", FIRST, 150, NOW),
    )
    assert (done.generation, done.event, done.restores) == (3, "rollback", 1)
    assert lakehouse.landing(PLAN).published(PLAN, window).file.head == done


@pytest.mark.sandbox
def test_the_next_run_publishes_over_a_rollback_and_one_extracted_before_it_does_not(
    lakehouse, shortcut, window, publish
):
    publish(FIRST, 150)
    publish(SECOND, 140)
    before = shortcut.land(PLAN, window, 130, THIRD)
    append = shortcut.append(PLAN, window, before)
    roll_back(lakehouse, window)

    with pytest.raises(PublishRefused, match="extracted when generation 2 was published; now it is 3"):
        lakehouse.publish(PLAN, window, before, append)
    assert seen(lakehouse, window) == 150

    lakehouse.publish(PLAN, window, replace(before, base_generation=3), append)
    assert seen(lakehouse, window) == 130


@pytest.mark.sandbox
def test_the_publish_task_that_was_rolled_back_does_not_come_back_when_it_is_cleared(lakehouse, window, publish):
    publish(FIRST, 150)
    manifest, append, _ = publish(SECOND, 140)
    roll_back(lakehouse, window)

    with pytest.raises(PublishRefused, match="now it is 3"):
        lakehouse.publish(PLAN, window, manifest, append)

    assert seen(lakehouse, window) == 150


@pytest.mark.sandbox
def test_killed_before_the_log_row_the_same_command_completes_it(lakehouse, window, publish):
    publish(FIRST, 150)
    publish(SECOND, 140)
    lakehouse.databricks.fault("sql_500", path="INSERT INTO")
    with pytest.raises(DatabricksSubmit):
        roll_back(lakehouse, window, to=1)
    between = seen(lakehouse, window)
    with pytest.raises(PublishRefused, match="lacks generations"):  # one step further back would be a guess
        roll_back(lakehouse, window)

    done = roll_back(lakehouse, window, to=1)

    assert (between, seen(lakehouse, window), done.generation) == (140, 150, 3)
    assert len(lakehouse.log(PLAN, window)) == 3


@pytest.mark.sandbox
def test_a_rollback_races_a_publish_and_one_of_them_wins(lakehouse, shortcut, window, publish):
    publish(FIRST, 150)
    publish(SECOND, 140)
    manifest = shortcut.land(PLAN, window, 130, THIRD)
    append = shortcut.append(PLAN, window, manifest)
    barrier = Barrier(2)

    def attempt(act):
        try:
            return act(meeting(lakehouse, PLAN, barrier)).rows
        except PublishRefused as refused:
            return refused.what

    with ThreadPoolExecutor(2) as pool:
        back = pool.submit(attempt, lambda landing: roll_back(lakehouse, window, landing=landing))
        forth = pool.submit(attempt, lambda landing: lakehouse.publish(PLAN, window, manifest, append, landing))
        outcomes = (back.result(), forth.result())

    lost_publish = f"load {THIRD} was extracted when generation 2 was published; now it is 3."
    assert outcomes in ((150, lost_publish), ("generation 3 was published meanwhile.", 130))
    assert seen(lakehouse, window) == (150 if outcomes[0] == 150 else 130)
    assert [row[0] for row in lakehouse.log(PLAN, window)] == [1, 2, 3]


@pytest.mark.sandbox
def test_the_command_tells_first_and_then_does_it(airflow_connections, lakehouse, window, publish):
    publish(FIRST, 150)
    publish(SECOND, 140)
    words = ["rollback", "acme", "orders", window.key, "--reason", "sums are off", "--by", "maria"]

    told = CliRunner().invoke(app, words)
    untouched = seen(lakehouse, window)
    done = CliRunner().invoke(app, [*words, "--to", "1", "--yes"])

    assert (told.exit_code, told.output) == (
        0,
        f"""\
acme orders {window.key}
  readers see     generation 2: 140 rows of load {SECOND}, published 2026-11-22 03:00:13Z
  they would see  generation 1: 150 rows of load {FIRST}, published 2026-11-22 03:00:13Z
                  as generation 3; the next run of the window publishes over it
nothing was changed; `tenantdags rollback acme orders {window.key} --to 1 --reason 'sums are off'` --yes does it
""".replace("' `", "'").replace("off'` --yes", "off' --yes`"),
    )
    assert untouched == 140
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "done: readers see generation 3, rolled back by maria")
    assert seen(lakehouse, window) == 150
    published = lakehouse.landing(PLAN).published(PLAN, window).file.head.published_at
    assert published > datetime(2026, 1, 1, tzinfo=UTC) != NOW


@pytest.mark.sandbox
def test_the_command_refuses_what_it_cannot_do(airflow_connections, lakehouse, window):
    def said(*words):
        done = CliRunner().invoke(app, ["rollback", *words])
        return done.exit_code, done.output.strip()

    why = ("--reason", "sums are off")
    assert said("acme", "orders", "22.11.2026", *why) == (
        1, "'22.11.2026' names no day of Europe/Berlin; write it like 2026-11-21",
    )  # fmt: skip
    assert said("acne", "orders", window.key, *why) == (1, "no tenant 'acne', did you mean 'acme'?")
    assert said("acme", "order", window.key, *why) == (1, "acme has no table 'order', did you mean 'orders'?")
    assert said("acme", "orders", window.key, "--reason", "?")[1].startswith("say in words why")
    assert said("acme", "orders", window.key, *why) == (
        1,
        f"acme orders {window.key}: publish.refused: nothing is published of it under orders@1. Remedy: "
        f"`tenantdags history acme orders {window.key}` lists what there is.",
    )
