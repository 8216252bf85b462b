"""Small files in a real container: read, written, swapped, listed and deleted, also while the service stumbles."""

from __future__ import annotations

import pytest
from azure.storage.blob import ContainerClient

from sandbox.adls.client import Adls
from sandbox.services import Service
from tenantdags.model.errors import LandingUnreachable, TableBehind
from tenantdags.steps.blobs import Blobs

pytestmark = pytest.mark.sandbox
WHERE = "acme orders 2026-11-21"


@pytest.fixture(scope="module")
def adls(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("adls")
    service = Service("adls", run_dir)
    service.start()
    service.wait_ready()
    client = ContainerClient(Adls(run_dir).direct_url, "small", credential=Adls(run_dir).key)
    client.create_container()
    yield Adls(run_dir)
    service.stop()


@pytest.fixture
def blobs(adls):
    yield of(adls)
    adls.clear_faults()


def of(adls, container="small") -> Blobs:
    client = ContainerClient(adls.url, container, credential=adls.key)
    return Blobs(client, "adls_landing", first_wait=0.02, read_timeout=5)


def test_what_is_written_is_read_with_its_version_and_what_is_not_there_is_none(blobs):
    blobs.write(WHERE, "a/one", b"1")
    first = blobs.read(WHERE, "a/one")
    blobs.write(WHERE, "a/one", b"2")
    second = blobs.read(WHERE, "a/one")

    assert (first[0], second[0]) == (b"1", b"2")
    assert first[1] != second[1]
    assert blobs.read(WHERE, "a/two") is None


def test_of_two_writers_that_saw_the_same_one_wins(blobs):
    made = blobs.swap(WHERE, "b", b"1", None)

    assert made is not None
    assert blobs.swap(WHERE, "b", b"other", None) is None
    moved = blobs.swap(WHERE, "b", b"2", made)
    assert moved not in (None, made)
    assert blobs.swap(WHERE, "b", b"3", made) is None
    assert blobs.read(WHERE, "b") == (b"2", moved)


def test_names_and_folders_below_a_prefix(blobs):
    for path in ("c/v1/x", "c/v1/y/z", "c/v2/x", "c/file", "cc/x"):
        blobs.write(WHERE, path, b"")

    assert blobs.names(WHERE, "c/v1/") == ("c/v1/x", "c/v1/y/z")
    assert blobs.folders(WHERE, "c/") == ("v1", "v2")
    assert (blobs.names(WHERE, "nothing/"), blobs.folders(WHERE, "nothing/")) == ((), ())


def test_deleting_twice_is_told(blobs):
    blobs.write(WHERE, "d", b"1")

    assert (blobs.delete(WHERE, "d"), blobs.delete(WHERE, "d"), blobs.read(WHERE, "d")) == (True, False, None)


@pytest.mark.parametrize("kind", ["429", "503", "reset"])
def test_a_stumbling_service_is_waited_out(blobs, adls, kind):
    for act in (
        lambda: blobs.write(WHERE, "e", b"1"),
        lambda: blobs.read(WHERE, "e"),
        lambda: blobs.names(WHERE, "e"),
        lambda: blobs.folders(WHERE, "e"),
        lambda: blobs.delete(WHERE, "e"),
    ):
        adls.fault(kind, times=1)
        act()

    assert adls.faults() == []


@pytest.mark.parametrize("kind", ["503", "reset"])
def test_a_swap_whose_answer_was_lost_counts_as_the_writer_it_is(blobs, adls, kind):
    path = f"f{kind}"
    adls.fault(kind, when="after", method="PUT", path=path)
    made = blobs.swap(WHERE, path, b"1", None)
    adls.fault(kind, when="after", method="PUT", path=path)
    moved = blobs.swap(WHERE, path, b"2", made)

    assert None not in (made, moved)
    assert blobs.read(WHERE, path) == (b"2", moved)


@pytest.mark.parametrize("kind", ["403", "503"])
def test_a_service_that_stays_away_is_told_with_the_place(blobs, adls, kind):
    adls.fault(kind, times=1000)

    with pytest.raises(LandingUnreachable, match=f"{WHERE}: landing.unreachable: "):
        blobs.read(WHERE, "g")


def test_a_missing_container_is_what_apply_makes(adls):
    with pytest.raises(TableBehind, match=r"landing container nowhere does not exist.*`tenantdags apply`"):
        of(adls, "nowhere").write(WHERE, "h", b"")
