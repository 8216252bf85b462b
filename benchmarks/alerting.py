"""From a deadline to the page that tells of it, on a running Airflow; and what a look of the watch costs a fleet."""

import json
import math
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from benchmarks.alerting_fleet import Cost, look_costs
from benchmarks.alerting_world import WATCH, Promise, copy_platform, write_tenants
from benchmarks.measure import MB, ContenderError
from benchmarks.page import stamp, table
from sandbox.adls import Adls
from sandbox.airflow_home import Airflow
from sandbox.oncall import OnCall

TABLE = "orders"
LATE_APART, GONE_APART = 5.0, 7.0  # seconds between two deadlines: each page is alone, at any second of a minute
LEAD = 75.0  # until the first deadline: files are found, runs made
WATCH_LEAD = 20.0  # the same where all is known already
FINISHED = (["success"], ["failed"])
_LOOK = ("look", "seconds", "CPU-s", "peak RSS MB", "API calls", "`_published.json`", "CPU-s of the api-server")
PATIENCE = 150.0  # behind the last deadline


@dataclass(frozen=True)
class Pages:
    """Seconds from each deadline to its page, and the first page's text."""

    seconds: tuple[float, ...]
    text: str

    def percentile(self, share: float) -> float:
        """By nearest rank: a value that was really seen."""
        return sorted(self.seconds)[math.ceil(share * len(self.seconds)) - 1]


def section(windows: int, tenants: int, tables: int, timeout: float) -> str:
    """Measure and tell. Raises ContenderError when a page does not come, or comes for what went well."""
    with _platform() as platform:
        late = platform.deadlines(windows)
        gone, even = platform.never_started(windows)
    return _text(late, gone, even, tenants * tables, look_costs(tenants, tables, timeout))


class Platform:
    """A running Airflow with landing and on-call, and tenants that come and go."""

    def __init__(self, folder: Path) -> None:
        self.adls, self.oncall = Adls(folder / "run"), OnCall(folder / "run")
        self.project = copy_platform(folder / "project", [TABLE])
        self.airflow: Airflow
        self._home = folder / "home"

    def up(self, connections: Sequence[str]) -> None:
        for service in (self.adls.service, self.oncall.service):
            service.start()
            service.wait_ready()
        azurite = BlobServiceClient(self.adls.url, credential=self.adls.key)
        self.landing = azurite.create_container("landing")
        known = {"adls_landing": self.adls.connection(), **dict.fromkeys(connections, self.oncall.connection())}
        env = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(said) for name, said in known.items()}
        self.airflow = Airflow(self._home, self.project, env)
        self.airflow.up(print)
        self.airflow.api.wait_for_dags([WATCH], 120)
        # paused under its run it would not go on, once unpaused, before its file is parsed again
        _wait(lambda: [run["state"] for run in self.airflow.api.runs(WATCH)][-1:] in FINISHED, 120, "a first look")
        self.airflow.api.set_paused(WATCH, True)

    def down(self) -> None:
        if hasattr(self, "airflow"):
            self.airflow.down()
        for service in (self.oncall.service, self.adls.service):
            service.stop()

    def deadlines(self, windows: int) -> Pages:
        """Runs that exist and wait for a pool which does not; only Airflow's own deadlines look at them."""
        names = _names("late", windows)
        now = datetime.now(UTC).replace(microsecond=0)  # a promise counts whole seconds
        due = {name: now + timedelta(seconds=LEAD + LATE_APART * n) for n, name in enumerate(names)}
        self._promise(now, due)
        pages = self._pages(due, "late")
        write_tenants(self.project, TABLE, {})
        return pages

    def never_started(self, windows: int) -> tuple[Pages, Pages]:
        """DAGs that somebody paused before their window's run began; only the watch knows that one is missing.

        Of windows that are due at any second, and of half as many that are due on a whole minute, as `ready_by` is.
        """
        gone, even = _names("gone", windows), _names("even", max(1, windows // 2))
        self._pause_and_watch([*gone, *even])
        minute, now = timedelta(minutes=1), datetime.now(UTC).replace(microsecond=0)
        first = now + timedelta(seconds=WATCH_LEAD)
        soon = {name: first + timedelta(seconds=GONE_APART * n) for n, name in enumerate(gone)}
        whole = {name: first.replace(second=0) + (1 + n % 3) * minute for n, name in enumerate(even)}
        self._promise(first - timedelta(seconds=10), soon | whole)
        pages = self._pages(soon, "missing"), self._pages(whole, "missing")
        if begun := [name for name in (*gone, *even) if self.airflow.api.runs(f"{name}__{TABLE}")]:
            raise ContenderError(f"paused DAGs that have a run: {begun}")
        return pages

    def _promise(self, start: datetime, due: Mapping[str, datetime]) -> None:
        write_tenants(self.project, TABLE, {name: Promise(start=start, due=at) for name, at in due.items()})

    def _pause_and_watch(self, names: Sequence[str]) -> None:
        """Long before they are due: their pools are there, somebody switches their DAGs off, the watch knows them."""
        for name in names:
            self.airflow.api.post("/pools", {"name": f"source_mssql_{name}", "slots": 1})
        later = datetime.now(UTC) + timedelta(hours=1)
        self._promise(later, dict.fromkeys(names, later + timedelta(hours=1)))
        dags = [f"{name}__{TABLE}" for name in names]
        self.airflow.api.wait_for_dags(dags, 180)
        for dag_id in dags:
            self.airflow.api.set_paused(dag_id, True)
        self.airflow.api.set_paused(WATCH, False)
        _wait(lambda: self._watched() == len(names), 300, "a look of the watch at all of them")

    def _watched(self) -> int:
        """The tables that the last look of the watch knew."""
        beats = [blob.name for blob in self.landing.list_blobs(name_starts_with="_ops/heartbeat/watch.json")]
        return int(json.loads(self.landing.download_blob(beats[0]).readall())["tables"]) if beats else -1

    def _pages(self, due: Mapping[str, datetime], kind: str) -> Pages:
        patience = (max(due.values()) - datetime.now(UTC)).total_seconds() + PATIENCE
        _wait(lambda: len(self._received(due)) >= len(due), patience, f"a page of each of {len(due)} windows")
        came = self._received(due)
        heads = [text.splitlines()[0] for _, text in came.values()]
        if wrong := [head for head in heads if not head.startswith("PAGE ") or f" {kind}, " not in head]:
            raise ContenderError(f"expected pages of kind {kind}: {wrong}")
        seconds = tuple((came[name][0] - at).total_seconds() for name, at in due.items())
        return Pages(seconds, next(iter(came.values()))[1])

    def _received(self, names: Collection[str]) -> Mapping[str, tuple[datetime, str]]:
        """By tenant when its page came, and its text. Raises ContenderError for a second one."""
        found: dict[str, tuple[datetime, str]] = {}
        for at, text in self.oncall.received():
            tenant = text.split()[1]
            if tenant in found:
                raise ContenderError(f"a second message about {tenant}: {text}")
            found[tenant] = (at, text)
        return {name: found[name] for name in names if name in found}


@contextmanager
def _platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder))
        try:
            platform.up([f"slack_{name}" for kind in ("late", "gone", "even") for name in _names(kind, 99)])
            yield platform
        finally:
            platform.down()


def _names(kind: str, windows: int) -> list[str]:
    return [f"{kind}{n:02}" for n in range(windows)]


def _wait(seen: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > deadline:
            raise ContenderError(f"not seen within {seconds:.0f} s: {what}")
        time.sleep(0.5)


def _text(late: Pages, gone: Pages, even: Pages, dags: int, costs: Mapping[str, Cost]) -> str:
    told = {
        "the deadline of a run passed, told by Airflow's deadline": late,
        "its run never started, due at any second, told by the watch": gone,
        "its run never started, due on a whole minute, told by the watch": even,
    }
    latencies = [
        [what, str(len(pages.seconds)), *(f"{pages.percentile(share):.1f}" for share in (0.5, 0.95, 1.0))]
        for what, pages in told.items()
    ]
    looks = [
        [what, f"{cost.seconds:.1f}", f"{cost.cpu_seconds:.1f}", f"{cost.peak_bytes / MB:.0f}", str(cost.api_calls),
         str(cost.reads), f"{cost.api_cpu_seconds:.1f}"]
        for what, cost in costs.items()
    ]  # fmt: skip
    return f"""## alerting: from a deadline to the page, and what the watch costs

{stamp()}

A running Airflow (scheduler, triggerer, dag-processor, api-server, SQLite, LocalExecutor), Azurite as landing, and a
webhook on loopback that notes when a page arrives. Late: runs that wait for a pool which does not exist, with the watch
paused, so the scheduler's own deadline check and the triggerer tell. Never started: DAGs that were paused before their
window's run began; `tenantdags_watch` looks as each minute begins, and again where windows fall due within it.
Deadlines are {LATE_APART:.0f} and {GONE_APART:.0f} s apart, each tenant has a route of its own (or storm control would
gather them), and each window is told exactly once.

{table(["from the deadline to the page, seconds", "windows", "p50", "p95", "slowest"], latencies)}

The first page of each:

{_quoted(late.text)}

{_quoted(gone.text)}

What one look costs at {dags:,} DAGs, with what it imports, against a real api-server on a database with all of them.
`_published.json` are the files it read in landing.

{table(_LOOK, looks)}"""


def _quoted(text: str) -> str:
    """Without what only says where this run was."""
    lines = (line for line in text.splitlines() if not line.startswith(("Run: ", "Fingerprint: ")))
    return "\n".join(f"    {line}" for line in lines)
