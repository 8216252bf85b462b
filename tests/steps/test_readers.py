"""No reader ever sees an empty, doubled or mixed window: one looks while windows are published and taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from tenantdags.steps.prune import prune_tables
from tenantdags.steps.rollback import propose, rollback
from tests.steps.lakehouse import NOW
from tests.steps.shortcut import Shortcut
from tests.steps.staged import good_rows, plan_of
from tests.steps.watcher import Watched, Watcher

pytestmark = pytest.mark.sandbox


@pytest.fixture
def plan(lakehouse):
    """A table of the test's own, so that what is looked at is what happens here."""
    plan = plan_of("acme", "orders")
    landing = replace(plan.landing, prefix="watched/v1/tenant_id=acme")
    plan = replace(plan, contract=replace(plan.contract, table="watched"), landing=landing)
    lakehouse.apply(plan)
    return plan


def test_no_reader_sees_an_empty_doubled_or_mixed_window(lakehouse, staging, fresh, plan):
    one, *others = (fresh(plan) for _ in range(5))
    watcher = Watcher(lakehouse, plan.curated, plan.tenant, plan.landing.prefix)
    watched = Watched(**vars(lakehouse), watcher=watcher)
    shortcut, world = Shortcut(watched, staging), (watched.landing(plan), watched.statements())

    def run(window, count, attempt):
        watched.published_window(plan, window, good_rows(plan, window, count), staging, f"20261122T0200{attempt}Z-x")

    def backfill(n, window):
        for attempt in range(2):  # and once more
            shortcut.window(plan, window, 100 + 10 * n + attempt, f"20261122T03{n:02}{attempt:02}Z-{window.key}")

    with watcher.watching():
        run(one, 150, "01")  # published, by the notebook itself
        run(one, 140, "02")  # run again
        rollback(plan, one, propose(plan, one, None, *world), *world, reason="off", actor="m", now=lambda: NOW)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(backfill, range(4), others))
        later = NOW + timedelta(days=8)
        gone = prune_tables(
            [plan], lambda plan: world, timedelta(days=7), lambda: later, lambda line: None, dry_run=False
        )

    print(f"{len(watcher.looks)} looks in {watcher.seconds:.1f} s, {watcher.asked} of them between two writes")
    assert len(watcher.looks) >= watcher.asked > 100
    assert (gone.appends, gone.loads) == (5, 4)  # the source was last seen by the load of the rerun, so that one stays
    assert_true(watcher, {w.start: lakehouse.landing(plan).published(plan, w).file for w in (one, *others)})


def assert_true(watcher: Watcher, files) -> None:
    """Every look found, of every window, exactly the rows of one generation, and never of an older one than before."""
    newest = dict.fromkeys(files, 0)
    for look in watcher.looks:
        seen = {sight.window_start.astimezone(UTC): sight for sight in look}
        assert {start for start, generation in newest.items() if generation} <= set(seen)  # none is gone again
        for start, sight in seen.items():
            fact = files[start].generations[sight.generation - 1]
            assert (sight.append_id, sight.rows, sight.keys) == (fact.append_id, fact.rows, fact.rows)
            assert sight.generation >= newest[start]
            newest[start] = sight.generation
    assert newest == {start: file.generation for start, file in files.items()}
    assert {sight.generation for look in watcher.looks for sight in look} == {1, 2, 3}
    assert [path for path, said, found in watcher.landed if said != found] == []
    assert {path for path, _, _ in watcher.landed} == {
        f"{watcher.prefix}/as_of_date={file.head.as_of_date}/_published.json" for file in files.values()
    }


def test_the_reader_would_see_a_doubled_and_an_empty_window(lakehouse, shortcut, fresh, plan):
    window = fresh(plan)
    _, loaded, _ = shortcut.window(plan, window, 150, "20261122T040000Z-abc")
    watcher = Watcher(lakehouse, plan.curated, plan.tenant, plan.landing.prefix)
    names = {"a": (loaded.append_id, "STRING")}

    with watcher.watching():
        with watcher.during():
            lakehouse.statements().execute(
                f"INSERT INTO {plan.curated} SELECT * FROM {plan.curated} WHERE _append_id = :a", names
            )
        with watcher.during():
            lakehouse.statements().execute(f"DELETE FROM {plan.curated} WHERE _append_id = :a", names)

    seen = {(s.rows, s.keys) for look in watcher.looks for s in look if s.window_start.astimezone(UTC) == window.start}
    assert seen == {(150, 150), (300, 150), (0, 0)}
