"""Azurite behind the fault proxy, through the WasbHook and the SDK that the product uses."""

import os
import uuid
from pathlib import Path

import psutil
import pytest
from airflow.providers.microsoft.azure.hooks.wasb import WasbHook
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobServiceClient, ContainerClient

pytestmark = pytest.mark.sandbox


@pytest.fixture
def landing(cloud) -> ContainerClient:
    """The container through the proxy, with a client that retries nothing."""
    cloud.container()
    service = BlobServiceClient(
        cloud.adls.url, credential=cloud.adls.key, retry_total=0, max_single_put_size=1 << 20, max_block_size=1 << 20
    )
    return service.get_container_client("landing")


def name() -> str:
    return f"t/{uuid.uuid4().hex}/b lob=ü.bin"


def test_the_wasb_hook_works_through_the_airflow_connection(cloud):
    cloud.container()
    blob = name()

    hook = WasbHook("adls_landing")
    hook.load_string("grüße", "landing", blob)

    assert hook.read_file("landing", blob) == "grüße"
    assert hook.check_for_blob("landing", blob)
    assert hook.get_blobs_list_recursive("landing", prefix=blob.rpartition("/")[0]) == [blob]


def test_if_none_match_lets_one_writer_win(landing):
    blob = landing.get_blob_client(name())
    blob.upload_blob(b"first", overwrite=False)

    with pytest.raises(ResourceExistsError):
        blob.upload_blob(b"second", overwrite=False)

    assert blob.download_blob().readall() == b"first"


def test_if_match_refuses_a_stale_etag(landing):
    blob = landing.get_blob_client(name())
    stale = blob.upload_blob(b"1")["etag"]
    condition = {"match_condition": MatchConditions.IfNotModified}
    blob.upload_blob(b"2", overwrite=True, etag=stale, **condition)

    with pytest.raises(ResourceModifiedError):
        blob.upload_blob(b"3", overwrite=True, etag=stale, **condition)

    assert blob.download_blob().readall() == b"2"


def test_staged_blocks_with_crc64_arrive_whole(landing):
    data = os.urandom(5 * (1 << 20) + 17)
    blob = landing.get_blob_client(name())

    blob.upload_blob(data, validate_content="crc64", max_concurrency=4)

    assert blob.download_blob().readall() == data


def test_ranges_and_heads_pass(landing):
    blob = landing.get_blob_client(name())
    blob.upload_blob(b"0123456789")

    assert blob.get_blob_properties().size == 10
    assert blob.download_blob(offset=3, length=4).readall() == b"3456"


@pytest.mark.parametrize(("kind", "status"), [("503", 503), ("500", 500), ("429", 429), ("403", 403)])
@pytest.mark.parametrize(("when", "committed"), [("before", False), ("after", True)])
def test_an_error_before_or_after_the_commit(cloud, landing, kind, status, when, committed):
    cloud.adls.fault(kind, when=when, method="PUT")
    blob = landing.get_blob_client(name())

    with pytest.raises(HttpResponseError) as failure:
        blob.upload_blob(b"x")

    assert failure.value.status_code == status
    assert blob.exists() is committed


@pytest.mark.parametrize(("when", "committed"), [("before", False), ("after", True)])
def test_a_reset_before_or_after_the_commit(cloud, landing, when, committed):
    cloud.adls.fault("reset", when=when, method="PUT")
    blob = landing.get_blob_client(name())

    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        blob.upload_blob(b"x" * 500_000)

    assert blob.exists() is committed


def test_a_storm_ends_after_its_times(cloud, landing):
    cloud.adls.fault("429", times=3, method="PUT")
    blob = landing.get_blob_client(name())

    for _ in range(3):
        with pytest.raises(HttpResponseError):
            blob.upload_blob(b"x")
    blob.upload_blob(b"x")

    assert cloud.adls.faults() == []


def test_a_fault_strikes_only_the_path_it_names(cloud, landing):
    cloud.adls.fault("503", path="_manifest")
    landing.get_blob_client(name()).upload_blob(b"x")

    with pytest.raises(HttpResponseError):
        landing.get_blob_client("a/_manifest.json").upload_blob(b"x")


def test_a_stalled_request_runs_into_the_clients_timeout(cloud, landing):
    cloud.adls.fault("stall", seconds=20, method="PUT")
    blob = landing.get_blob_client(name())

    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        blob.upload_blob(b"x", read_timeout=1)

    assert not blob.exists()


def test_the_sdk_retries_a_503_by_itself(cloud):
    cloud.container()
    cloud.adls.fault("503", method="PUT")
    blob = BlobServiceClient(cloud.adls.url, credential=cloud.adls.key, initial_backoff=1).get_blob_client(
        "landing", name()
    )

    blob.upload_blob(b"x")

    assert blob.exists()


def test_the_proxy_stays_flat_while_bodies_stream_through(cloud, landing):
    proxy = psutil.Process(cloud.adls.info["pid"])
    blob = landing.get_blob_client(name())
    blob.upload_blob(b"x" * (8 << 20))
    before = proxy.memory_info().rss

    blob.upload_blob(os.urandom(96 << 20), overwrite=True, max_concurrency=4)
    with Path(os.devnull).open("wb") as nowhere:
        assert blob.download_blob(max_concurrency=2).readinto(nowhere) == 96 << 20

    assert proxy.memory_info().rss - before < 48 << 20
