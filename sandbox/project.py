"""The demo's and the tests' copy of the project: code and contracts as they are, config with local settings."""

import re
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from sandbox.services import ROOT, SandboxError

COPIED = ("plugins", "dags", "include")  # so that an edit in the repository does not meet a run half-way
POLL_SECONDS = 2


def copy_project(target: Path, staging: Path, first_windows: Mapping[str, date]) -> Path:
    """Make or refresh the project in `target` and return it.

    What differs from the repository's config: where staging lies, how often Databricks is asked, and the first window
    of each tenant in `first_windows`; only those tenants are copied.
    """
    config = target / "config"
    (config / "tenants").mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        _copy(ROOT / name, target / name)
    _write(config / "defaults.yaml", _local_defaults((ROOT / "config" / "defaults.yaml").read_text(), staging))
    for tenant, first in first_windows.items():
        source = ROOT / "config" / "tenants" / f"{tenant}.yaml"
        _write(config / "tenants" / source.name, with_first_window(source.read_text(), first))
    for file in (config / "tenants").glob("*.yaml"):
        if file.stem not in first_windows:
            file.unlink()
    return target


def first_window_of(project: Path, tenant: str) -> date | None:
    """The first window that an earlier copy gave this tenant; None when there is no earlier copy."""
    file = project / "config" / "tenants" / f"{tenant}.yaml"
    found = re.search(r"^first_window: *(\S+)", file.read_text(), re.MULTILINE) if file.exists() else None
    return date.fromisoformat(found[1]) if found else None


def with_first_window(text: str, first: date) -> str:
    return _replace_once(r"^first_window: *\S+", f"first_window: {first}", text)


def _local_defaults(text: str, staging: Path) -> str:
    text = _replace_once(r"file:///[^\"'\s,}]+", staging.resolve().as_uri(), text)
    return _replace_once(r"poll_seconds: *\d+", f"poll_seconds: {POLL_SECONDS}", text)


def _replace_once(pattern: str, new: str, text: str) -> str:
    changed, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    if count != 1:
        raise SandboxError(f"config: expected {pattern!r} once, found it {count} times")
    return changed


def _copy(folder: Path, to: Path) -> None:
    if to.is_symlink():
        to.unlink()
    if to.exists():
        shutil.rmtree(to)
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__"))


def _write(path: Path, text: str) -> None:
    # an unchanged file keeps its time, so nothing is parsed again for it
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
