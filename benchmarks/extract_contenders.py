"""One table from SQL Server into zstd Parquet, by five engines. Each prepares its imports and connection, then works.

All read over TLS, as the same login, and every engine writes what it reads; where an engine streams, its batches have
20,000 rows, as ours have.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.child import Work

CONNECTION = "mssql_bench"
BATCH_ROWS = 20_000
SELECT = "SELECT * FROM dbo.Bench12"


def ours(root: str, table: str) -> Work:
    """What ExtractOperator does: preflight, control totals and rows of one snapshot, casts, checksums, manifest.

    Idle is a task process with everything imported that the step uses.
    """
    import tenantdags.dag.operators  # noqa: F401 - in memory wherever a task starts
    from tenantdags.dag import world
    from tenantdags.model.project import load_tenant
    from tenantdags.model.window import day_window
    from tenantdags.steps.extract import extract
    from tenantdags.steps.source import connect

    start_task_process()
    [plan] = [plan for plan in load_tenant(Path(root) / "project", "bench") if plan.table == table]
    now = datetime.now(UTC)
    window = day_window((now - timedelta(days=1)).date(), "UTC")
    step = partial(
        extract,
        connect=partial(connect, world.source_login(plan, window)),
        catalogue=world.source_records(plan, window),
        files=Remembered(),
        staging=world.staging(plan),
        key=world.pii_key(plan, window),
        base_generation=0,
        run_id="benchmark",
        now=partial(datetime.now, UTC),
    )
    return lambda: {"rows": step(plan, window).rows}


class Remembered:
    """What landing would remember of drift, without a landing zone: two small requests a run are not measured."""

    def read(self, where: str, path: str) -> None:
        return None

    def swap(self, where: str, path: str, data: bytes, etag: str | None) -> str:
        return "etag"

    def write(self, where: str, path: str, data: bytes) -> None:
        return None


def get_df(root: str) -> Work:
    """The hook's own way: a pandas frame, then to_parquet."""
    import pandas
    import pyarrow.parquet  # noqa: F401 - what to_parquet writes with

    hook = _hook()

    def work() -> dict[str, Any]:
        frame: pandas.DataFrame = hook.get_df(SELECT, df_type="pandas")
        frame.to_parquet(_out(root, "get_df"), compression="zstd", index=False)
        return {"rows": len(frame)}

    return work


def pymssql_fetchmany(root: str) -> Work:
    """The hook's driver with fetchmany, so that memory is bounded, and pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    hook = _hook()

    def work() -> dict[str, Any]:
        schema, rows = _schema(), 0
        with hook.get_conn() as connection, pq.ParquetWriter(_out(root, "pymssql"), schema, compression="zstd") as out:
            cursor = connection.cursor()
            cursor.execute(SELECT)
            for fetched in _batches(cursor):
                columns = [pa.array(c, f.type) for c, f in zip(zip(*fetched, strict=True), schema, strict=True)]
                out.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
                rows += len(fetched)
        return {"rows": rows}

    return work


def connectorx(root: str) -> Work:
    """connectorx into one Arrow table: its reader for SQL Server has no stream."""
    import connectorx
    import pyarrow.parquet as pq

    login = _hook().connection
    place = f"{login.host}:{login.port}/{login.schema}"
    url = f"mssql://{quote(login.login)}:{quote(login.password)}@{place}?encrypt=true&trust_server_certificate=true"

    def work() -> dict[str, Any]:
        table = connectorx.read_sql(url, SELECT, return_type="arrow")
        pq.write_table(table, _out(root, "connectorx"), compression="zstd")
        return {"rows": table.num_rows}

    return work


def start_task_process() -> None:
    """What the task runner does before it looks for its task: its imports, and every plugin for its listeners."""
    import airflow.sdk.execution_time.task_runner  # noqa: F401 - imported for what it keeps in memory
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()


def _hook() -> Any:
    start_task_process()
    from airflow.providers.microsoft.mssql.hooks.mssql import MsSqlHook

    hook = MsSqlHook(mssql_conn_id=CONNECTION)
    assert hook.connection.host  # resolved here, so that no contender pays for the look-up
    return hook


def _out(root: str, engine: str) -> str:
    folder = Path(root) / "out" / engine
    folder.mkdir(exist_ok=True)
    return str(folder / "part-00000.parquet")


def _batches(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(BATCH_ROWS):
        yield rows


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.int64()), ("code", pa.int32()), ("flag", pa.bool_()), ("ratio", pa.float64()),
            ("amount", pa.decimal128(18, 2)), ("price", pa.decimal128(19, 4)), ("day", pa.date32()),
            ("happened_at", pa.timestamp("us")), ("updated_at", pa.timestamp("us")), ("status", pa.string()),
            ("email", pa.string()), ("note", pa.string()),
        ]
    )  # fmt: skip
