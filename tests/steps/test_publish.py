"""Publishing: one generation at a time, only behind both gates, whatever dies or races in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from tenantdags.model.errors import (
    DatabricksSubmit,
    LandingConflict,
    LandingUnreachable,
    PublishRefused,
    ReconcileMismatch,
    TableBehind,
)
from tenantdags.steps import dbsql
from tenantdags.steps.landing import Landing
from tenantdags.steps.publish import publish
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.report import CheckResult
from tests.steps.lakehouse import NOW, gates_of
from tests.steps.meeting import meeting
from tests.steps.staged import good_rows, plan_of, stage

pytestmark = pytest.mark.sandbox
FIRST, SECOND, THIRD = (f"20261122T02000{n}Z-abc{n}" for n in (1, 2, 3))


@pytest.fixture
def plan():
    return plan_of("acme", "orders")


@pytest.fixture
def window(plan, fresh):
    return fresh(plan)


@pytest.fixture
def loaded(lakehouse, staging, plan, window):
    """Lands and appends a load of so many rows, extracted on top of generation `base`."""

    def load(load_id, count=150, base=0):
        manifest = stage(plan, window, good_rows(plan, window, count), staging, load_id=load_id)
        manifest = replace(manifest, base_generation=base)
        return manifest, lakehouse.append(plan, window, manifest, staging)

    return load


def seen(lakehouse, plan, window) -> int:
    rows: dict[str, int] = dict(lakehouse.visible(plan))
    return rows.get(str(window.as_of_date), 0)


def generations(lakehouse, plan, window) -> list[tuple[int, str, str, int]]:
    """(generation, load, append, rows) as the window's file says; the log must say the same."""
    file = lakehouse.landing(plan).published(plan, window).file
    facts = [(f.generation, f.load_id, f.append_id, f.rows) for f in file.generations]
    logged = [(g, load, append, rows) for g, event, load, append, rows, *_ in lakehouse.log(plan, window)]
    assert logged == facts
    return facts


def test_an_append_is_invisible_until_it_is_published(lakehouse, plan, window, loaded):
    manifest, append = loaded(FIRST)
    before = seen(lakehouse, plan, window)

    published = lakehouse.publish(plan, window, manifest, append)

    assert (before, seen(lakehouse, plan, window)) == (0, 150)
    assert (published.generation, published.load_id, published.append_id, published.rows) == (
        1, FIRST, append.append_id, 150,
    )  # fmt: skip
    assert lakehouse.log(plan, window) == [
        (1, "publish", FIRST, append.append_id, 150, window.as_of_date, "scheduled__2026-11-21")
    ]


def test_a_later_load_replaces_the_window_and_doubles_nothing(lakehouse, plan, window, loaded):
    first, second = loaded(FIRST), loaded(SECOND, count=140, base=1)
    lakehouse.publish(plan, window, *first)

    lakehouse.publish(plan, window, *second)

    assert seen(lakehouse, plan, window) == 140
    assert [(g, load, rows) for g, load, _, rows in generations(lakehouse, plan, window)] == [
        (1, FIRST, 150), (2, SECOND, 140),
    ]  # fmt: skip


def test_publishing_the_same_append_again_changes_nothing(lakehouse, plan, window, loaded):
    first = loaded(FIRST)
    once = lakehouse.publish(plan, window, *first)

    again = lakehouse.publish(plan, window, *first)

    assert once == again
    assert len(generations(lakehouse, plan, window)) == 1


def test_a_second_append_of_the_same_load_is_a_new_generation_with_the_same_rows(
    lakehouse, staging, plan, window, loaded
):
    manifest, append = loaded(FIRST)
    lakehouse.publish(plan, window, manifest, append)
    other = lakehouse.append(plan, window, manifest, staging)

    published = lakehouse.publish(plan, window, manifest, other)

    assert (published.generation, published.append_id) == (2, other.append_id)
    assert seen(lakehouse, plan, window) == 150
    assert len(generations(lakehouse, plan, window)) == 2


def test_rows_that_left_the_table_after_they_were_judged_are_a_mismatch(lakehouse, plan, window, loaded):
    lakehouse.publish(plan, window, *loaded(FIRST))
    manifest, append = loaded(SECOND, count=140, base=1)
    sql = f"DELETE FROM {plan.curated} WHERE _append_id = :a AND order_id % 10 = 1"
    lakehouse.statements().execute(sql, {"a": (append.append_id, "STRING")})

    with pytest.raises(ReconcileMismatch) as caught:
        lakehouse.publish(plan, window, manifest, append)

    assert str(caught.value) == (
        f"acme orders {window}: reconcile.mismatch: published 126 rows: that is what prod.serving.orders shows of "
        "generation 2, whose append had 140 when it was judged. Remedy: `tenantdags rollback acme orders "
        f"{window} --reason …` shows readers the version before. Find who changed the table or the view, then clear "
        "`extract` to load the window again."
    )
    assert [g for g, *_ in generations(lakehouse, plan, window)] == [1, 2]  # and the retry counts again


def test_a_measure_that_changed_after_it_was_judged_is_a_mismatch(lakehouse, plan, window, loaded):
    manifest, append = loaded(FIRST)
    where = f"FROM {plan.curated} WHERE _append_id = :a AND order_id % 10 = 1 AND amount < 1000"
    raised = {"amount": "CAST(amount + 1000 AS DECIMAL(18,2))"}
    columns = [name for name, _ in dbsql.curated_columns(plan.contract)]
    copied = ", ".join(raised.get(name, name) for name in columns)
    for sql in (f"INSERT INTO {plan.curated} ({', '.join(columns)}) SELECT {copied} {where}", f"DELETE {where}"):
        lakehouse.statements().execute(sql, {"a": (append.append_id, "STRING")})

    with pytest.raises(ReconcileMismatch) as caught:
        lakehouse.publish(plan, window, manifest, append)

    assert str(caught.value) == (
        f"acme orders {window}: reconcile.mismatch: amount_sum: 1 of 1 sums of amount published differ from the source "
        "(0 expected). Remedy: Find who changed the table or the view, then clear `extract` to load the window again."
    )


def test_a_view_that_hides_rows_is_a_mismatch(lakehouse, shortcut, fresh):
    plan = plan_of("acme", "orders")
    plan = replace(plan, contract=replace(plan.contract, table="hidden"))
    lakehouse.apply(plan)
    window = fresh(plan)
    sql = f"CREATE OR REPLACE VIEW {plan.serving} AS SELECT * FROM {plan.curated} WHERE amount < 100"
    lakehouse.statements().execute(sql)

    with pytest.raises(ReconcileMismatch, match=r"published 99 rows: that is what prod\.serving\.hidden shows"):
        shortcut.window(plan, window, 150, FIRST)
    lakehouse.statements().execute(f"DROP VIEW {plan.serving}")
    with pytest.raises(TableBehind, match=r"Run `tenantdags apply`"):
        shortcut.window(plan, fresh(plan), 150, SECOND)


def test_a_major_that_runs_beside_is_counted_in_its_table(lakehouse, shortcut, fresh):
    plan = plan_of("acme", "orders")
    plan = replace(plan, contract=replace(plan.contract, table="twofold"))
    beside = plan.under(replace(plan.contract, major=2))
    lakehouse.apply(plan, replace(beside, table="twofold_v2"))
    window = fresh(plan)
    shortcut.window(plan, window, 150, FIRST)

    *_, published = shortcut.window(beside, window, 140, SECOND)

    assert (published.rows, dict(lakehouse.visible(plan))) == (140, {str(window.as_of_date): 150})


def test_killed_before_the_log_row_the_next_attempt_adds_it_and_no_generation(lakehouse, plan, window, loaded):
    first = loaded(FIRST)
    lakehouse.databricks.fault("sql_500", path="INSERT INTO")
    with pytest.raises(DatabricksSubmit):
        lakehouse.publish(plan, window, *first)
    between = (seen(lakehouse, plan, window), lakehouse.log(plan, window))

    published = lakehouse.publish(plan, window, *first)

    assert between == (0, [])
    assert published.generation == 1
    assert seen(lakehouse, plan, window) == 150
    assert len(generations(lakehouse, plan, window)) == 1


def test_a_log_row_whose_answer_was_lost_is_not_written_twice(lakehouse, plan, window, loaded):
    first = loaded(FIRST)
    lakehouse.databricks.fault("sql_after_commit", path="INSERT INTO")
    with pytest.raises(DatabricksSubmit):
        lakehouse.publish(plan, window, *first)

    lakehouse.publish(plan, window, *first)

    assert len(generations(lakehouse, plan, window)) == 1


def test_a_compare_and_swap_whose_answer_was_lost_makes_one_generation(lakehouse, plan, window, loaded):
    first = loaded(FIRST)
    lakehouse.adls.fault("503", when="after", method="PUT", path="_published")

    published = lakehouse.publish(plan, window, *first)

    assert published.generation == 1
    assert len(generations(lakehouse, plan, window)) == 1


def test_missing_rows_of_earlier_generations_are_repaired(lakehouse, plan, window, loaded):
    first, second = loaded(FIRST), loaded(SECOND, base=1)
    lakehouse.databricks.fault("sql_500", path="INSERT INTO")
    with pytest.raises(DatabricksSubmit):
        lakehouse.publish(plan, window, *first)

    lakehouse.publish(plan, window, *second)

    assert [g for g, *_ in generations(lakehouse, plan, window)] == [1, 2]


def test_a_load_that_was_overtaken_is_refused_and_readers_keep_the_other(lakehouse, plan, window, loaded):
    older, newer = loaded(FIRST), loaded(SECOND, count=140)
    lakehouse.publish(plan, window, *newer)

    with pytest.raises(PublishRefused) as caught:
        lakehouse.publish(plan, window, *older)

    assert str(caught.value) == (
        f"acme orders {window}: publish.refused: load {FIRST} was extracted when generation 0 was published; now it is "
        "1. Remedy: Clear `extract` to take a fresh load."
    )
    assert seen(lakehouse, plan, window) == 140
    assert len(generations(lakehouse, plan, window)) == 1


def test_of_two_racing_loads_exactly_one_wins(lakehouse, plan, window, loaded):
    loads = [loaded(FIRST), loaded(SECOND, count=140)]
    barrier = Barrier(2)

    def attempt(load):
        try:
            return lakehouse.publish(plan, window, *load, meeting(lakehouse, plan, barrier)).rows
        except PublishRefused:
            return None

    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(attempt, loads))

    assert sorted(rows, key=str) in ([140, None], [150, None])
    (fact,) = generations(lakehouse, plan, window)
    assert fact[3] == seen(lakehouse, plan, window) == max(filter(None, rows))


def test_an_endless_conflict_is_told_not_hidden(lakehouse, plan, window, loaded):
    class Losing(Landing):
        def swap_published(self, plan, window, file, expected):
            raise LandingConflict(plan.at(window), "another run published this window.", "Clear `publish`.")

    landing = Losing(lakehouse.container(plan), lakehouse.landing(plan).abfss_root, "adls_landing")

    with pytest.raises(LandingConflict):
        lakehouse.publish(plan, window, *loaded(FIRST), landing)

    assert seen(lakehouse, plan, window) == 0


def test_a_log_that_knows_more_than_the_file_is_refused(lakehouse, plan, window, loaded):
    first = loaded(FIRST)
    lakehouse.publish(plan, window, *first)
    path = f"{plan.landing.window_path(window)}/_published.json"
    lakehouse.container(plan).delete_blob(path)

    with pytest.raises(PublishRefused, match=r"holds generations \(1\) that _published.json does not know"):
        lakehouse.publish(plan, window, *loaded(SECOND))

    assert seen(lakehouse, plan, window) == 150


def spoilt_gates(manifest, append):
    extract, load = gates_of(manifest, append)

    def result(outcome):
        return (CheckResult(rule="x", outcome=outcome, value="1", expected="0"),)

    return {
        "none at all": (),
        "the first alone": (extract,),
        "the second alone": (load,),
        "a red one": (replace(extract, results=result("fail")), load),
        "one that could not be evaluated": (extract, replace(load, results=result("error"))),
        "an empty one": (extract, replace(load, results=())),
        "another load's": (replace(extract, load_id=SECOND), load),
        "another append's": (extract, replace(load, append_id="other")),
    }


def test_without_both_gates_of_this_very_append_nothing_is_published(lakehouse, plan, window, loaded):
    manifest, append = loaded(FIRST)
    world = (lakehouse.landing(plan), lakehouse.statements(), "run", lambda: NOW)
    for gates in spoilt_gates(manifest, append).values():
        with pytest.raises(PublishRefused, match="did not let load"):
            publish(plan, window, manifest, append, gates, *world)

    warned = tuple(
        replace(gate, results=(CheckResult(rule="x", outcome="warn", value="1", expected="0", severity="warning"),))
        for gate in gates_of(manifest, append)
    )

    assert seen(lakehouse, plan, window) == 0
    assert publish(plan, window, manifest, append, warned, *world).generation == 1


def test_a_snapshot_shows_its_newest_window_and_its_history_all(lakehouse, staging, fresh):
    plan = plan_of("globex", "customers")
    older, newer = fresh(plan), fresh(plan)
    for window, count, load_id in ((newer, 20, FIRST), (older, 30, SECOND), (newer, 21, THIRD)):
        lakehouse.published_window(plan, window, good_rows(plan, window, count), staging, load_id)

    assert lakehouse.visible(plan) == [(str(newer.as_of_date), 21)]
    assert lakehouse.visible(plan, f"{plan.serving}_history") == [
        (str(older.as_of_date), 30), (str(newer.as_of_date), 21),
    ]  # fmt: skip


def test_what_was_pruned_is_not_published(lakehouse, plan, window, loaded):
    manifest, append = loaded(FIRST)
    for gone in ({"pruned_appends": {append.append_id: NOW}}, {"pruned_loads": {FIRST: NOW}}):
        landing = lakehouse.landing(plan)
        landing.swap_published(plan, window, PublishedFile(**gone), landing.published(plan, window))

        with pytest.raises(PublishRefused, match="was pruned, so there is nothing left to publish"):
            lakehouse.publish(plan, window, manifest, append)

    assert seen(lakehouse, plan, window) == 0


def test_an_unreachable_landing_publishes_nothing(lakehouse, plan, window, loaded):
    first = loaded(FIRST)
    lakehouse.adls.fault("429", times=1000, path="_published")

    with pytest.raises(LandingUnreachable):
        lakehouse.publish(plan, window, *first)

    assert lakehouse.log(plan, window) == []
