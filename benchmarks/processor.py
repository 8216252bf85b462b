"""A real dag-processor on an empty database: until every DAG is visible, and from saving a file to its change."""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import Work
from benchmarks.measure import MB, ROOT, ContenderError, Measurement, measure
from benchmarks.page import stamp, table
from benchmarks.parse_world import make_project
from sandbox.airflow_home import Airflow, Component

SETTINGS = {"dag_processor__parsing_processes": 2}
POLL_SECONDS = 0.1
FLEET = 1_000  # tenant files for the refresh that finds nothing changed
EDITS = 5


def section(tenants: int, tables: int, timeout: float) -> str:
    """Measure and tell. Raises ContenderError when DAGs are missing after `timeout` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        airflow = _airflow(Path(folder), tenants, tables)
        with processor_of(airflow) as processor:
            first, last = until_visible(airflow.database, tenants * tables, timeout)
            cpu, peak = _cost(processor)
            edits = [_edit(airflow, f"t{tenants - 1:03}", number, timeout) for number in range(EDITS)]
    with tempfile.TemporaryDirectory() as folder:
        _project(Path(folder) / "project", FLEET, 1)
        refreshed = measure("benchmarks.processor:refresh", root=folder, env=_bundle_env(Path(folder)))
    return _text(tenants, tables, first, last, cpu, peak, edits, refreshed)


def refresh(root: str) -> Work:
    """The refresh of a fleet that did not change, as a dag-processor makes it every few seconds: the middle of 20."""
    from tenantdags.dag.bundle import TenantBundle

    bundle = TenantBundle(root=str(Path(root) / "project"), name="tenants")
    bundle.refresh()

    def work() -> dict[str, Any]:
        seconds = []
        for _ in range(20):
            started = time.perf_counter()
            bundle.refresh()
            seconds.append(time.perf_counter() - started)
        loaders = len(list(bundle.path.glob("tenant_*.py")))
        return {"tenants": loaders, "numbers": {"refresh": median(seconds), "slowest": max(seconds)}}

    return work


def _bundle_env(root: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT / "plugins"),
        "AIRFLOW_HOME": str(root / "home"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(root / "bundles"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }


def _project(root: Path, tenants: int, tables: int) -> None:
    make_project(root, [f"t{n:03}" for n in range(tenants)], [f"table{n:02}" for n in range(tables)])


def _airflow(root: Path, tenants: int, tables: int) -> Airflow:
    project = root / "project"
    _project(project, tenants, tables)
    shutil.copytree(ROOT / "plugins", project / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "dags").mkdir()
    airflow = Airflow(root / "home", project, {}, settings=SETTINGS)
    airflow.prepare()
    return airflow


@contextmanager
def processor_of(airflow: Airflow) -> Iterator[Component]:
    processor = Component("dag-processor", airflow.home)
    processor.start(airflow.env())
    try:
        yield processor
    finally:
        processor.stop(10)


def until_visible(database: Path, dags: int, timeout: float) -> tuple[float, float]:
    """Seconds from now until the first and until the last DAG stands in the database as a scheduler reads it."""
    started = time.monotonic()
    _wait(lambda: _visible(database) > 0, timeout, "the first DAG")
    first = time.monotonic() - started
    _wait(lambda: _visible(database) == dags, timeout, f"all {dags} DAGs")
    return first, time.monotonic() - started


def _visible(database: Path) -> int:
    tenants = r"dag_id LIKE '%\_\_%' ESCAPE '\'"  # the platform's own DAGs have no table behind two underscores
    query = f"SELECT count(*) FROM dag JOIN serialized_dag USING (dag_id) WHERE NOT is_stale AND {tenants}"
    return int(_rows(database, query)[0][0])


def _rows(database: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
        return connection.execute(query, values).fetchall()


def _edit(airflow: Airflow, tenant: str, number: int, timeout: float) -> float:
    """Seconds from saving the tenant's file until the last of its DAGs has changed."""
    file = airflow.project / "config" / "tenants" / f"{tenant}.yaml"
    lines = [f"name: Edited {number}" if line.startswith("name:") else line for line in file.read_text().splitlines()]
    before = _stored(airflow.database, tenant)
    file.write_text("\n".join(lines) + "\n")
    saved = time.monotonic()
    _wait(lambda: _none_as(before, _stored(airflow.database, tenant)), timeout, f"the change of {tenant}")
    return time.monotonic() - saved


def _stored(database: Path, tenant: str) -> dict[str, str]:
    query = "SELECT dag_id, dag_hash FROM serialized_dag WHERE substr(dag_id, 1, instr(dag_id, '__') - 1) = ?"
    return {row[0]: row[1] for row in _rows(database, query, tenant)}


def _none_as(before: dict[str, str], now: dict[str, str]) -> bool:
    return bool(now) and all(now.get(dag_id) != digest for dag_id, digest in before.items())


def _wait(seen: Callable[[], bool], timeout: float, what: str) -> None:
    deadline = time.monotonic() + timeout
    while not seen():
        if time.monotonic() > deadline:
            raise ContenderError(f"not seen within {timeout:.0f} s: {what}")
        time.sleep(POLL_SECONDS)


def _cost(processor: Component) -> tuple[float, int]:
    """CPU seconds of the dag-processor with its ended forks, and the peak RSS of its main process."""
    process = processor.process()
    if process is None:
        raise ContenderError(f"the dag-processor ended:\n{processor.log_tail()}")
    times = process.cpu_times()
    cpu = times.user + times.system + times.children_user + times.children_system
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return cpu, int(peak.split()[1]) * 1024


def _text(
    tenants: int, tables: int, first: float, last: float, cpu: float, peak: int, edits: list[float], fleet: Measurement
) -> str:
    refreshed = fleet.numbers
    rows = [
        ["first DAG visible, from the start of an empty Airflow", f"{first:.1f}"],
        [f"all {tenants * tables:,} DAGs of {tenants} tenants visible", f"{last:.1f}"],
        [f"change visible after saving one tenant file of {tables} tables, median of {EDITS}", f"{median(edits):.1f}"],
        [f"the slowest of the {EDITS}", f"{max(edits):.1f}"],
        [f"refresh of {fleet.result['tenants']:,} unchanged tenants, median of 20", f"{refreshed['refresh']:.3f}"],
        ["the slowest of the 20", f"{refreshed['slowest']:.3f}"],
    ]
    return f"""## processor: {tenants * tables:,} DAGs of {tenants} tenants

{stamp()}

A real `airflow dag-processor` with {SETTINGS["dag_processor__parsing_processes"]} parsing processes on an empty SQLite
database, with the tenant bundle. A DAG is visible when it stands in the metadata database as the scheduler reads it.

{table(["until", "seconds"], rows)}

To the last DAG the dag-processor took {cpu:.0f} CPU-s, and {peak / MB:.0f} MB of memory at its peak."""
