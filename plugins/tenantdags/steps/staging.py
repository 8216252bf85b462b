"""Where extract leaves a load for the gates and upload: `<url>/<tenant>/<table>/<load_id>/`.

The load is complete once its manifest stands there.
A folder without `_manifest.json` is what a killed attempt left: nothing reads it, `sweep` removes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tenantdags.model.errors import StagingUnavailable
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.manifest import Manifest

MANIFEST = "_manifest.json"


def open_staging(url: str) -> Staging:
    """Staging under a `file://` URL. Raises StagingUnavailable for any other."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        what = f"staging.url {url!r} is not a local folder."
        raise StagingUnavailable("staging", what, "Write staging.url as file:///folder, a path all workers share.")
    return Staging(Path(unquote(parts.path)))


class Staging:
    """A folder that every worker of the tenant sees. `window` only says which run an error is about."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, plan: TablePlan, load_id: str) -> Path:
        return self.root / plan.tenant / plan.table / load_id

    def write_dir(self, plan: TablePlan, load_id: str, window: Window | None = None) -> Path:
        """A new empty folder for one load, readable by its owner alone."""
        folder = self.path(plan, load_id)
        with staging_errors(plan.at(window or load_id), folder):
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        return folder

    def write_manifest(self, plan: TablePlan, manifest: Manifest, window: Window | None = None) -> Path:
        """Last of all and in one step: from now on the load is complete."""
        path = self.path(plan, manifest.load_id) / MANIFEST
        with staging_errors(plan.at(window or manifest.load_id), path.parent):
            partial = path.with_suffix(".partial")
            with partial.open("w", encoding="utf-8") as file:
                file.write(manifest.to_json())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        return path

    def read_manifest(self, plan: TablePlan, load_id: str, window: Window | None = None) -> Manifest:
        return Manifest.from_json(self.manifest_text(plan, load_id, window))

    def manifest_text(self, plan: TablePlan, load_id: str, window: Window | None = None) -> str:
        """The manifest's exact text, which landing gets too."""
        path = self.path(plan, load_id) / MANIFEST
        with staging_errors(plan.at(window or load_id), path.parent):
            return path.read_text(encoding="utf-8")

    def parts(self, plan: TablePlan, manifest: Manifest, window: Window | None = None) -> tuple[Path, ...]:
        """The manifest's files, each there and of its size."""
        folder = self.path(plan, manifest.load_id)
        where = plan.at(window or manifest.load_id)
        with staging_errors(where, folder):
            sizes = {part.name: (folder / part.name).stat().st_size for part in manifest.parts}
        changed = [part.name for part in manifest.parts if sizes[part.name] != part.bytes]
        if changed:
            what = f"staged files of load {manifest.load_id} changed since extract: {', '.join(changed)}."
            raise StagingUnavailable(where, what, "Clear `extract` to take a fresh load.")
        return tuple(folder / part.name for part in manifest.parts)

    def delete(self, plan: TablePlan, load_id: str, window: Window | None = None) -> None:
        """Removes a load; one that is gone already is fine."""
        folder = self.path(plan, load_id)
        if folder.exists():
            with staging_errors(plan.at(window or load_id), folder):
                shutil.rmtree(folder)

    def sweep(self, keep_failed: timedelta, now: datetime | None = None) -> tuple[Path, ...]:
        """Removes the loads of failed runs untouched for longer than `keep_failed`, and says which."""
        before = (now or datetime.now(UTC)) - keep_failed
        old = [folder for folder in sorted(self.root.glob("*/*/*")) if folder.is_dir() and _touched(folder) < before]
        with staging_errors("staging", self.root):
            for folder in old:
                with suppress(FileNotFoundError):  # another worker sweeps too
                    shutil.rmtree(folder)
        return tuple(old)


@contextmanager
def staging_errors(where: str, folder: Path) -> Iterator[None]:
    """OSErrors as StagingUnavailable with the remedy for each: not shared, full, not writable."""
    try:
        yield
    except FileNotFoundError:
        what = f"staging is not shared: {folder} is not on this worker, or was removed."
        remedy = "Put staging.url on a volume that all workers mount, or clear `extract`."
        raise StagingUnavailable(where, what, remedy) from None
    except OSError as error:
        what = f"staging folder {folder} cannot be used: {error.strerror or error}."
        raise StagingUnavailable(where, what, "Free space there and make it writable for the worker.") from None


def _touched(folder: Path) -> datetime:
    """When anything in the folder last changed; another worker may be deleting it meanwhile."""
    try:
        times = [path.stat().st_mtime for path in (folder, *folder.iterdir())]
    except FileNotFoundError:
        return datetime.now(UTC)
    return datetime.fromtimestamp(max(times), UTC)
