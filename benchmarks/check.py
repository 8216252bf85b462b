"""`tenantdags check` of a whole fleet in a process of its own, beside merely reading the same files."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import MB, ContenderError, Measurement, interleave
from benchmarks.page import stamp, table
from benchmarks.parse_world import make_project

HERE = "benchmarks.check_contenders"
SECONDS, MEGABYTES = 3, 150
GOOD, BROKEN, READ = "tenantdags check", "tenantdags check, a mistake in every tenant", "PyYAML reads the same files"


def section(tenants: int, tables: int, rounds: int) -> str:
    """Measure and tell. Raises ContenderError when a check told something else than it had to."""
    with tempfile.TemporaryDirectory() as folder:
        make_fleets(Path(folder), tenants, tables)
        measured = interleave(contenders(Path(folder)), rounds)
    require_same(measured, tenants, tables)
    return _text(measured, tenants, tables, rounds)


def make_fleets(root: Path, tenants: int, tables: int) -> None:
    """Folders good/ and broken/ below `root`; in broken/ every tenant misspells one key."""
    names = [f"t{number:03}" for number in range(tenants)]
    for fleet in ("good", "broken"):
        make_project(root / fleet, names, [f"table{number:02}" for number in range(tables)])
    for file in (root / "broken" / "config" / "tenants").iterdir():
        file.write_text(file.read_text().replace("time_zone: Europe", "time_zon: Europe"))


def contenders(root: Path) -> dict[str, dict[str, Any]]:
    return {
        GOOD: {"contender": f"{HERE}:check", "project": str(root / "good")},
        BROKEN: {"contender": f"{HERE}:check", "project": str(root / "broken")},
        READ: {"contender": f"{HERE}:read", "project": str(root / "good")},
    }


def require_same(measured: Mapping[str, Measurement], tenants: int, tables: int) -> None:
    told = {label: one.result["told"] for label, one in measured.items()}
    good = rf"{tenants} tenants, {tenants * tables} tables, \d+ checks: no problems"
    # the misspelt key is unknown, and the right one is missing
    if not re.fullmatch(good, told[GOOD]) or told[BROKEN] != f"{2 * tenants} problems":
        raise ContenderError(f"the checks told {told}")
    if any(one.result["airflow"] for one in measured.values()):
        raise ContenderError("a check imported Airflow")


def _text(measured: Mapping[str, Measurement], tenants: int, tables: int, rounds: int) -> str:
    seconds = measured[GOOD].numbers["seconds"]
    peak = measured[GOOD].numbers["peak_bytes"] / MB
    kept = "Both hold" if seconds <= SECONDS and peak <= MEGABYTES else "They do not hold here"
    return f"""## check: {tenants} tenants of {tables} tables

{stamp()} Medians of {rounds} rounds.

Each row is a process of its own, from its start to its end, with the files in the system's cache: {tenants} tenant
files, {tables} contracts, defaults and groups. Airflow is not imported.

{table(["command", "seconds", "CPU-s", "peak RSS MB"], [_row(label, one) for label, one in measured.items()])}

Expected are at most {SECONDS} s and {MEGABYTES} MB. {kept}: {seconds:.1f} s and {peak:.0f} MB."""


def _row(label: str, one: Measurement) -> list[str]:
    numbers = one.numbers
    return [label, f"{numbers['seconds']:.2f}", f"{numbers['cpu']:.2f}", f"{numbers['peak_bytes'] / MB:.0f}"]
