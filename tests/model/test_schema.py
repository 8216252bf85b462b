"""The schemas for editors: they take every good file, refuse what a schema can refuse, and explain every key."""

from datetime import date
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from tenantdags.model.document import parse
from tenantdags.model.errors import ConfigError
from tenantdags.model.odcs import standard_problems
from tenantdags.model.project import known_names
from tenantdags.model.schema import Kind, Known, schema
from tests import contract_pages
from tests.tenants.cases import ROOT, cases, project_of

KINDS: tuple[Kind, ...] = ("tenant", "defaults", "groups", "contract", "contract-properties")
BAD = Path(__file__).parents[1] / "tenants/bad"
# what a schema can see; the rest needs check: other files, calendars, the text of YAML itself
SEEN_IN_TENANTS = [
    "alert_unknown_event", "alert_unknown_notifier", "connection_id_with_a_hyphen", "contract_does_not_exist",
    "contract_without_major", "database_name_with_bracket", "duration_in_words", "duration_without_unit", "every_week",
    "flag_is_text", "flag_name_malformed", "flag_not_declared", "group_unknown", "misspelt_key",
    "misspelt_key_at_the_top", "missing_keys", "name_too_long", "no_tables", "number_as_name", "retries_out_of_range",
    "rule_changes_nothing", "rule_misspelt_threshold", "rule_threshold_is_text", "rule_unknown", "sla_bad_clock",
    "sla_no_deadline", "sla_of_zero", "sla_two_deadlines", "source_isolation_unknown", "table_name_malformed",
    "tenant_column_without_value", "tenant_id_malformed", "tenant_value_is_a_list", "tenant_value_without_column",
    "tier_unknown", "unknown_table_list", "zone_misspelt", "zone_unknown",
]  # fmt: skip
SEEN_IN_CONTRACTS = [
    "check_severity_info", "check_unknown_metric", "check_unknown_threshold", "contract_mode_changes",
    "contract_pii_handling_unknown", "contract_property_misspelt", "contract_unknown_key", "contract_wrong_standard",
]  # fmt: skip
SEEN_IN_DEFAULTS = [
    "defaults_container_name",
    "defaults_tier_unknown_setting",
    "defaults_unknown_key",
    "defaults_compute",
]


def as_json(value):
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


@cache
def validator(kind: Kind, known: Known) -> Draft202012Validator:
    return Draft202012Validator(schema(kind, known))


def errors(kind: Kind, file: Path, known: Known) -> list[str]:
    data = as_json(parse(file.name, file.read_text()).data)
    return [error.message for error in validator(kind, known).iter_errors(data)]


def files(root: Path) -> list[tuple[Kind, Path]]:
    tenants: list[tuple[Kind, Path]] = [("tenant", path) for path in (root / "config/tenants").glob("*.yaml")]
    contracts: list[tuple[Kind, Path]] = [("contract", path) for path in (root / "include/contracts").glob("*.yaml")]
    return [("defaults", root / "config/defaults.yaml"), ("groups", root / "config/groups.yaml"), *tenants, *contracts]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_of_its_dialect(kind):
    Draft202012Validator.check_schema(schema(kind, Known()))


def test_the_examples_hold_their_schemas():
    known = known_names(ROOT)

    assert [(file.name, found) for kind, file in files(ROOT) if (found := errors(kind, file, known))] == []


@pytest.mark.parametrize("case", cases("good"), ids=lambda case: case.name)
def test_good_tenants_hold_their_schemas(case, tmp_path):
    root = project_of(case, tmp_path / "project")
    known = known_names(root)

    assert [(file.name, found) for kind, file in files(root) if (found := errors(kind, file, known))] == []


@pytest.mark.parametrize("name", SEEN_IN_TENANTS)
def test_a_bad_tenant_that_a_schema_can_see_is_refused_by_it(name):
    case = BAD / name
    known = Known(
        tiers=("gold", "silver", "bronze"), groups=("retail",), contracts=("orders@1", "customers@1"),
        flags=("fast_lane",), rules=("volume_floor", "email_null_pct", "pk_unique", "reconcile_amount"),
    )  # fmt: skip

    assert errors("tenant", case / "tenant.yaml", known) != []


@pytest.mark.parametrize("name", SEEN_IN_CONTRACTS)
def test_a_bad_contract_that_a_schema_can_see_is_refused_by_it(name):
    file = next((BAD / name).glob("*.odcs.yaml"))

    assert errors("contract", file, Known()) != []


@pytest.mark.parametrize("name", SEEN_IN_DEFAULTS)
def test_bad_defaults_that_a_schema_can_see_are_refused_by_it(name):
    assert errors("defaults", BAD / name / "defaults.yaml", Known()) != []


def properties(value, path=()):
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "properties" and value.get("type") == "object":
                yield from (((*path, key), said) for key, said in item.items())
            yield from properties(item, (*path, name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_explained(kind):
    found = dict(properties(schema(kind, Known())))

    assert len(found) > 1
    assert [path for path, item in found.items() if not item.get("description")] == []


def test_editors_are_offered_what_the_project_defines():
    found = schema("tenant", known_names(ROOT))
    table = found["$defs"]["Table"]["properties"]

    assert found["properties"]["tier"]["enum"] == ["bronze", "gold", "silver"]
    assert found["properties"]["group"]["enum"] == ["retail", "wholesale"]
    assert table["contract"]["enum"] == ["customers@1", "order_lines@1", "orders@1"]
    assert {"volume_floor", "email_null_pct"} <= set(table["checks"]["propertyNames"]["enum"])
    assert "order_id_required" not in table["checks"]["propertyNames"]["enum"]
    assert "Europe/Berlin" in found["properties"]["time_zone"]["enum"]


def test_nothing_is_offered_of_a_project_with_mistakes(tmp_path):
    root = project_of(BAD / "defaults_unknown_key", tmp_path / "project")

    with pytest.raises(ConfigError, match="did you mean 'landing'"):
        known_names(root)


def test_our_properties_have_a_published_schema_of_their_own():
    assert contract_pages.PROPERTIES.read_text() == contract_pages.properties_schema()


@pytest.mark.parametrize("path", sorted((ROOT / "include/contracts").glob("*.yaml")), ids=lambda path: path.name)
def test_a_contract_holds_the_standards_schema_and_that_of_our_properties(path):
    assert standard_problems(path.name, path.read_text()) == ()
    assert errors("contract-properties", path, Known()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("handling: hash", "handling: encrypt"), ("property: pii", "property: pij"), ("value: event", "value: changes"),
        ("aggregation: [sum]", "aggregation: [avg]"), ("additive: allow", "additive: maybe"),
        ("scope: tenant", "scope: world"), ("allow_empty: false", "allow_empty: seldom"),
        ("value: docs/runbooks/orders.md", "value: 7"),
    ],
)  # fmt: skip
def test_a_malformed_property_of_ours_is_refused_by_its_schema(old, new, tmp_path):
    path = tmp_path / "orders.v1.odcs.yaml"
    text = (ROOT / "include/contracts/orders.v1.odcs.yaml").read_text()
    assert old in text
    path.write_text(text.replace(old, new))

    assert standard_problems(path.name, path.read_text()) == ()  # the standard lets it pass
    assert errors("contract-properties", path, Known()) != []
