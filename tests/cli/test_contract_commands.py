"""`tenantdags contract check|show|diff`: their whole texts, for the example contracts and for ones made wrong."""

import json

import pytest

from tenantdags.model.project import load_contract
from tests import contract_pages
from tests.cli.test_commands import ROOT
from tests.cli.test_diff_command import commit, edit, project, run  # noqa: F401  # a fixture

ORDERS = "include/contracts/orders.v1.odcs.yaml"
REFS = ("customers@1", "order_lines@1", "orders@1")
COUNTED = f"3 contracts, {sum(len(load_contract(ROOT, ref).checks) for ref in REFS)} checks: no problems"


@pytest.mark.parametrize("ref", REFS)
def test_a_page_is_its_golden_file(ref):
    done = run("contract", "show", ref, "--project", ROOT)

    assert done.exit_code == 0
    assert done.stdout == (contract_pages.GOLDEN / f"{ref}.txt").read_text()


def test_a_page_says_what_every_kind_of_check_does():
    golden = contract_pages.GOLDEN / "every_kind_of_check.txt"

    assert contract_pages.every_kind_of_check() == golden.read_text()


def test_good_contracts_are_one_line():
    done = run("contract", "check", "--project", ROOT)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{COUNTED}\n"


def test_a_contract_nobody_uses_is_a_warning(project):  # noqa: F811
    for tenant in ("acme", "globex", "northwind"):
        text = (project / f"config/tenants/{tenant}.yaml").read_text()
        lines = [line for line in text.splitlines() if "customers@1" not in line and line != "  customers:"]
        (project / f"config/tenants/{tenant}.yaml").write_text("\n".join(lines) + "\n")
    done = run("contract", "check", "--project", project)

    assert done.exit_code == 0
    assert done.stdout == (
        "include/contracts/customers.v1.odcs.yaml:2:1: warning: no tenant uses customers@1; name it in a tenant file, "
        "or delete it when nobody reads its table any more [CFG917]\n"
        f"{COUNTED}, 1 warning\n"
    )


def test_what_is_used_is_not_guessed_of_a_tenant_that_cannot_be_read(project):  # noqa: F811
    edit(project / "config/tenants/acme.yaml", "tier: gold", "tier: [")
    done = run("contract", "check", "--project", project)

    assert (done.exit_code, done.stdout) == (
        0, f"{COUNTED}; a tenant file is broken, so which are used is not known\n"
    )  # fmt: skip


def test_mistakes_are_told_with_their_line_and_every_contract_is_looked_at(project):  # noqa: F811
    edit(project / ORDERS, "logicalType: timestamp", "logicalType: date")
    edit(project / "include/contracts/customers.v1.odcs.yaml", "status: active", "status: aktive")
    done = run("contract", "check", "--project", project, "--format", "json")
    said = json.loads(done.stdout)

    assert done.exit_code == 1
    assert [(p["file"].rpartition("/")[2], p["line"], p["rule"]) for p in said["problems"]] == [
        ("customers.v1.odcs.yaml", 7, "CFG015"), ("orders.v1.odcs.yaml", 21, "CFG109"),
        ("orders.v1.odcs.yaml", 42, "CFG109"),
    ]  # fmt: skip


def test_a_contract_is_compared_with_a_git_revision(project):  # noqa: F811
    edit(project / ORDERS, "varchar(12)", "varchar(20)")
    done = run("contract", "diff", "HEAD", "--project", project)
    head = commit(project, "later")

    assert done.exit_code == 0
    assert done.stdout.splitlines()[1:] == [
        "  additive  status: was varchar(12) and is varchar(20); the table holds STRING as before",
        "  1 additive, 0 breaking: readers can go on; raise the version to 1.1.0",
    ]
    assert done.stdout.startswith("orders@1 of HEAD (")
    assert run("contract", "diff", head, "--project", project).stdout == "no contract changed\n"


def test_a_breaking_change_within_a_major_version_fails_and_can_be_drafted(project):  # noqa: F811
    edit(project / ORDERS, "'decimal(18,2)'", "'decimal(20,2)'")
    done = run("contract", "diff", "HEAD:orders@1", "orders@1", "--project", project)
    drafted = run("contract", "diff", "HEAD", "--draft", "--project", project)

    assert done.exit_code == 1
    assert done.stdout.splitlines()[1:] == [
        "  breaking  amount: was decimal(18,2) and is decimal(20,2); the table holds DECIMAL(18,2), which cannot "
        "become DECIMAL(20,2)",
        "  0 additive, 1 breaking: readers break; publish it as orders.v2.odcs.yaml, version 2.0.0",
    ]
    assert drafted.exit_code == 0
    assert drafted.stdout == (project / ORDERS).read_text().replace("version: 1.0.0", "version: 2.0.0")


def test_a_new_major_version_is_compared_with_the_one_before(project):  # noqa: F811
    second = (project / ORDERS).read_text().replace("version: 1.0.0", "version: 2.0.0").replace("(18,2)", "(20,2)")
    (project / "include/contracts/orders.v2.odcs.yaml").write_text(second)
    done = run("contract", "diff", "HEAD", "--project", project)
    named = run("contract", "diff", "orders@1", "orders@2", "--project", project)

    assert (done.exit_code, done.stdout) == (0, named.stdout)
    assert done.stdout.splitlines()[0] == "orders@1 1.0.0 → orders@2 2.0.0"
    assert done.stdout.splitlines()[-1] == "  0 additive, 1 breaking: a new table, which tenants move to one by one"


def test_two_files_are_compared_wherever_they_are(project, tmp_path):  # noqa: F811
    other = tmp_path / "orders.v1.odcs.yaml"
    other.write_text((ROOT / ORDERS).read_text().replace("value: 400", "value: 90"))
    done = run("contract", "diff", project / ORDERS, other, "--project", project)

    assert done.exit_code == 1
    assert "breaking  retention: was 400 days and is 90 days" in done.stdout


def test_drift_and_diff_tell_the_same_draft(project):  # noqa: F811
    edit(project / ORDERS, "'decimal(18,2)'", "'decimal(20,2)'")
    before, after = load_contract(ROOT, "orders@1"), load_contract(project, "orders@1")

    assert before.text != after.text
    assert run("contract", "diff", "HEAD", "--draft", "--project", project).stdout.startswith(after.text[:100])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "order@1"), 1, "no contract 'order@1', did you mean 'orders@1'?\n"),
        (("diff", "orders@1", "orders@7"), 1, "no contract 'orders@7', did you mean 'orders@1'?\n"),
        (("diff", "gone.v1.odcs.yaml", "orders@1"), 1, "gone.v1.odcs.yaml does not exist\n"),
        (("diff", "nowhere"), 2, "'nowhere' is neither a folder nor a git revision; name one of both, and fetch it "
                                 "first if it is another repository's\n"),
        (("diff", "HEAD", "--draft"), 1, "--draft is of one contract, and 0 contracts changed; name one\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_says_why(words, code, said, project):  # noqa: F811
    done = run("contract", *words, "--project", project)

    assert (done.exit_code, done.stderr) == (code, said)
