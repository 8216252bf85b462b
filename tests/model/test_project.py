"""A project is read tenant by tenant: one broken file is its own tenant's problem alone."""

import shutil
from pathlib import Path

import pytest

from tenantdags.model.errors import ConfigError
from tenantdags.model.project import (
    check_project,
    contract_refs,
    inputs_of,
    load_contract,
    load_project,
    load_tenant,
    project_root,
    tenant_files,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "include/contracts", tmp_path / "include/contracts")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def problems(call, *arguments) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return [str(problem) for problem in caught.value.problems]


def test_the_example_project_has_no_problem():
    project = check_project(ROOT)

    assert project.tenants == ("acme", "globex", "northwind")
    assert [plan.table for plan in project.plans_of("acme")] == ["customers", "orders", "order_lines"]


def test_tenant_files_are_found_by_their_stem(project):
    assert tenant_files(project) == {
        name: project / f"config/tenants/{name}.yaml" for name in ("acme", "globex", "northwind")
    }


def test_a_broken_tenant_leaves_the_others_loadable(project):
    edit(project / "config/tenants/acme.yaml", "tier: gold", "tier: platinum")

    assert problems(load_tenant, project, "acme") == [
        "config/tenants/acme.yaml:5:7: tier: 'platinum' is not a tier of config/defaults.yaml; "
        "known: bronze, gold, silver [CFG041]"
    ]
    assert next(plan.dag_id for plan in load_tenant(project, "globex")) == "globex__customers"
    assert problems(load_project, project) == problems(load_tenant, project, "acme")


def test_a_tenant_can_be_read_from_text_that_is_not_in_its_file(project):
    text = (project / "config/tenants/acme.yaml").read_text()
    (project / "config/tenants/acme.yaml").write_text("broken: [")

    assert [plan.table for plan in load_tenant(project, "acme", text)] == ["customers", "orders", "order_lines"]


def test_a_broken_contract_breaks_the_tenants_that_use_it(project):
    edit(project / "include/contracts/customers.v1.odcs.yaml", "varchar(20)", "varchar(twenty)")
    edit(project / "config/tenants/globex.yaml", "  customers: {contract: customers@1}\n", "")

    assert problems(load_tenant, project, "acme")[0].startswith("include/contracts/customers.v1.odcs.yaml:54:73: ")
    assert len(load_tenant(project, "globex")) == 2


def test_problems_of_all_files_are_told_at_once_and_once(project):
    edit(project / "config/tenants/acme.yaml", "tier: gold", "tier: platinum")
    edit(project / "config/tenants/globex.yaml", "America/New_York", "America/NewYork")
    edit(project / "include/contracts/orders.v1.odcs.yaml", "mustBe: 0", "mustBe: zero")
    found = problems(check_project, project)

    assert [line.split(":")[0] for line in found] == [
        "config/tenants/acme.yaml", "config/tenants/globex.yaml", "include/contracts/orders.v1.odcs.yaml",
    ]  # fmt: skip
    assert len(set(found)) == len(found)


def test_missing_defaults_are_one_problem(project):
    (project / "config/defaults.yaml").unlink()

    assert problems(load_project, project) == [
        "config/defaults.yaml:1:1: does not exist; the project needs it [CFG001]"
    ]


def test_a_file_that_is_not_utf8_is_a_problem(project):
    (project / "config/tenants/acme.yaml").write_bytes(b"name: Ac\xe9me\n")

    assert problems(load_tenant, project, "acme") == [
        "config/tenants/acme.yaml:1:1: is not UTF-8 text (byte 9) [CFG002]"
    ]


def test_files_that_only_look_like_tenants_or_contracts_are_problems(project):
    (project / "config/tenants/initech.yml").write_text("tenant: initech\n")
    (project / "include/contracts/Orders.v2.odcs.yaml").write_text("kind: DataContract\n")

    assert problems(load_project, project) == [
        "config/tenants/initech.yml:1:1: is not read; tenant files are named <tenant>.yaml [CFG019]",
        "include/contracts/Orders.v2.odcs.yaml:1:1: is not read; contracts are named <table>.v<major>.odcs.yaml, "
        "in small letters [CFG100]",
    ]


def test_a_contract_nobody_uses_is_checked_too(project):
    text = (project / "include/contracts/orders.v1.odcs.yaml").read_text().replace("version: 1.0.0", "version: 1.2.0")
    (project / "include/contracts/orders.v2.odcs.yaml").write_text(text)

    assert problems(load_project, project) == [
        "include/contracts/orders.v2.odcs.yaml:6:10: version: '1.2.0' must be 2.<minor>.<patch>, as in the file's name "
        "[CFG103]"
    ]


def test_an_empty_project_says_where_tenants_go(tmp_path):
    assert problems(load_project, tmp_path) == [
        "config/tenants:1:1: holds no tenant file; add <tenant>.yaml, or name the project with --project [CFG020]"
    ]


def test_the_inputs_of_a_tenant_are_all_files_its_plans_come_from(project):
    edit(project / "config/tenants/globex.yaml", "  customers: {contract: customers@1}\n", "")
    edit(project / "config/tenants/globex.yaml", "  orders: {contract: orders@1}\n", "")

    assert [str(path.relative_to(project)) for path in inputs_of(project, "globex")] == [
        "config/defaults.yaml", "config/tenants/globex.yaml", "include/contracts/order_lines.v1.odcs.yaml",
        "include/contracts/orders.v1.odcs.yaml",
    ]  # fmt: skip


def test_the_inputs_of_a_broken_tenant_are_all_it_could_have_named(project):
    (project / "config/tenants/acme.yaml").write_text("tables: [")

    assert [path.name for path in inputs_of(project, "acme")] == [
        "defaults.yaml", "acme.yaml", "customers.v1.odcs.yaml", "order_lines.v1.odcs.yaml", "orders.v1.odcs.yaml",
    ]  # fmt: skip


def test_a_contract_that_does_not_exist_yet_is_an_input_already(project):
    edit(project / "config/tenants/acme.yaml", "customers@1", "customers@2")

    assert project / "include/contracts/customers.v2.odcs.yaml" in inputs_of(project, "acme")


def test_an_edited_contract_is_read_anew(project):
    before = load_contract(project, "orders@1")
    edit(project / "include/contracts/orders.v1.odcs.yaml", "varchar(12)", "varchar(24)")
    after = load_contract(project, "orders@1")

    assert {c.name: str(c.type) for c in before.columns}["status"] == "varchar(12)"
    assert {c.name: str(c.type) for c in after.columns}["status"] == "varchar(24)"


def test_contracts_are_listed_by_what_tenants_call_them():
    assert contract_refs(ROOT) == ["customers@1", "order_lines@1", "orders@1"]


def test_the_project_is_found_from_any_folder_in_it(project):
    assert project_root(project / "config/tenants") == project
    assert project_root(Path("/")) == Path("/")


def test_tenants_may_share_a_database_by_schema(project):
    edit(project / "config/tenants/globex.yaml", "connection: mssql_globex", "connection: mssql_northwind")
    edit(
        project / "config/tenants/globex.yaml", "database: globex_sales", "database: northwind_sales\n  schema: globex"
    )

    assert load_project(project).tenants == ("acme", "globex", "northwind")


def test_two_files_that_differ_by_case_only_are_one_where_case_does_not_count(project):
    shutil.copy(project / "config/tenants/globex.yaml", project / "config/tenants/Globex.yaml")

    assert (
        "config/tenants/globex.yaml:1:1: differs from Globex.yaml by case only; where case does not count, one "
        "replaces the other [CFG070]" in problems(load_project, project)
    )


def test_groups_are_needed_by_check_and_by_no_run(project):
    (project / "config/groups.yaml").unlink()

    assert (
        problems(check_project, project)[0] == "config/groups.yaml:1:1: does not exist; the project needs it [CFG001]"
    )
    assert load_project(project).tenants == ("acme", "globex", "northwind")
