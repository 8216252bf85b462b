"""Counts rows without tenantdags: at the source by pymssql, in landing and in the Delta tables by their files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pymssql
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from deltalake import DeltaTable

from sandbox.services import SandboxError
from sandbox.world import World

CONTAINER = "landing"
CATALOG = "prod"
ZONES = {"acme": "Europe/Berlin", "globex": "America/New_York", "northwind": "Europe/London"}
SOURCES = {"acme": "mssql_shared1", "globex": "mssql_globex", "northwind": "mssql_northwind"}
COMPANY = {"acme": 123}  # the tenants that share a database, and their own rows in it
KEYS = {"customers": ("customer_id",), "orders": ("order_id",), "order_lines": ("order_id", "line_no")}

SOURCE_COUNT = {
    "customers": "SELECT COUNT_BIG(*) FROM dbo.Customers AS t WHERE {own}",
    "orders": "SELECT COUNT_BIG(*) FROM dbo.Orders AS t WHERE {own} "
    "AND t.order_date >= %(lo)s AND t.order_date < %(hi)s",
    "order_lines": "SELECT COUNT_BIG(*) FROM dbo.OrderLines AS t WHERE {own} AND EXISTS (SELECT 1 FROM dbo.Orders AS p "
    "WHERE p.order_id = t.order_id AND {parent} AND p.order_date >= %(lo)s AND p.order_date < %(hi)s)",
}


@dataclass(frozen=True, order=True)
class Cell:
    """One window of one table of one tenant."""

    tenant: str
    table: str
    as_of_date: date

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The local day in UTC, reckoned here a second time and not by the product's window."""
        zone = ZoneInfo(ZONES[self.tenant])
        midnights = (
            datetime.combine(day, time(), zone) for day in (self.as_of_date, self.as_of_date + timedelta(days=1))
        )
        start, end = (each.astimezone(UTC) for each in midnights)
        return start, end

    @property
    def window_path(self) -> str:
        return f"{self.table}/v1/tenant_id={self.tenant}/as_of_date={self.as_of_date}"

    @property
    def curated(self) -> str:
        return f"{CATALOG}.curated.{self.table}_v1"

    def __str__(self) -> str:
        return f"{self.tenant} {self.table} {self.as_of_date}"


@dataclass(frozen=True)
class Visible:
    """What a reader sees of one window: rows, distinct keys and the generation that won."""

    rows: int
    keys: int
    generation: int


class Recount:
    """An independent reader of one sandbox."""

    def __init__(self, world: World) -> None:
        self.world = world

    def source(self, cell: Cell) -> int:
        """The window's rows at the source, asked straight from it as its own login."""
        company = COMPANY.get(cell.tenant)
        own = f"t.company_id = {company}" if company else "1 = 1"
        parent = f"p.company_id = {company}" if company else "1 = 1"
        low, high = (bound.replace(tzinfo=None) for bound in cell.bounds)
        sql = SOURCE_COUNT[cell.table].format(own=own, parent=parent)
        with self._connect(cell.tenant) as connection, connection.cursor() as cursor:
            cursor.execute(sql, {"lo": low, "hi": high})
            return int(cursor.fetchone()[0])

    def landed(self, cell: Cell) -> int | None:
        """The rows of the published load, counted in its Parquet files; None when nothing is published."""
        published = self.published(cell)
        if published is None:
            return None
        folder = f"{cell.window_path}/load_id={published['load_id']}/"
        names = [blob.name for blob in self.container.list_blobs(name_starts_with=folder)]
        parts = (self._blob(name) for name in names if name.endswith(".parquet"))
        return sum(int(pq.ParquetFile(BytesIO(part)).metadata.num_rows) for part in parts)

    def published(self, cell: Cell) -> dict[str, Any] | None:
        """The window's `_published.json`, or None."""
        return self._json(f"{cell.window_path}/_published.json")

    def manifests(self, cell: Cell) -> list[dict[str, Any]]:
        """The manifest of every load that ever landed for the window, oldest first."""
        names = [blob.name for blob in self.container.list_blobs(name_starts_with=f"{cell.window_path}/load_id=")]
        found = [json.loads(self._blob(name)) for name in names if name.endswith("_manifest.json")]
        return sorted(found, key=lambda manifest: str(manifest["extracted_at"]))

    def summaries(self, cell: Cell) -> list[dict[str, Any]]:
        """Every QA summary of the window in landing, oldest first."""
        prefix = f"_qa/tenant_id={cell.tenant}/table={cell.table}/as_of_date={cell.as_of_date}"
        blobs = sorted(self.container.list_blobs(name_starts_with=prefix), key=lambda blob: str(blob.creation_time))
        names = [blob.name for blob in blobs if blob.name.endswith(".json") and "/keys/" not in blob.name]
        return [json.loads(self._blob(name)) for name in names]

    def visible(self, cell: Cell) -> Visible:
        """What the highest generation in the log makes of the curated table's files."""
        curated, log = self._files(cell.curated), self._files(f"{CATALOG}.ops.publish_log")
        if not curated or not log:
            return Visible(0, 0, 0)
        keys = ", ".join(KEYS[cell.table])
        sql = f"""
            WITH winner AS (
              SELECT max_by(append_id, generation) AS append_id, max(generation) AS generation
              FROM read_parquet($log, hive_partitioning = false)
              WHERE table_name = $name AND tenant_id = $tenant AND window_start = $start)
            SELECT count(c.tenant_id), count(DISTINCT ({keys})), coalesce(any_value(w.generation), 0)
            FROM winner w LEFT JOIN read_parquet($curated, hive_partitioning = false) c
              ON c._append_id = w.append_id AND c.tenant_id = $tenant AND c.window_start = $start"""
        wanted = {
            "log": log,
            "curated": curated,
            "name": f"{cell.table}_v1",
            "tenant": cell.tenant,
            "start": cell.bounds[0],
        }
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            row = connection.execute(sql, wanted).fetchone()
        return Visible(*row) if row and row[0] else Visible(0, 0, int(row[2]) if row else 0)

    def appended(self, cell: Cell) -> int:
        """How many different appends of the window lie in the curated table, published or not."""
        sql = """SELECT count(DISTINCT _append_id) FROM read_parquet($files, hive_partitioning = false)
                 WHERE tenant_id = $tenant AND window_start = $start"""
        wanted = {"files": self._files(cell.curated), "tenant": cell.tenant, "start": cell.bounds[0]}
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            row = connection.execute(sql, wanted).fetchone() if wanted["files"] else None
        return int(row[0]) if row else 0

    def served(self, cell: Cell) -> int:
        """The rows that the reader view itself gives for the window, by the SQL statements API."""
        view = f"{CATALOG}.serving.{cell.table}{'_history' if cell.table == 'customers' else ''}"
        sql = f"SELECT COUNT(*) FROM {view} WHERE tenant_id = :tenant AND as_of_date = CAST(:day AS DATE)"
        rows = self.world.databricks.statement(sql, tenant=cell.tenant, day=cell.as_of_date.isoformat())
        return int(rows[0][0] or 0)

    @property
    def container(self) -> ContainerClient:
        adls = self.world.adls
        return BlobServiceClient(adls.direct_url, credential=adls.key).get_container_client(CONTAINER)

    def _files(self, table: str) -> list[str]:
        try:
            path = self.world.databricks.table_path(table)
        except SandboxError:
            return []
        return [uri.removeprefix("file://") for uri in DeltaTable(str(path)).file_uris()]

    def _connect(self, tenant: str) -> Any:
        connection = self.world.sqlserver.connection(SOURCES[tenant])
        return pymssql.connect(
            server=connection["host"], port=str(connection["port"]), user=connection["login"],
            password=connection["password"], database=connection["schema"], **connection.get("extra", {}),
        )  # fmt: skip

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads(self._blob(name))
        except ResourceNotFoundError:
            return None
        return content

    def _blob(self, name: str) -> bytes:
        return self.container.download_blob(name).readall()


def days(first: date, last: date) -> Iterator[date]:
    """Every day from first to last, both inclusive."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)
