"""The walk of docs/migrations.md by the command itself: a new major beside the old one, the move, and back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenantdags.cli.main import app
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant
from tests.metadata import metadata_database
from tests.repository import ROOT

pytestmark = pytest.mark.sandbox
_NUMBERS = count(1)


@dataclass(frozen=True)
class Project:
    """Acme's file alone, with a table that no other test has, whose second major has no e-mails."""

    root: Path
    name: str

    def write(self, major: int, *, beside: bool = False) -> list[TablePlan]:
        """The plans: of the table, and of its next major beside it. The rows that tests make up are told by the key."""
        head, _, _ = (ROOT / "config/tenants/acme.yaml").read_text().partition("tables:")
        tables = f"  {self.name}: {{contract: {self.name}@{major}, source_table: Orders}}\n"
        if beside:
            tables += f"  {self.name}_v2: {{contract: {self.name}@2, source_table: Orders, alerts: []}}\n"
        (self.root / "config/tenants/acme.yaml").write_text(f"{head}tables:\n{tables}")
        return [replace(plan, table="orders") for plan in load_tenant(self.root, "acme")]

    def apply(self, *options: str) -> list[str]:
        """What the command says of the tenant's readers."""
        done = CliRunner().invoke(app, ["apply", "--project", str(self.root), *options])
        assert done.exit_code == 0, done.output
        return [line for line in done.output.splitlines() if line.startswith("acme ")]


@pytest.fixture
def project(airflow_connections, tmp_path) -> Iterator[Project]:
    name = f"moves{next(_NUMBERS)}"
    (tmp_path / "config/tenants").mkdir(parents=True)
    (tmp_path / "include/contracts").mkdir(parents=True)
    shutil.copyfile(ROOT / "config/defaults.yaml", tmp_path / "config/defaults.yaml")
    one = (ROOT / "include/contracts/orders.v1.odcs.yaml").read_text()
    for old, new in (("id: orders", f"id: {name}"), ("name: orders", f"name: {name}"), ("orders.o", f"{name}.o")):
        one = one.replace(old, new)
    email, status = one.index("      - id: customer_email"), one.index("      - {id: status")
    two = (one[:email] + one[status:]).replace("1.0.0", "2.0.0").replace(", customer_email]", "]")
    for major, text in ((1, one), (2, two)):
        (tmp_path / f"include/contracts/{name}.v{major}.odcs.yaml").write_text(text)
    with metadata_database(tmp_path):
        yield Project(tmp_path, name)


def test_readers_move_to_the_next_major_when_it_has_what_they_see_and_back(lakehouse, shortcut, fresh, project):
    name = project.name
    there, back = (f"acme {name}: readers move from {name}@{a} to {name}@{b}" for a, b in ((1, 2), (2, 1)))
    (old,) = project.write(1)
    assert project.apply() == []
    one, two = fresh(old), fresh(old)
    shortcut.window(old, one, 150, "20261122T020000Z-a")
    shortcut.window(old, two, 150, "20261122T020001Z-a")

    _, beside = project.write(1, beside=True)
    assert project.apply() == []
    shortcut.window(beside, one, 140, "20261122T030000Z-a")
    assert lakehouse.visible(old) == [(one.key, 150), (two.key, 150)]

    project.write(2)
    assert project.apply() == [
        f"acme {name}: readers stay on {name}@1, for {name}@2 lacks 1 of the 2 windows they see: {two.key}; load them, "
        f"or move without them: `tenantdags apply --yes acme/{name}` (docs/migrations.md)"
    ]
    shortcut.window(beside, two, 141, "20261122T030001Z-a")
    assert project.apply("--dry-run") == [there]
    assert lakehouse.visible(old) == [(one.key, 150), (two.key, 150)]
    assert project.apply() == [there]
    assert lakehouse.visible(old) == [(one.key, 140), (two.key, 141)]
    assert project.apply() == []

    project.write(1)
    assert project.apply() == [back]
    assert lakehouse.visible(old) == [(one.key, 150), (two.key, 150)]


def test_readers_move_without_windows_when_somebody_says_so(lakehouse, shortcut, fresh, project):
    name = project.name
    (old,) = project.write(1)
    project.apply()
    shortcut.window(old, fresh(old), 150, "20261122T040000Z-a")
    project.write(2)

    assert project.apply("--yes", f"acme/{name}") == [f"acme {name}: readers move from {name}@1 to {name}@2"]
    assert lakehouse.visible(old) == []
