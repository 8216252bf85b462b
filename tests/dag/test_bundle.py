"""One tenant file is one parse unit: what is rewritten, what is not, and who errs when a file is broken."""

import logging
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.models.dagbag import DagPriorityParsingRequest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session

from tenantdags.dag.bundle import TenantBundle, bundle_configured, project_root
from tenantdags.dag.factory import build_dag
from tenantdags.model.contract_reader import read_contract
from tests.dag.bundles import ALL, LOADERS, TENANTS, changed_by, dags_of, edit, loaders_of
from tests.dag.plans import ROOT
from tests.metadata import metadata_database

BUNDLE_SETTING = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
CONFIGURED = '[{"name": "tenants", "classpath": "tenantdags.dag.bundle.TenantBundle", "kwargs": {"root": "/x"}}]'


pytestmark = pytest.mark.usefixtures("storage")


def test_there_is_one_loader_per_tenant_and_one_of_the_platforms_and_every_dag_is_loaded(bundle):
    found = dags_of(bundle.path)

    assert [path.name for path in loaders_of(bundle)] == LOADERS
    assert sorted(found.dags) == ALL
    assert found.import_errors == {}


def test_the_loader_carries_the_tenant_file(bundle, project):
    loader = bundle.path / "tenant_acme.py"
    code: dict[str, str] = {}
    exec(loader.read_text().partition("globals()")[0], code)

    assert code["TENANT_FILE"] == (project / "config/tenants/acme.yaml").read_text()
    assert code["__doc__"].startswith("config/tenants/acme.yaml as Airflow DAGs.")


def test_nothing_changed_means_nothing_is_parsed_again(bundle):
    assert changed_by(bundle, lambda: None) == []


def test_an_edit_is_looked_for_every_few_seconds_unless_the_bundle_is_told_otherwise():
    assert TenantBundle(name="tenants", root="/x").refresh_interval == 5
    assert TenantBundle(name="tenants", root="/x", refresh_interval=60).refresh_interval == 60


def test_a_touched_file_with_the_same_content_is_not_parsed_again(bundle, project):
    assert changed_by(bundle, (project / "config/tenants/acme.yaml").touch) == []


def test_an_edit_concerns_its_tenant_alone(bundle, project):
    path = project / "config/tenants/globex.yaml"

    assert changed_by(bundle, lambda: edit(path, "name: ", "name: New ")) == ["tenant_globex.py"]


def test_an_edit_goes_before_the_files_that_are_only_due_again(bundle, project, tmp_path):
    path = project / "config/tenants/globex.yaml"
    with metadata_database(tmp_path):
        bundle.refresh()
        assert first_in_line() == []

        edit(path, "name: ", "name: New ")
        bundle.refresh()
        assert first_in_line() == [("tenants", "tenant_globex.py")]

        edit(path, "name: ", "name: Very ")
        shutil.copy(path, path.with_name("initech.yaml"))  # a new one goes first of itself
        bundle.refresh()
        assert first_in_line() == [("tenants", "tenant_globex.py")]


def test_a_worker_that_starts_a_task_asks_no_database(bundle, project, tmp_path, monkeypatch):
    edit(project / "config/tenants/globex.yaml", "name: ", "name: New ")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "globex__orders")
    with metadata_database(tmp_path):
        bundle.initialize()

        assert "New" in (bundle.path / "tenant_globex.py").read_text()
        assert first_in_line() == []


def test_without_a_database_an_edit_is_parsed_in_its_turn(bundle, project, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "tenantdags.dag.bundle")
    monkeypatch.setattr("airflow.utils.session.create_session", lambda: 1 / 0)

    assert changed_by(bundle, lambda: edit(project / "config/tenants/globex.yaml", "name: ", "name: New ")) == [
        "tenant_globex.py"
    ]
    assert "tenants: no file could be put first in line: ZeroDivisionError" in caplog.text


def first_in_line():
    """(bundle, file) that the dag-processor takes before all others."""
    with create_session() as session:
        return [(r.bundle_name, r.relative_fileloc) for r in session.query(DagPriorityParsingRequest)]


def test_edits_of_one_second_and_size_are_all_seen(bundle, project):
    path, seen = project / "config/tenants/globex.yaml", []
    for number in range(3):
        path.write_text(re.sub("(?m)^name: .*", f"name: Globex {number}", path.read_text()))
        bundle.refresh()
        seen.append(str(dags_of(bundle.path / "tenant_globex.py").dags["globex__orders"].doc_md))

    assert [text.partition(":")[0] for text in seen] == [f"### Globex {number}" for number in range(3)]


def test_a_change_of_the_defaults_concerns_all(bundle, project):
    path = project / "config/defaults.yaml"

    assert changed_by(bundle, lambda: edit(path, "poll_seconds: ", "poll_seconds: 1")) == [
        f"tenant_{tenant}.py" for tenant in TENANTS
    ]


def test_a_contract_concerns_those_who_use_it(bundle, project):
    edit(project / "config/tenants/globex.yaml", "contract: customers@1", "contract: customers@2")
    shutil.copy(
        project / "include/contracts/customers.v1.odcs.yaml", project / "include/contracts/customers.v2.odcs.yaml"
    )
    bundle.refresh()
    path = project / "include/contracts/customers.v2.odcs.yaml"

    assert changed_by(bundle, lambda: path.write_text(path.read_text() + "# a remark\n")) == ["tenant_globex.py"]


def test_a_removed_tenant_loses_its_loader(bundle, project):
    assert changed_by(bundle, (project / "config/tenants/globex.yaml").unlink) == ["tenant_globex.py"]
    assert sorted(dags_of(bundle.path).dags) == [dag for dag in ALL if not dag.startswith("globex")]


def test_a_project_that_is_away_for_a_moment_removes_no_dag(bundle, project):
    (project / "config").rename(project / "away")

    with pytest.raises(
        FileNotFoundError, match=r"config/tenants holds no tenant file; the DAGs stay as they are\. Remedy:"
    ):
        bundle.refresh()

    assert len(loaders_of(bundle)) == len(LOADERS)


def test_a_new_tenant_gets_one(bundle, project):
    text = (project / "config/tenants/globex.yaml").read_text()
    new = project / "config/tenants/initech.yaml"

    assert changed_by(bundle, lambda: new.write_text(text.replace("globex", "initech"))) == ["tenant_initech.py"]
    assert "initech__orders" in dags_of(bundle.path).dags


def test_a_lost_loader_is_written_again(bundle):
    assert changed_by(bundle, (bundle.path / "tenant_acme.py").unlink) == ["tenant_acme.py"]


def test_a_broken_tenant_errs_alone_with_file_line_key_and_remedy(bundle, project):
    edit(project / "config/tenants/acme.yaml", "time_zone: Europe/Berlin", "tme_zone: Europe/Berlin")
    bundle.refresh()

    found = dags_of(bundle.path)

    assert sorted(found.dags) == [dag for dag in ALL if not dag.startswith("acme")]
    assert list(found.import_errors) == ["tenant_acme.py"]
    said = found.import_errors["tenant_acme.py"]
    assert "\ntenantdags.model.errors.ConfigError: config/tenants/acme.yaml:" in said
    assert "tme_zone: unknown key, did you mean 'time_zone'?" in said


def test_without_tracebacks_the_import_error_is_our_text_alone(bundle, project, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS", "False")
    edit(project / "config/tenants/acme.yaml", "time_zone: Europe/Berlin", "tme_zone: Europe/Berlin")
    bundle.refresh()

    said = dags_of(bundle.path).import_errors["tenant_acme.py"]

    assert said.splitlines()[0].startswith("config/tenants/acme.yaml:")
    assert "Traceback" not in said


def test_a_tenant_is_mended_by_an_edit(bundle, project):
    path = project / "config/tenants/acme.yaml"
    edit(path, "time_zone: Europe/Berlin", "tme_zone: Europe/Berlin")
    bundle.refresh()

    assert changed_by(bundle, lambda: edit(path, "tme_zone", "time_zone")) == ["tenant_acme.py"]
    assert sorted(dags_of(bundle.path).dags) == ALL


def test_a_file_that_is_not_text_errs_alone(bundle, project):
    (project / "config/tenants/acme.yaml").write_bytes(b"tenant: acme\nname: \xff\xfe\n")
    bundle.refresh()

    found = dags_of(bundle.path)

    assert sorted(found.dags) == [dag for dag in ALL if not dag.startswith("acme")]
    assert "config/tenants/acme.yaml:" in found.import_errors["tenant_acme.py"]


@pytest.mark.parametrize("text", ["", "'''\n", 'a: """\\\n', "x: {{ y }}\n", "a: \u2028\r\nb: \x0b\n"])
def test_no_text_can_leave_its_quotes(bundle, project, text):
    (project / "config/tenants/acme.yaml").write_bytes(text.encode())
    bundle.refresh()
    code: dict[str, str] = {}
    exec((bundle.path / "tenant_acme.py").read_text().partition("globals()")[0], code)

    assert code["TENANT_FILE"] == text


def test_two_dag_processors_at_once_write_whole_loaders(project):
    bundles = [TenantBundle(name="tenants", root=str(project)) for _ in range(8)]

    with ThreadPoolExecutor(len(bundles)) as pool:
        list(pool.map(lambda one: one.initialize(), bundles))

    assert sorted(dags_of(bundles[0].path).dags) == ALL
    assert [path.name for path in loaders_of(bundles[0])] == LOADERS


def test_a_worker_that_starts_a_task_builds_that_dag_alone(bundle, monkeypatch):
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "globex__orders")

    found = dags_of(bundle.path)

    assert list(found.dags) == ["globex__orders"]


def test_a_worker_looks_for_edits_of_its_tenant_alone(bundle, project, monkeypatch):
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "globex__orders")
    worker = TenantBundle(name="tenants", root=str(project))
    monkeypatch.setattr(worker, "refresh", lambda: refreshed.append(True))
    refreshed: list[bool] = []

    worker.initialize()
    assert refreshed == []
    edit(project / "config/tenants/acme.yaml", "name: ", "name: New ")
    worker.initialize()
    assert refreshed == []
    for path in ("config/tenants/globex.yaml", "config/defaults.yaml", "include/contracts/orders.v1.odcs.yaml"):
        (project / path).touch()
        worker.initialize()
        assert refreshed.pop()
        bundle.refresh()
    (bundle.path / "tenant_globex.py").unlink()
    worker.initialize()
    assert refreshed


def test_a_task_of_a_tenant_nobody_knows_makes_a_worker_look_at_all(bundle, project, monkeypatch):
    shutil.copy(project / "config/tenants/globex.yaml", project / "config/tenants/umbrella.yaml")
    edit(project / "config/tenants/umbrella.yaml", "globex", "umbrella")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "umbrella__orders")
    TenantBundle(name="tenants", root=str(project)).initialize()

    assert list(dags_of(bundle.path / "tenant_umbrella.py").dags) == ["umbrella__orders"]


def test_what_the_processor_read_no_fork_reads_again(project):
    read_contract.cache_clear()
    bundle = TenantBundle(name="tenants", root=str(project))
    bundle.initialize()
    read = read_contract.cache_info().misses

    assert read == 3
    assert sorted(dags_of(bundle.path).dags) == ALL
    assert read_contract.cache_info().misses == read


def test_a_tenant_that_cannot_be_built_holds_up_no_other(project, monkeypatch):
    built = []

    def build(plan):
        built.append(plan.tenant)
        if plan.tenant == "acme":
            raise RuntimeError("nobody thought of this")
        return build_dag(plan)

    monkeypatch.setattr("tenantdags.dag.factory.build_dag", build)
    bundle = TenantBundle(name="tenants", root=str(project))
    bundle.initialize()

    assert {"acme", "globex"} == set(built)
    found = dags_of(bundle.path)
    assert sorted(found.dags) == [dag_id for dag_id in ALL if not dag_id.startswith("acme__")]
    assert [Path(name).name for name in found.import_errors] == ["tenant_acme.py"]


def test_dags_without_any_setting_are_the_same_dags(bundle, project):
    by_bundle, by_folder = dags_of(bundle.path), dags_of(project / "dags")

    assert sorted(by_folder.dags) == ALL
    assert {i: content(dag) for i, dag in by_folder.dags.items()} == {i: content(d) for i, d in by_bundle.dags.items()}
    assert by_folder.import_errors == {}


def content(dag: DAG) -> dict[str, Any]:
    """What is stored of a DAG, without where its file lies."""
    stored = DagSerialization.to_dict(dag)
    return {**stored, "dag": {k: v for k, v in stored["dag"].items() if k not in ("fileloc", "relative_fileloc")}}


def test_without_any_setting_the_good_are_loaded_and_the_broken_are_named(project):
    edit(project / "config/tenants/acme.yaml", "time_zone: Europe/Berlin", "tme_zone: Europe/Berlin")
    edit(project / "config/tenants/globex.yaml", "tier: silver", "tier: slver")

    found = dags_of(project / "dags")

    assert sorted(found.dags) == [dag for dag in ALL if dag.startswith(("northwind", "tenantdags"))]
    assert list(found.import_errors) == ["broken_tenants.py"]
    said = found.import_errors["broken_tenants.py"]
    assert "config/tenants/acme.yaml:" in said
    assert "config/tenants/globex.yaml:" in said


def test_the_dags_folder_steps_aside_for_the_bundle(project, monkeypatch):
    monkeypatch.setenv(BUNDLE_SETTING, CONFIGURED)
    edit(project / "config/tenants/acme.yaml", "time_zone: Europe/Berlin", "tme_zone: Europe/Berlin")

    found = dags_of(project / "dags")

    assert (found.dags, found.import_errors) == ({}, {})


@pytest.mark.parametrize(("setting", "expected"), [(CONFIGURED, True), ("[]", False), ("", False)])
def test_whether_the_bundle_is_configured(monkeypatch, setting, expected):
    monkeypatch.setenv(BUNDLE_SETTING, setting)

    assert bundle_configured() is expected


@pytest.mark.parametrize(("setting", "expected"), [(CONFIGURED, "/x"), ("[]", "/y"), ("", "/y")])
def test_which_project_an_airflow_runs(monkeypatch, setting, expected):
    monkeypatch.setenv(BUNDLE_SETTING, setting)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/y/dags")

    assert str(project_root()) == expected


def test_an_edit_that_sets_the_time_of_change_back_is_seen(bundle, project):
    path = project / "config/tenants/acme.yaml"
    stat = path.stat()

    def swap_letters():
        edit(path, "name: Acme", "name: Acne")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert changed_by(bundle, swap_letters) == ["tenant_acme.py"]


def test_the_repository_has_exactly_its_own_dags_by_the_dags_folder():
    assert sorted(dags_of(ROOT / "dags").dags) == ALL
