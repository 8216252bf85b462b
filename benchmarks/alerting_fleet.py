"""What one look of the watch costs at thousands of DAGs, against a real api-server whose database has all of them."""

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from benchmarks.alerting_world import WATCH, copy_platform
from benchmarks.child import Work
from benchmarks.measure import ContenderError, Measurement, measure
from benchmarks.parse_world import tenant_text
from benchmarks.processor import processor_of, until_visible
from sandbox.adls import Adls
from sandbox.airflow_home import Airflow, Component
from tenantdags.model.deadline import due_of
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import load_tenant
from tenantdags.model.window import day_window
from tenantdags.steps.published import Generation, PublishedFile

SETTINGS = {"dag_processor__parsing_processes": 2}
DUE_AT_ONCE = 25  # tenants, with 20 tables each: 500 windows, as many files as one look reads


@dataclass(frozen=True)
class Cost:
    """Of one look in a process of its own; `api_cpu_seconds` are the api-server's."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    api_calls: int
    reads: int
    api_cpu_seconds: float


def look_costs(tenants: int, tables: int, timeout: float) -> dict[str, Cost]:
    """By what the look meets. Raises ContenderError when DAGs are missing after `timeout` seconds."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        adls = Adls(root / "run")
        stack.callback(adls.service.stop)
        adls.service.start()
        adls.service.wait_ready()
        landing = BlobServiceClient(adls.url, credential=adls.key).create_container("landing")
        airflow = _airflow(root, adls, tenants, tables)
        with processor_of(airflow):
            until_visible(airflow.database, tenants * tables, timeout)
        _make_pools(airflow, tenants)
        for name in ("scheduler", "api-server"):
            component = Component(name, airflow.home)
            component.start(airflow.env())
            stack.callback(component.stop, 10)
        _wait_healthy(airflow, 120)
        due = _publish(airflow.project, landing, min(DUE_AT_ONCE, tenants))
        return _costs(airflow, due, min(DUE_AT_ONCE, tenants) * tables)


def look(root: str, at: str) -> Work:
    """One look of the watch, as `tenantdags watch --once` makes it."""
    import httpx

    from tenantdags.dag import watch, world

    calls: list[httpx.Request] = []
    make = world.airflow_api

    def counting(*args: Any, **kwargs: Any) -> Any:
        api = make(*args, **kwargs)
        api._http.event_hooks["request"].append(calls.append)
        return api

    setattr(world, "airflow_api", counting)  # noqa: B010 - it is a function of a module

    def work() -> dict[str, Any]:
        found = watch.look_once(Path(root), datetime.fromisoformat(at))
        told = [miss.reason.text for miss in found.told]
        return {
            "tables": found.tables, "waiting": found.waiting, "overdue": found.overdue, "told": told,
            "troubles": found.troubles, "numbers": {"calls": len(calls), "reads": found.reads},
        }  # fmt: skip

    return work


def _costs(airflow: Airflow, due: datetime, windows: int) -> dict[str, Cost]:
    minute = timedelta(minutes=1)
    looks = {
        "the first one ever: meets every table, asks which DAGs Airflow has": due - 3 * minute,
        "nothing is due": due - 2 * minute,
        f"{windows} windows are due in this minute, all are published": due,
    }
    return {what: _cost(airflow, at) for what, at in looks.items()}


def _cost(airflow: Airflow, at: datetime) -> Cost:
    before = _cpu(Component("api-server", airflow.home))
    one = measure("benchmarks.alerting_fleet:look", env=airflow.env(), root=str(airflow.project), at=at.isoformat())
    spent = _cpu(Component("api-server", airflow.home)) - before
    if one.result["waiting"] or one.result["told"]:
        raise ContenderError(f"the fleet is published, and a look found otherwise: {one.result}")
    return _with(one, spent)


def _with(one: Measurement, spent: float) -> Cost:
    return Cost(
        seconds=one.seconds, cpu_seconds=one.cpu_seconds, peak_bytes=one.peak_bytes,
        api_calls=int(one.numbers["calls"]), reads=int(one.numbers["reads"]), api_cpu_seconds=spent,
    )  # fmt: skip


def _airflow(root: Path, adls: Adls, tenants: int, tables: int) -> Airflow:
    """Every DAG is paused, so that the scheduler beats and has nothing to do."""
    names = [f"table{n:02}" for n in range(tables)]
    project = copy_platform(root / "project", names)
    first = f"first_window: {datetime.now(UTC).date() - timedelta(days=1)}"
    for number in range(tenants):
        said = tenant_text(f"t{number:03}", names).replace("first_window: 2026-11-01", first)
        # the windows of the first tenants are due an hour before those of the others
        ready_by = "22:00" if number < DUE_AT_ONCE else "23:00"
        text = f"{said}paused_on_creation: true\nsla: {{ready_by: '{ready_by}'}}\n"
        (project / "config" / "tenants" / f"t{number:03}.yaml").write_text(text)
    env = {"AIRFLOW_CONN_ADLS_LANDING": json.dumps(adls.connection())}
    airflow = Airflow(root / "home", project, env, settings=SETTINGS)
    airflow.prepare()
    return airflow


def _make_pools(airflow: Airflow, tenants: int) -> None:
    pools = {f"source_mssql_t{n:03}": {"slots": 4, "description": "", "include_deferred": True} for n in range(tenants)}
    file = airflow.home / "pools.json"
    file.write_text(json.dumps(pools))
    airflow.cli("pools", "import", str(file))
    airflow.cli("dags", "pause", WATCH)


def _publish(project: Path, landing: ContainerClient, tenants: int) -> datetime:
    """Puts `_published.json` of the windows that are due first, and returns when they are."""
    plans = [plan for n in range(tenants) for plan in load_tenant(project, f"t{n:03}")]
    with ThreadPoolExecutor(16) as pool:
        due = set(pool.map(lambda plan: _put(landing, plan), plans))
    (at,) = due
    return at


def _put(landing: ContainerClient, plan: TablePlan) -> datetime:
    window = day_window(plan.schedule.first_window, plan.schedule.time_zone)
    fact = Generation(
        generation=1, load_id="20261123T020452Z-1", append_id="a", rows=3, as_of_date=window.as_of_date,
        window_start=window.start, contract_version="1.0.0", run_id="r", published_at=datetime.now(UTC),
    )  # fmt: skip
    text = PublishedFile().with_next(fact).to_json()
    landing.upload_blob(f"{plan.landing.window_path(window)}/_published.json", text)
    at = due_of(plan, window)
    assert at is not None
    return at


def _cpu(component: Component) -> float:
    process = component.process()
    if process is None:
        raise ContenderError(f"the {component.name} ended:\n{component.log_tail()}")
    family = [process, *process.children(recursive=True)]
    return sum(times.user + times.system for times in (each.cpu_times() for each in family))


def _wait_healthy(airflow: Airflow, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not {"scheduler", "api-server"} <= set(airflow.api.heartbeats()):
        if time.monotonic() > deadline:
            raise ContenderError(f"scheduler and api-server are not healthy after {seconds:.0f} s")
        time.sleep(0.5)
