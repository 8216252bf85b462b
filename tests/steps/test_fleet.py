"""What is watched: every good tenant by its files, a broken one by the last good ones that are kept."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tenantdags.model.errors import ConfigError
from tenantdags.steps.blobs import Blobs
from tenantdags.steps.fleet import Fleet, LandingPlace, landing_of, read_fleet, with_kept
from tests.dag.plans import ROOT

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


def kept(project: Path, blobs: Blobs, before: Fleet | None = None) -> Fleet:
    return with_kept(read_fleet(project), project, blobs, "a test", before.digests if before else {})


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
    good = kept(project, blobs)
    edit(project / file, old, new)

    broken = kept(project, blobs, good)

    assert broken.broken["acme"].startswith(f"{file}:")
    assert sorted(broken.plans, key=lambda plan: plan.dag_id) == sorted(good.plans, key=lambda plan: plan.dag_id)
    assert broken.digests["acme"] == good.digests["acme"]


def test_what_did_not_change_is_not_written_again(project, blobs, monkeypatch):
    good = kept(project, blobs)
    edit(project / "config/tenants/globex.yaml", "name: ", "name: New ")
    written = []
    monkeypatch.setattr(blobs, "write", lambda where, path, data: written.append(path))

    kept(project, blobs, good)

    assert written == ["_ops/watch/config/globex.json"]


def test_a_tenant_that_never_was_good_is_told_and_not_watched(project, blobs):
    edit(project / "config/tenants/acme.yaml", "time_zone: Europe/Berlin", "time_zon: Europe/Berlin")

    found = kept(project, blobs)

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
