"""Good tenants come to the plans beside them, bad tenants to the messages beside them."""

import pytest

from tests.tenants.cases import cases, outcome, project_of


@pytest.mark.parametrize("case", [*cases("good"), *cases("bad")], ids=lambda case: f"{case.parent.name}-{case.name}")
def test_a_tenant_comes_to_what_stands_beside_it(case, tmp_path):
    assert outcome(project_of(case, tmp_path / "project")) == (case / "expected.txt").read_text()


def test_every_bad_tenant_is_refused_and_every_good_one_planned():
    bad = [(case / "expected.txt").read_text() for case in cases("bad")]
    good = [(case / "expected.txt").read_text() for case in cases("good")]

    assert len(bad) >= 80
    assert all(text.startswith(("config/", "include/contracts/")) for text in bad)
    assert all(any(line.startswith("dag: acme__") for line in text.splitlines()) for text in good)


def test_no_problem_repeats_a_secret_pasted_into_a_connection_id():
    text = next(case for case in cases("bad") if case.name == "connection_is_a_url")

    assert "hunter2" in (text / "tenant.yaml").read_text()
    assert "hunter2" not in (text / "expected.txt").read_text()
