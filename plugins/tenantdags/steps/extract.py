"""One window of one table from SQL Server into staging: checked first, then totals and rows of one instant."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenantdags.model.errors import ConnectionMissing, WindowRefused
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType
from tenantdags.model.window import Window
from tenantdags.steps import recount, source, totals, tsql
from tenantdags.steps.catalogue import Catalogue, Files, require_fit
from tenantdags.steps.columns import Conform, load_columns, staged_schema
from tenantdags.steps.manifest import Manifest, Part, Recount, Totals
from tenantdags.steps.parts import PartWriter
from tenantdags.steps.pii import PiiKey
from tenantdags.steps.source import Connection, Session
from tenantdags.steps.staging import Staging, staging_errors

BATCH_ROWS = 20_000
BATCH_BYTES = 24 * 1024 * 1024  # of the driver's buffer, which has room for every declared character of every row
HASHED_BATCH_BYTES = 8 * 1024 * 1024  # hashing takes room of its own: measured, 15 MB for batches of 20,000 rows
UNBOUNDED_BATCH_ROWS = 1_000


def extract(
    plan: TablePlan,
    window: Window,
    *,
    connect: Callable[[], Connection],
    catalogue: Catalogue,
    files: Files,
    staging: Staging,
    key: PiiKey | None,
    base_generation: int,
    run_id: str,
    now: Callable[[], datetime],
    published: recount.Published | None = None,
) -> Manifest:
    """The manifest of a complete staged load under a new load_id.

    `connect` opens an mssql-python connection, `catalogue` runs a catalogue statement through MsSqlHook, `files` is
    landing's container, `now` is aware, `published` are earlier windows to recount. Raises the errors of steps.source
    and steps.catalogue, BadValue, StagingUnavailable, WindowRefused.
    """
    where = plan.at(window)
    require_observable(plan, window, now())
    require_key(plan, window, key)
    drift, warnings, tenant_type = require_fit(plan, window, catalogue, files, run_id)
    load_id = new_load_id(now())
    with load_folder(staging, plan, window, load_id) as folder:
        with source.session(connect, plan.source.isolation, where, plan.source.connection) as session:
            extracted_at = now()
            total = totals.of_window(plan, window, session, tenant_type)
            recounted = _recount(plan, published, session, tenant_type) if published else None
            conform = Conform(plan, where, key)
            parts = _parts(plan, window, session, tenant_type, conform, folder)
        manifest = manifest_of(
            plan, window, key, load_id=load_id, extracted_at=extracted_at, base_generation=base_generation, parts=parts,
            totals=total, run_id=run_id, warnings=warnings, stream_checks=conform.stream_checks(), recount=recounted,
            drift=drift,
        )  # fmt: skip
        staging.write_manifest(plan, manifest, window)
    return manifest


def unchanged(
    plan: TablePlan,
    window: Window,
    seen: Totals,
    *,
    connect: Callable[[], Connection],
    catalogue: Catalogue,
    files: Files,
    run_id: str,
) -> bool:
    """Whether the source counts and sums as `seen`, in as far as both took it. Reads no row. Raises as `extract`."""
    where = plan.at(window)
    _, _, tenant_type = require_fit(plan, window, catalogue, files, run_id)
    with source.session(connect, plan.source.isolation, where, plan.source.connection) as session:
        return not recount.differences(seen, totals.of_window(plan, window, session, tenant_type))


def manifest_of(
    plan: TablePlan, window: Window, key: PiiKey | None, *, parts: tuple[Part, ...], **found: Any
) -> Manifest:
    """What was found, and what the plan says of it."""
    return Manifest(
        tenant=plan.tenant,
        table=plan.contract.table,
        contract=plan.contract.ref,
        contract_version=plan.contract.version,
        window_start=window.start,
        window_end=window.end,
        as_of_date=window.as_of_date,
        rows=sum(part.rows for part in parts),
        parts=parts,
        columns=load_columns(plan),
        reconciled=plan.source.isolation == "snapshot",
        pii_key_id=key.key_id if key else None,
        **found,
    )


def new_load_id(now: datetime) -> str:
    """`20261121T020013Z-3f9c1a`: when it was begun, in UTC, and which of that second."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def require_observable(plan: TablePlan, window: Window, now: datetime) -> None:
    """A window that has not ended is incomplete; a snapshot taken long after its day would falsify that day."""
    if now < window.end:
        what = f"the window ends at {window.end:%Y-%m-%dT%H:%M:%SZ}, which is still to come."
        raise WindowRefused(plan.at(window), what, "Run it when the window has ended.")
    if plan.contract.mode != "snapshot":
        return
    allowed = plan.contract.window.observe_within or window.end - window.start
    if now > window.end + allowed:
        what = f"a snapshot of this window could be taken until {window.end + allowed:%Y-%m-%dT%H:%M:%SZ}."
        raise WindowRefused(plan.at(window), what, "Leave it out: the next window's snapshot holds the table's state.")


def require_key(plan: TablePlan, window: Window, key: PiiKey | None) -> None:
    hashes = [c.name for c in plan.contract.columns if c.hashed]
    if hashes and key is None:
        what = f"columns {', '.join(hashes)} are hashed, but there is no key."
        raise ConnectionMissing(plan.at(window), what, f"Create connection pii_{plan.tenant} and name it as pii_key.")


@contextmanager
def load_folder(staging: Staging, plan: TablePlan, window: Window, load_id: str) -> Iterator[Path]:
    """The load's folder; an attempt that fails takes its partial files with it, so a full disk does not stay full."""
    folder = staging.write_dir(plan, load_id, window)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _parts(
    plan: TablePlan, window: Window, session: Session, tenant_type: SqlType | None, conform: Conform, folder: Path
) -> tuple[Part, ...]:
    use_a_frugal_memory_pool()
    writer = PartWriter(folder, staged_schema(plan))
    statement = tsql.select_rows(plan, window, tenant_type)
    with closing(session.stream(statement, batch_rows(plan))) as batches:
        for batch in batches:
            staged = conform(batch)
            with staging_errors(plan.at(window), folder):
                writer.write(staged)
    with staging_errors(plan.at(window), folder):
        return writer.finish()


def use_a_frugal_memory_pool() -> None:
    """Measured above idle, two columns hashed: 73 MB with jemalloc, 95 with malloc, more with the default pool."""
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(0)


def batch_rows(plan: TablePlan) -> int:
    """BATCH_ROWS, fewer where rows are declared wide: 20,000 rows of twenty nvarchar(4000) would be 3 GB of buffer."""
    columns = tsql.selected_columns(plan)
    types = [column.type for column in columns]
    room = HASHED_BATCH_BYTES if any(column.hashed for column in columns) else BATCH_BYTES
    fitting = room // sum(kind.buffer_bytes for kind in types)
    return max(1, min(fitting, UNBOUNDED_BATCH_ROWS if any(kind.unbounded for kind in types) else BATCH_ROWS))


def _recount(plan: TablePlan, published: recount.Published, session: Session, tenant_type: SqlType | None) -> Recount:
    """The windows of the lookback as the source shows them in the transaction this run reads its own rows in."""
    return recount.compare(published, totals.recounted(plan, tuple(published.windows), session, tenant_type))
