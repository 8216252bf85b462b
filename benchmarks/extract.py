"""SQL Server to Parquet: ours against MsSqlHook.get_df, pymssql with fetchmany, and connectorx."""

import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.extract_world import ExtractWorld, extract_world
from benchmarks.measure import MB, ContenderError, Measurement, interleave
from benchmarks.page import stamp, table

HERE = "benchmarks.extract_contenders"
OURS, HASHED, CONNECTORX = "tenantdags", "tenantdags, e-mail hashed", "connectorx, one Arrow table"
PYMSSQL, GET_DF = "pymssql fetchmany + pyarrow", "MsSqlHook.get_df + to_parquet"
FOLDERS = {
    OURS: "staging/bench/bench12/*",
    HASHED: "staging/bench/bench12_hashed/*",
    CONNECTORX: "out/connectorx",
    PYMSSQL: "out/pymssql",
    GET_DF: "out/get_df",
}
LIMIT_PEAK, LIMIT_ABOVE_IDLE = 260, 80  # MB, at any number of rows


def section(rows: int, scales: Sequence[int], rounds: int) -> str:
    """Measure and tell. Raises ContenderError when an engine's files do not hold the table."""
    with tempfile.TemporaryDirectory() as folder, extract_world(Path(folder)) as world:
        world.fill(rows)
        compared = interleave(_contenders(world), rounds)
        for label in compared:
            _require_same(world, label)
        flat = {rows: {label: compared[label] for label in (OURS, HASHED)}}
        flat |= {scale: _ours_at(world, scale, rounds) for scale in scales}
    return _text(compared, flat, rows, rounds)


def _contenders(world: ExtractWorld) -> dict[str, dict[str, Any]]:
    common = {"root": str(world.root), "env": world.env}
    return {
        OURS: {"contender": f"{HERE}:ours", "table": "bench12", **common},
        HASHED: {"contender": f"{HERE}:ours", "table": "bench12_hashed", **common},
        CONNECTORX: {"contender": f"{HERE}:connectorx", **common},
        PYMSSQL: {"contender": f"{HERE}:pymssql_fetchmany", **common},
        GET_DF: {"contender": f"{HERE}:get_df", **common},
    }


def _ours_at(world: ExtractWorld, rows: int, rounds: int) -> dict[str, Measurement]:
    world.fill(rows)
    contenders = _contenders(world)
    measured = interleave({label: contenders[label] for label in (OURS, HASHED)}, rounds)
    for label in measured:
        _require_same(world, label)
    return measured


def _require_same(world: ExtractWorld, label: str) -> None:
    """The newest files of an engine hold the table's rows, by count and by exact sums of two columns."""
    folder = max(world.root.glob(FOLDERS[label]), key=lambda path: path.stat().st_mtime)
    sums = "count(*), sum(id), sum(CAST(amount AS DECIMAL(18, 2)))"
    [found] = duckdb.connect().sql(f"SELECT {sums} FROM read_parquet('{folder}/*.parquet')").fetchall()
    [[rows, ids, amounts]] = world.server.execute("bench", f"SELECT {sums} FROM Bench12")
    wanted = (int(rows), int(ids), Decimal(str(amounts)))
    if (found[0], found[1], Decimal(str(found[2]))) != wanted:
        raise ContenderError(f"{label} wrote {found}, the table has {wanted}")


def _text(
    compared: Mapping[str, Measurement], flat: Mapping[int, Mapping[str, Measurement]], rows: int, rounds: int
) -> str:
    ratio = _rows_per_cpu(compared[OURS]) / _rows_per_cpu(compared[GET_DF])
    peak = max(one.peak_bytes for scale in flat.values() for one in scale.values()) / MB
    above = max(one.above_idle_bytes for scale in flat.values() for one in scale.values()) / MB
    return f"""## extract: {rows:,} rows of 12 mixed columns from SQL Server to Parquet

{stamp()} Medians of {rounds} rounds.

The sandbox's SQL Server stand-in serves the table over TLS on the same machine, so rows/s is what both can do together
on its cores; CPU seconds are the reader's alone. Every engine writes Parquet with zstd, and its files are compared with
the table by count and exact sums. Ours does what the task does: preflight against the catalogue, control totals and
rows in one snapshot transaction, contract casts, checksums, manifest. Memory in MB of 1,000,000 bytes.

{table(["engine", "rows/s", "CPU-s", "rows per CPU-s", "peak RSS MB", "above idle MB"],
       [_row(label, one) for label, one in compared.items()])}

tenantdags moves {ratio:.1f} × as many rows per CPU second as `MsSqlHook.get_df` (expected: 10 × or more).

Memory by number of rows, plain and with a hashed column:

{table(["rows", "peak RSS MB", "above idle MB", "hashed: peak RSS MB", "hashed: above idle MB"],
       [_flat_row(scale, flat[scale]) for scale in sorted(flat)])}

Limits at any number of rows: {LIMIT_PEAK} MB for the task process ({_verdict(peak, LIMIT_PEAK)}) and
{LIMIT_ABOVE_IDLE} MB above its idle ({_verdict(above, LIMIT_ABOVE_IDLE)}). Idle is a task process with Airflow's task
runner and plugins, the operators, the hook, pyarrow and the driver in memory."""


def _rows_per_cpu(one: Measurement) -> float:
    return float(one.result["rows"]) / one.cpu_seconds


def _verdict(value: float, limit: int) -> str:
    return f"{'held' if value <= limit else 'exceeded'}: {value:.0f} MB at most"


def _row(label: str, one: Measurement) -> list[str]:
    rows_per_second = one.result["rows"] / one.seconds
    return [
        label, f"{rows_per_second:,.0f}", f"{one.cpu_seconds:.2f}", f"{_rows_per_cpu(one):,.0f}",
        f"{one.peak_bytes / MB:.0f}", f"{one.above_idle_bytes / MB:.0f}",
    ]  # fmt: skip


def _flat_row(rows: int, measured: Mapping[str, Measurement]) -> list[str]:
    both = [measured[label] for label in (OURS, HASHED)]
    sizes = [size for one in both for size in (one.peak_bytes, one.above_idle_bytes)]
    return [f"{rows:,}", *(f"{size / MB:.0f}" for size in sizes)]
