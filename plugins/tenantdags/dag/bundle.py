"""TenantBundle: every tenant file is one parse unit, so a broken one errs alone. The only module on Airflow's bundles.

It writes one small Python loader per tenant. Airflow parses those as it parses any DAG file; the *Code* tab shows the
tenant's YAML because the loader carries it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.dag_processing.bundles.base import BaseDagBundle

_LOADER = '''\
"""{file} as Airflow DAGs. Generated: edit the tenant file, not this one."""

# sha256 of everything these DAGs are made from: {digest}
from tenantdags.dag.loader import tenant_dags

TENANT_FILE = {text}

globals().update(tenant_dags({root!r}, {tenant!r}, TENANT_FILE))
'''


def bundle_configured() -> bool:
    """True when Airflow is set up to load tenants through this bundle; then dags/tenants.py steps aside."""
    bundles = conf.getjson("dag_processor", "dag_bundle_config_list", fallback=[])
    name = f"{TenantBundle.__module__}.{TenantBundle.__qualname__}"
    return isinstance(bundles, list) and any(b.get("classpath") == name for b in bundles)


class TenantBundle(BaseDagBundle):
    """`root` is the project: the folder that holds config/ and include/."""

    def __init__(self, *, root: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = Path(root).absolute()

    @property
    def path(self) -> Path:
        return self.base_dir / "loaders"

    def get_current_version(self) -> None:
        return None

    def initialize(self) -> None:
        # A worker on another machine has no dag-processor that writes its loaders.
        self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Brings the loaders up to date with the files. Where no file changed this costs one stat per file."""
        # Every file is parsed in a fork of this process: what it has imported, no fork imports again.
        import tenantdags.dag.factory  # noqa: F401 - imported for what comes with it

        with self.lock():
            self.path.mkdir(parents=True, exist_ok=True)
            seen = self._look()
            for tenant in self._stale(seen):
                self._write_loader(tenant)
            self._remove_others(seen["tenants"])
            _replace(self._state_file, json.dumps(seen))

    @property
    def _state_file(self) -> Path:
        return self.base_dir / "seen.json"

    def _look(self) -> dict[str, Any]:
        from tenantdags.model.project import TENANTS, tenant_files

        if not (self.root / TENANTS).is_dir():
            # A mount that is away for a moment must not remove every DAG.
            what = f"{self.root / TENANTS} does not exist; the DAGs stay as they are."
            raise FileNotFoundError(f"{what} Remedy: correct `root` of bundle {self.name!r} in dag_bundle_config_list.")
        files = tenant_files(self.root)
        shared = [p for p in (self.root / "config", self.root / "include" / "contracts") for p in p.glob("*.y*ml")]
        template = hashlib.sha256(f"{_LOADER}{self.root}".encode()).hexdigest()
        return {
            "template": template,
            "shared": [_stamp(p) for p in sorted(shared)],
            "tenants": {t: _stamp(p) for t, p in files.items()},
        }

    def _stale(self, seen: dict[str, Any]) -> Iterable[str]:
        before = json.loads(self._state_file.read_text()) if self._state_file.exists() else {}
        same = all(before.get(key) == seen[key] for key in ("template", "shared"))
        known = before["tenants"] if same else {}
        return [t for t, stamp in seen["tenants"].items() if known.get(t) != stamp or not self._loader(t).exists()]

    def _loader(self, tenant: str) -> Path:
        # Airflow puts this folder on sys.path: a tenant called like a library must not be importable as one.
        return self.path / f"tenant_{tenant}.py"

    def _write_loader(self, tenant: str) -> None:
        from tenantdags.model.project import inputs_of, tenant_files

        file = tenant_files(self.root)[tenant]
        loader = _LOADER.format(
            file=file.relative_to(self.root),
            digest=_digest(inputs_of(self.root, tenant)),
            text=_as_python(file.read_bytes()),
            root=str(self.root),
            tenant=tenant,
        )
        target = self._loader(tenant)
        # An untouched loader keeps its time of change, and so is not parsed again.
        if not target.exists() or target.read_text(encoding="utf-8") != loader:
            _replace(target, loader)

    def _remove_others(self, tenants: Iterable[str]) -> None:
        keep = {self._loader(tenant) for tenant in tenants}
        for path in set(self.path.glob("*.py")) - keep:
            path.unlink(missing_ok=True)


def _stamp(path: Path) -> list[str | int]:
    stat = path.stat()
    return [path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino]


def _as_python(content: bytes) -> str:
    """A literal that reads like the file. None when it is not UTF-8: then the loader reads the file, and says so."""
    try:
        lines = content.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return "None"
    return "(\n" + "".join(f"    {line!r}\n" for line in lines or [""]) + ")"


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def _replace(target: Path, text: str) -> None:
    """Readers see the old file or the new one, never half of one."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(target)
