"""The landing zone in ADLS: immutable load folders; one `_published.json` per window, moved by compare-and-swap."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from tenantdags.model.errors import LandingConflict, StagingUnavailable
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.blobs import Blobs, code_of
from tenantdags.steps.manifest import Manifest, Part
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.redact import redact
from tenantdags.steps.report import GateReport
from tenantdags.steps.staging import MANIFEST, Staging, staging_errors

PUBLISHED = "_published.json"
_TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8"}
IN_FLIGHT = 8  # requests with a body at one time


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A window's `_published.json` and the ETag it was read or written with."""

    file: PublishedFile
    etag: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """The files of one window: those of each load, by name, and whether there is a `_published.json`."""

    window: Window
    loads: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    @property
    def published(self) -> bool:
        return PUBLISHED in self.others

    def take(self, path: str) -> None:
        load = re.fullmatch(r"load_id=([^/]+)/(.+)", path)
        if load:
            self.loads.setdefault(load[1], []).append(load[2])
        else:
            self.others.append(path)


class Landing:
    """One container. `abfss_root` is `abfss://<container>@<account>.dfs.core.windows.net`, what Databricks reads.

    Every method raises LandingUnreachable (retried), LandingConflict, or TableBehind for a missing container.
    """

    def __init__(
        self,
        client: ContainerClient,
        abfss_root: str,
        connection_id: str,
        *,
        first_wait: float = 1.0,
        read_timeout: float = 60,
    ) -> None:
        self.abfss_root = abfss_root.rstrip("/")
        self.blobs = Blobs(client, connection_id, first_wait=first_wait, read_timeout=read_timeout)

    def upload(self, plan: TablePlan, window: Window, manifest: Manifest, staging: Staging) -> str:
        """The manifest's abfss URL, after its parts and then itself stand in the load's folder. Repeatable."""
        where, folder = plan.at(window), plan.landing.load_path(window, manifest.load_id)
        text = staging.manifest_text(plan, manifest.load_id, window)
        files = list(zip(manifest.parts, staging.parts(plan, manifest, window), strict=True))
        with self.blobs.errors(where), ThreadPoolExecutor(max_workers=IN_FLIGHT) as pool:
            streams = max(1, IN_FLIGHT // max(1, len(files)))
            list(pool.map(lambda f: self._put_part(where, f"{folder}/{f[0].name}", f[0], f[1], streams), files))
            self._put_once(where, f"{folder}/{MANIFEST}", text.encode())
        return f"{self.abfss_root}/{folder}/{MANIFEST}"

    def read_manifest(self, plan: TablePlan, window: Window, load_id: str) -> Manifest:
        """A landed load's manifest, as it was written."""
        path = f"{plan.landing.load_path(window, load_id)}/{MANIFEST}"
        found = self.blobs.read(plan.at(window), path)
        if found is None:
            what = f"load {load_id} has no manifest in landing, so it was not landed completely."
            raise LandingConflict(plan.at(window), what, "Clear `upload`, or `extract` for a fresh load.")
        return Manifest.from_json(found[0].decode())

    def published(self, plan: TablePlan, window: Window) -> PublishedRecord | None:
        """What readers of this window see; None before its first publish."""
        found = self.published_text(plan, window)
        return _record(plan, window, *found) if found else None

    def published_text(self, plan: TablePlan, window: Window) -> tuple[bytes, str] | None:
        """The file as it stands there, readable or not, and its ETag."""
        return self.blobs.read(plan.at(window), _published_path(plan, window))

    def keep_broken(self, plan: TablePlan, window: Window, data: bytes) -> str:
        """Puts a file that is about to be replaced aside, and tells where."""
        digest = hashlib.sha256(data).hexdigest()[:12]
        path = f"_ops/broken/{plan.landing.window_path(window)}/{digest}.{PUBLISHED}"
        self.blobs.write(plan.at(window), path, data)
        return path

    def base_generation(self, plan: TablePlan, window: Window) -> int:
        """The published generation, 0 for none: what `extract` writes into its manifest."""
        current = self.published(plan, window)
        return current.file.generation if current else 0

    def swap_published(
        self, plan: TablePlan, window: Window, file: PublishedFile, expected: PublishedRecord | None
    ) -> PublishedRecord:
        """Writes `file` if `expected` (None: nothing) is still there. Raises LandingConflict when it is not."""
        where, path, data = plan.at(window), _published_path(plan, window), file.to_json().encode()
        etag = self.blobs.swap(where, path, data, expected.etag if expected else None)
        if etag is None:
            what = "another run published this window at the same time."
            raise LandingConflict(where, what, "Clear `publish`: it decides anew on what now stands there.")
        return PublishedRecord(file, etag)

    def shelves(self, plan: TablePlan, window: Window | None = None) -> tuple[Shelf, ...]:
        """What lies in landing of every window of the table, or of one; in the windows' order."""
        prefix = plan.landing.window_path(window) if window else plan.landing.prefix
        found: dict[Window, Shelf] = {}
        for path in self.blobs.names(plan.at(window or "landing"), f"{prefix}/"):
            at = plan.landing.window_in(path, plan.schedule.time_zone)
            if at and window in (None, at):
                found.setdefault(at, Shelf(at)).take(path.removeprefix(f"{plan.landing.window_path(at)}/"))
        return tuple(found[at] for at in sorted(found))

    def summaries(self, plan: TablePlan, window: Window) -> tuple[dict[str, Any], ...]:
        """The QA summaries of the window's attempts, oldest first, as `put_qa` was given them."""
        where, folder = plan.at(window), f"{qa_folder(plan, window)}/"
        names = [name for name in self.blobs.names(where, folder) if re.fullmatch(r"[^/]+\.json", name[len(folder) :])]
        texts = (found[0] for name in names if (found := self.blobs.read(where, name)))
        return tuple(sorted(map(json.loads, texts), key=lambda summary: str(summary.get("summarised_at"))))

    def majors(self, plan: TablePlan) -> tuple[int, ...]:
        """The major versions of the contract under which any tenant ever landed anything."""
        folders = self.blobs.folders(plan.at("landing"), f"{plan.contract.table}/")
        return tuple(sorted(int(name[1:]) for name in folders if re.fullmatch(r"v[1-9]\d*", name)))

    def published_majors(self, plan: TablePlan, window: Window) -> tuple[int, ...]:
        """The major versions under which anything is published of this window."""
        plans = [plan.under(replace(plan.contract, major=major)) for major in self.majors(plan)]
        found = [(its.contract.major, self.published(its, window)) for its in plans]
        return tuple(major for major, record in found if record and record.file.head)

    def remove(self, plan: TablePlan, window: Window, load_id: str, names: Iterable[str]) -> None:
        """Deletes these files of a load, its manifest last: while it stands there, what it was can be told."""
        folder = plan.landing.load_path(window, load_id)
        for name in sorted(names, key=lambda name: (name == MANIFEST, name)):
            self.blobs.delete(plan.at(window), f"{folder}/{name}")

    def put_qa(self, plan: TablePlan, window: Window, name: str, text: str) -> str:
        """Writes a file of one attempt's QA summary and returns its address for browsers."""
        path = f"{qa_folder(plan, window)}/{name}"
        self.blobs.write(plan.at(window), path, text.encode(), content_type=_TYPES[Path(name).suffix])
        return unquote(self.blobs.client_of(path).url.partition("?")[0])  # behind it a SAS may stand

    def has_qa(self, plan: TablePlan, window: Window, name: str) -> bool:
        return bool(self.blobs.names(plan.at(window), f"{qa_folder(plan, window)}/{name}"))

    def put_failing_keys(self, plan: TablePlan, window: Window, report: GateReport) -> None:
        """For the summary: keys of a tenant's rows lie in the tenant's own folder and nowhere else."""
        path = f"{qa_folder(plan, window)}/keys/{report.load_id}.{report.gate}.json"
        self.blobs.write(plan.at(window), path, json.dumps(report.keys).encode())

    def failing_keys(self, plan: TablePlan, window: Window, load_id: str) -> dict[str, dict[str, list[str]]]:
        """By gate and rule."""
        where, prefix = plan.at(window), f"{qa_folder(plan, window)}/keys/{load_id}."
        found = {path: self.blobs.read(where, path) for path in self.blobs.names(where, prefix)}
        gates = {path.removeprefix(prefix).removesuffix(".json"): data for path, data in found.items() if data}
        return {gate: json.loads(data[0]) for gate, data in gates.items()}

    def _put_part(self, where: str, path: str, part: Part, file: Path, streams: int) -> None:
        blob = self.blobs.client_of(path)
        if not self._has(where, path, part):
            _require_unchanged(where, part, file)
            with suppress(ResourceExistsError):  # a retry after a PUT that did arrive
                self.blobs.patiently(lambda: _send(blob, file, part, streams))
            if not self._has(where, path, part):
                raise LandingConflict(where, f"{path} is not there after its upload.", "Clear `upload`.")

    def _has(self, where: str, path: str, part: Part) -> bool:
        """True for exactly this part. Another file under this name: LandingConflict, load folders are immutable."""
        blob = self.blobs.client_of(path)
        try:
            there = self.blobs.patiently(blob.get_blob_properties)
        except ResourceNotFoundError as error:
            if code_of(error) == "ContainerNotFound":
                raise
            return False
        if (there.size, there.metadata.get("sha256")) != (part.bytes, part.sha256):
            what = f"{path} holds other bytes than load {part.name} was staged with."
            raise LandingConflict(where, what, "Clear `extract`: a fresh load gets a folder of its own.")
        return True

    def _put_once(self, where: str, path: str, data: bytes) -> None:
        blob = self.blobs.client_of(path)
        try:
            self.blobs.patiently(lambda: blob.upload_blob(data, overwrite=False, validate_content="crc64"))
        except ResourceExistsError:
            found = self.blobs.read(where, path)
            if found is None or found[0] != data:
                what = f"{path} was already written with another content."
                raise LandingConflict(where, what, "Clear `extract`: a fresh load gets a folder of its own.") from None


def published_in(blobs: Blobs, plan: TablePlan, window: Window) -> PublishedRecord | None:
    """`Landing.published` for those who only look."""
    found = blobs.read(plan.at(window), _published_path(plan, window))
    return _record(plan, window, *found) if found else None


def qa_folder(plan: TablePlan, window: Window) -> str:
    """`_qa/tenant_id=<tenant>/table=<table>/as_of_date=<date>[/window=<HHMM>Z]`."""
    grid_cell = plan.landing.window_path(window).removeprefix(plan.landing.prefix)
    return f"_qa/tenant_id={plan.tenant}/table={plan.table}{grid_cell}"


def _published_path(plan: TablePlan, window: Window) -> str:
    return f"{plan.landing.window_path(window)}/{PUBLISHED}"


def _record(plan: TablePlan, window: Window, data: bytes, etag: str) -> PublishedRecord:
    try:
        return PublishedRecord(PublishedFile.from_json(data), etag)
    except ValueError as error:
        what = f"{PUBLISHED} of this window cannot be read: {redact(error, 200)}."
        remedy = f"`tenantdags doctor --tenant {plan.tenant} --table {plan.table}` tells what can be mended."
        raise LandingConflict(plan.at(window), what, remedy) from None


def _send(blob: Any, file: Path, part: Part, streams: int) -> None:
    with file.open("rb") as data:
        blob.upload_blob(
            data,
            length=part.bytes,
            overwrite=False,
            max_concurrency=streams,
            metadata={"sha256": part.sha256},
            validate_content="crc64",
        )


def _require_unchanged(where: str, part: Part, file: Path) -> None:
    with staging_errors(where, file.parent), file.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != part.sha256:
        what = f"staged file {part.name} changed since extract."
        raise StagingUnavailable(where, what, "Clear `extract` to take a fresh load.")
