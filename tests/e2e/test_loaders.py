"""How tenant files reach Airflow: through the bundle, or without any setting through dags/; a broken one errs alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sandbox.airflow_home import Airflow
from sandbox.world import TENANTS
from tests.e2e.rig import Rig, wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(240)]
TABLES = ("customers", "order_lines", "orders")
PLACES = ("fileloc", "relative_fileloc")  # where a loader lies may differ
DEADLINES = "SELECT id, name, reference, interval, callback_def FROM deadline_alert"


def processed(rig: Rig, name: str, *, bundle: bool) -> dict[str, Any]:
    """What one pass of a real dag-processor writes to the metadata database, by DAG id."""
    airflow = Airflow(rig.folder / name, rig.every_tenant, rig.world.env(), bundle=bundle)
    airflow.prepare(rig.template)
    airflow.cli("dag-processor", "--num-runs", "1")
    with sqlite3.connect(airflow.database) as database:
        errors = database.execute("SELECT filename, stacktrace FROM import_error").fetchall()
        rows = database.execute("SELECT dag_id, data FROM serialized_dag").fetchall()
        deadlines = {str(UUID(key)): rest for key, *rest in database.execute(DEADLINES)}
    assert errors == []
    dags = {dag_id: without_places(json.loads(data)) for dag_id, data in rows}
    for dag in dags.values():  # each database gives a deadline another id
        dag["dag"]["deadline"] = sorted(map(str, (deadlines[key] for key in dag["dag"].get("deadline") or ())))
    return dags


def without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_places(each) for key, each in value.items() if key not in PLACES}
    return [without_places(each) for each in value] if isinstance(value, list) else value


def test_bundle_and_plain_loaders_give_the_same_dags(rig: Rig) -> None:
    with ThreadPoolExecutor(2) as both:
        bundled = both.submit(processed, rig, "by_bundle", bundle=True)
        by_folder, by_bundle = processed(rig, "by_folder", bundle=False), bundled.result()

    tenants = [f"{tenant}__{table}" for tenant in TENANTS for table in TABLES]
    assert sorted(by_bundle) == [*tenants, "tenantdags_bulk", "tenantdags_prune", "tenantdags_watch"]
    assert by_bundle == by_folder
    assert len(by_bundle["acme__orders"]["dag"]["deadline"]) == 2


@pytest.fixture
def broken_file(rig: Rig) -> Iterator[Path]:
    """A copy of the scheduled tenant's file with one key misspelt, in the project of the running Airflow."""
    tenants = rig.airflow.project / "config" / "tenants"
    good = (tenants / "acme.yaml").read_text().replace("tenant: acme", "tenant: umbrella").replace("_acme", "_umbrella")
    path = tenants / "umbrella.yaml"
    path.write_text(good.replace("time_zone: Europe/Berlin", "time_zon: Europe/Berlin", 1))
    yield path
    path.unlink(missing_ok=True)


def test_a_broken_tenant_errs_alone_until_it_is_gone(rig: Rig, broken_file: Path) -> None:
    api = rig.airflow.api
    wait_until(api.import_errors, 60, "an import error")

    ((file, text),) = api.import_errors().items()

    line = next(n for n, words in enumerate(broken_file.read_text().splitlines(), 1) if words.startswith("time_zon:"))
    assert file.endswith("umbrella.py")
    expected = f"config/tenants/umbrella.yaml:{line}:1: time_zon: unknown key, did you mean 'time_zone'?"
    assert expected in text
    assert sorted(api.dags()) == ["acme__orders", "tenantdags_bulk", "tenantdags_prune", "tenantdags_watch"]

    broken_file.unlink()
    wait_until(lambda: not api.import_errors(), 60, "the import error's end")


def test_the_code_tab_shows_the_tenant_file(rig: Rig) -> None:
    shown = rig.airflow.api.source("acme__orders")

    texts = (rig.airflow.project / "config" / "tenants" / "acme.yaml").read_text().splitlines()
    assert [text for text in texts if text not in shown.replace("\\'", "'").replace('\\"', '"')] == []
