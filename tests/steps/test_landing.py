"""The landing zone against a real Azurite: immutable loads, compare-and-swap, and every fault a network has."""

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from sandbox.adls.client import Adls
from sandbox.services import Service
from tenantdags.model.errors import LandingConflict, LandingUnreachable, StagingUnavailable, TableBehind
from tenantdags.model.project import load_tenant
from tenantdags.model.window import day_window
from tenantdags.steps.landing import Landing, PublishedRecord
from tenantdags.steps.manifest import Manifest, Part, Totals
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.staging import Staging

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parent.parent.parent
PLAN = next(p for p in load_tenant(ROOT, "acme") if p.table == "orders")
WINDOW = day_window(date(2026, 11, 20), "Europe/Berlin")
NOW = datetime(2026, 11, 21, 2, 0, 13, tzinfo=UTC)


@pytest.fixture(scope="module")
def adls(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("adls")
    service = Service("adls", run_dir)
    service.start()
    service.wait_ready()
    yield Adls(run_dir)
    service.stop()


@pytest.fixture
def container(adls, request):
    """A container of the test's own, seen past the faults."""
    name = "t" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    service = BlobServiceClient(adls.direct_url, credential=adls.key)
    yield service.create_container(name)
    adls.clear_faults()


@pytest.fixture
def landing(adls, container):
    return _landing(adls, container.container_name)


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path)


def _landing(adls, name, **options):
    client = ContainerClient(adls.url, name, credential=adls.key)
    root = f"abfss://{name}@{adls.account}.dfs.core.windows.net/"
    return Landing(client, root, "adls_landing", **{"first_wait": 0.05, "read_timeout": 5, **options})


def _staged(
    staging: Staging, load_id: str = "20261121T020013Z-aaaaaa", files: dict[str, bytes] | None = None
) -> Manifest:
    """A load in staging whose parts hold these bytes."""
    contents = {"part-00000.parquet": b"first", "part-00001.parquet": b"second"} if files is None else files
    folder = staging.write_dir(PLAN, load_id, WINDOW)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    parts = tuple(Part(name=n, rows=1, bytes=len(d), sha256=hashlib.sha256(d).hexdigest()) for n, d in contents.items())
    manifest = Manifest(
        tenant="acme", table="orders", contract="orders@1", contract_version="1.0.0", window_start=WINDOW.start,
        window_end=WINDOW.end, as_of_date=WINDOW.as_of_date, load_id=load_id, extracted_at=NOW, base_generation=0,
        rows=len(parts), parts=parts, columns=(), totals=Totals(rows=len(parts)), reconciled=True, pii_key_id="k1",
        run_id="test",
    )  # fmt: skip
    staging.write_manifest(PLAN, manifest, WINDOW)
    return manifest


def _file(*rows: int) -> PublishedFile:
    """One generation for each number of rows."""
    file = PublishedFile()
    for i, n in enumerate(rows):
        file = file.with_next(
            Generation(
                generation=0, load_id=f"load{i}", append_id=f"append{i}", rows=n, as_of_date=WINDOW.as_of_date,
                window_start=WINDOW.start, contract_version="1.0.0", run_id="test", published_at=NOW,
            )
        )  # fmt: skip
    return file


def _names(container) -> list[str]:
    return sorted(container.list_blob_names())


FOLDER = "orders/v1/tenant_id=acme/as_of_date=2026-11-20/load_id=20261121T020013Z-aaaaaa"


def test_a_load_lands_parts_first_and_its_manifest_as_it_was_staged(landing, container, staging):
    manifest = _staged(staging)

    url = landing.upload(PLAN, WINDOW, manifest, staging)

    assert url == f"{landing.abfss_root}/{FOLDER}/_manifest.json"
    assert _names(container) == [
        f"{FOLDER}/{n}" for n in ("_manifest.json", "part-00000.parquet", "part-00001.parquet")
    ]
    landed = container.download_blob(f"{FOLDER}/_manifest.json").readall()
    assert landed.decode() == staging.manifest_text(PLAN, manifest.load_id)
    assert container.download_blob(f"{FOLDER}/part-00001.parquet").readall() == b"second"
    assert landing.read_manifest(PLAN, WINDOW, manifest.load_id) == manifest


def test_an_upload_can_be_repeated(landing, container, staging):
    manifest = _staged(staging)
    first = landing.upload(PLAN, WINDOW, manifest, staging)
    before = {b.name: b.etag for b in container.list_blobs()}

    assert landing.upload(PLAN, WINDOW, manifest, staging) == first
    assert {b.name: b.etag for b in container.list_blobs()} == before


def test_an_upload_that_was_killed_between_parts_is_completed(landing, container, staging):
    manifest = _staged(staging)
    part = manifest.parts[0]
    container.upload_blob(f"{FOLDER}/{part.name}", b"first", metadata={"sha256": part.sha256})

    landing.upload(PLAN, WINDOW, manifest, staging)

    assert len(_names(container)) == 3


def test_another_manifest_in_the_same_folder_is_a_conflict(landing, container, staging):
    manifest = _staged(staging)
    container.upload_blob(f"{FOLDER}/_manifest.json", b"{}")

    with pytest.raises(LandingConflict, match=r"acme orders 2026-11-20: landing.conflict: .*another content"):
        landing.upload(PLAN, WINDOW, manifest, staging)
    assert container.download_blob(f"{FOLDER}/_manifest.json").readall() == b"{}"


def test_another_part_under_the_same_name_is_a_conflict_and_leaves_no_manifest(landing, container, staging):
    manifest = _staged(staging)
    container.upload_blob(f"{FOLDER}/part-00000.parquet", b"other", metadata={"sha256": "00"})

    with pytest.raises(LandingConflict, match=r"part-00000.parquet holds other bytes"):
        landing.upload(PLAN, WINDOW, manifest, staging)
    assert f"{FOLDER}/_manifest.json" not in _names(container)


def test_a_part_changed_in_staging_does_not_land(landing, container, staging):
    manifest = _staged(staging)
    (staging.path(PLAN, manifest.load_id) / "part-00000.parquet").write_bytes(b"FIRST")

    with pytest.raises(StagingUnavailable, match=r"part-00000.parquet changed since extract"):
        landing.upload(PLAN, WINDOW, manifest, staging)
    assert f"{FOLDER}/_manifest.json" not in _names(container)


def test_a_load_without_rows_lands_as_its_manifest_alone(landing, container, staging):
    landing.upload(PLAN, WINDOW, _staged(staging, files={}), staging)

    assert _names(container) == [f"{FOLDER}/_manifest.json"]


def test_a_part_of_many_blocks_lands_whole(landing, container, staging):
    data = bytes(range(256)) * (70 * 1024 * 1024 // 256)
    manifest = _staged(staging, files={"part-00000.parquet": data})

    landing.upload(PLAN, WINDOW, manifest, staging)

    blob = container.get_blob_client(f"{FOLDER}/part-00000.parquet")
    assert len(blob.get_block_list("committed")[0]) == 9
    assert hashlib.sha256(blob.download_blob().readall()).hexdigest() == manifest.parts[0].sha256


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["503", "reset", "500"])
def test_an_upload_survives_passing_faults(adls, landing, container, staging, kind, when):
    manifest = _staged(staging)
    for name in ("part-00000", "_manifest.json"):
        adls.fault(kind, when=when, method="PUT", path=name)

    landing.upload(PLAN, WINDOW, manifest, staging)

    assert adls.faults() == []
    assert container.download_blob(f"{FOLDER}/part-00000.parquet").readall() == b"first"
    assert json.loads(container.download_blob(f"{FOLDER}/_manifest.json").readall())["load_id"] == manifest.load_id


def test_a_mute_server_is_asked_again(adls, container, staging):
    landing = _landing(adls, container.container_name, read_timeout=1)
    adls.fault("stall", seconds=8, method="PUT", path="part-00000")
    started = time.monotonic()

    landing.upload(PLAN, WINDOW, _staged(staging), staging)

    assert time.monotonic() - started < 6
    assert len(_names(container)) == 3


def test_a_worker_that_lacks_the_staged_files_says_so(landing, staging, tmp_path):
    manifest = _staged(staging)

    with pytest.raises(StagingUnavailable, match=r"acme orders 2026-11-20: staging.unavailable: staging is not shared"):
        landing.upload(PLAN, WINDOW, manifest, Staging(tmp_path / "elsewhere"))


def test_throttling_is_waited_out(adls, landing, container, staging):
    adls.fault("429", times=3, method="PUT")

    landing.upload(PLAN, WINDOW, _staged(staging), staging)

    assert adls.faults() == []
    assert len(_names(container)) == 3


def test_a_storm_that_does_not_end_is_told_as_unreachable(adls, landing, staging):
    adls.fault("429", times=1000)

    with pytest.raises(LandingUnreachable, match=r"acme orders 2026-11-20: landing.unreachable: landing answered 429"):
        landing.upload(PLAN, WINDOW, _staged(staging), staging)


def test_a_wrong_key_is_told_without_showing_it(adls, container, staging):
    wrong = "d3JvbmcgYWNjb3VudCBrZXk="
    client = ContainerClient(adls.url, container.container_name, credential=wrong)
    landing = Landing(client, "abfss://x@y", "adls_landing", first_wait=0.05)

    with pytest.raises(LandingUnreachable) as caught:
        landing.upload(PLAN, WINDOW, _staged(staging), staging)

    assert "landing answered 403" in str(caught.value)
    assert "Correct the key" in str(caught.value)
    assert wrong not in str(caught.value)


def test_nobody_at_the_port_is_told_as_unreachable(staging):
    client = ContainerClient("http://127.0.0.1:9/nobody", "landing", credential="d3JvbmcgYWNjb3VudCBrZXk=")
    landing = Landing(client, "abfss://x@y", "adls_landing", first_wait=0.05)

    with pytest.raises(LandingUnreachable, match="landing cannot be reached"):
        landing.published(PLAN, WINDOW)


def test_a_missing_container_names_the_command_that_makes_it(adls, staging):
    landing = _landing(adls, "never-made")

    for call in (
        lambda: landing.published(PLAN, WINDOW),
        lambda: landing.upload(PLAN, WINDOW, _staged(staging), staging),
        lambda: landing.put_qa(PLAN, WINDOW, "run-1.json", "{}"),
        lambda: landing.swap_published(PLAN, WINDOW, _file(1), None),
    ):
        with pytest.raises(TableBehind) as caught:
            call()
        assert str(caught.value) == (
            "acme orders 2026-11-20: config.invalid: landing container never-made does not exist. "
            "Remedy: Run `tenantdags apply`."
        )


def test_a_window_without_a_publish_has_generation_zero(landing):
    assert landing.published(PLAN, WINDOW) is None
    assert landing.base_generation(PLAN, WINDOW) == 0


def test_publishing_swaps_one_generation_for_the_next(landing):
    first = landing.swap_published(PLAN, WINDOW, _file(410), None)
    second = landing.swap_published(PLAN, WINDOW, _file(410, 412), first)

    assert landing.published(PLAN, WINDOW) == second
    assert landing.base_generation(PLAN, WINDOW) == 2
    assert second.file.current is not None
    assert second.file.current.rows == 412


def test_a_stale_publisher_is_refused(landing):
    first = landing.swap_published(PLAN, WINDOW, _file(1), None)
    second = landing.swap_published(PLAN, WINDOW, _file(1, 2), first)

    for expected in (None, first):
        with pytest.raises(LandingConflict, match="another run published this window at the same time"):
            landing.swap_published(PLAN, WINDOW, _file(1, 3), expected)
    assert landing.published(PLAN, WINDOW) == second


@pytest.mark.parametrize("generation", [1, 2])
def test_a_publish_whose_answer_was_lost_is_recognised(adls, landing, generation):
    expected = landing.swap_published(PLAN, WINDOW, _file(1), None) if generation == 2 else None
    adls.fault("503", when="after", method="PUT", path="_published")

    landing.swap_published(PLAN, WINDOW, _file(*range(1, generation + 1)), expected)

    assert adls.faults() == []
    assert landing.base_generation(PLAN, WINDOW) == generation


def test_of_racing_publishers_exactly_one_wins_each_generation(landing):
    def publish(n: int, current: PublishedRecord | None, barrier: threading.Barrier) -> bool:
        barrier.wait()
        file = replace(current.file) if current else PublishedFile()
        try:
            landing.swap_published(PLAN, WINDOW, file.with_next(_file(n).generations[0]), current)
        except LandingConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for generation in (1, 2, 3):
            current, barrier = landing.published(PLAN, WINDOW), threading.Barrier(8)
            won = list(pool.map(lambda n, c=current, b=barrier: publish(n, c, b), range(8)))

            assert won.count(True) == 1
            assert landing.base_generation(PLAN, WINDOW) == generation


def test_a_published_file_that_cannot_be_read_stops_the_run(landing, container):
    container.upload_blob("orders/v1/tenant_id=acme/as_of_date=2026-11-20/_published.json", b"{not json")

    with pytest.raises(LandingConflict, match="cannot be read"):
        landing.published(PLAN, WINDOW)


def test_a_load_that_never_landed_completely_is_told(landing):
    with pytest.raises(LandingConflict, match="load L1 has no manifest in landing"):
        landing.read_manifest(PLAN, WINDOW, "L1")


def test_a_qa_summary_has_one_place_per_attempt_and_may_be_rewritten(landing, container):
    landing.put_qa(PLAN, WINDOW, "run-1.json", '{"a": 1}')
    url = landing.put_qa(PLAN, WINDOW, "run-1.json", '{"a": 2}')

    path = "_qa/tenant_id=acme/table=orders/as_of_date=2026-11-20/run-1.json"
    assert url.endswith(f"/{container.container_name}/{path}")
    assert landing.has_qa(PLAN, WINDOW, "run-1.json")
    assert container.download_blob(path).readall() == b'{"a": 2}'
