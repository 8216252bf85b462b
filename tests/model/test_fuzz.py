"""Whatever stands in a file, it is plans or problems with a place and a rule, soon, and no other tenant's concern.

TENANTDAGS_FUZZ=20 makes 20 mutations of every place instead of the few of a quick run, TENANTDAGS_FUZZ_SEED others.
"""

import os
import random
import re
import shutil
import time

import pytest

from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.plan_text import to_text
from tenantdags.model.project import CONTRACTS, DEFAULTS, GROUPS, TENANTS, check_project, load_project, load_tenant
from tenantdags.model.rules import RULES
from tests import mutations
from tests.tenants.cases import ROOT, TODAY, cases, project_of

PER_PLACE = int(os.environ.get("TENANTDAGS_FUZZ", "0"))
SEED = os.environ.get("TENANTDAGS_FUZZ_SEED", "2026")
SAID = re.compile(r"[^:\n]+:\d+:\d+: [^\n]+ \[(CFG\d{3})\]")
SOLO = (ROOT / "tests/tenants/good/least/tenant.yaml").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(ROOT / "config", root / "config")
    shutil.copytree(ROOT / CONTRACTS, root / CONTRACTS)
    return root


def outcome(call, *arguments):
    """What the call returns, or its problems, each in proper form; anything else it raises is the test's failure."""
    started = time.process_time()
    problems: tuple[Problem, ...] = ()
    found = ()
    try:
        found = call(*arguments)
    except ConfigError as error:
        problems = error.problems
    assert time.process_time() - started < 1
    for problem in problems:
        match = SAID.fullmatch(str(problem))
        assert match, str(problem)
        assert match[1] in RULES
    assert found or problems
    return found or problems


def mutated(text: str, name: str, few: int | None):
    return mutations.of(text, random.Random(f"{SEED} {name}"), PER_PLACE or few)


@pytest.mark.parametrize("case", [None, *cases("good")], ids=lambda case: case.name if case else "acme")
def test_any_tenant_file_is_plans_or_problems(case, project, tmp_path):
    root = project_of(case, tmp_path / "project") if case else project
    text = (root / TENANTS / "acme.yaml").read_text()
    refused = 0
    for changed in mutated(text, f"tenant {root.name}", 6 if case else 12):
        found = outcome(load_tenant, root, "acme", changed)
        if found and hasattr(found[0], "dag_id"):
            assert all(to_text(plan).startswith("dag: acme__") for plan in found)
        else:
            refused += 1
            assert {problem.file for problem in found} == {f"{TENANTS}/acme.yaml"}

    assert refused > 50


def test_a_broken_tenant_file_touches_no_other_tenant(project):
    path = project / TENANTS / "acme.yaml"
    text, others = path.read_text(), {name: load_tenant(project, name) for name in ("globex", "northwind")}
    for changed in random.Random(SEED).sample([*mutated(text, "acme on disk", 3)], 60):
        path.write_text(changed)
        found = outcome(load_project, project)

        assert not isinstance(found, tuple) or {problem.file for problem in found} <= {f"{TENANTS}/acme.yaml"}
        assert {name: load_tenant(project, name) for name in others} == others
    path.write_text(text)


@pytest.mark.parametrize("name", ["customers", "orders", "order_lines"])
def test_any_contract_is_plans_or_problems_of_those_who_name_it(name, tmp_path):
    root = project_of(ROOT / "tests/tenants/good/least", tmp_path / "project")
    (root / TENANTS / "acme.yaml").write_text(SOLO.replace("orders", name))
    other = "customers" if name != "customers" else "orders"
    spare = SOLO.replace("acme", "globex").replace("orders", other)
    (root / TENANTS / "globex.yaml").write_text(spare)
    untouched = load_tenant(root, "globex")
    path = root / CONTRACTS / f"{name}.v1.odcs.yaml"
    for number, changed in enumerate(mutated(path.read_text(), f"contract {name}", 1)):
        path.write_text(changed)
        outcome(load_tenant, root, "acme")
        if number % 40 == 0:
            outcome(check_project, root, TODAY)
            assert load_tenant(root, "globex") == untouched


def test_any_defaults_are_plans_or_problems(project):
    path = project / DEFAULTS
    text = path.read_text()
    for changed in mutated(text, "defaults", 6):
        path.write_text(changed)
        outcome(load_tenant, project, "globex")
    path.write_text(text)


def test_any_groups_are_a_project_or_problems(project):
    path = project / GROUPS
    text = path.read_text()
    for changed in mutated(text, "groups", 4):
        path.write_text(changed)
        outcome(check_project, project, TODAY)
    path.write_text(text)


def test_every_key_and_item_of_a_file_is_mutated():
    places = list(mutations.places({"a": {"b": [1, {"c": 2}]}}))

    assert places == [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1), ("a", "b", 1, "c")]
    assert len(list(mutations.of("a: {b: 1}\n", random.Random(1), None))) == 2 * (len(mutations.VALUES) + 3) + 1
