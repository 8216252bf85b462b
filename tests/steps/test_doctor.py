"""The doctor in a lakehouse: each kind of damage is done, told, mended where that is certain, and then gone."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tenantdags.steps.doctor import check_tables
from tests.steps.lakehouse import NOW
from tests.steps.staged import plan_of

pytestmark = pytest.mark.sandbox
PLAN = plan_of("globex", "order_lines")


def told(*words: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, ["doctor", "--tenant", "globex", "--table", "order_lines", *words])
    return done.exit_code, re.sub(r"\d+ windows?:", "N windows:", done.output).splitlines()


@pytest.fixture
def published(shortcut, fresh):
    """A window, and the appends of its generations, of so many rows each."""

    def make(*counts: int):
        window = fresh(PLAN)
        loads = [f"20261122T02000{n}Z-{window.key}" for n in range(len(counts))]
        appends = [shortcut.window(PLAN, window, *each)[1].append_id for each in zip(counts, loads, strict=True)]
        return window, appends

    return make


def damage(lakehouse, window, sql: str, **names: str) -> None:
    parameters = {"w": (window.start, "TIMESTAMP"), **{name: (value, "STRING") for name, value in names.items()}}
    lakehouse.statements().execute(sql, parameters)


def test_every_damage_is_told_and_what_is_certain_is_mended(airflow_connections, lakehouse, published):
    landing = lakehouse.landing(PLAN)
    counts = ((150, 140), (150, 140), (150,), (150, 140), (140,))
    (log, _), (gone, _), (torn, _), (odd, _), (empty, (shown,)) = (published(*each) for each in counts)
    path = {w: f"{PLAN.landing.window_path(w)}/_published.json" for w in (log, gone, torn, odd, empty)}
    before = {w: landing.published(PLAN, w).file for w in path}
    clean = told()
    rows = "DELETE FROM prod.ops.publish_log WHERE table_name = 'order_lines_v1' AND window_start = :w"
    damage(lakehouse, log, f"{rows} AND generation = 2")
    landing.blobs.delete("test", path[gone])
    landing.blobs.write("test", path[torn], b"{torn")
    head = json.loads(before[odd].to_json())
    landing.blobs.write("test", path[odd], json.dumps(head | {"generation": 1}).encode())
    damage(lakehouse, empty, "DELETE FROM prod.curated.order_lines_v1 WHERE _append_id = :a", a=shown)
    seen = dict(lakehouse.visible(PLAN))

    dry = told()
    untouched = landing.blobs.read("test", path[torn])[0]
    mended = told("--yes")
    after = told()

    at = {w: f"globex order_lines {w.key} (order_lines@1): " for w in path}
    assert clean == (0, ["1 table, N windows: all fit together"])
    assert dry[0] == after[0] == mended[0] == 4  # one needs a person
    assert f"{at[log]}can be mended: the publish log lacks generation 2 of _published.json: write it there" in dry[1]
    assert f"{at[gone]}can be mended: _published.json lacks generation 1, 2 of the log: write it there" in dry[1]
    assert any(line.startswith(f"{at[torn]}can be mended: _published.json cannot be read") for line in dry[1])
    assert any(line.startswith(f"{at[odd]}can be mended: _published.json is torn") for line in dry[1])
    assert any(line.startswith(f"{at[empty]}needs you: readers see 0 rows where generation 1 publ") for line in dry[1])
    assert dry[1][-1] == "1 table, N windows: 4 can be mended, 1 needs you; nothing was changed, --yes mends"
    assert untouched == b"{torn"
    assert mended[1][-1] == "1 table, N windows: 4 mended, 1 needs you"
    assert [line for line in after[1] if "can be mended" in line] == []
    assert {w: landing.published(PLAN, w).file for w in path} == before
    assert [row[0] for row in lakehouse.log(PLAN, log)] == [1, 2]
    assert dict(lakehouse.visible(PLAN)) == {**seen, str(log.as_of_date): 140}
    kept = [line.rpartition(" ")[2] for line in mended[1] if "kept the broken file" in line]
    assert b"{torn" in [landing.blobs.read("test", each)[0] for each in kept]


def test_a_window_that_is_published_while_the_doctor_writes_is_left_to_the_publisher(lakehouse, published, monkeypatch):
    window, _ = published(150)
    landing, path = lakehouse.landing(PLAN), f"{PLAN.landing.window_path(window)}/_published.json"
    good, said = landing.published(PLAN, window).file, list[str]()
    newer = good.with_next(good.generations[0]).to_json().encode()
    landing.blobs.write("test", path, b"{torn")
    swap = landing.swap_published

    def overtaken(*args):
        landing.blobs.write("test", path, newer)
        return swap(*args)

    monkeypatch.setattr(landing, "swap_published", overtaken)
    totals = check_tables([PLAN], lambda plan: (landing, lakehouse.statements()), lambda: NOW, said.append, mend=True)

    assert any("another run published meanwhile, nothing was mended" in line for line in said)
    assert (totals.mendable, totals.mended) == (1, 0)
    assert landing.blobs.read("test", path)[0] == newer


def test_a_table_that_cannot_be_asked_is_told_and_keeps_no_other_from_it(airflow_connections, lakehouse, monkeypatch):
    lakehouse.databricks.fault("sql_500", times=1)

    code, lines = told()

    assert code == 1
    assert any("databricks.submit" in line for line in lines)  # Airflow may log beside it
    assert lines[-1].endswith("1 table could not be looked at")
