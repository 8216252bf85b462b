"""The whole story of a window, told for people and for machines."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tenantdags.steps.rollback import propose, rollback
from tests.steps.lakehouse import NOW
from tests.steps.staged import plan_of

pytestmark = pytest.mark.sandbox
PLAN = plan_of("acme", "orders")
FIRST, SECOND, THIRD, CUT_OFF = (f"20261122T02000{n}Z-abc{n}" for n in (1, 2, 3, 4))
AT = "2026-11-22 03:00:13Z"


@pytest.fixture
def window(fresh):
    return fresh(PLAN)


def told(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["history", *words])
    return done.exit_code, done.output


def qa(run_id: str, outcome: str, kind: str | None, load_id: str, append_id: str | None) -> str:
    attempt = {"run_id": run_id, "attempt": f"{run_id}.0", "outcome": outcome, "kind": kind}
    return json.dumps({**attempt, "load_id": load_id, "append_id": append_id, "summarised_at": f"2026-{run_id}"})


def test_a_window_of_which_nothing_is_known(airflow_connections, window):
    assert told("acme", "orders", window.key) == (
        0,
        f"""\
acme orders {window.key}, orders@1, window starts {window.start:%Y-%m-%d %H:%M:%SZ}
readers see nothing

generations: none

loads in landing: none

appends in prod.curated.orders_v1: none

attempts: none
""",
    )


def test_every_load_append_generation_and_attempt_is_told(airflow_connections, lakehouse, shortcut, window):
    landing, statements = lakehouse.landing(PLAN), lakehouse.statements()
    a, b = (shortcut.window(PLAN, window, n, load)[1].append_id for n, load in ((150, FIRST), (140, SECOND)))
    red = shortcut.land(PLAN, window, 130, THIRD)
    c = shortcut.append(PLAN, window, red).append_id
    folder = PLAN.landing.load_path(window, CUT_OFF)
    landing.blobs.write("test", f"{folder}/part-00000.parquet", b"cut off")
    proposed = propose(PLAN, window, None, landing, statements)
    rollback(PLAN, window, proposed, landing, statements, reason="sums are off", actor="maria", now=lambda: NOW)
    landing.put_qa(PLAN, window, "one.json", qa("run1", "green", None, FIRST, a))
    landing.put_qa(PLAN, window, "two.json", qa("run2", "red", "quality.pk_unique", THIRD, c))

    code, text = told("acme", "orders", window.key)
    document = json.loads(told("acme", "orders", window.key, "--format", "json")[1])

    run, pad, wide = "scheduled__2026-11-21", " " * 36, "load".ljust(len(FIRST))
    assert code == 0
    assert text == f"""\
acme orders {window.key}, orders@1, window starts {window.start:%Y-%m-%d %H:%M:%SZ}
readers see generation 3: 150 rows

generations
     gen  event          rows  {wide}  append    published             by
     1    publish        150   {FIRST}  {a[:8]}  {AT}  {run}
     2    publish        140   {SECOND}  {b[:8]}  {AT}  {run}
  *  3    rollback to 1  150   {FIRST}  {a[:8]}  {AT}  maria: sums are off

loads in landing
  {wide}  rows  files  version  run                    state
  {FIRST}  150   2      1.0.0    {run}  generation 1, 3
  {SECOND}  140   2      1.0.0    {run}  generation 2
  {THIRD}  130   2      1.0.0    {run}  appended
  {CUT_OFF}  -     1      -        -                      no manifest that can be read

appends in prod.curated.orders_v1
  append{pad[6:]}  rows  {wide}  loaded                state
""" + "".join(
        f"  {append}  {rows}   {load}  {AT}  {state}\n"
        for append, rows, load, state in sorted([
            (a, 150, FIRST, "generation 1, 3"), (b, 140, SECOND, "generation 2"), (c, 130, THIRD, "never published"),
        ])
    ) + f"""
attempts
  summarised  outcome                {wide}  append    run
  2026-run1   green                  {FIRST}  {a[:8]}  run1
  2026-run2   red quality.pk_unique  {THIRD}  {c[:8]}  run2
"""  # fmt: skip
    assert document["readers_see"] == 3
    assert [(g["generation"], g["event"], g["append_id"], g["reason"]) for g in document["generations"]] == [
        (1, "publish", a, None), (2, "publish", b, None), (3, "rollback", a, "sums are off"),
    ]  # fmt: skip
    assert {(x["append_id"], tuple(x["generations"])) for x in document["appends"]} == {(a, (1, 3)), (b, (2,)), (c, ())}
    assert [(x["outcome"], x["load_id"]) for x in document["attempts"]] == [("green", FIRST), ("red", THIRD)]


def test_a_broken_or_lagging_file_is_told_and_hides_nothing_else(airflow_connections, lakehouse, shortcut, window):
    shortcut.window(PLAN, window, 150, FIRST)
    landing = lakehouse.landing(PLAN)
    record = landing.published(PLAN, window)
    fact = replace(record.file.head, append_id="elsewhere")
    landing.swap_published(PLAN, window, record.file.with_next(fact), record)
    ahead = told("acme", "orders", window.key)[1].splitlines()
    landing.blobs.write("test", f"{PLAN.landing.window_path(window)}/_published.json", b"{torn")

    code, text = told("acme", "orders", window.key)

    doctor = "`tenantdags doctor --tenant acme --table orders` tells what can be mended."
    assert ahead[1:3] == [
        "readers see generation 1: 150 rows", f"_published.json is at generation 2. {doctor}",
    ]  # fmt: skip
    assert (code, text.splitlines()[1].startswith("_published.json of this window cannot be read: ")) == (0, True)
    assert doctor in text.splitlines()[1]
    assert "readers see generation 1: 150 rows" in text
    assert "never published" in text
