"""Small files in a container, patiently and with typed errors: what the landing zone and the platform's state stand on.

Blob API only: the emulator serves no other, and conditional PUTs are all the atomicity we need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobClient, ContainerClient, ContentSettings, ExponentialRetry
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from tenantdags.model.errors import LandingUnreachable, RunError, TableBehind
from tenantdags.steps.redact import redact

BLOCK_BYTES = 8 * 1024 * 1024
SINGLE_PUT_BYTES = 64 * 1024 * 1024
THROTTLED_ATTEMPTS = 6

T = TypeVar("T")


class Blobs:
    """One container. `where` is who asks, for messages; paths have no leading slash.

    Every method raises LandingUnreachable (retried), or TableBehind for a missing container.
    """

    def __init__(
        self, client: ContainerClient, connection_id: str, *, first_wait: float = 1.0, read_timeout: float = 60
    ) -> None:
        self._first_wait, self._connection_id = first_wait, connection_id
        self._client = ContainerClient.from_container_url(
            client.url,
            credential=client.credential,
            api_version=client.api_version,
            max_block_size=BLOCK_BYTES,
            max_single_put_size=SINGLE_PUT_BYTES,
            read_timeout=read_timeout,
            retry_policy=_Doubling(first_wait),
        )

    def client_of(self, path: str) -> BlobClient:
        return self._client.get_blob_client(path)

    def read(self, where: str, path: str) -> tuple[bytes, str] | None:
        """(content, ETag), both of one version; None when there is no such blob."""
        blob = self.client_of(path)
        try:
            with self.errors(where):
                return self.patiently(lambda: _download(blob))
        except ResourceNotFoundError:
            return None

    def write(self, where: str, path: str, data: bytes, content_type: str | None = None) -> None:
        """Whatever was there before."""
        blob, settings = self.client_of(path), ContentSettings(content_type) if content_type else None
        with self.errors(where):
            self.patiently(lambda: blob.upload_blob(data, overwrite=True, content_settings=settings))

    def swap(self, where: str, path: str, data: bytes, etag: str | None) -> str | None:
        """The new ETag, if `etag` (None: nothing) was still there; None when another writer was faster.

        A retried PUT whose first try did arrive finds its own content, and counts as the writer it is.
        """
        try:
            with self.errors(where):
                return self.patiently(lambda: self._swap(path, data, etag))
        except (ResourceExistsError, ResourceModifiedError):
            found = self.read(where, path)
            return found[1] if found and found[0] == data else None

    def names(self, where: str, prefix: str) -> tuple[str, ...]:
        """The paths of all blobs whose path begins with `prefix`, in order."""
        with self.errors(where):
            return self.patiently(lambda: tuple(self._client.list_blob_names(name_starts_with=prefix)))

    def folders(self, where: str, prefix: str) -> tuple[str, ...]:
        """The names, up to their next slash, of what lies below `prefix`: `orders/` → `v1`, `v2`."""
        with self.errors(where):
            found = self.patiently(lambda: [b.name for b in self._client.walk_blobs(prefix) if b.name.endswith("/")])
        return tuple(name.removeprefix(prefix).rstrip("/") for name in found)

    def delete(self, where: str, path: str, etag: str | None = None) -> bool:
        """False when there is no such blob, or with `etag` no longer that version of it."""
        blob = self.client_of(path)
        match: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            with self.errors(where):
                self.patiently(lambda: blob.delete_blob(**match))
        except (ResourceNotFoundError, ResourceModifiedError):
            return False
        return True

    def patiently(self, call: Callable[[], T]) -> T:
        """The SDK retries broken connections, 408 and 5xx, but not 429: that is waited out here."""
        return Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, HttpResponseError) and e.status_code == 429),
            wait=self._pause,
            stop=stop_after_attempt(THROTTLED_ATTEMPTS),
            reraise=True,
        )(call)

    @contextmanager
    def errors(self, where: str) -> Iterator[None]:
        """Azure's errors as ours; who asks for existence or a match gets Azure's own answer."""
        try:
            yield
        except ResourceNotFoundError as error:
            if code_of(error) != "ContainerNotFound":
                raise
            what = f"landing container {self._client.container_name} does not exist."
            raise TableBehind(where, what, "Run `tenantdags apply`.") from None
        except (ResourceExistsError, ResourceModifiedError):
            raise
        except AzureError as error:
            raise _unreachable(where, error, self._connection_id) from None

    def _swap(self, path: str, data: bytes, etag: str | None) -> str:
        blob = self.client_of(path)
        if etag is None:
            return str(blob.upload_blob(data, overwrite=False)["etag"])
        answer = blob.upload_blob(data, overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
        return str(answer["etag"])

    def _pause(self, state: RetryCallState) -> float:
        """Doubling from first_wait; the server's Retry-After when that is longer."""
        error = state.outcome.exception() if state.outcome else None
        asked = str(getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", ""))
        doubled = self._first_wait * 2.0 ** (state.attempt_number - 1)
        return min(60.0, max(doubled, float(asked) if asked.isdigit() else 0.0))


def code_of(error: AzureError) -> str | None:
    """The storage service's word for it, which the SDK hangs on the exception."""
    return getattr(error, "error_code", None)


def _unreachable(where: str, error: AzureError, connection_id: str) -> RunError:
    """Status and code alone: an error's full text may hold signatures."""
    remedy = f"The task is retried; if it stays so, check the host of connection {connection_id} and the firewall."
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        return LandingUnreachable(where, f"landing cannot be reached: {redact(_reason(error), 200)}.", remedy)
    code = code_of(error) or error.reason
    if error.status_code in (401, 403):
        remedy = f"Correct the key of connection {connection_id}, or grant it Storage Blob Data Contributor."
    return LandingUnreachable(where, f"landing answered {error.status_code} {code}.", remedy)


def _reason(error: AzureError) -> str:
    """The innermost text of errors that wrap each other as their first argument."""
    innermost: object = error.inner_exception or error
    while isinstance(innermost, Exception) and innermost.args:
        innermost = innermost.args[0]
    return str(innermost)


class _Doubling(ExponentialRetry):
    """The SDK's own first wait is 15 s; ours doubles from `first_wait`."""

    def __init__(self, first_wait: float) -> None:
        super().__init__(retry_total=5)
        self._first_wait = first_wait

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        return float(self._first_wait * 2.0 ** (int(settings["count"]) - 1))


def _download(blob: BlobClient) -> tuple[bytes, str]:
    stream = blob.download_blob()
    return stream.readall(), str(stream.properties.etag)
