"""The demo's stage: the sandbox, an Airflow, an independent reader, and every claim that must be seen to be true."""

import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from sandbox.airflow_api import FINISHED, AirflowApi, Json, wait_for
from sandbox.airflow_home import Airflow
from sandbox.recount import Cell, Recount, Visible
from sandbox.services import ROOT, SandboxError
from sandbox.world import DEFAULT_RUN, World

HOME = ROOT / ".airflow" / "demo"
PATIENCE = 240.0  # seconds without any run ending


@dataclass(frozen=True)
class Run:
    """One finished DAG run: what its tasks said of it, and what was counted without them."""

    cell: Cell
    run_id: str
    state: str
    seconds: float
    gates: str
    line: str
    source: int
    staged: int | None
    landed: int | None
    published: Visible
    served: int


class Stage:
    """What all chapters need. `claims` holds every sentence that must have been seen to be true."""

    airflow: Airflow

    def __init__(self, run_dir: Path = DEFAULT_RUN, home: Path = HOME) -> None:
        self.run_dir, self.project, self.note = run_dir, run_dir / "project", run_dir / "demo.json"
        self.world = World(run_dir)
        self.recount = Recount(self.world)
        self.home = home
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
        self.started = time.monotonic()
        self.claims: list[tuple[bool, str]] = []

    @property
    def api(self) -> AirflowApi:
        return self.airflow.api

    def finished(self, cells: Iterable[Cell]) -> dict[Cell, Json]:
        """The finished run of each window that has one."""
        wanted = {(cell.tenant, cell.table, cell.bounds[0]): cell for cell in cells}
        ended = [run for run in self.api.runs() if run["state"] in FINISHED and run["data_interval_start"]]
        keyed = {(*run["dag_id"].split("__"), datetime.fromisoformat(run["data_interval_start"])): run for run in ended}
        return {cell: keyed[key] for key, cell in wanted.items() if key in keyed}

    def again(self, run_ids: Mapping[Cell, str]) -> dict[Cell, Run]:
        """Run these windows once more, all at the same time, and look at what came of each."""
        for cell, run_id in run_ids.items():
            self.api.clear_run(dag_of(cell), run_id)
        with self.console.status(", ".join(map(str, run_ids))):
            for cell, run_id in run_ids.items():
                self.api.wait_for_run(dag_of(cell), run_id, PATIENCE)
        return {cell: self.facts(cell, self.api.run(dag_of(cell), run_id)) for cell, run_id in run_ids.items()}

    def facts(self, cell: Cell, run: Json) -> Run:
        dag_id, run_id = run["dag_id"], run["dag_run_id"]
        gates = [self.api.xcom(dag_id, run_id, gate, "report") for gate in ("check_extract", "check_load")]
        summary = self.api.xcom(dag_id, run_id, "summarise", "summary") or {}
        manifest = self.api.xcom(dag_id, run_id, "extract", "manifest") or {}
        words = " ".join(_outcome(gate, manifest.get("load_id")) for gate in gates)
        return Run(
            cell, run_id, run["state"], seconds(run), words, summary.get("line", "none"), self.recount.source(cell),
            manifest.get("rows"), self.recount.landed(cell), self.recount.visible(cell), self.recount.served(cell),
        )  # fmt: skip

    def tenantdags(self, *words: str) -> str:
        """What the command prints; it runs where Airflow's own processes do. Raises SandboxError when it fails."""
        command, env = [str(Path(sys.executable).with_name("tenantdags")), *words], self.airflow.env()
        with self.console.status(f"tenantdags {words[0]}"):
            done = subprocess.run(command, cwd=self.project, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SandboxError(f"tenantdags {words[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def page(self, start: str, earlier: int, patience: float = 60.0) -> str:
        """What on-call's phone showed first of what begins with `start`; the `earlier` messages do not count."""
        found: list[str] = []

        def there() -> bool:
            found.extend(text for text in self.world.oncall.messages()[earlier:] if text.startswith(start))
            return bool(found)

        wait_for(there, patience)
        text = found[0] if found else ""
        self.claim(bool(text), f"on-call got a message that begins with {start!r}")
        self.say("on-call's phone:")
        for line in text.splitlines():
            self.console.print(f"    {line}", markup=False)
        return text

    def claim(self, true: bool, text: str) -> None:
        self.claims.append((true, text))

    def say(self, line: str) -> None:
        self.console.print(f"[{time.monotonic() - self.started:5.0f} s] {line}", markup=False)


def dag_of(cell: Cell) -> str:
    return f"{cell.tenant}__{cell.table}"


def seconds(run: Json) -> float:
    start, end = (datetime.fromisoformat(run[key]) for key in ("start_date", "end_date"))
    return (end - start).total_seconds()


def _outcome(gate: Json | None, load_id: str | None) -> str:
    """`pass(12)`: the gate's worst outcome and how many rules it evaluated; `-` when it did not judge this load."""
    if not gate or gate["load_id"] != load_id:
        return "-"
    found = [result["outcome"] for result in gate["results"]]
    worst = next((each for each in ("error", "fail", "warn") if each in found), "pass" if found else "error")
    return f"{worst}({len(found)})"
