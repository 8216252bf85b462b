"""What the tests of dag/ share: a project to break."""

import shutil
from pathlib import Path

import pytest

from tests.dag.plans import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the repository's config and contracts, with its dags folder."""
    root = tmp_path / "project"
    for folder in ("config", "include/contracts", "dags"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root
