"""Good and bad tenants: each case is a folder of files beside `expected.txt`. A new case needs no Python."""

import shutil
from pathlib import Path

from tenantdags.model.errors import ConfigError
from tenantdags.model.plan_text import to_text
from tenantdags.model.project import check_project

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def cases(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).iterdir() if path.is_dir())


def project_of(case: Path, root: Path) -> Path:
    """A project of the case's files; what the case does not bring, such as orders@1, is the repository's own.

    `tenant.yaml` becomes config/tenants/acme.yaml, `other.yaml` globex.yaml, `*.odcs.yaml` contracts.
    """
    (root / "config/tenants").mkdir(parents=True)
    shutil.copytree(ROOT / "include/contracts", root / "include/contracts")
    shutil.copy(ROOT / "config/defaults.yaml", root / "config")
    for file in case.iterdir():
        if file.suffix == ".yaml":
            shutil.copy(file, root / _place(file.name))
    return root


def _place(name: str) -> str:
    if name.endswith(".odcs.yaml"):
        return f"include/contracts/{name}"
    named = {"tenant.yaml": "tenants/acme.yaml", "other.yaml": "tenants/globex.yaml", "defaults.yaml": "defaults.yaml"}
    return f"config/{named[name]}"


def outcome(root: Path) -> str:
    """All plans of the project, or all its problems."""
    try:
        return "\n".join(to_text(plan) for plan in check_project(root).plans)
    except ConfigError as error:
        return f"{error}\n"
