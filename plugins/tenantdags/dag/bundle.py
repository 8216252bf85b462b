"""TenantBundle: every tenant file is one parse unit, so a broken one errs alone. The only module on Airflow's bundles.

It writes one small Python loader per tenant. Airflow parses those as it parses any DAG file; the *Code* tab shows the
tenant's YAML because the loader carries it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.dag_processing.bundles.base import BaseDagBundle
from airflow.sdk import get_parsing_context

log = logging.getLogger(__name__)

QUIET_SECONDS = 0.3
_LOADER = """\
{title}

# sha256 of everything these DAGs are made from: {digest}
from tenantdags.dag.loader import tenant_dags

TENANT_FILE = {text}

globals().update(tenant_dags({root}, {tenant}, TENANT_FILE))
"""
_PLATFORM_LOADER = """\
"The platform's own Airflow DAGs, such as the watchdog. Generated: the project's plugin says what they are."

from tenantdags.dag.platform_dags import platform_dags

globals().update(platform_dags({root}))
"""
# not platform.py: Airflow puts this folder on sys.path, and that is a module of Python's own
_PLATFORM = "tenantdags_platform.py"
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,60}")


def bundle_configured() -> bool:
    """True when Airflow is set up to load tenants through this bundle; then dags/tenants.py steps aside."""
    bundles = conf.getjson("dag_processor", "dag_bundle_config_list", fallback=[])
    name = f"{TenantBundle.__module__}.{TenantBundle.__qualname__}"
    return isinstance(bundles, list) and any(b.get("classpath") == name for b in bundles)


def project_root() -> Path:
    """The project whose DAGs this Airflow runs: the bundle's `root`, or the folder that holds the dags folder."""
    bundles = conf.getjson("dag_processor", "dag_bundle_config_list", fallback=[])
    name = f"{TenantBundle.__module__}.{TenantBundle.__qualname__}"
    for bundle in bundles if isinstance(bundles, list) else []:
        if bundle.get("classpath") == name:
            return Path(bundle["kwargs"]["root"])
    return Path(conf.get("core", "dags_folder")).absolute().parent


def bundle_setting(root: Path) -> str:
    """What `[dag_processor] dag_bundle_config_list` must say for this project."""
    name = f"{TenantBundle.__module__}.{TenantBundle.__qualname__}"
    return json.dumps([{"name": "tenants", "classpath": name, "kwargs": {"root": str(root)}}])


class TenantBundle(BaseDagBundle):
    """`root` is the project: the folder that holds config/ and include/.

    It is looked at every `refresh_interval` seconds, not at Airflow's 300: here that costs a stat per file.
    """

    def __init__(self, *, root: str, refresh_interval: int = 5, **kwargs: Any) -> None:
        super().__init__(refresh_interval=refresh_interval, **kwargs)
        self.root = Path(root).absolute()
        self._warm_for: list[list[str | int]] | None = None

    @property
    def path(self) -> Path:
        return self.base_dir / "loaders"

    def get_current_version(self) -> None:
        return None

    def initialize(self) -> None:
        # A worker on another machine has no dag-processor that writes its loaders. One that starts a task names its
        # DAG, and then the files of that DAG's tenant are looked at and no others.
        wanted = get_parsing_context().dag_id
        if not wanted or self._is_stale(wanted):
            self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Brings the loaders up to date with the files. Where no file changed this costs one stat per file.

        Raises FileNotFoundError when the tenant files are away, and OSError when loaders cannot be written. What is
        wrong with one tenant's file is never raised here: its loader says it, and the others are not held up.
        """
        with self.lock():
            self.path.mkdir(parents=True, exist_ok=True)
            before, loaders = self._state(), {path.name for path in self.path.glob("*.py")}
            seen = self._look_until_quiet(before, loaders)
            rewritten = [_loader_name(t) for t in _stale(before, seen, loaders) if self._write_loader(t)]
            if _PLATFORM not in loaders or seen["template"] != before.get("template"):
                self._write(_PLATFORM, _PLATFORM_LOADER.format(root=ascii(str(self.root))))
            for name in loaders - {_PLATFORM, *map(_loader_name, seen["tenants"])}:
                (self.path / name).unlink(missing_ok=True)
            if seen != before:
                _replace(self._state_file, json.dumps(seen))
        self._parse_first(rewritten)
        self._warm_up(seen)

    def _parse_first(self, loaders: list[str]) -> None:
        """An edit goes before what is only due again, or it waits for a round of the fleet, which may take minutes.

        As when somebody asks in the UI that a file is parsed. New loaders go first without being asked for.
        """
        if not loaders or get_parsing_context().dag_id:  # a worker that starts a task has no database
            return
        try:
            from airflow.models.dagbag import DagPriorityParsingRequest as Request
            from airflow.utils.session import create_session
            from sqlalchemy import select

            with create_session() as session:
                asked = session.scalars(select(Request.relative_fileloc).where(Request.bundle_name == self.name))
                session.add_all(Request(self.name, loader) for loader in set(loaders).difference(asked))
        except Exception as error:  # noqa: BLE001 - they are parsed in their turn; a refresh must not fail for that
            log.warning("%s: no file could be put first in line: %s", self.name, type(error).__name__)

    def _warm_up(self, seen: Mapping[str, Any]) -> None:
        """Every loader is parsed in a fork of this process: what it has imported and read, no fork does again."""
        if self._warm_for == seen["shared"] or get_parsing_context().dag_id:  # a worker forks no parsers
            return
        self._warm_for = seen["shared"]
        from airflow.serialization.serialized_objects import DagSerialization

        from tenantdags.dag.loader import tenant_dags
        from tenantdags.model.errors import ConfigError
        from tenantdags.model.project import contract_refs, load_contract

        for ref in contract_refs(self.root):
            with suppress(ConfigError, OSError):  # told by the loaders of those who name it
                load_contract(self.root, ref)
        for tenant in seen["tenants"]:
            with suppress(Exception):  # whatever it is, its own loader tells it and no other tenant suffers
                for dag in tenant_dags(self.root, tenant).values():
                    DagSerialization.to_dict(dag)
                    return

    @property
    def _state_file(self) -> Path:
        return self.base_dir / "seen.json"

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads(self._state_file.read_bytes())
        except (FileNotFoundError, ValueError):
            # After a crash of the machine the file may be empty: then everything is looked at anew.
            return {}
        return state if isinstance(state, dict) else {}

    def _look_until_quiet(self, before: Mapping[str, Any], loaders: set[str]) -> dict[str, Any]:
        """A file changed a moment ago may be half-written, and half a file can be a valid one with fewer tables."""
        seen = self._look(before)
        for _ in range(3):
            changed = (seen["tenants"][tenant] for tenant in _stale(before, seen, loaders))
            if not any(_is_fresh(stamp) for stamp in changed):
                break
            time.sleep(QUIET_SECONDS)
            earlier, seen = seen, self._look(before)
            if seen == earlier:
                break
        return seen

    def _is_stale(self, dag_id: str) -> bool:
        """Whether a file that this DAG may be made from has changed, or is of no tenant that is known."""
        before = self._state()
        tenants = before.get("tenants", {})
        # the longest: a tenant's name may end in _
        tenant = max((name for name in tenants if dag_id.startswith(f"{name}__")), key=len, default=None)
        if tenant is None or not (self.path / _loader_name(tenant)).is_file():
            return True
        now = {"tenants": _stamp(self._tenant_file(tenant)), "shared": self._shared(), "template": self._template()}
        return bool(now != {**before, "tenants": tenants[tenant]})

    def _look(self, before: Mapping[str, Any]) -> dict[str, Any]:
        from tenantdags.model.project import TENANTS, tenant_files

        files = tenant_files(self.root)
        if not files and (before.get("tenants") or not (self.root / TENANTS).is_dir()):
            # A mount that is away for a moment must not remove every DAG.
            what = f"{self.root / TENANTS} holds no tenant file; the DAGs stay as they are."
            raise FileNotFoundError(f"{what} Remedy: correct `root` of bundle {self.name!r} in dag_bundle_config_list.")
        tenants = {tenant: _stamp(path) for tenant, path in files.items()}
        return {"template": self._template(), "shared": self._shared(), "tenants": tenants}

    def _template(self) -> str:
        """A digest of what every loader has in common."""
        return hashlib.sha256(f"{_LOADER}{_PLATFORM_LOADER}{self.root}".encode(errors="surrogateescape")).hexdigest()

    def _shared(self) -> list[list[str | int]]:
        from tenantdags.model.project import CONTRACTS

        return [_stamp(p) for f in (self.root / "config", self.root / CONTRACTS) for p in sorted(f.glob("*.y*ml"))]

    def _tenant_file(self, tenant: str) -> Path:
        from tenantdags.model.project import TENANTS

        return self.root / TENANTS / f"{tenant}.yaml"

    def _write_loader(self, tenant: str) -> bool:
        """True when the tenant had another loader."""
        from tenantdags.model.project import TENANTS, inputs_of

        file = f"{TENANTS}/{tenant}.yaml"
        # ascii() of every name: a file's name may hold quotes and line ends, and this text is executed.
        loader = _LOADER.format(
            title=ascii(f"{file} as Airflow DAGs. Generated: edit the tenant file, not this one."),
            digest=_digest(inputs_of(self.root, tenant)),
            text=_as_python(_content(self._tenant_file(tenant))),
            root=ascii(str(self.root)),
            tenant=ascii(tenant),
        )
        return self._write(_loader_name(tenant), loader)

    def _write(self, name: str, loader: str) -> bool:
        target = self.path / name
        before = target.read_bytes() if target.exists() else None
        # An untouched loader keeps its time of change, and so is not parsed again.
        if before == loader.encode():
            return False
        _replace(target, loader)
        return before is not None


def _stale(before: Mapping[str, Any], seen: Mapping[str, Any], loaders: set[str]) -> list[str]:
    """The tenants whose loader may not be what their files say."""
    same = all(before.get(key) == seen[key] for key in ("template", "shared"))
    known = before["tenants"] if same else {}
    return [t for t, stamp in seen["tenants"].items() if known.get(t) != stamp or _loader_name(t) not in loaders]


def _loader_name(tenant: str) -> str:
    # Airflow puts this folder on sys.path: a tenant called like a library must not be importable as one.
    plain = tenant if _PLAIN.fullmatch(tenant) else f"unfit_{hashlib.sha256(os.fsencode(tenant)).hexdigest()[:12]}"
    return f"tenant_{plain}.py"


def _stamp(path: Path) -> list[str | int]:
    """What tells a changed file from an unchanged one; the time of a change of rights is in it."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - counted by a test, and Path.stat comes down to it
    except OSError as error:
        return [path.name, error.errno or 0]
    return [path.name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino]


def _is_fresh(stamp: list[str | int]) -> bool:
    return len(stamp) > 2 and abs(time.time() - int(stamp[1]) / 1e9) < QUIET_SECONDS


def _content(path: Path) -> str | None:
    """None for what is no text of a fit size: the loader then reads the file itself, and says what is wrong."""
    from tenantdags.model.errors import ConfigError
    from tenantdags.model.project import read_text

    try:
        return read_text(path, path.name)
    except ConfigError:
        return None


def _as_python(content: str | None) -> str:
    """A literal that reads like the file."""
    if content is None:
        return "None"
    return "(\n" + "".join(f"    {line!r}\n" for line in content.splitlines(keepends=True) or [""]) + ")"


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update((_content(path) or "").encode())
    return digest.hexdigest()


def _replace(target: Path, text: str) -> None:
    """Readers see the old file or the new one, never half of one."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    _tell_apart(Path(name), target)
    Path(name).replace(target)


def _tell_apart(new: Path, old: Path) -> None:
    """Python takes bytecode for a source's by its size and its time in whole seconds: no two texts may share both."""
    with suppress(FileNotFoundError):
        second = int(old.stat().st_mtime)
        if int(new.stat().st_mtime) <= second:
            os.utime(new, (second + 1, second + 1))
