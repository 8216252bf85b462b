"""`tenantdags contract infer`: drafts of tables of the stand-in, whole texts, each a contract that passes check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox import seed_rows
from sandbox.sqlserver.client import ColumnSpec, IndexSpec, SqlServer
from tenantdags.cli.main import app
from tenantdags.model.contract import Contract
from tenantdags.model.project import check_contracts, load_contract
from tests.steps import source_world

pytestmark = pytest.mark.sandbox
ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/contracts"
HOME = "globex_sales"

INVOICES = (
    ColumnSpec("InvoiceID", "int", nullable=False), ColumnSpec("InvoiceDate", "date", nullable=False),
    ColumnSpec("DueDate", "date", nullable=False), ColumnSpec("Customer", "varchar(8)", nullable=False),
    ColumnSpec("ContactEMail", "nvarchar(320)"), ColumnSpec("birth_date", "date"),
    ColumnSpec("Net Amount", "decimal(18,2)"),
    ColumnSpec("Gross", "money"), ColumnSpec("Tax", "decimal(9,4)"), ColumnSpec("order_id", "bigint"),
    ColumnSpec("order_no", "int"), ColumnSpec("country", "char(2)"), ColumnSpec("secret", "int"),
    ColumnSpec("LastModified", "datetime2(7)", nullable=False), ColumnSpec("Größe", "int"),
    ColumnSpec("any", "sql_variant"),
    ColumnSpec("tenant_id", "uniqueidentifier"), ColumnSpec("ValidFrom", "datetime2(7)", nullable=False),
    ColumnSpec("ValidTo", "datetime2(7)", nullable=False),
)  # fmt: skip
TABLES: dict[str, tuple[tuple[ColumnSpec, ...], tuple[IndexSpec, ...]]] = {
    "Customers": (seed_rows.TABLES["Customers"], seed_rows.indexes("Customers", shared=False)),
    "Orders": (seed_rows.TABLES["Orders"], (IndexSpec("UX_orders", ("order_id",), unique=True),)),
    "OrderLines": (seed_rows.TABLES["OrderLines"], seed_rows.indexes("OrderLines", shared=False)),
    "Countries": ((ColumnSpec("code", "char(2)", nullable=False),), (IndexSpec("PK", ("code",), True, True),)),
    "Invoices": (INVOICES, (IndexSpec("PK_Invoices", ("InvoiceID",), True, True), IndexSpec("IX_d", ("InvoiceDate",)))),
    "Heap": ((ColumnSpec("a", "int"), ColumnSpec("b", "datetime2(3)")), ()),
    "InvoicesHistory": (INVOICES, ()),
}
FOREIGN_KEYS = {
    "OrderLines": [("FK_OrderLines_Orders", ["order_id"], "dbo.Orders", ["order_id"])],
    "Orders": [("FK_Orders_Customers", ["customer_id"], "dbo.Customers", ["customer_id"])],
    "Invoices": [
        ("FK_Invoices_Customers", ["Customer"], "dbo.Customers", ["customer_id"]),
        ("FK_Invoices_Orders", ["order_id"], "dbo.Orders", ["order_id"]),
        ("FK_Invoices_order_no", ["order_no"], "dbo.Orders", ["order_id"]),
        ("FK_Invoices_lines", ["order_id"], "dbo.OrderLines", ["order_id"]),
        ("FK_Invoices_Countries", ["country"], "dbo.Countries", ["code"]),
    ],
}
TRAITS = {
    "InvoiceID": {"identity": True}, "Gross": {"computed": "([Net Amount]+[Tax])"}, "secret": {"masked": "default()"},
    "ValidFrom": {"generated": 1, "hidden": True}, "ValidTo": {"generated": 2, "hidden": True},
}  # fmt: skip
DRAFTS = ("Customers", "Orders", "OrderLines", "Invoices", "Heap")


def fill(server: SqlServer, database: str = HOME, tenant_column: tuple[ColumnSpec, ...] = ()) -> None:
    for table, (columns, indexes) in TABLES.items():
        server.create_table(database, f"dbo.{table}", (*tenant_column, *columns), indexes)
    for table, keys in FOREIGN_KEYS.items():
        said = [{"name": n, "columns": c, "to": to, "to_columns": k} for n, c, to, k in keys]
        server.declare(database, f"dbo.{table}", foreign_keys=said)
    server.declare(database, "dbo.Invoices", columns=TRAITS, temporal=2, history="dbo.InvoicesHistory")
    server.declare(database, "dbo.InvoicesHistory", temporal=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    service, found = source_world.start(tmp_path_factory.mktemp("sqlserver"))
    fill(found)
    yield found
    service.stop()


@pytest.fixture
def project(tmp_path, server, monkeypatch):
    """A copy of the project, whose tenants' connections lead to the server."""
    for folder in ("config", "include/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for connection in ("mssql_globex", "mssql_shared1"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection.upper()}", json.dumps(server.connection(connection)))
    return tmp_path


def infer(project: Path, *words: str):
    return CliRunner().invoke(app, ["contract", "infer", *words, "--project", str(project)])


@pytest.mark.parametrize("table", DRAFTS)
def test_a_draft_is_its_golden_file(table, project):
    done = infer(project, "globex", table)

    assert done.exit_code == 0, done.stderr
    assert done.stdout == (GOLDEN / f"inferred_{table}.yaml").read_text()


def with_draft(table: str, root: Path) -> Path:
    """A project in which the drafted contract stands in the place of the one written by hand, if there is one."""
    shutil.copytree(ROOT / "config", root / "config")
    shutil.copytree(ROOT / "include/contracts", root / "include/contracts")
    draft = (GOLDEN / f"inferred_{table}.yaml").read_text()
    name = next(line.removeprefix("id: ") for line in draft.splitlines() if line.startswith("id: "))
    (root / f"include/contracts/{name}.v1.odcs.yaml").write_text(draft)
    return root


@pytest.mark.parametrize("table", ["Customers", "Orders", "OrderLines", "Invoices"])
def test_a_draft_passes_check_as_it_is(table, tmp_path):
    problems = check_contracts(with_draft(table, tmp_path))[1]

    assert [str(problem) for problem in problems if problem.severity == "error"] == []


def test_a_draft_without_a_key_is_refused_until_one_is_named(tmp_path):
    problems = check_contracts(with_draft("Heap", tmp_path))[1]

    assert [problem.rule for problem in problems if problem.severity == "error"] == ["CFG112"]


WRITTEN = [("Customers", "customers@1"), ("Orders", "orders@1"), ("OrderLines", "order_lines@1")]


@pytest.mark.parametrize(("table", "ref"), WRITTEN)
def test_a_draft_finds_what_people_wrote_by_hand(table, ref, tmp_path):
    """Columns, types, keys, mode and window of the example contracts, as far as a catalogue can know them."""
    ours, drafted = load_contract(ROOT, ref), load_contract(with_draft(table, tmp_path), ref)

    def shape(contract: Contract):
        columns = {c.name: (c.source_name, c.type, c.key_position) for c in contract.columns}
        return contract.source_table, contract.keys, contract.mode, contract.window.column, columns

    more = {"internal_note", "legacy_flags"} if table == "Orders" else set()
    assert {name for name in shape(drafted)[4] if name not in shape(ours)[4]} == more
    assert {**shape(drafted)[4], **shape(ours)[4]} == shape(drafted)[4]
    assert shape(drafted)[:4] == shape(ours)[:4]


def handled(table: str, ref: str, root: Path) -> dict[str, str]:
    columns = load_contract(with_draft(table, root), ref).columns
    return {c.name: f"{c.pii.category} {c.pii.handling}" for c in columns if c.pii}


def test_personal_columns_are_hashed_or_dropped_until_someone_has_looked(tmp_path):
    assert handled("Customers", "customers@1", tmp_path) == {
        "name": "name hash", "email": "contact hash", "phone": "contact hash",
    }  # fmt: skip


def test_a_column_that_refers_to_a_hashed_key_is_hashed_as_it_is(tmp_path):
    assert handled("Orders", "orders@1", tmp_path) == {
        "customer_id": "pseudonym hash", "customer_email": "contact hash",
    }  # fmt: skip


def test_a_shared_table_is_drafted_without_its_tenant_column(project, server):
    tenant = (ColumnSpec("company_id", "int", nullable=False),)
    keys = (IndexSpec("PK_Bills", ("company_id", "bill_id"), True, True), IndexSpec("IX", ("company_id", "billed_on")))
    columns = (*tenant, ColumnSpec("bill_id", "int", nullable=False), ColumnSpec("billed_on", "date", nullable=False))
    server.create_table("shared_sales", "dbo.Bills", columns, keys)
    infer(project, "acme", "bills", "--write")
    drafted = load_contract(project, "bills@1")

    assert ([c.name for c in drafted.columns], drafted.keys) == (["bill_id", "billed_on"], ("bill_id",))
    assert (drafted.mode, drafted.window.column) == ("event", "billed_on")


def test_a_tenant_whose_contract_is_still_to_be_drafted_can_ask_for_it(project):
    tenant = project / "config/tenants/globex.yaml"
    tenant.write_text(tenant.read_text() + "  invoices: {contract: invoices@1}\n")

    assert infer(project, "globex", "Invoices").exit_code == 0


def test_what_is_there_is_not_overwritten(project):
    done = infer(project, "globex", "Orders", "--write")

    assert done.exit_code == 1
    assert done.stderr.endswith("orders.v1.odcs.yaml exists; write the draft elsewhere and compare it with "
                                "`tenantdags contract diff`\n")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("globex", "Ordres"),
         "globex Ordres infer: source.permission: dbo has no table or view 'Ordres' that the login sees, did you mean "
         "'Orders'? Remedy: Correct the name; the server shows a login only what it has a right on, by SELECT or, to "
         "look without reading, VIEW DEFINITION.\n"),
        (("globex", "InvoicesHistory"),
         "globex InvoicesHistory infer: source.permission: dbo.InvoicesHistory is the history table of a temporal "
         "table: its rows are old versions. Remedy: Name the table that it belongs to.\n"),
        (("glibex", "Orders"), "no tenant 'glibex', did you mean 'globex'?\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_drafted_says_why(words, said, project):
    done = infer(project, *words)

    assert (done.exit_code, done.stderr) == (1, said)


def test_a_source_that_refuses_the_login_ends_with_its_remedy(project, server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MSSQL_GLOBEX", json.dumps({**server.connection("mssql_globex"), "password": "x"}))
    done = infer(project, "globex", "Orders")

    assert done.exit_code == 1
    assert "Remedy: Correct login and password of connection mssql_globex" in done.stderr


def main() -> None:
    """Writes the golden drafts anew: `python -m tests.steps.test_infer`."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        service, server = source_world.start(Path(folder))
        try:
            fill(server)
            os.environ["AIRFLOW_CONN_MSSQL_GLOBEX"] = json.dumps(server.connection("mssql_globex"))
            for table in DRAFTS:
                (GOLDEN / f"inferred_{table}.yaml").write_text(infer(ROOT, "globex", table).stdout)
        finally:
            service.stop()


if __name__ == "__main__":
    main()
