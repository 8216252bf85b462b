"""Thousands of DAGs: ours against a plain loop with the same tasks, against dag-factory and against Blueprint."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import MB, ROOT, ContenderError, Measurement, interleave, ratio
from benchmarks.page import stamp, table
from benchmarks.parse_world import STEPS, make_world
from benchmarks.same_tasks import PROJECT

HERE = "benchmarks.parse_contenders"
LABELS = {
    "ours": "tenantdags, one loader per tenant", "loop": "plain loop, one file",
    "loop_files": "plain loop, one file per tenant", "dag_factory": "dag-factory 1.1", "blueprint": "Blueprint 0.5",
}  # fmt: skip
PACKAGES = {"dag_factory": "dagfactory", "blueprint": "blueprint"}
BENCH = ROOT / ".bench"
ONCE_ABOVE = 60.0  # seconds


def section(tenants: Sequence[int], tables: int, rounds: int) -> str:
    """Measure fleets of so many tenants, and tell. Raises ContenderError when a contender made other DAGs."""
    for package in PACKAGES.values():
        if not (BENCH / package).exists():
            raise ContenderError(f"{package} is not in .bench; `make bench` puts it there")
    return "\n\n".join([_about(rounds), *(_fleet(number, tables, rounds) for number in tenants)])


def _fleet(tenants: int, tables: int, rounds: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        make_world(Path(folder), tenants, tables)
        parsed = interleave(_contenders("parse", Path(folder)), rounds, ONCE_ABOVE)
        last = f"t{tenants - 1:03}__table{tables - 1:02}"
        started = interleave(_contenders("start", Path(folder), dag_id=last), rounds, ONCE_ABOVE)
    _require_same(parsed, tenants * tables)
    return _text(parsed, started)


def _contenders(function: str, root: Path, **arguments: str) -> dict[str, dict[str, Any]]:
    return {
        LABELS[kind]: {
            "contender": f"{HERE}:{function}", "root": str(root), "kind": kind, "env": _env(root, kind), **arguments,
        }
        for kind in LABELS
    }  # fmt: skip


def _env(root: Path, kind: str) -> dict[str, str]:
    """dag-factory alone sees .bench, or its Airflow plugin would load, and cost, in every contender's process."""
    alone = root / "only_blueprint"
    alone.mkdir(exist_ok=True)
    if not (alone / "blueprint").is_symlink():
        (alone / "blueprint").symlink_to(BENCH / "blueprint")
    path = {"dag_factory": [str(BENCH)], "blueprint": [str(alone), str(ROOT)]}.get(kind, [])
    return {
        PROJECT: str(root / "project"),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), *path]),
        "AIRFLOW_HOME": str(root / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Airflow's own limit of 30 s would end the slowest contender before its number is known.
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "900",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(root / "bundles"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "DO_NOT_TRACK": "1",
    }


def _require_same(parsed: Mapping[str, Measurement], dags: int) -> None:
    for label, one in parsed.items():
        if (one.result["dags"], one.result["tasks"]) != (dags, dags * len(STEPS)):
            raise ContenderError(f"{label} made {one.result}, not {dags} DAGs of {len(STEPS)} tasks")


def _about(rounds: int) -> str:
    return f"""## parse: thousands of DAGs of {len(STEPS)} tasks

{stamp()} Medians of {rounds} rounds, ratios
round by round; whoever takes more than {ONCE_ABOVE:.0f} s for a pass makes one.

One pass over every DAG file as Airflow's dag processor makes it: each file in a fork of a process that has Airflow in
memory (frozen, as Airflow does, so that collecting garbage copies none of it), first the DAG objects (build), then
their serialised form. Ours reads and validates every tenant file and every contract it names, and copies the tasks of
a pattern; the loop reads the same tenant files with PyYAML, takes ready plans and writes out the same DAGs in plain
Airflow (`with DAG`, an operator per task, `>>`), once in one file and once in a file per tenant, with everything it
needs in memory before the fork, as our bundle has; dag-factory reads YAML with the same operators, without deadlines
and teardown, for which it has no words; Blueprint reads a YAML file per DAG, with our DAG arguments and the same
operators, without teardown.

A task's start is what it costs before its first line: a fork of a scheduler, which has loaded its plugins and read no
tenant's file, prepares the bundle and finds its task in the DAG file.

Airflow gives up on a file after 30 s of import or 50 s in all (both lifted here), so the longest file is what limits
the number of DAGs: ours grows with one tenant's tables, not with the number of tenants. A loop in one file is not
loaded at all beyond that, however cheap it is."""


def _text(parsed: Mapping[str, Measurement], started: Mapping[str, Measurement]) -> str:
    dags = next(iter(parsed.values())).result["dags"]
    build = {kind: ratio(parsed[LABELS["ours"]], parsed[label], "build_cpu") for kind, label in LABELS.items()}
    start = {kind: ratio(started[LABELS["ours"]], started[label], "cpu") for kind, label in LABELS.items()}
    return f"""### {dags:,} DAGs

{table(["factory", "files", "build CPU-s", "serialise CPU-s", "longest file s", "peak RSS MB", "JSON bytes per DAG"],
       [_parse_row(label, one) for label, one in parsed.items()])}

{table(["start of a task", "CPU-s", "seconds", "peak RSS MB", "DAGs built"],
       [_start_row(label, one) for label, one in started.items()])}

Building takes {build["loop"]:.2f} × the CPU of the plain loop in one file,
{build["loop_files"]:.2f} × that of the loop in a file per tenant, {build["dag_factory"]:.2f} × that of dag-factory and
{build["blueprint"]:.2f} × that of Blueprint; starting a task takes {start["loop"]:.3f} ×,
{start["loop_files"]:.2f} ×, {start["dag_factory"]:.4f} × and {start["blueprint"]:.3f} ×."""


def _parse_row(label: str, one: Measurement) -> list[str]:
    numbers = one.numbers
    return [
        label, f"{one.result['files']}", f"{numbers['build_cpu']:.1f}", f"{numbers['serialise_cpu']:.1f}",
        f"{numbers['longest_seconds']:.2f}", f"{numbers['peak_bytes'] / MB:.0f}",
        f"{one.result['json_bytes_per_dag']:,}",
    ]  # fmt: skip


def _start_row(label: str, one: Measurement) -> list[str]:
    numbers = one.numbers
    peak = f"{numbers['peak_bytes'] / MB:.0f}"
    return [label, f"{numbers['cpu']:.3f}", f"{numbers['seconds']:.3f}", peak, f"{one.result['dags']:,}"]
