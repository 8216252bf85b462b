"""Good and bad tenants: each case is a folder of files beside `expected.txt`. A new case needs no Python."""

import shutil
from datetime import date
from pathlib import Path

from tenantdags.model.errors import ConfigError
from tenantdags.model.plan_text import to_text
from tenantdags.model.project import check_project

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TODAY = date(2026, 11, 23)


def cases(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).iterdir() if path.is_dir())


def project_of(case: Path, root: Path) -> Path:
    """A project of the case's files; what the case does not bring, such as orders@1, is the repository's own.

    `tenant.yaml` becomes config/tenants/acme.yaml, `other.yaml` globex.yaml, `*.odcs.yaml` contracts; defaults.yaml,
    groups.yaml and files under tenants/ are config's; `defaults.yaml.gone` takes the repository's away.
    """
    (root / "config/tenants").mkdir(parents=True)
    shutil.copytree(ROOT / "include/contracts", root / "include/contracts")
    for name in ("defaults.yaml", "groups.yaml"):
        shutil.copy(ROOT / "config" / name, root / "config")
    for file in case.iterdir():
        if file.suffix == ".yaml":
            shutil.copy(file, root / _place(file.name))
        if file.suffix == ".gone":
            (root / _place(file.stem)).unlink()
    if (case / "tenants").is_dir():
        shutil.copytree(case / "tenants", root / "config/tenants", dirs_exist_ok=True)
    return root


def _place(name: str) -> str:
    if name.endswith(".odcs.yaml"):
        return f"include/contracts/{name}"
    named = {"tenant.yaml": "tenants/acme.yaml", "other.yaml": "tenants/globex.yaml"}
    return f"config/{named.get(name, name)}"


def outcome(root: Path) -> str:
    """The project's warnings and plans, or all its problems."""
    try:
        project = check_project(root, TODAY)
        return "\n".join([*map(str, project.warnings), *map(to_text, project.plans)])
    except ConfigError as error:
        return f"{error}\n"
