"""The whole outside world and two Airflows for the end-to-end tests: one with all its processes, one in-process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.airflow_home import Airflow
from sandbox.project import copy_project
from sandbox.recount import Cell, Recount
from sandbox.seed import seed
from sandbox.world import TENANTS, World
from tests.dag.receivers import Receiver, http
from tests.e2e.pages import ROUTE

DAYS = 8  # seeded before yesterday
SCHEDULED = 3  # windows that the scheduler catches up on
RUNNER = Path(__file__).with_name("in_process.py")


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    run_id: str
    state: str
    states: dict[str, str | None]
    xcoms: dict[str, dict[str, Any]] = field(repr=False)
    log: str = field(repr=False, default="")

    def xcom(self, task_id: str, key: str) -> Any:
        return self.xcoms.get(task_id, {}).get(key)

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = self.xcom("summarise", "summary") or {}
        return found

    @property
    def errors(self) -> dict[str, dict[str, str]]:
        """Per failed task its error's `kind` and `text`."""
        return {task: xcom["error"] for task, xcom in self.xcoms.items() if "error" in xcom}


class Runner:
    """The process of in_process.py, on an Airflow home of its own."""

    def __init__(self, home: Path, project: Path, env: Mapping[str, str], template: Path) -> None:
        self.project, self.airflow = project, Airflow(home, project, env)
        self.airflow.prepare(template)
        self.log_file = home / "logs" / "in_process.log"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(RUNNER)], env=self.airflow.env(), cwd=self.airflow.home,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def run(self, cell: Cell) -> Outcome:
        """Run the window, as a manual run for that date does; any number of times."""
        at = self.log_file.stat().st_size
        noon = cell.bounds[1] + timedelta(hours=12)  # the last complete window before it is the cell's
        dag_id = f"{cell.tenant}__{cell.table}"
        answer = self._ask(do="run", root=str(self.project), dag_id=dag_id, logical_date=noon.isoformat())
        return Outcome(**answer, log=self.log_file.read_bytes()[at:].decode(errors="replace"))

    def sweep(self, at: datetime) -> int:
        """How many messages the watch sends at its look of that instant, digests included."""
        return int(self._ask(do="sweep", connection="adls_landing", container="landing", at=at.isoformat())["told"])

    @contextmanager
    def environment(self, **changes: str | None) -> Iterator[None]:
        """Variables of the runner's process for a while; None removes one."""
        before = self.airflow.env()
        self._ask(do="environment", changes=changes)
        try:
            yield
        finally:
            self._ask(do="environment", changes={name: before.get(name) for name in changes})

    @contextmanager
    def config(self, file: str, pattern: str, new: str) -> Iterator[None]:
        """One change of one file of the runner's project for a while."""
        path = self.project / file
        before = path.read_text()
        after, count = re.subn(pattern, new, before, flags=re.MULTILINE)
        assert count == 1, f"{pattern!r} stands {count} times in {file}"
        path.write_text(after)
        try:
            yield
        finally:
            path.write_text(before)

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:  # in the middle of a run whose test was given up
            self._process.kill()
            self._process.wait(20)

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the runner died:\n{self.log_file.read_text()[-3000:]}"
        found: dict[str, Any] = json.loads(answer)
        return found


class Rig:
    """World, seed, `tenantdags apply`, and two Airflows with a project each, all under one folder.

    An Airflow is started when a test first asks for it. The scheduler has acme's orders alone, so that what it does by
    itself is soon done; the in-process runner has every DAG. Neither has retries that wait.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(folder / "run")
        self.recount = Recount(self.world)
        self.receiver, self._hearing = Receiver(), ExitStack()
        self.yesterday = datetime.now(UTC).date() - timedelta(days=1)
        self.first = self.yesterday - timedelta(days=DAYS - 1)
        self.last_scheduled, self._settle = newest_due(datetime.now(UTC))

    def up(self) -> None:
        self.world.up()
        self._hearing.enter_context(http(self.receiver))
        seed(self.world.sqlserver, self.yesterday, days=DAYS)
        self.every_tenant = self.project("every_tenant", dict.fromkeys(TENANTS, self.first), retries=0)
        scheduled = self.project("scheduled", {"acme": self.scheduled[0].as_of_date}, retries=2)
        acme = scheduled / "config/tenants/acme.yaml"
        only_table(acme, "orders")
        acme.write_text(re.sub(r"(?m)^    settle: \S+", f"    settle: {self._settle}", acme.read_text()))
        self._airflow = Airflow(self.folder / "airflow", scheduled, self._env(), settings=_QUICK)
        self._airflow.prepare()
        self.tenantdags(self.every_tenant, "apply")
        self.template = self.folder / "migrated.db"
        shutil.copyfile(self._airflow.database, self.template)

    @cached_property
    def airflow(self) -> Airflow:
        """The one with all its processes."""
        self._airflow.up()
        # every minute a look would take the tests' few slots; those who need it look themselves
        self._airflow.api.wait_for_dags(["tenantdags_watch"], 120)
        self._airflow.api.set_paused("tenantdags_watch", True)
        return self._airflow

    @cached_property
    def runner(self) -> Runner:
        return Runner(self.folder / "runner", self.every_tenant, self._env(), self.template)

    def down(self) -> None:
        with ExitStack() as each:  # whatever does not end keeps nothing else running
            each.callback(self.world.down)
            if "_airflow" in vars(self):
                each.callback(self._airflow.down, seconds=5)
            if "runner" in vars(self):
                each.callback(self.runner.stop)
            each.callback(self._hearing.close)

    @property
    def airflows(self) -> list[Airflow]:
        """Those that were started."""
        return [self._airflow, *([self.runner.airflow] if "runner" in vars(self) else [])]

    @property
    def scheduled(self) -> list[Cell]:
        """The windows that the scheduler runs by itself, oldest first."""
        last = self.last_scheduled
        return [Cell("acme", "orders", last - timedelta(days=back)) for back in reversed(range(SCHEDULED))]

    @property
    def due(self) -> date:
        """The newest day whose run is due in every tenant's zone: yesterday, or in the first hours the day before."""
        return (datetime.now(UTC) - timedelta(hours=10)).date() - timedelta(days=1)

    def cell(self, tenant: str, table: str, back: int) -> Cell:
        """The window `back` days before the newest due one."""
        return Cell(tenant, table, self.due - timedelta(days=back))

    def _env(self) -> dict[str, str]:
        """Connections to the world, and to on-call's webhook."""
        hook = json.dumps({"conn_type": "http", "host": self.receiver.url})
        return {**self.world.env(), "AIRFLOW_CONN_ONCALL": hook}

    def forget_alerts(self) -> None:
        """As if nobody had been told anything yet."""
        self.receiver.requests.clear()
        for blob in list(self.recount.container.list_blobs(name_starts_with="_ops/alerts/")):
            self.recount.container.delete_blob(blob.name)

    def tenantdags(self, project: Path, *words: str) -> str:
        program = Path(sys.executable).with_name("tenantdags")
        env = Airflow(self.folder / "airflow", project, self._env()).env()  # whose database has the pools
        done = subprocess.run([program, *words], cwd=project, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def project(self, name: str, first: Mapping[str, date], retries: int) -> Path:
        project = copy_project(self.folder / name, self.folder / f"{name}_staging", first)
        defaults = project / "config" / "defaults.yaml"
        quick = re.sub(r"poll_seconds: \d+", "poll_seconds: 1", defaults.read_text())
        defaults.write_text(re.sub(r"retries: \d", f"retries: {retries}", quick) + ROUTE)
        return project


def newest_due(now: datetime) -> tuple[date, str]:
    """The newest day of Berlin that acme's orders are due for, and how long they settle, so that it stays the newest.

    The tests are done in less than the half hour, or the hours, until the next day is due.
    """
    today = now.astimezone(ZoneInfo("Europe/Berlin"))
    of_today = timedelta(hours=today.hour, minutes=today.minute)
    newest = today.date() - timedelta(days=1)
    return (newest, "30m") if of_today > timedelta(hours=2, minutes=15) else (newest - timedelta(days=1), "5h")


_QUICK = {"core__default_task_retry_delay": 3, "dag_processor__min_file_process_interval": 15}


def only_table(file: Path, table: str) -> None:
    """Leave one table in a tenant file."""
    head, _, tables = file.read_text().partition("\ntables:")
    blocks = re.split(r"\n(?=  \w+:)", tables)
    kept = [block for block in blocks if block.startswith(f"  {table}:")]
    file.write_text("\n".join([f"{head}\ntables:", *kept]).rstrip() + "\n")


def wait_until(seen: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"not seen within {seconds:.0f} s: {what}"
        time.sleep(0.6)  # a question costs the api-server CPU that the awaited needs
