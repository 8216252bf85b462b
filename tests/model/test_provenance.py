"""`plan --explain`: every value has an origin, and the line it names says so."""

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tenantdags.model.fields import Duration, iso_duration
from tenantdags.model.plan_text import to_dict
from tenantdags.model.project import explain_tenant, tenant_files
from tests.explained import FOLDER, texts
from tests.tenants.cases import ROOT, cases, project_of

PLACE = re.compile(r"(table|tenant|tier \w+|defaults|contract), (\S+?):(\d+)")


def said(line: str) -> str:
    """The line, and its durations as plans write them: 24h is 1d."""
    durations = TypeAdapter(Duration)
    return line + " ".join(iso_duration(durations.validate_python(d)) for d in re.findall(r"\b\d+[smhd]\b", line))


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    else:
        yield path, value


def everything(folder: Path):
    """(root, plan, origins) of the example tenants and of every good case."""
    roots = [ROOT, *(project_of(case, folder / case.name) for case in cases("good"))]
    return [(root, *found) for root in roots for tenant in tenant_files(root) for found in explain_tenant(root, tenant)]


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("projects"))


def test_every_value_of_every_plan_has_an_origin(explained):
    lacking = [(p.dag_id, path) for _, p, origins in explained for path, _ in leaves(to_dict(p)) if path not in origins]

    assert lacking == []


def test_the_line_an_origin_names_says_the_value(explained):
    """Values that are said as they are: settings, source, platform; a column by its name, a rule by its id."""
    wrong, seen = [], 0
    for root, plan, origins in explained:
        for path, value in leaves(to_dict(plan)):
            place = PLACE.fullmatch(origins[path])
            if not place or path[0] in ("contract", "checks", "alerts"):
                continue
            line = (root / place[2]).read_text().splitlines()[int(place[3]) - 1]
            wanted = path[1] if path[0] == "columns" else str(value).lower() if isinstance(value, bool) else str(value)
            seen += 1
            wrong += [(plan.dag_id, path, origins[path], line)] if wanted not in said(line) else []

    assert wrong == []
    assert seen > 300


def test_a_setting_comes_from_the_level_that_wins(explained):
    plan, origins = next((p, o) for root, p, o in explained if root.name == "settings_at_every_level")
    levels = {path[-1]: place.split(",")[0] for path, place in origins.items()}

    assert plan.dag_id == "acme__orders"
    assert {name: levels[name] for name in ("settle", "retries", "alerts", "schema", "tier")} == {
        "settle": "table", "retries": "table", "alerts": "table", "schema": "built in", "tier": "tenant",
    }  # fmt: skip
    assert {name: origins[("flags", name)].split(",")[0] for name in ("deep", "fast", "late")} == {
        "deep": "table", "fast": "tenant", "late": "defaults",
    }  # fmt: skip


def test_a_rule_names_the_contract_and_the_tenant_that_changed_it(explained):
    origins = next(o for root, p, o in explained if root == ROOT and p.dag_id == "acme__orders")

    assert origins[("checks", "volume_floor")] == (
        "contract, include/contracts/orders.v1.odcs.yaml:45; changed by table, config/tenants/acme.yaml:32"
    )


@pytest.mark.parametrize("name", [path.name for path in sorted(FOLDER.glob("*.txt"))])
def test_an_explained_plan_is_its_golden_file(name):
    assert texts()[FOLDER / name] == (FOLDER / name).read_text()


def test_there_is_a_golden_file_of_every_kind():
    assert set(FOLDER.glob("*.txt")) == set(texts())
