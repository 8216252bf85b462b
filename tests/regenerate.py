"""Rewrites expected texts from what the product says now: `python -m tests.regenerate`. Review the diff.

Plans of the example tenants and where their values come from (tests/golden/plans, explain), outcomes of good and bad
tenants (tests/tenants), what diff tells of each scenario (tests/golden/diff), what new and remove say and write
(tests/golden/scaffold), what contract show says (tests/golden/contracts), what on-call reads (tests/golden/on_call),
the pages of the tenant file, the rules, the runbooks and a configuration's pull request.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "plugins"))

from tenantdags.model.plan_text import to_text  # noqa: E402  # needs the path above
from tenantdags.model.project import load_project  # noqa: E402  # needs the path above
from tests import (  # noqa: E402  # needs the path above
    config_pr_page,
    contract_pages,
    explained,
    rules_page,
    runbooks_page,
    tenant_page,
)
from tests.cli import scaffold_cases  # noqa: E402  # needs the path above
from tests.model import diff_scenarios  # noqa: E402  # needs the path above
from tests.model.test_diff import WRITERS  # noqa: E402  # needs the path above
from tests.steps import on_call_cases  # noqa: E402  # needs the path above
from tests.tenants.cases import cases, outcome, project_of  # noqa: E402  # needs the path above

PLANS = ROOT / "tests/golden/plans"


def plan_texts() -> dict[Path, str]:
    """The golden file of each plan of the example tenants, and what it should hold."""
    return {PLANS / f"{plan.dag_id}.txt": to_text(plan) for plan in load_project(ROOT).plans}


def case_texts() -> dict[Path, str]:
    texts = {}
    for case in (*cases("good"), *cases("bad")):
        with tempfile.TemporaryDirectory() as folder:
            texts[case / "expected.txt"] = outcome(project_of(case, Path(folder) / "project"))
    return texts


def diff_texts() -> dict[Path, str]:
    texts: dict[Path, str] = {}
    for name, make in diff_scenarios.SCENARIOS.items():
        with tempfile.TemporaryDirectory() as folder:
            diff = make().diff(Path(folder))
        texts |= {diff_scenarios.GOLDEN / f"{name}.{form}": write(diff) for form, write in WRITERS.items()}
    return texts


def scaffold_texts() -> dict[Path, str]:
    texts = {}
    for name, words in scaffold_cases.CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            texts[scaffold_cases.GOLDEN / f"{name}.txt"] = scaffold_cases.outcome(words, Path(folder) / "project")
    return texts


def main() -> None:
    goldens = {**plan_texts(), **explained.texts(), **case_texts(), **diff_texts(), **scaffold_texts()}
    pages = {tenant_page.PAGE: tenant_page.page(), runbooks_page.PAGE: runbooks_page.page()}
    goldens |= {**contract_pages.texts(), **on_call_cases.texts()}
    texts = {**goldens, **pages}
    write(texts)
    # its examples are the messages just written
    write({rules_page.PAGE: rules_page.page(), config_pr_page.PAGE: config_pr_page.page()})
    folders = (PLANS, diff_scenarios.GOLDEN, scaffold_cases.GOLDEN, on_call_cases.GOLDEN)
    for path in {path for folder in folders for path in folder.iterdir()} - set(texts):
        path.unlink()
        print(f"{path.relative_to(ROOT)} removed")


def write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
