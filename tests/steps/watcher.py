"""A reader that knows nothing of the product, in a process of its own: Delta logs by delta-rs, files by pyarrow.

It looks 20 times a second, and once more whenever it is asked to: so it has looked between any two writes, however slow
the machine is. A file of a Delta table never changes, so each is read once. At the end DuckDB is asked the same in SQL.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from multiprocessing.connection import Connection
from threading import Event, Lock, Thread
from typing import Any

import duckdb
import pyarrow.parquet as pq
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from deltalake import DeltaTable

from tenantdags.steps.landing import Landing
from tests.steps.lakehouse import Lakehouse

HERTZ = 20
SEEN = """
WITH winner AS (
  SELECT window_start, max(generation) AS generation, max_by(append_id, generation) AS append_id
  FROM read_parquet($log, hive_partitioning = false)
  WHERE table_name = $name AND tenant_id = $tenant
  GROUP BY window_start)
SELECT w.window_start, w.generation, w.append_id, count(c.tenant_id), count(DISTINCT c.order_id)
FROM winner w LEFT JOIN read_parquet($curated, hive_partitioning = false) c
  ON c.window_start = w.window_start AND c._append_id = w.append_id AND c.tenant_id = $tenant
GROUP BY ALL ORDER BY w.window_start"""


@dataclass(frozen=True)
class Sight:
    """One window in one look: what the log's newest generation makes of the table."""

    window_start: datetime
    generation: int
    append_id: str
    rows: int
    keys: int


@dataclass
class Watcher:
    """Looks at one tenant's table of one lakehouse, again and again, until it is told to stop."""

    lakehouse: Lakehouse
    curated: str
    tenant: str
    prefix: str
    looks: list[list[Sight]] = field(default_factory=list)
    landed: list[tuple[str, int, int]] = field(default_factory=list)  # (path, rows said, rows found)
    asked: int = 0
    seconds: float = 0

    _turn: Lock = field(default_factory=Lock)
    _pipe: Connection | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        adls, tables = self.lakehouse.adls, self.lakehouse.databricks
        what = _What(
            log=str(tables.table_path("prod.ops.publish_log")), curated=str(tables.table_path(self.curated)),
            name=self.curated.split(".")[2], tenant=self.tenant, prefix=self.prefix,
            landing=adls.direct_url, key=adls.key,
        )  # fmt: skip
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_watch, args=(theirs, what), daemon=True)
        process.start()
        theirs.close()  # or nobody would be told of a reader that died
        try:
            self.look()
            yield
        finally:
            try:
                self.looks, self.landed, self.seconds = self._ask("stop")
            finally:
                process.join(60)

    def look(self) -> None:
        """Returns after a look that began behind this call."""
        self._ask("look")
        self.asked += 1

    @contextmanager
    def during(self) -> Iterator[None]:
        """Whatever happens inside was looked at right before, at 20 Hz while it happened, and right after."""
        self.look()
        yield
        self.look()

    def _ask(self, what: str) -> Any:
        assert self._pipe is not None
        with self._turn:
            self._pipe.send(what)
            assert self._pipe.poll(60), "the reader does not answer"
            answer = self._pipe.recv()
        assert not isinstance(answer, str), answer
        return answer


@dataclass(frozen=True)
class Watched(Lakehouse):
    """A lakehouse in which the watcher looks before and after everything that changes something."""

    watcher: Watcher

    def call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if method == "GET":
            return super().call(method, path, body)
        with self.watcher.during():
            return super().call(method, path, body)

    def landing(self, plan: Any) -> Landing:
        plain = super().landing(plan)
        found = _WatchedLanding(self.container(plan), plain.abfss_root, plan.landing.connection, first_wait=0.05)
        found.watcher = self.watcher
        return found


class _WatchedLanding(Landing):
    watcher: Watcher

    def swap_published(self, *args: Any) -> Any:
        with self.watcher.during():
            return super().swap_published(*args)

    def remove(self, *args: Any) -> None:
        with self.watcher.during():
            super().remove(*args)


@dataclass(frozen=True, kw_only=True)
class _What:
    log: str
    curated: str
    name: str
    tenant: str
    prefix: str
    landing: str
    key: str


def _watch(pipe: Connection, what: _What) -> None:
    """The process: answers each question with the number of its looks, and `stop` with all of them."""
    looks: list[list[Sight]] = []
    try:
        tables, follower = _Tables(what), _Follower(what)
        started = due = time.monotonic()
        while True:
            asked = pipe.recv() if pipe.poll(max(0.0, due - time.monotonic())) else None
            looks.append(tables.look())
            if asked == "stop":
                assert looks[-1] == tables.asked(), "DuckDB does not see the same"
                break
            due = max(due + 1 / HERTZ, time.monotonic())
            if asked:
                pipe.send(len(looks))
        seconds = time.monotonic() - started
        pipe.send((looks, follower.stop(), seconds))
    except Exception as error:  # noqa: BLE001 - told by the test's own process
        pipe.send(f"{type(error).__name__}: {error}")


class _Tables:
    """What the readers' view means, written down a second time: of every window the rows of its newest generation."""

    def __init__(self, what: _What) -> None:
        self._what = what
        self._log, self._curated = DeltaTable(what.log), DeltaTable(what.curated)
        self._said: dict[str, list[dict[str, Any]]] = {}
        self._held: dict[str, dict[tuple[datetime, str], list[int]]] = {}

    def look(self) -> list[Sight]:
        # The log first, as a view's join may: no append is younger than the row that names it.
        winners: dict[datetime, dict[str, Any]] = {}
        for path in self._files(self._log):
            for row in self._said.get(path) or self._said.setdefault(path, self._read_log(path)):
                known = winners.get(row["window_start"])
                if known is None or row["generation"] > known["generation"]:
                    winners[row["window_start"]] = row
        held = [self._held.get(p) or self._held.setdefault(p, self._read(p)) for p in self._files(self._curated)]
        sights = []
        for start, row in sorted(winners.items()):
            keys = [key for file in held for key in file.get((start, row["append_id"]), ())]
            sights.append(Sight(start, row["generation"], row["append_id"], len(keys), len(set(keys))))
        return sights

    def asked(self) -> list[Sight]:
        """The same by DuckDB, of every file anew."""
        names = {"name": self._what.name, "tenant": self._what.tenant}
        files = {"log": self._files(self._log), "curated": self._files(self._curated)}
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return [Sight(*row) for row in connection.execute(SEEN, {**names, **files}).fetchall()]

    def _files(self, table: DeltaTable) -> list[str]:
        table.update_incremental()
        return [uri.removeprefix("file://") for uri in table.file_uris()]

    def _read_log(self, path: str) -> list[dict[str, Any]]:
        columns = ["table_name", "tenant_id", "window_start", "generation", "append_id"]
        rows = pq.ParquetFile(path).read(columns).to_pylist()
        return [r for r in rows if (r["table_name"], r["tenant_id"]) == (self._what.name, self._what.tenant)]

    def _read(self, path: str) -> dict[tuple[datetime, str], list[int]]:
        found: dict[tuple[datetime, str], list[int]] = {}
        for row in pq.ParquetFile(path).read(["tenant_id", "window_start", "_append_id", "order_id"]).to_pylist():
            if row["tenant_id"] == self._what.tenant:
                found.setdefault((row["window_start"], row["_append_id"]), []).append(row["order_id"])
        return found


class _Follower:
    """As a reader of the files does: from one window's `_published.json` to its load and the rows in there."""

    def __init__(self, what: _What) -> None:
        service = BlobServiceClient(what.landing, credential=what.key)
        self._container, self._prefix = service.get_container_client("landing"), what.prefix
        self._found: list[tuple[str, int, int]] = []
        self._trouble: list[Exception] = []
        self._ended, self._thread = Event(), Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def stop(self) -> list[tuple[str, int, int]]:
        """Everything it found; at the end every window once more."""
        self._ended.set()
        self._thread.join(60)
        for error in self._trouble:
            raise error
        for path in self._published():
            self._follow(path)
        return self._found

    def _go_on(self) -> None:
        try:
            while not self._ended.is_set():
                for path in self._published():
                    self._follow(path)
                self._ended.wait(1 / HERTZ)
        except Exception as error:  # noqa: BLE001 - told when it is stopped
            self._trouble.append(error)

    def _published(self) -> list[str]:
        names = self._container.list_blob_names(name_starts_with=self._prefix)
        return [name for name in names if name.endswith("/_published.json")]

    def _follow(self, path: str) -> None:
        head = json.loads(self._get(path))
        folder = f"{path.rpartition('/')[0]}/load_id={head['load_id']}"
        try:
            manifest = json.loads(self._get(f"{folder}/_manifest.json"))
            parts = [self._get(f"{folder}/{part['name']}") for part in manifest["parts"]]
            found = sum(pq.ParquetFile(BytesIO(part)).metadata.num_rows for part in parts)
        except ResourceNotFoundError:
            found = -1
        self._found.append((path, head["rows"], found))

    def _get(self, path: str) -> bytes:
        data: bytes = self._container.download_blob(path).readall()
        return data
