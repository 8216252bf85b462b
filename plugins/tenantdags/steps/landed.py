"""What of a load lies in landing: its files, counted by their Parquet footers. No row is read."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
from azure.core.exceptions import ResourceNotFoundError

from tenantdags.model.errors import ReconcileMismatch
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.blobs import Blobs, code_of
from tenantdags.steps.manifest import Manifest, Part
from tenantdags.steps.report import Landed
from tenantdags.steps.staging import MANIFEST

TAIL = 64 * 1024  # holds the footer of a part of ours; a longer one is asked for again
IN_FLIGHT = 8


def count_landed(plan: TablePlan, window: Window, manifest: Manifest, blobs: Blobs) -> Landed:
    """Two small requests per part: its size and recorded SHA-256, and the end of the file; and one for the manifest.

    Raises LandingUnreachable, or TableBehind for a missing container.
    """
    folder = plan.landing.load_path(window, manifest.load_id)
    with blobs.errors(plan.at(window)), ThreadPoolExecutor(max_workers=IN_FLIGHT) as pool:
        found = list(pool.map(lambda part: _count(blobs, f"{folder}/{part.name}", part), manifest.parts))
    strange = _said([_manifest(plan.at(window), folder, manifest, blobs), *(wrong for _, wrong in found)])
    return Landed(rows=sum(rows for rows, _ in found), strange=tuple(strange))


def require_landed(plan: TablePlan, window: Window, manifest: Manifest, landed: Landed) -> None:
    """Raises ReconcileMismatch unless what lies in landing is what was staged."""
    if landed.strange or landed.rows != manifest.rows:
        what = "; ".join((*landed.strange, f"staged {manifest.rows}, landed {landed.rows} rows")) + "."
        raise ReconcileMismatch(plan.at(window), what, "Clear `extract`: a fresh load gets a folder of its own.")


def _manifest(where: str, folder: str, manifest: Manifest, blobs: Blobs) -> str | None:
    """What is wrong with it: the notebook loads what the manifest in landing says."""
    found = blobs.read(where, f"{folder}/{MANIFEST}")
    if found is None:
        return f"{MANIFEST} is missing in landing"
    try:
        same = _loaded(Manifest.from_json(found[0].decode())) == _loaded(manifest)
    except (ValueError, KeyError, TypeError):
        same = False
    return None if same else f"{MANIFEST} in landing is not the one that was staged"


def _loaded(manifest: Manifest) -> tuple[object, ...]:
    """What decides which rows are appended, how, and with which stamps."""
    whose = (manifest.tenant, manifest.as_of_date, manifest.window_start, manifest.load_id)
    return (*whose, manifest.parts, manifest.columns)


def _count(blobs: Blobs, path: str, part: Part) -> tuple[int, str | None]:
    """(rows by the footer, what is wrong with the file)."""
    blob = blobs.client_of(path)
    try:
        there = blobs.patiently(blob.get_blob_properties)
        same = (there.size, there.metadata.get("sha256")) == (part.bytes, part.sha256)
        rows = _rows(blobs, path, there.size)
    except ResourceNotFoundError as error:
        if code_of(error) == "ContainerNotFound":
            raise
        return 0, f"{part.name} is missing in landing"
    if rows is None:
        return 0, f"{part.name} in landing is no Parquet file"
    return rows, None if same else f"{part.name} in landing is not the file that was staged"


def _rows(blobs: Blobs, path: str, size: int) -> int | None:
    """None for what has no Parquet footer."""
    end = _tail(blobs, path, size, TAIL)
    footer = int.from_bytes(end[-8:-4], "little") + 8
    if len(end) < footer <= size:
        end = _tail(blobs, path, size, footer)
    try:
        rows: int = pq.read_metadata(pa.BufferReader(end)).num_rows
    except (pa.ArrowInvalid, OSError):
        return None
    return rows


def _tail(blobs: Blobs, path: str, size: int, length: int) -> bytes:
    if not size:
        return b""
    start, blob = max(0, size - length), blobs.client_of(path)
    data: bytes = blobs.patiently(lambda: blob.download_blob(start, size - start).readall())
    return data


def _said(found: Iterable[str | None]) -> list[str]:
    return [wrong for wrong in found if wrong]
