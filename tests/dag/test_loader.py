"""Loading without any setting: one file for all tenants, which says when there are too many of them for it."""

import logging
from types import SimpleNamespace

import pytest

from tenantdags.dag import loader
from tenantdags.dag.bundle import bundle_configured
from tenantdags.dag.loader import good_tenants, tenant_dags
from tenantdags.model.errors import ConfigError
from tenantdags.model.project import load_tenant

LOGGER = "tenantdags.dag.loader"


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, LOGGER)
    return lambda: [record.getMessage() for record in caplog.records if record.name == LOGGER]


def clock(*times):
    return SimpleNamespace(perf_counter=iter(times).__next__)


def test_a_small_fleet_is_loaded_in_silence(project, warnings):
    assert len(good_tenants(project)) == 9
    assert warnings() == []


def test_a_large_fleet_names_its_numbers_the_limits_and_the_setting(project, warnings, monkeypatch):
    monkeypatch.setattr(loader, "MANY_DAGS", 9)
    monkeypatch.setattr("tenantdags.dag.loader.time", clock(100.0, 104.25))
    good_tenants(project)

    assert warnings() == [
        f"{project}/dags/tenants.py: 9 DAGs of 3 tenants took 4.2 s to load. "
        "Airflow ends a DAG file after 30 s ([core] "
        "dagbag_import_timeout), or after 50 s with what is written of it ([dag_processor] "
        "dag_file_processor_timeout); then no DAG of any tenant is loaded. Remedy: one file per tenant, by "
        '[dag_processor] dag_bundle_config_list = [{"name": "tenants", "classpath": '
        f'"tenantdags.dag.bundle.TenantBundle", "kwargs": {{"root": "{project}"}}}}]'
    ]


@pytest.mark.parametrize(("seconds", "warned"), [(7.4, 0), (7.6, 1)])
def test_a_quarter_of_the_time_is_a_warning(project, warnings, monkeypatch, seconds, warned):
    monkeypatch.setattr("tenantdags.dag.loader.time", clock(0.0, seconds))
    good_tenants(project)

    assert len(warnings()) == warned


def test_the_setting_it_names_is_the_one_that_makes_it_step_aside(project, warnings, monkeypatch):
    monkeypatch.setattr(loader, "MANY_DAGS", 9)
    good_tenants(project)
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", warnings()[0].partition("config_list = ")[2])

    assert bundle_configured()


def test_a_worker_that_starts_a_task_reads_its_tenant_alone_and_warns_of_nothing(project, warnings, monkeypatch):
    monkeypatch.setattr(loader, "MANY_DAGS", 1)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "globex__orders")
    read = []

    def load(root, tenant, text, only):
        read.append((tenant, only))
        return load_tenant(root, tenant, text, only)

    monkeypatch.setattr("tenantdags.dag.loader.load_tenant", load)

    assert list(good_tenants(project)) == ["globex__orders"]
    assert read == [("globex", "orders")]
    assert warnings() == []


def test_a_task_has_no_trouble_with_the_contracts_of_other_tables(project, monkeypatch):
    (project / "include/contracts/customers.v1.odcs.yaml").write_text("broken")
    with pytest.raises(ConfigError):
        tenant_dags(project, "globex")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "globex__order_lines")

    assert list(tenant_dags(project, "globex")) == ["globex__order_lines"]
