"""A scaffolded tenant is right as it is, but for what only its author can know."""

import datetime
import shutil

import pytest

from tenantdags.model.document import parse
from tenantdags.model.errors import ConfigError
from tenantdags.model.project import load_tenant, newest_contracts, platform_of, said_by
from tenantdags.model.scaffold import Known, from_like, from_nothing
from tenantdags.model.tenant import Tenant
from tenantdags.model.validate import validate
from tests.tenants.cases import ROOT, cases, project_of

FIRST = datetime.date(2026, 11, 20)
LIKES = [*(case for case in cases("good") if (case / "tenant.yaml").exists())]


def known_of(root):
    defaults, groups = platform_of(root)
    contracts = tuple(contract.ref for contract in newest_contracts(root))
    return Known(defaults=defaults, groups=tuple(groups.groups), contracts=contracts, hashed=True)


def fills(known):
    return {"group": known.groups[0], "tier": min(known.defaults.tiers), "time_zone": "UTC"}


@pytest.mark.parametrize("like", LIKES, ids=lambda case: case.name)
def test_a_tenant_like_any_good_one_has_its_plans(like, tmp_path):
    root = project_of(like, tmp_path / "project")
    known = known_of(root)
    scaffold = from_like("initech", said_by(root, "acme"), known, FIRST)
    text = scaffold.filled(dict.fromkeys(scaffold.blanks, "initech"))
    plans, originals = load_tenant(root, "initech", text), load_tenant(root, "acme")

    assert [p.contract for p in plans] == [p.contract for p in originals]
    assert [(p.schedule.every, p.schedule.settle, p.lookback, p.sla, p.alerts, p.flags) for p in plans] == [
        (p.schedule.every, p.schedule.settle, p.lookback, p.sla, p.alerts, p.flags) for p in originals
    ]
    assert {p.schedule.first_window for p in plans} == {FIRST}
    assert {(p.source.connection, p.source.database, p.source.tenant_value) for p in plans}.isdisjoint(
        {(p.source.connection, p.source.database, p.source.tenant_value) for p in originals}
    )


@pytest.mark.parametrize("like", LIKES, ids=lambda case: case.name)
def test_blanks_are_what_check_refuses(like, tmp_path):
    root = project_of(like, tmp_path / "project")
    scaffold = from_like("initech", said_by(root, "acme"), known_of(root), FIRST)
    try:
        load_tenant(root, "initech", scaffold.text)
        refused = []
    except ConfigError as error:
        refused = [problem.path for problem in error.problems]

    assert refused == list(scaffold.blanks)


def test_a_tenant_like_none_has_every_table_there_is_a_contract_for():
    known = known_of(ROOT)
    scaffold = from_nothing("initech", known, FIRST)
    plans = load_tenant(ROOT, "initech", scaffold.filled(fills(known) | {"source.database": "initech"}))

    assert scaffold.blanks == ("group", "tier", "time_zone", "source.database")
    assert [plan.table for plan in plans] == ["customers", "orders", "order_lines"]


def test_a_lone_group_is_taken(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config/groups.yaml").write_text("groups: {retail: {description: Shops.}}\n")
    shutil.copytree(ROOT / "include/contracts", tmp_path / "include/contracts")

    assert "group" not in from_nothing("initech", known_of(tmp_path), FIRST).blanks


@pytest.mark.parametrize("tenant", ["no", "y", "null", "on", "true", "e1", "a", "a" * 31, "new_york_2", "x0"])
def test_every_id_stays_text(tenant):
    scaffold = from_like(tenant, said_by(ROOT, "globex"), known_of(ROOT), FIRST)
    said = validate(parse("x.yaml", scaffold.text), Tenant)

    assert said.tenant == tenant
    assert said.source.connection == f"mssql_{tenant}"


def test_a_database_named_otherwise_is_left_to_its_author():
    like = said_by(ROOT, "globex")
    elsewhere = like.source.model_copy(update={"connection": "erp", "database": "sales_eu"})
    scaffold = from_like("initech", like.model_copy(update={"source": elsewhere}), known_of(ROOT), FIRST)

    assert scaffold.blanks == ("source.database",)
    assert "connection: mssql_initech " in scaffold.text
