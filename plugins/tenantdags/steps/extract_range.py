"""Many windows of one event table from SQL Server into staging: one pass over the source, one load for each window."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tenantdags.model.errors import BadValue, ReconcileMismatch, RunError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import source, totals, tsql
from tenantdags.steps.catalogue import Catalogue, Files, require_fit
from tenantdags.steps.columns import Conform, staged_schema
from tenantdags.steps.extract import (
    batch_rows,
    load_folder,
    manifest_of,
    new_load_id,
    require_key,
    require_observable,
    use_a_frugal_memory_pool,
)
from tenantdags.steps.manifest import Manifest, Part, Totals
from tenantdags.steps.parts import PartWriter
from tenantdags.steps.pii import PiiKey
from tenantdags.steps.source import Connection, Session
from tenantdags.steps.staging import Staging, staging_errors

MOST_WINDOWS = 366  # SQL Server takes 2,100 parameters, and a window's totals up to three
_EPOCH, _DAY_ONE = datetime(1970, 1, 1), date(1970, 1, 1)  # noqa: DTZ001 - naive, as the bounds of a window column are


def extract_range(
    plan: TablePlan,
    windows: Sequence[Window],
    *,
    connect: Callable[[], Connection],
    catalogue: Catalogue,
    files: Files,
    staging: Staging,
    key: PiiKey | None,
    base_generations: Mapping[Window, int],
    run_id: str,
    now: Callable[[], datetime],
) -> dict[Window, Manifest | RunError]:
    """Per window the manifest of a complete staged load, or what is wrong with its rows and stops no other one.

    `windows` are in order; where some between them are left out, each stretch is a pass of its own. All is read in one
    transaction. Raises as `extract` does for what concerns them all.
    """
    for window in windows:
        require_observable(plan, window, now())
    require_key(plan, windows[0], key)
    drift, warnings, tenant_type = require_fit(plan, windows[0], catalogue, files, run_id)
    use_a_frugal_memory_pool()
    where = plan.at(f"{windows[0]} to {windows[-1]}")
    with ExitStack() as folders:
        loads = [_Load(plan, window, key, new_load_id(now()), staging, folders) for window in windows]
        with source.session(connect, plan.source.isolation, where, plan.source.connection) as session:
            extracted_at, counted = now(), dict[Window, Totals | BadValue]()
            for stretch in stretches(loads):
                asked = [load.window for load in stretch]
                counted |= totals.of_windows(plan, asked, session, tenant_type)
                _fill(plan, stretch, session, tsql.select_range(plan, asked, tenant_type))
        found: dict[Window, Manifest | RunError] = {}
        for load in loads:
            total, parts = counted[load.window], load.finish()
            if isinstance(total, RunError) or isinstance(parts, RunError):
                found[load.window] = total if isinstance(total, RunError) else parts  # type: ignore[assignment]
                staging.delete(plan, load.load_id, load.window)
                continue
            manifest = manifest_of(
                plan, load.window, key, load_id=load.load_id, extracted_at=extracted_at,
                base_generation=base_generations[load.window], parts=parts, totals=total, run_id=run_id,
                warnings=warnings, stream_checks=load.conform.stream_checks(), drift=drift,
            )  # fmt: skip
            staging.write_manifest(plan, manifest, load.window)
            found[load.window] = manifest
    return found


class _Load:
    """One window's rows on their way into its folder."""

    def __init__(
        self, plan: TablePlan, window: Window, key: PiiKey | None, load_id: str, staging: Staging, folders: ExitStack
    ) -> None:
        self.window, self.load_id = window, load_id
        self.folder: Path = folders.enter_context(load_folder(staging, plan, window, load_id))
        self.conform = Conform(plan, plan.at(window), key)
        self._where, self._schema = plan.at(window), staged_schema(plan)
        self._writer: PartWriter | None = None
        self._done: tuple[Part, ...] | BadValue | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Rows of a window whose values are bad are passed over: the other windows need theirs."""
        if self._done is not None:
            return
        try:
            staged = self.conform(batch)
        except BadValue as error:
            self.finish()
            self._done = error
            return
        with staging_errors(self._where, self.folder):
            self._writer = self._writer or PartWriter(self.folder, self._schema)
            self._writer.write(staged)

    def finish(self) -> tuple[Part, ...] | BadValue:
        """The parts; what is held in memory is written now."""
        if self._done is None:
            with staging_errors(self._where, self.folder):
                self._done = self._writer.finish() if self._writer else ()
        self._writer = None
        return self._done


def stretches(loads: Sequence[_Load]) -> Iterator[list[_Load]]:
    """Those that follow each other without a gap, together."""
    found: list[_Load] = []
    for load in loads:
        if found and found[-1].window.end != load.window.start:
            yield found
            found = []
        found.append(load)
    if found:
        yield found


def _fill(plan: TablePlan, loads: Sequence[_Load], session: Session, statement: tsql.Statement) -> None:
    """Each window's rows into its load; ordered as they come, one load holds rows in memory at a time."""
    edges = _edges(plan, [load.window for load in loads])
    at = 0
    with closing(session.stream(statement, batch_rows(plan))) as batches:
        for batch in batches:
            values = _comparable(batch.column(batch.num_columns - 1))
            for place, start, stop in _pieces(values, edges):
                _require_inside(plan, loads[place].window, values.slice(start, stop - start), edges, place, at)
                if place > at:
                    loads[at].finish()
                    at = place
                loads[place].write(batch.slice(start, stop - start))
    for load in loads:
        load.finish()


def _edges(plan: TablePlan, windows: Sequence[Window]) -> list[int]:
    """Where each window begins and the last one ends, as `_comparable` has the window column."""
    bounds = [tsql.window_bounds(plan, window)[0] for window in windows]
    return [_number(bound) for bound in (*bounds, tsql.window_bounds(plan, windows[-1])[1])]


def _number(bound: object) -> int:
    """Days since 1970 of a date; microseconds of a datetime."""
    if isinstance(bound, datetime):
        gone = bound - _EPOCH
        return (gone.days * 86_400 + gone.seconds) * 1_000_000 + gone.microseconds
    assert isinstance(bound, date)
    return (bound - _DAY_ONE).days


def _comparable(values: pa.Array) -> pa.Array:
    if pa.types.is_date32(values.type):
        return values.cast(pa.int32()).cast(pa.int64())
    aware = pa.types.is_timestamp(values.type) and values.type.tz is not None
    return values.cast(pa.timestamp("us", tz="UTC") if aware else pa.timestamp("us")).cast(pa.int64())


def _pieces(values: pa.Array, edges: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(place of the window, start, stop) of each run of rows of one window; they are sorted, so by bisection."""
    start = 0
    while start < len(values):
        place = min(max(bisect_right(edges, values[start].as_py()) - 1, 0), len(edges) - 2)
        rows = range(start, len(values))
        stop = start + bisect_left(rows, edges[place + 1], key=lambda row: values[row].as_py())
        yield place, start, max(stop, start + 1)
        start = max(stop, start + 1)


def _require_inside(
    plan: TablePlan, window: Window, values: pa.Array, edges: Sequence[int], place: int, at: int
) -> None:
    """Raises ReconcileMismatch for rows out of order: nobody could say any more what a finished window lacks."""
    found = pc.min_max(values).as_py()
    if place < at or found["min"] < edges[place] or found["max"] >= edges[place + 1]:
        what = "the source sent rows that are not in the order of their windows."
        remedy = "Load these windows one by one: `tenantdags backfill` without --bulk."
        raise ReconcileMismatch(plan.at(window), what, remedy)
