"""What a diff tells: every scenario's whole text in three forms, and the promises behind them."""

import json
from dataclasses import replace
from functools import cache

import pytest

from tenantdags.model.changes import area_of, changes_between
from tenantdags.model.configuration import Configuration, read_configuration
from tenantdags.model.diff import compare
from tenantdags.model.diff_json import to_json
from tenantdags.model.diff_markdown import LIMIT, MARKER, to_markdown
from tenantdags.model.diff_text import to_text
from tenantdags.model.plan_text import to_dict
from tenantdags.model.rules import RULES
from tests.model.diff_scenarios import GOLDEN, NOW, ROOT, SCENARIOS, project
from tests.tenants.cases import cases, project_of

WRITERS = {"txt": to_text, "md": to_markdown, "json": to_json}


@pytest.fixture(scope="module")
def diffs(tmp_path_factory):
    return {name: make().diff(tmp_path_factory.mktemp(name)) for name, make in SCENARIOS.items()}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_told_as_in_its_golden_file(name, form, diffs):
    assert WRITERS[form](diffs[name]) == (GOLDEN / f"{name}.{form}").read_text()


def test_every_golden_file_has_a_scenario():
    assert {path.stem for path in GOLDEN.iterdir()} == set(SCENARIOS)


def test_every_rule_of_diff_is_told_by_some_scenario(diffs):
    told = {warning.rule for diff in diffs.values() for warning in diff.warnings}

    assert {rule.id for rule in RULES.values() if rule.told_by == "diff"} - told == set()


def test_no_change_is_an_empty_diff_and_every_other_is_not(diffs):
    assert [name for name, diff in diffs.items() if diff.empty] == ["nothing"]


def test_a_tenant_is_told_once_as_touched_or_not(diffs):
    for name, diff in diffs.items():
        dags = {*diff.removed, *(d.dag for d in (*diff.added, *diff.changed))}
        touched = {dag.partition("__")[0] for dag in dags} | {b.tenant for b in diff.broken}

        assert touched & {*diff.untouched, *diff.reworded} == set(), name


def test_the_opposite_change_swaps_what_is_added_and_removed(tmp_path):
    scenario = SCENARIOS["tenant_added"]()
    scenario.diff(tmp_path)
    base, head = (read_configuration(tmp_path / side, side, NOW.date()) for side in ("base", "head"))
    there, back = compare(base, head, NOW), compare(head, base, NOW)

    assert tuple(dag.dag for dag in there.added) == back.removed
    assert there.needed
    assert {need.name for need in back.freed} == {need.name for need in there.needed}


def test_every_value_that_differs_has_an_area():
    plans = read_configuration(ROOT, "here", NOW.date()).plans
    changes = changes_between(plans["acme"][1], plans["northwind"][0])

    assert {change.area for change in changes} == {
        "tenant", "schedule", "windows", "source", "connections", "contract", "columns", "checks", "deadline", "alerts",
        "platform",
    }  # fmt: skip


def test_every_part_of_a_printed_plan_has_an_area():
    plan = read_configuration(ROOT, "here", NOW.date()).plans["acme"][1]
    parts = to_dict(plan).keys() - {"dag", "asset"}

    assert {part for part in parts if area_of(part)} == parts


@cache
def repository() -> Configuration:
    return read_configuration(ROOT, "base", NOW.date())


@pytest.mark.parametrize("case", [*cases("good"), *cases("bad")], ids=lambda case: case.name)
def test_no_file_keeps_the_rest_from_being_told(case, tmp_path):
    head = read_configuration(project_of(case, tmp_path / "head"), "head", NOW.date())
    base = repository()
    for diff in (compare(base, head, NOW), compare(head, base, NOW)):
        texts = [write(diff) for write in WRITERS.values()]

        assert all(texts)
        assert all(tenant in texts[0] for tenant in base.tenants)


def test_plans_that_print_alike_and_differ_are_still_told():
    plan = read_configuration(ROOT, "here", NOW.date()).plans["acme"][0]
    other = replace(plan, contract=replace(plan.contract, purpose="Another."))

    assert [change.path for change in changes_between(plan, other)] == ["contract.texts"]
    assert changes_between(plan, plan) == ()


def test_a_comment_github_would_refuse_is_cut_at_whole_lines(tmp_path):
    head = project(tmp_path / "head")
    for number in range(400):
        text = (ROOT / "config/tenants/globex.yaml").read_text().replace("globex", f"tenant{number}")
        (head / f"config/tenants/tenant{number}.yaml").write_text(text)
    before, after = (read_configuration(root, root.name, NOW.date()) for root in (ROOT, head))
    diff = compare(before, after, NOW)
    said = to_markdown(diff)

    assert len(diff.added) == 1200
    assert len(said) <= LIMIT
    assert said.startswith(MARKER)
    assert "more lines; `tenantdags diff` shows them all" in said
    assert said.count("<details>") == said.count("</details>")


def test_names_cannot_leave_the_fence_of_a_comment(diffs):
    lines = to_markdown(diffs["markup_in_a_name"]).splitlines()
    fenced = [number for number, line in enumerate(lines) if line.strip("`").strip() in ("", "text") and "````" in line]
    (place,) = [number for number, line in enumerate(lines) if "@everyone" in line]

    assert any(start < place < end for start, end in zip(fenced[::2], fenced[1::2], strict=True))


def test_json_names_every_field_and_its_format(diffs):
    said = json.loads(to_json(diffs["tenant_added"]))

    assert said["format"] == 1
    assert said["now"] == "2026-11-23T12:00:00+00:00"
    assert [dag["dag"] for dag in said["added"]] == ["initech__customers", "initech__order_lines", "initech__orders"]
