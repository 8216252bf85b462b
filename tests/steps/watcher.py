"""A reader that knows nothing of the product: Delta logs by delta-rs, rows by DuckDB, landing by its own client."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from threading import Event, Thread
from typing import Any

import duckdb
import pyarrow.parquet as pq
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from deltalake import DeltaTable

from tests.steps.lakehouse import Lakehouse

HERTZ = 20
# What the reader view means, written down a second time: the newest generation of every window, and its append's rows.
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
    trouble: list[Exception] = field(default_factory=list)

    @contextmanager
    def watching(self) -> Iterator[None]:
        stop = Event()
        thread = Thread(target=self._watch, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
        if self.trouble:
            raise self.trouble[0]

    @contextmanager
    def during(self) -> Iterator[None]:
        """Whatever happens inside was looked at before, while it happened, and after."""
        self._another()
        yield
        self._another()

    def _another(self) -> None:
        """Waits for a look that began now or later."""
        wanted = len(self.looks) + 2
        while len(self.looks) < wanted and not self.trouble:
            time.sleep(0.005)

    def _watch(self, stop: Event) -> None:
        adls = self.lakehouse.adls
        container = BlobServiceClient(adls.direct_url, credential=adls.key).get_container_client("landing")
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
            while not stop.wait(max(0.0, 1 / HERTZ - self._look(connection, container))):
                pass

    def _look(self, connection: duckdb.DuckDBPyConnection, container: Any) -> float:
        """Seconds that it took."""
        started = time.monotonic()
        try:
            # The log first, as a view's join may: no append is younger than the row that names it.
            log, curated = self._files("prod.ops.publish_log"), self._files(self.curated)
            wanted = {"log": log, "curated": curated, "name": self.curated.split(".")[2], "tenant": self.tenant}
            rows = connection.execute(SEEN, wanted).fetchall() if log and curated else []
            self.looks.append([Sight(*row) for row in rows])
            self._follow(container, len(self.looks))
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            self.trouble.append(error)
        return time.monotonic() - started

    def _files(self, table: str) -> list[str]:
        path = self.lakehouse.databricks.table_path(table)
        return [uri.removeprefix("file://") for uri in DeltaTable(str(path)).file_uris()]

    def _follow(self, container: Any, turn: int) -> None:
        """As a reader of the files does: from one window's `_published.json` to its load and the rows in there."""
        names = [n for n in container.list_blob_names(name_starts_with=self.prefix) if n.endswith("/_published.json")]
        if not names:
            return
        path = names[turn % len(names)]
        head = json.loads(container.download_blob(path).readall())
        folder = f"{path.rpartition('/')[0]}/load_id={head['load_id']}"
        try:
            manifest = json.loads(container.download_blob(f"{folder}/_manifest.json").readall())
            parts = [container.download_blob(f"{folder}/{part['name']}").readall() for part in manifest["parts"]]
            found = sum(pq.ParquetFile(BytesIO(part)).metadata.num_rows for part in parts)
        except ResourceNotFoundError:
            found = -1
        self.landed.append((path, head["rows"], found))
