"""What judging a load costs: our gate beside Soda alone and beside plain SQL, on the same staged files."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gates_contenders import RULES
from benchmarks.gates_world import make_load, plan
from benchmarks.measure import MB, ROOT, ContenderError, Measurement, interleave
from benchmarks.page import stamp, table

HERE = "benchmarks.gates_contenders"
OURS, SODA, SQL = "tenantdags check_extract", "Soda alone", "plain SQL, two statements"
LIMIT = 1.3


def section(scales: Sequence[int], rounds: int) -> str:
    """Measure and tell. Raises ContenderError when one of them did not let the good load through."""
    measured = {}
    for rows in scales:
        with tempfile.TemporaryDirectory() as folder:
            make_load(Path(folder), rows)
            measured[rows] = interleave(contenders(Path(folder)), rounds)
        require_passed(measured[rows])
    return _text(measured, rounds)


def contenders(root: Path) -> dict[str, dict[str, Any]]:
    env = {"PYTHONPATH": str(ROOT / "plugins")}
    functions = {OURS: "ours", SODA: "soda", SQL: "sql"}
    return {label: {"contender": f"{HERE}:{name}", "root": str(root), "env": env} for label, name in functions.items()}


def require_passed(measured: Mapping[str, Measurement]) -> None:
    told = {label: one.result for label, one in measured.items()}
    if any(result != {"outcome": "pass", "failing": []} for result in told.values()):
        raise ContenderError(f"the gates told {told}")


def _text(measured: Mapping[int, Mapping[str, Measurement]], rounds: int) -> str:
    ratios = {rows: one[OURS].cpu_seconds / one[SODA].cpu_seconds for rows, one in measured.items()}
    told = " and ".join(f"{ratio:.2f} × at {rows:,} rows" for rows, ratio in ratios.items())
    kept = "kept" if max(ratios.values()) <= LIMIT else "not kept"
    lines = [_row(rows, label, one) for rows, found in measured.items() for label, one in found.items()]
    return f"""## gates: the rules of orders on staged files

{stamp()} Medians of {rounds} rounds.

All ask {RULES} rules about the same Parquet files of 8 columns, two of them hashes of 64 digits. Soda alone runs a
contract written by hand; plain SQL is two statements, both on DuckDB with its own settings. Ours asks every rule of the
plan ({len(plan().checks)}, with those of the stream), and besides hashes every byte, compares the footers, asks whose
rows they are and compares exact sums with the source; it counts duplicate keys itself and keeps DuckDB within 256 MB.

{table(["rows", "gate", "seconds", "CPU-s", "rows per CPU-s", "peak RSS MB", "above idle MB"], lines)}

Our gate takes {told} of Soda's CPU time (at most {LIMIT} ×: {kept})."""


def _row(rows: int, label: str, one: Measurement) -> list[str]:
    return [
        f"{rows:,}", label, f"{one.seconds:.2f}", f"{one.cpu_seconds:.2f}", f"{rows / one.cpu_seconds:,.0f}",
        f"{one.peak_bytes / MB:.0f}", f"{one.above_idle_bytes / MB:.0f}",
    ]  # fmt: skip
