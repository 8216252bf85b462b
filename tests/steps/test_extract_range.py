"""Many windows in one pass: each is what a run of its own would have staged, and a bad one stops no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.sqlserver.client import SqlServer
from tenantdags.model.backfill import windows_between
from tenantdags.model.errors import BadValue, ReconcileMismatch, RunError, SourceUnreachable, WindowRefused
from tenantdags.model.plan import TablePlan
from tenantdags.steps import extract_range as module
from tenantdags.steps.extract import extract
from tenantdags.steps.extract_range import extract_range
from tenantdags.steps.gates import check_extract
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.pii import PiiKey
from tenantdags.steps.staging import Staging
from tests.steps import source_world as world
from tests.steps.tsql_golden import WINDOW_TYPES, windowed_by

pytestmark = pytest.mark.sandbox
KEY = PiiKey("key-2026", bytes(range(32)))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WINDOWS = windows_between(date(2026, 11, 18), date(2026, 11, 22), "day", "Europe/Berlin")
FIVE = ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("sqlserver")
    service, _ = world.start(run_dir)
    running = SqlServer(run_dir)
    world.fill_shared(running)
    yield running
    service.stop()


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path / "staging")


def options(server, plan, staging, **changes):
    said = {
        "connect": world.connecting(server, plan), "catalogue": world.catalogue_of(server, plan),
        "files": world.Files(), "staging": staging, "key": KEY, "run_id": "bulk__x", "now": lambda: NOW,
    }  # fmt: skip
    return said | changes


def taken(server, plan: TablePlan, staging, windows=WINDOWS, **changes) -> dict[str, Manifest | RunError]:
    found = extract_range(
        plan, windows, base_generations=dict.fromkeys(windows, 0), **options(server, plan, staging, **changes)
    )
    assert list(found) == list(windows)
    return {window.key: each for window, each in found.items()}


def manifest_of(found: Manifest | RunError) -> Manifest:
    assert isinstance(found, Manifest), found
    return found


def rows(staging, plan, manifest) -> list[dict[str, object]]:
    tables = [pq.read_table(path) for path in staging.parts(plan, manifest)]
    return sorted(pa.concat_tables(tables).to_pylist(), key=str) if tables else []


@pytest.mark.parametrize("table", ["orders", "order_lines"])
def test_each_window_is_what_a_run_of_its_own_stages(server, staging, tmp_path, table):
    plan, alone = world.plan_of(table), Staging(tmp_path / "alone")

    found = taken(server, plan, staging)

    assert list(found) == FIVE
    counts = []
    for window in WINDOWS:
        one = extract(plan, window, base_generation=0, **options(server, plan, alone))
        many = manifest_of(found[window.key])
        assert rows(staging, plan, many) == rows(alone, plan, one)
        assert (many.totals, many.stream_checks, many.rows) == (one.totals, one.stream_checks, one.rows)
        assert check_extract(plan, window, many, staging).outcome == check_extract(plan, window, one, alone).outcome
        counts.append(many.rows)
    assert counts == ([0, 1, 3, 1, 0] if table == "orders" else [0, 0, 2, 1, 0])


@pytest.mark.parametrize("kind", WINDOW_TYPES)
def test_every_type_of_window_column_tells_its_windows(server, staging, kind):
    plan = windowed_by(world.plan_of("orders", "globex"), kind)
    plan = replace(plan, source=replace(plan.source, table="Split"))
    world.make_table(server, "globex_sales", "dbo.Split", [("id", "int", False), ("placed", kind, False)])
    said = ["2026-11-19 04:59:00", "2026-11-19 05:00:00", "2026-11-20 04:59:00", "2026-11-20 05:00:00",
            "2026-11-21 04:59:00", "2026-11-21 05:00:00"]  # fmt: skip
    if kind == "date":
        said = ["2026-11-18", "2026-11-19", "2026-11-19", "2026-11-20", "2026-11-20", "2026-11-21"]
    for n in (3, 0, 5, 2, 4, 1):  # in no order
        offset = kind.startswith("datetimeoffset")
        stored = f"{{'t': {world.ticks(said[n])}, 'o': -300}}" if offset else f"'{said[n]}'"
        stored = str(world.ticks(said[n])) if kind == "datetime2(7)" else stored
        server.execute("globex_sales", f"INSERT INTO Split VALUES ({n}, {stored})")
    days = windows_between(date(2026, 11, 19), date(2026, 11, 20), "day", "America/New_York")

    found = taken(server, plan, staging, days)

    manifests = [manifest_of(each) for each in found.values()]
    assert [[row["id"] for row in rows(staging, plan, each)] for each in manifests] == [[1, 2], [3, 4]]
    assert [each.totals.rows for each in manifests] == [2, 2]


def test_the_shorter_and_the_longer_day_of_a_source_with_summer_time(server, staging):
    plan = windowed_by(world.plan_of("orders", "globex"), "datetime2(3)", "Europe/Berlin")
    plan = replace(plan, source=replace(plan.source, table="Nights"))
    world.make_table(server, "globex_sales", "dbo.Nights", [("id", "int", False), ("placed", "datetime2(3)", False)])
    for n, at in enumerate(
        ("2026-10-24 23:59:59", "2026-10-25 00:00:00", "2026-10-25 23:59:59", "2026-10-26 00:00:00")
    ):
        server.execute("globex_sales", f"INSERT INTO Nights VALUES ({n}, '{at}')")

    found = taken(
        server, plan, staging, windows_between(date(2026, 10, 24), date(2026, 10, 26), "day", "Europe/Berlin")
    )

    assert [manifest_of(each).rows for each in found.values()] == [1, 2, 1]


def test_windows_that_are_left_out_are_not_read(server, staging):
    plan, asked = world.plan_of("orders"), list[str]()

    class Noting:
        """A connection whose statements are written down."""

        def __init__(self, connection):
            self._connection = connection

        def cursor(self):
            cursor = self._connection.cursor()
            real = cursor.execute

            def execute(text, *parameters):
                asked.append(text)
                return real(text, *parameters)

            cursor.execute = execute
            return cursor

        def close(self):
            self._connection.close()

    connect = world.connecting(server, plan)
    found = taken(server, plan, staging, (WINDOWS[1], WINDOWS[3], WINDOWS[4]), connect=lambda: Noting(connect()))

    assert {key: manifest_of(each).rows for key, each in found.items()} == {
        "2026-11-19": 1, "2026-11-21": 1, "2026-11-22": 0,
    }  # fmt: skip
    assert sum("_window_at" in text for text in asked) == 2
    assert sum("BEGIN TRANSACTION" in text for text in asked) == 1


def test_a_bad_value_in_one_window_stops_that_one_alone(server, staging):
    plan = windowed_by(world.plan_of("orders", "globex"), "datetime2(3)", "Europe/Berlin")
    plan = replace(plan, source=replace(plan.source, table="Gap"))
    world.make_table(server, "globex_sales", "dbo.Gap", [("id", "int", False), ("placed", "datetime2(3)", False)])
    # half past two of that night never was in Berlin
    for n, at in enumerate(
        ("2026-03-28 12:00:00", "2026-03-29 02:30:00", "2026-03-29 12:00:00", "2026-03-30 12:00:00")
    ):
        server.execute("globex_sales", f"INSERT INTO Gap VALUES ({n}, '{at}')")
    days = windows_between(date(2026, 3, 28), date(2026, 3, 30), "day", "Europe/Berlin")

    found = taken(server, plan, staging, days)

    assert [manifest_of(found[key]).rows for key in ("2026-03-28", "2026-03-30")] == [1, 1]
    bad = found["2026-03-29"]
    assert isinstance(bad, BadValue)
    assert str(bad).startswith(
        "globex orders 2026-03-29: quality.value: a value of placed (datetime2(3)) is no time in"
    )
    assert len(list(staging.path(plan, "x").parent.iterdir())) == 2


def test_a_fraction_too_fine_stops_its_window_alone(server, staging):
    plan = windowed_by(world.plan_of("orders", "globex"), "datetime2(7)")
    plan = replace(plan, source=replace(plan.source, table="Fine"))
    world.make_table(server, "globex_sales", "dbo.Fine", [("id", "int", False), ("placed", "datetime2(7)", False)])
    server.execute("globex_sales", f"INSERT INTO Fine VALUES (1, {world.ticks('2026-11-19 12:00:00') + 1})")
    server.execute("globex_sales", f"INSERT INTO Fine VALUES (2, {world.ticks('2026-11-20 12:00:00')})")

    found = taken(server, plan, staging, windows_between(date(2026, 11, 19), date(2026, 11, 20), "day", "UTC"))

    assert "a seventh fractional digit" in str(found["2026-11-19"])
    assert manifest_of(found["2026-11-20"]).rows == 1


def test_a_source_that_breaks_off_leaves_nothing_staged(server, staging):
    plan = world.plan_of("orders")
    server.fault("cut", table="Orders", after_rows=3)

    with pytest.raises(SourceUnreachable):
        taken(server, plan, staging)

    assert list(staging.path(plan, "x").parent.iterdir()) == []
    server.clear_faults()


def test_a_window_that_has_not_ended_is_refused(server, staging):
    with pytest.raises(WindowRefused, match="still to come"):
        taken(server, world.plan_of("orders"), staging, now=lambda: WINDOWS[-1].start)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("values", "pieces"),
    [
        ([10, 11, 19, 20, 29, 30], [(0, 0, 3), (1, 3, 5), (2, 5, 6)]),
        ([30, 31], [(2, 0, 2)]),
        ([10], [(0, 0, 1)]),
        ([], []),
    ],
)
def test_sorted_rows_fall_into_their_windows(values, pieces):
    assert list(module._pieces(pa.array(values, pa.int64()), [10, 20, 30, 40])) == pieces


@pytest.mark.unit
@pytest.mark.parametrize("values", [[9], [40], [15, 25, 15], [25, 15]])
def test_rows_out_of_order_are_an_error_and_in_no_window(values):
    plan, edges, at = world.plan_of("orders"), [10, 20, 30, 40], 0
    column, wrong = pa.array(values, pa.int64()), 0

    for place, start, stop in module._pieces(column, edges):
        try:
            module._require_inside(plan, WINDOWS[place], column.slice(start, stop - start), edges, place, at)
        except ReconcileMismatch as error:
            wrong += "not in the order of their windows" in str(error)
        at = place

    assert wrong == 1
