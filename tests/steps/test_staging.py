"""Staging folders and the Parquet parts in them."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenantdags.model.errors import StagingUnavailable
from tenantdags.model.window import day_window
from tenantdags.steps.manifest import DriftLine, Manifest, SourceDrift, StreamCheck, SumTotal, Totals
from tenantdags.steps.parts import ROW_GROUP_BYTES, ROW_GROUP_ROWS, PartWriter
from tenantdags.steps.staging import Staging, open_staging
from tests.steps.tsql_golden import example

PLAN = example("acme", "orders")
WINDOW = day_window(date(2026, 11, 20), "Europe/Berlin")
NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("hash", pa.string())])


def batch(first: int, rows: int) -> pa.RecordBatch:
    ids = pa.array(range(first, first + rows), pa.int64())
    return pa.RecordBatch.from_arrays([ids, ids.cast(pa.string())], schema=SCHEMA)


def manifest(load_id: str = "L1", parts=()) -> Manifest:
    return Manifest(
        tenant="acme", table="orders", contract="orders@1", contract_version="1.0.0", window_start=WINDOW.start,
        window_end=WINDOW.end, as_of_date=WINDOW.as_of_date, load_id=load_id, extracted_at=NOW, base_generation=0,
        rows=sum(part.rows for part in parts), parts=tuple(parts), columns=(), reconciled=True, pii_key_id=None,
        totals=Totals(rows=0, sums=(SumTotal(column="a", by=("b",), group=(None,), sum="1.0"),)), run_id="r",
        stream_checks=(StreamCheck(rule="x", failing=1, rows=2),), warnings=("one",),
        drift=SourceDrift(
            lines=(DriftLine(change="added", column="a", text="a: int", fingerprint="f", new=True),), to_paste="- {}"
        ),
    )  # fmt: skip


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path / "staging")


def staged(staging, load_id="L1") -> Manifest:
    writer = PartWriter(staging.write_dir(PLAN, load_id), SCHEMA)
    writer.write(batch(0, 3))
    complete = manifest(load_id, writer.finish())
    staging.write_manifest(PLAN, complete)
    return complete


def test_what_is_written_is_read_back(staging):
    complete = staged(staging)

    [path] = staging.parts(PLAN, complete)
    assert path == staging.root / "acme" / "orders" / "L1" / "part-00000.parquet"
    assert staging.read_manifest(PLAN, "L1") == complete
    assert pq.read_table(path).num_rows == 3


def test_a_load_is_its_owners_alone(staging):
    staged(staging)

    assert staging.path(PLAN, "L1").stat().st_mode & 0o777 == 0o700


def test_a_load_is_never_written_into_twice(staging):
    staged(staging)

    with pytest.raises(StagingUnavailable):
        staging.write_dir(PLAN, "L1")


def test_a_worker_without_the_files_says_that_staging_is_not_shared(staging):
    with pytest.raises(StagingUnavailable) as caught:
        staging.read_manifest(PLAN, "L9", WINDOW)

    text = str(caught.value)
    assert text.startswith("acme orders 2026-11-20: staging.unavailable: staging is not shared: ")
    assert text.endswith("Remedy: Put staging.url on a volume that all workers mount, or clear `extract`.")


def test_a_part_that_is_gone_or_was_cut_is_told(staging):
    complete = staged(staging)
    [path] = staging.parts(PLAN, complete)

    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StagingUnavailable, match=r"changed since extract: part-00000.parquet"):
        staging.parts(PLAN, complete, WINDOW)
    path.unlink()
    with pytest.raises(StagingUnavailable, match="staging is not shared"):
        staging.parts(PLAN, complete, WINDOW)


def test_deleting_is_repeatable_and_leaves_the_others(staging):
    staged(staging, "L1")
    staged(staging, "L2")

    staging.delete(PLAN, "L1")
    staging.delete(PLAN, "L1")

    assert [path.name for path in staging.path(PLAN, "L1").parent.iterdir()] == ["L2"]


def test_a_sweep_removes_what_was_untouched_for_too_long(staging):
    for load_id, hours in (("old", 73), ("young", 71)):
        staged(staging, load_id)
        then = (NOW - timedelta(hours=hours)).timestamp()
        for path in (*staging.path(PLAN, load_id).iterdir(), staging.path(PLAN, load_id)):
            os.utime(path, (then, then))

    swept = staging.sweep(timedelta(days=3), NOW)

    assert [path.name for path in swept] == ["old"]
    assert [path.name for path in staging.path(PLAN, "old").parent.iterdir()] == ["young"]


def test_two_sweeps_at_once_do_not_disturb_each_other(staging):
    for n in range(40):
        staged(staging, f"L{n}")

    with ThreadPoolExecutor(4) as pool:
        swept = list(pool.map(lambda _: staging.sweep(timedelta(0), datetime.now(UTC) + timedelta(days=1)), range(4)))

    assert any(swept)
    assert list(staging.path(PLAN, "L0").parent.iterdir()) == []


def test_a_sweep_of_nothing_is_fine(staging):
    assert staging.sweep(timedelta(0)) == ()


@pytest.mark.parametrize(
    "url", ["s3://bucket/x", "abfss://c@a.dfs.core.windows.net", "/var/tmp/x", "file://host/x", ""]
)
def test_a_url_that_is_no_local_folder_is_refused(url):
    with pytest.raises(StagingUnavailable, match="is not a local folder"):
        open_staging(url)


def test_a_file_url_is_its_folder():
    assert str(open_staging("file:///var/tmp/a%20b").root) == "/var/tmp/a b"


def test_a_manifest_survives_its_text():
    complete = manifest("L1")

    assert Manifest.from_json(complete.to_json()) == complete


def test_a_manifest_of_before_drift_was_a_value_can_still_be_read():
    complete = manifest("L1")
    raw = json.loads(complete.to_json())
    del raw["drift"]

    assert Manifest.from_json(json.dumps(raw)) == replace(complete, drift=SourceDrift())


def test_parts_roll_over_by_rows(tmp_path):
    writer = PartWriter(tmp_path, SCHEMA, rows=10)
    for first in range(0, 25, 5):
        writer.write(batch(first, 5))

    parts = writer.finish()

    assert [(p.name, p.rows) for p in parts] == [
        ("part-00000.parquet", 10), ("part-00001.parquet", 10), ("part-00002.parquet", 5),
    ]  # fmt: skip
    ids = [i for part in parts for i in pq.read_table(tmp_path / part.name)["id"].to_pylist()]
    assert ids == list(range(25))


def test_parts_roll_over_by_bytes(tmp_path):
    writer = PartWriter(tmp_path, SCHEMA, size=10_000)
    for n in range(3):
        writer.write(batch(n * ROW_GROUP_ROWS, ROW_GROUP_ROWS))

    assert [p.rows for p in writer.finish()] == [ROW_GROUP_ROWS] * 3


def test_wide_rows_are_written_before_they_fill_the_memory(tmp_path):
    schema = pa.schema([pa.field("note", pa.string())])
    wide = pa.RecordBatch.from_arrays([pa.array(["x" * (ROW_GROUP_BYTES // 4)])], schema=schema)
    writer = PartWriter(tmp_path, schema)
    for _ in range(10):
        writer.write(wide)

    [part] = writer.finish()

    metadata = pq.read_metadata(tmp_path / part.name)
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [4, 4, 2]


def test_a_parts_hash_and_size_are_those_of_the_file(tmp_path):
    writer = PartWriter(tmp_path, SCHEMA)
    writer.write(batch(0, 50_000))

    [part] = writer.finish()

    data = (tmp_path / part.name).read_bytes()
    assert (part.bytes, part.sha256, part.rows) == (len(data), hashlib.sha256(data).hexdigest(), 50_000)
    metadata = pq.read_metadata(tmp_path / part.name)
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert not any(metadata.row_group(0).column(n).has_dictionary_page for n in range(len(SCHEMA)))


def test_no_batch_makes_no_part(tmp_path):
    assert PartWriter(tmp_path, SCHEMA).finish() == ()
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_appears_whole_or_not_at_all(staging):
    staging.write_dir(PLAN, "L1")

    staging.write_manifest(PLAN, replace(manifest("L1")))

    assert [path.name for path in staging.path(PLAN, "L1").iterdir()] == ["_manifest.json"]
