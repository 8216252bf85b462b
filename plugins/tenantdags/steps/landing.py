"""The landing zone in ADLS: immutable load folders; one `_published.json` per window, moved by compare-and-swap.

Blob API only: the emulator serves no other, and conditional PUTs are all the atomicity we need.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient, ExponentialRetry
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from tenantdags.model.errors import LandingConflict, LandingUnreachable, RunError, StagingUnavailable, TableBehind
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.manifest import Manifest, Part
from tenantdags.steps.published import PublishedFile
from tenantdags.steps.redact import redact
from tenantdags.steps.staging import MANIFEST, Staging, staging_errors

PUBLISHED = "_published.json"
IN_FLIGHT = 8  # requests with a body at one time
BLOCK_BYTES = 8 * 1024 * 1024
SINGLE_PUT_BYTES = 64 * 1024 * 1024
THROTTLED_ATTEMPTS = 6

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A window's `_published.json` and the ETag it was read or written with."""

    file: PublishedFile
    etag: str


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
        self.abfss_root, self._first_wait, self._connection_id = abfss_root.rstrip("/"), first_wait, connection_id
        self._client = ContainerClient.from_container_url(
            client.url,
            credential=client.credential,
            api_version=client.api_version,
            max_block_size=BLOCK_BYTES,
            max_single_put_size=SINGLE_PUT_BYTES,
            read_timeout=read_timeout,
            retry_policy=_Doubling(first_wait),
        )

    def upload(self, plan: TablePlan, window: Window, manifest: Manifest, staging: Staging) -> str:
        """The manifest's abfss URL, after its parts and then itself stand in the load's folder. Repeatable."""
        where, folder = plan.at(window), plan.landing.load_path(window, manifest.load_id)
        text = staging.manifest_text(plan, manifest.load_id, window)
        files = list(zip(manifest.parts, staging.parts(plan, manifest, window), strict=True))
        with self._errors(where), ThreadPoolExecutor(max_workers=IN_FLIGHT) as pool:
            streams = max(1, IN_FLIGHT // max(1, len(files)))
            list(pool.map(lambda f: self._put_part(where, f"{folder}/{f[0].name}", f[0], f[1], streams), files))
            self._put_once(where, f"{folder}/{MANIFEST}", text.encode())
        return f"{self.abfss_root}/{folder}/{MANIFEST}"

    def read_manifest(self, plan: TablePlan, window: Window, load_id: str) -> Manifest:
        """A landed load's manifest, as it was written."""
        path = f"{plan.landing.load_path(window, load_id)}/{MANIFEST}"
        found = self._get(plan.at(window), path)
        if found is None:
            what = f"load {load_id} has no manifest in landing, so it was not landed completely."
            raise LandingConflict(plan.at(window), what, "Clear `upload`, or `extract` for a fresh load.")
        return Manifest.from_json(found[0].decode())

    def published(self, plan: TablePlan, window: Window) -> PublishedRecord | None:
        """What readers of this window see; None before its first publish."""
        found = self._get(plan.at(window), self._published_path(plan, window))
        return self._record(plan, window, *found) if found else None

    def base_generation(self, plan: TablePlan, window: Window) -> int:
        """The published generation, 0 for none: what `extract` writes into its manifest."""
        current = self.published(plan, window)
        return current.file.generation if current else 0

    def swap_published(
        self, plan: TablePlan, window: Window, file: PublishedFile, expected: PublishedRecord | None
    ) -> PublishedRecord:
        """Writes `file` if `expected` (None: nothing) is still there. Raises LandingConflict when it is not."""
        where, path, data = plan.at(window), self._published_path(plan, window), file.to_json().encode()
        try:
            with self._errors(where):
                etag = self._patiently(lambda: self._swap(path, data, expected.etag if expected else None))
        except (ResourceExistsError, ResourceModifiedError):
            return self._already_ours(plan, window, data)
        return PublishedRecord(file, etag)

    def put_qa(self, plan: TablePlan, window: Window, attempt: str, text: str) -> str:
        """Writes one attempt's QA summary and returns its abfss URL."""
        path = f"{qa_folder(plan, window)}/{attempt}.json"
        with self._errors(plan.at(window)):
            blob = self._client.get_blob_client(path)
            self._patiently(lambda: blob.upload_blob(text.encode(), overwrite=True))
        return f"{self.abfss_root}/{path}"

    def _put_part(self, where: str, path: str, part: Part, file: Path, streams: int) -> None:
        blob = self._client.get_blob_client(path)
        if not self._has(where, path, part):
            _require_unchanged(where, part, file)
            with suppress(ResourceExistsError):  # a retry after a PUT that did arrive
                self._patiently(lambda: _send(blob, file, part, streams))
            if not self._has(where, path, part):
                raise LandingConflict(where, f"{path} is not there after its upload.", "Clear `upload`.")

    def _has(self, where: str, path: str, part: Part) -> bool:
        """True for exactly this part. Another file under this name: LandingConflict, load folders are immutable."""
        blob = self._client.get_blob_client(path)
        try:
            there = self._patiently(blob.get_blob_properties)
        except ResourceNotFoundError as error:
            if _code(error) == "ContainerNotFound":
                raise
            return False
        if (there.size, there.metadata.get("sha256")) != (part.bytes, part.sha256):
            what = f"{path} holds other bytes than load {part.name} was staged with."
            raise LandingConflict(where, what, "Clear `extract`: a fresh load gets a folder of its own.")
        return True

    def _put_once(self, where: str, path: str, data: bytes) -> None:
        blob = self._client.get_blob_client(path)
        try:
            self._patiently(lambda: blob.upload_blob(data, overwrite=False, validate_content="crc64"))
        except ResourceExistsError:
            found = self._get(where, path)
            if found is None or found[0] != data:
                what = f"{path} was already written with another content."
                raise LandingConflict(where, what, "Clear `extract`: a fresh load gets a folder of its own.") from None

    def _swap(self, path: str, data: bytes, etag: str | None) -> str:
        blob = self._client.get_blob_client(path)
        if etag is None:
            return str(blob.upload_blob(data, overwrite=False)["etag"])
        answer = blob.upload_blob(data, overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
        return str(answer["etag"])

    def _already_ours(self, plan: TablePlan, window: Window, data: bytes) -> PublishedRecord:
        """A retried PUT whose first try did arrive finds its own content; anything else is another publisher's."""
        found = self._get(plan.at(window), self._published_path(plan, window))
        if found is None or found[0] != data:
            what = "another run published this window at the same time."
            raise LandingConflict(plan.at(window), what, "Clear `publish`: it decides anew on what now stands there.")
        return self._record(plan, window, *found)

    @staticmethod
    def _record(plan: TablePlan, window: Window, data: bytes, etag: str) -> PublishedRecord:
        try:
            return PublishedRecord(PublishedFile.from_json(data), etag)
        except (ValueError, KeyError, TypeError) as error:
            what = f"{PUBLISHED} of this window cannot be read: {redact(error, 200)}."
            remedy = "Restore its last good version in the container; nothing else was touched."
            raise LandingConflict(plan.at(window), what, remedy) from None

    def _get(self, where: str, path: str) -> tuple[bytes, str] | None:
        """(content, ETag), both of one version."""
        blob = self._client.get_blob_client(path)
        try:
            with self._errors(where):
                return self._patiently(lambda: _download(blob))
        except ResourceNotFoundError:
            return None

    def _patiently(self, call: Callable[[], T]) -> T:
        """The SDK retries broken connections, 408 and 5xx, but not 429: that is waited out here."""
        return Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, HttpResponseError) and e.status_code == 429),
            wait=self._pause,
            stop=stop_after_attempt(THROTTLED_ATTEMPTS),
            reraise=True,
        )(call)

    def _pause(self, state: RetryCallState) -> float:
        """Doubling from first_wait; the server's Retry-After when that is longer."""
        error = state.outcome.exception() if state.outcome else None
        asked = str(getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", ""))
        doubled = self._first_wait * 2.0 ** (state.attempt_number - 1)
        return min(60.0, max(doubled, float(asked) if asked.isdigit() else 0.0))

    @contextmanager
    def _errors(self, where: str) -> Iterator[None]:
        """Azure's errors as ours; who asks for existence or a match gets Azure's own answer."""
        try:
            yield
        except ResourceNotFoundError as error:
            if _code(error) != "ContainerNotFound":
                raise
            what = f"landing container {self._client.container_name} does not exist."
            raise TableBehind(where, what, "Run `tenantdags apply`.") from None
        except (ResourceExistsError, ResourceModifiedError):
            raise
        except AzureError as error:
            raise _unreachable(where, error, self._connection_id) from None

    @staticmethod
    def _published_path(plan: TablePlan, window: Window) -> str:
        return f"{plan.landing.window_path(window)}/{PUBLISHED}"


def qa_folder(plan: TablePlan, window: Window) -> str:
    """`_qa/tenant_id=<tenant>/table=<table>/as_of_date=<date>[/window=<HHMM>Z]`."""
    grid_cell = plan.landing.window_path(window).removeprefix(plan.landing.prefix)
    return f"_qa/tenant_id={plan.tenant}/table={plan.contract.table}{grid_cell}"


def _unreachable(where: str, error: AzureError, connection_id: str) -> RunError:
    """Status and code alone: an error's full text may hold signatures."""
    remedy = f"The task is retried; if it stays so, check the host of connection {connection_id} and the firewall."
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        return LandingUnreachable(where, f"landing cannot be reached: {redact(_reason(error), 200)}.", remedy)
    code = _code(error) or error.reason
    if error.status_code in (401, 403):
        remedy = f"Correct the key of connection {connection_id}, or grant it Storage Blob Data Contributor."
    return LandingUnreachable(where, f"landing answered {error.status_code} {code}.", remedy)


def _reason(error: AzureError) -> str:
    """The innermost text of errors that wrap each other as their first argument."""
    innermost: object = error.inner_exception or error
    while isinstance(innermost, Exception) and innermost.args:
        innermost = innermost.args[0]
    return str(innermost)


def _code(error: AzureError) -> str | None:
    """The storage service's word for it, which the SDK hangs on the exception."""
    return getattr(error, "error_code", None)


class _Doubling(ExponentialRetry):
    """The SDK's own first wait is 15 s; ours doubles from `first_wait`."""

    def __init__(self, first_wait: float) -> None:
        super().__init__(retry_total=5)
        self._first_wait = first_wait

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        return float(self._first_wait * 2.0 ** (int(settings["count"]) - 1))


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


def _download(blob: Any) -> tuple[bytes, str]:
    stream = blob.download_blob()
    return stream.readall(), str(stream.properties.etag)


def _require_unchanged(where: str, part: Part, file: Path) -> None:
    with staging_errors(where, file.parent), file.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != part.sha256:
        what = f"staged file {part.name} changed since extract."
        raise StagingUnavailable(where, what, "Clear `extract` to take a fresh load.")
