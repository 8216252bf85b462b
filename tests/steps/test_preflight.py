"""`tenantdags preflight`: the whole text, for a world in which all is well and for each way in which it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox.sqlserver.client import ColumnSpec, IndexSpec
from tenantdags.cli.main import app
from tenantdags.dag.pools import make_pool
from tenantdags.model.pools import pools_of
from tenantdags.model.project import load_tenant
from tests.metadata import metadata_database
from tests.steps import source_world
from tests.steps.lakehouse import Lakehouse

pytestmark = pytest.mark.sandbox
ROOT = Path(__file__).parents[2]
CONNECTIONS = ("mssql_shared1", "adls_landing", "databricks_default", "pii_acme")
SOURCE = [
    "ok    source mssql_shared1  the login opens shared_sales, which allows SNAPSHOT isolation.",
    "ok    table customers       dbo.Customers has the 9 columns of customers@1, and may be read.",
    "ok    index customers       none is needed: the whole table is read each time.",
    "warn  table orders          dbo.Orders fits orders@1, but: source columns outside the contract, not extracted: "
    "internal_note nvarchar(max).",
    "                            Remedy: Runs go on. What shall be loaded too, add to the contract:",
    "                              - {id: internal_note, name: internal_note, logicalType: string, physicalType: "
    "nvarchar(max)}",
    "ok    index orders          IX_Orders_order_date finds a window of dbo.Orders without reading all of it.",
    "ok    table order_lines     dbo.OrderLines has the 8 columns of order_lines@1, and may be read.",
    "ok    index order_lines     IX_Orders_order_date finds a window of dbo.Orders without reading all of it.",
]
REST = [
    "ok    key pii_acme          holds the key acme-1.",
    "ok    container landing     is there, and adls_landing may see it.",
    "ok    warehouse abc123      answers to databricks_default.",
    "ok    notebook              /Workspace/tenantdags/load is deployed.",
    "ok    pools                 Airflow has backfill_curated_customers_v1, backfill_curated_order_lines_v1, "
    "backfill_curated_orders_v1, backfill_source_mssql_shared1, curated_customers_v1, curated_order_lines_v1, "
    "curated_orders_v1, source_mssql_shared1.",
]
KEY = "c2l4dGVlbiB0aW1lcyB0d28gYnl0ZXMgZXhhY3RseSE="
INDEXES = {
    "dbo.Orders": (source_world.ORDERS, IndexSpec("IX_Orders_order_date", ("company_id", "order_date"))),
    "dbo.OrderLines": (source_world.LINES, IndexSpec("PK_OrderLines", ("order_id", "line_no"), True, True)),
    "dbo.Customers": (source_world.CUSTOMERS, IndexSpec("PK_Customers", ("customer_id",), True, True)),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("sqlserver")
    service, server = source_world.start(run_dir)
    for table, (columns, index) in INDEXES.items():
        make(server, table, columns, index)
    yield server
    service.stop()


@pytest.fixture
def server(running):
    yield running
    running.clear_faults()


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """A metadata database with acme's pools."""
    with metadata_database(tmp_path_factory.mktemp("airflow")):
        for pool in pools_of(load_tenant(ROOT, "acme")):
            make_pool(pool)
        yield


@pytest.fixture
def connections(running, lakehouse: Lakehouse, pools, monkeypatch):
    """Sets Airflow's connections; called again, it changes fields of one."""
    said = {
        "mssql_shared1": running.connection("mssql_shared1"),
        "adls_landing": lakehouse.adls.connection(),
        "databricks_default": lakehouse.databricks.connection(),
        "pii_acme": {"conn_type": "generic", "password": KEY, "extra": {"key_id": "acme-1"}},
    }

    def change(connection_id, **fields):
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", json.dumps({**said[connection_id], **fields}))

    for connection_id in said:
        change(connection_id)
    return change


def make(server, table, columns, *indexes) -> None:
    if table in server.tables("shared_sales"):
        server.drop_table("shared_sales", table)
    specs = [ColumnSpec(name, kind, nullable) for name, kind, nullable in columns]
    server.create_table("shared_sales", table, specs, indexes)


@pytest.fixture
def project(tmp_path):
    """A copy of the configuration, to change."""
    for folder in ("config", "include/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def told(tenant: str = "acme", project: Path = ROOT) -> tuple[int, list[str], str]:
    done = CliRunner().invoke(app, ["preflight", tenant, "--project", str(project)])
    assert done.exit_code in (0, 1), done.output
    lines = done.stdout.splitlines()
    # whatever Airflow logs in a process that imported it before the command did, comes before the first finding
    found = [n for n, line in enumerate(lines) if line.startswith(("ok    ", "warn  ", "FAIL  "))]
    return done.exit_code, lines[found[0] if found else 0 :], done.stderr


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_tenant_whose_world_is_ready(server, connections):
    assert told() == (0, [*SOURCE, *REST, "11 ok, 1 warning"], "")


def test_a_login_that_is_refused_leaves_the_tables_unasked_and_the_rest_asked(server, connections):
    connections("mssql_shared1", password="not-the-word")

    code, lines, said = told()

    assert (code, said) == (1, "5 ok, 1 failure, 3 not asked\n")
    # the rest of the line is the driver's, which says more at a process's first refusal than later
    assert lines[0].startswith("FAIL  source mssql_shared1  the source refused the login or the read: ")
    assert lines[1:] == [
        "                            Remedy: Correct login and password of connection mssql_shared1, or grant it "
        "CONNECT and SELECT on the table.",
        "-     table customers       not asked, for the source could not be read.",
        "-     table orders          not asked, for the source could not be read.",
        "-     table order_lines     not asked, for the source could not be read.",
        *REST,
    ]


def test_a_database_without_snapshots_is_told_with_the_statement_that_allows_them(server, connections):
    server.fault("snapshot_off", database="shared_sales")

    code, lines, said = told()

    assert (code, said) == (1, "5 ok, 1 failure, 3 not asked\n")
    assert lines[:2] == [
        "FAIL  source mssql_shared1  the source database shared_sales does not allow SNAPSHOT isolation "
        "(snapshot_isolation_state OFF).",
        "                            Remedy: ALTER DATABASE [shared_sales] SET ALLOW_SNAPSHOT_ISOLATION ON; or set "
        "source.isolation: read_committed.",
    ]


def test_without_snapshots_by_choice_it_is_a_warning(server, connections, project):
    edit(project / "config/tenants/acme.yaml", "isolation: snapshot", "isolation: read_committed")
    server.fault("snapshot_off", database="shared_sales")

    code, lines, said = told(project=project)

    assert (code, said) == (0, "")
    assert lines == [
        "warn  source mssql_shared1  the login opens shared_sales; read_committed is asked for, so totals and rows are "
        "not reconciled.",
        "                            Remedy: Allow SNAPSHOT isolation in shared_sales and leave source.isolation out.",
        *SOURCE[1:], *REST, "10 ok, 2 warnings",
    ]  # fmt: skip


def test_columns_that_are_not_the_contracts_and_an_index_that_is_missing(server, connections):
    try:
        make(server, "dbo.Customers", [c for c in source_world.CUSTOMERS if c[0] != "email"])
        make(server, "dbo.Orders", [c for c in source_world.ORDERS if c[0] != "internal_note"],
             IndexSpec("IX_late", ("customer_id", "order_date")))  # fmt: skip
        answer = told()
    finally:
        for table in ("dbo.Customers", "dbo.Orders"):
            make(server, table, *INDEXES[table])

    slow = "no index of dbo.Orders begins with company_id, order_date: every window reads all of it."
    remedy = "Ask the source's owner for one: CREATE INDEX … ON [dbo].[Orders] ([company_id], [order_date])."
    assert answer == (1, [
        SOURCE[0],
        "FAIL  table customers       dbo.Customers is not what customers@1 says: email: contract nvarchar(320), the "
        "source has no such column.",
        "                            Remedy: Restore dbo.Customers, or publish a contract version that matches it.",
        "ok    table orders          dbo.Orders has the 8 columns of orders@1, and may be read.",
        f"warn  index orders          {slow}",
        f"                            Remedy: {remedy}",
        SOURCE[7],
        f"warn  index order_lines     {slow}",
        f"                            Remedy: {remedy}",
        *REST,
        "--drafts FOLDER writes a draft of customers.v2.odcs.yaml.",
    ], "8 ok, 2 warnings, 1 failure\n")  # fmt: skip


def test_a_draft_of_the_next_version_is_written_where_it_is_asked_for(server, connections, tmp_path):
    try:
        make(server, "dbo.Customers", [c for c in source_world.CUSTOMERS if c[0] != "segment"])
        done = CliRunner().invoke(app, ["preflight", "acme", "--drafts", str(tmp_path / "new"), "--project", str(ROOT)])
    finally:
        make(server, "dbo.Customers", *INDEXES["dbo.Customers"])

    path = tmp_path / "new/customers.v2.odcs.yaml"
    assert f"draft {path}" in done.stdout.splitlines()
    assert "version: 2.0.0" in path.read_text()
    assert "name: segment" not in path.read_text()


def test_a_table_that_the_login_does_not_see(server, connections, project):
    edit(project / "config/tenants/acme.yaml", "source_table: Orders", "source_table: Ordres")

    _, lines, said = told(project=project)

    assert said == "8 ok, 2 failures\n"
    assert (
        "FAIL  table orders          dbo.Ordres is not what orders@1 says: dbo.Ordres: no such table, or the login may "
        "not see it." in lines
    )


def test_keys_landing_and_databricks_are_each_judged(server, connections, lakehouse, project):
    connections("pii_acme", password="dG9vIHNob3J0")
    connections("databricks_default", password="dapi-wrong")
    edit(project / "config/defaults.yaml", "container: landing", "container: landing-of-later")

    assert told(project=project) == (1, [*wider(SOURCE, 6), *(
        "FAIL  key pii_acme                the password of connection pii_acme is not base64 of 32 bytes.",
        "                                  Remedy: Store one made by `openssl rand -base64 32` and a new key_id.",
        "warn  container landing-of-later  does not exist yet at adls_landing.",
        "                                  Remedy: `tenantdags apply` makes what is missing; run it before the first "
        "run.",
        "FAIL  warehouse abc123            Databricks refused the token (HTTP 403).",
        "                                  Remedy: Put a valid token into the Airflow connection 'databricks_default'; "
        "its principal needs CAN USE on SQL warehouse abc123.",
        "FAIL  notebook                    databricks_default does not answer for /Workspace/tenantdags/load: "
        "HTTP 403.",
        "                                  Remedy: Check host and token of connection databricks_default and its "
        "rights on the path.",
        *wider(REST[-1:], 6),
    )], "7 ok, 2 warnings, 3 failures\n")  # fmt: skip


def test_a_wrong_storage_key_and_a_notebook_that_is_not_deployed(server, connections, project):
    connections("adls_landing", password="bm90IHRoZSBrZXk=")
    edit(project / "config/defaults.yaml", "/Workspace/tenantdags/load", "/Workspace/tenantdags/laod")

    code, lines, said = told(project=project)

    assert (code, said) == (1, "9 ok, 1 warning, 2 failures\n")
    assert any(line.startswith("FAIL  container landing     adls_landing does not answer for it: ") for line in lines)
    assert lines[-3:-1] == [
        "FAIL  notebook              /Workspace/tenantdags/laod does not exist.",
        "                            Remedy: Deploy include/notebooks as its databricks.yml says.",
    ]


def test_no_secret_is_told(server, connections, lakehouse):
    passwords = ("not-the-word", "bm90IHRoZSBrZXk=", "dapi-wrong", "dG9vIHNob3J0")
    for connection, password in zip(CONNECTIONS, passwords, strict=True):
        connections(connection, password=password)

    _, lines, said = told()

    assert said == "1 ok, 5 failures, 3 not asked\n"
    assert not [word for word in passwords if word in "\n".join(lines)]


def test_pools_that_airflow_lacks_or_has_in_another_size(server, connections, project):
    edit(project / "config/defaults.yaml", "mssql_shared1: 8", "mssql_shared1: 9")

    code, lines, _ = told(project=project)

    assert code == 0
    assert lines[-3:] == [
        "warn  pools                 Airflow lacks, or has in another size: source_mssql_shared1.",
        "                            Remedy: `tenantdags apply` makes what is missing; run it before the first run.",
        "10 ok, 2 warnings",
    ]


def test_a_tenant_that_does_not_exist_or_is_broken_is_not_asked_about(project):
    edit(project / "config/tenants/globex.yaml", "tier: silver", "tier: silvr")

    assert told("acne") == (1, [], "no tenant 'acne', did you mean 'acme'?\n")
    assert told("globex", project) == (
        1,
        ["config/tenants/globex.yaml:5:7: tier: 'silvr' is not a tier of config/defaults.yaml, did you mean 'silver'? "
         "[CFG041]"],
        "1 problem\n",
    )  # fmt: skip


def wider(lines: list[str], by: int) -> list[str]:
    """With a broader second column."""
    return [f"{line[:26]}{'':<{by}}{line[26:]}" for line in lines]
