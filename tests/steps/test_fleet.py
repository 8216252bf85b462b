"""What is watched: every good tenant by its files, a broken one by the last good ones that are kept."""

from __future__ import annotations

import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tenantdags.model.errors import ConfigError
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.fleet import Fleet, LandingPlace, files_of, keep, kept_at, landing_of, read_fleet, with_kept
from tests.dag.plans import ROOT, utc

pytestmark = pytest.mark.sandbox
_containers = count()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("config", "include/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture
def blobs(lakehouse) -> Blobs:
    service = BlobServiceClient(lakehouse.adls.connection()["host"], credential=lakehouse.adls.key)
    return Blobs(service.create_container(f"fleet-{next(_containers)}"), "adls_landing", first_wait=0.01)


MON, TUE = utc("2026-11-23T05:00:00"), utc("2026-11-24T05:00:00")


def kept(project: Path, blobs: Blobs, before: dict[str, str] | None = None) -> tuple[Fleet, dict[str, str]]:
    """What is watched, and the digests of what is kept of it."""
    fleet = with_kept(read_fleet(project), blobs, "a test")
    return fleet, keep(fleet, project, blobs, "a test", before or {}, TUE if before else MON)


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("config/tenants/acme.yaml", "time_zone: Europe/Berlin", "time_zon: Europe/Berlin"),
        ("config/defaults.yaml", "settle: 1h", "setle: 1h"),
        ("include/contracts/orders.v1.odcs.yaml", "version: ", "versoin: "),
    ],
)
def test_a_tenant_that_breaks_is_watched_as_it_was(project, blobs, file, old, new):
    good, digests = kept(project, blobs)
    edit(project / file, old, new)

    broken, after = kept(project, blobs, digests)

    assert broken.broken["acme"].startswith(f"{file}:")
    assert sorted(broken.plans, key=lambda plan: plan.dag_id) == sorted(good.plans, key=lambda plan: plan.dag_id)
    assert after["acme"] == digests["acme"]


def test_what_did_not_change_is_not_written_again(project, blobs, monkeypatch):
    _, digests = kept(project, blobs)
    edit(project / "config/tenants/globex.yaml", "name: ", "name: New ")
    written = []
    monkeypatch.setattr(blobs, "write", lambda where, path, data: written.append(path))

    kept(project, blobs, digests)

    assert written == ["_ops/watch/config/globex/20261124T050000Z.json"]


def test_what_the_files_said_at_a_time_is_known(project, blobs):
    (_, digests), before = kept(project, blobs), files_of(project, "acme")
    edit(project / "config/defaults.yaml", "settle: 1h", "settle: 2h")
    kept(project, blobs, digests)

    assert kept_at(blobs, "a test", "acme", MON - timedelta(seconds=1)) is None
    assert kept_at(blobs, "a test", "acme", TUE - timedelta(seconds=1)) == before
    assert kept_at(blobs, "a test", "acme", TUE) == files_of(project, "acme") != before


def test_a_tenant_that_never_was_good_is_told_and_not_watched(project, blobs):
    edit(project / "config/tenants/acme.yaml", "time_zone: Europe/Berlin", "time_zon: Europe/Berlin")

    found, _ = kept(project, blobs)

    assert list(found.broken) == ["acme"]
    assert {plan.tenant for plan in found.plans} == {"globex", "northwind"}


def test_landing_is_found_also_in_defaults_with_a_mistake(project):
    edit(project / "config/defaults.yaml", "settle: 1h", "setle: 1h")

    assert landing_of(project) == LandingPlace("adls_landing", "landing")


@pytest.mark.parametrize("text", ["", "- a list", "landing: {connection: a}", "{"])
def test_defaults_that_name_no_landing_are_refused(project, text):
    (project / "config/defaults.yaml").write_text(text)

    with pytest.raises(ConfigError, match=r"config/defaults\.yaml:1:1: landing: does not say connection and container"):
        landing_of(project)
