"""`make demo`: the whole job on a real Airflow against the sandbox, and an independent look at what came of it."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from sandbox.airflow_api import FINISHED, AirflowApi, Json
from sandbox.airflow_home import USER, Airflow
from sandbox.catchup import Schedule, first_windows, schedule_of
from sandbox.project import POLL_SECONDS, copy_project
from sandbox.recount import Cell, Recount, Visible
from sandbox.seed import break_window, repair_window, seed
from sandbox.services import ROOT, SandboxError, read_json, write_private
from sandbox.world import DEFAULT_RUN, World

HOME = ROOT / ".airflow" / "demo"
PATIENCE = 240.0  # seconds without any run ending
BROKEN = ("acme", "orders")


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


class Demo:
    """The story, chapter by chapter. `claims` holds every sentence that must have been seen to be true."""

    def __init__(self, run_dir: Path = DEFAULT_RUN, home: Path = HOME) -> None:
        self.run_dir, self.project, self.note = run_dir, run_dir / "project", run_dir / "demo.json"
        self.world = World(run_dir)
        self.recount = Recount(self.world)
        self.home = home
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
        self.started = time.monotonic()
        self.claims: list[tuple[bool, str]] = []

    def tell(self) -> int:
        """The whole story; 0 when every claim was seen to be true."""
        self._start_world()
        schedule = self._make_project()
        self._apply()
        self._start_airflow()
        self.api.wait_for_dags(schedule.dag_ids)
        self._repair_last_time(schedule)
        self._run_failed_again(schedule)
        runs = self._catch_up(schedule)
        self._check(runs)
        self._show(runs)
        self._break(max(cell for cell in schedule.cells if (cell.tenant, cell.table) == BROKEN))
        return self._end()

    @property
    def api(self) -> AirflowApi:
        return self.airflow.api

    def _start_world(self) -> None:
        self._say("starting SQL Server, ADLS and Databricks stand-ins on loopback")
        self.world.up(self._say)
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        seed(self.world.sqlserver, yesterday)
        self._say(f"seeded three tenants with the days up to {yesterday}")

    def _make_project(self) -> Schedule:
        now = datetime.now(UTC)
        first = first_windows(ROOT, self.project, now)
        copy_project(self.project, self.run_dir / "staging", first)
        self._say(f"project copied to {self.project.relative_to(ROOT)}, with three settings for one machine:")
        self._say(
            f"  staging beside it; Databricks asked every {POLL_SECONDS} s; first_window moved to the last due days:"
        )
        self._say("  " + ", ".join(f"{tenant} {day}" for tenant, day in first.items()))
        return schedule_of(self.project, now)

    def _apply(self) -> None:
        airflow = Airflow(self.home, self.project, self.world.env())
        airflow.prepare()  # apply makes pools in its database
        env = airflow.env()
        command = [str(Path(sys.executable).with_name("tenantdags")), "apply"]
        with self.console.status("tenantdags apply"):
            done = subprocess.run(command, cwd=self.project, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SandboxError(f"tenantdags apply failed:\n{done.stdout}{done.stderr}")
        steps = len(done.stdout.splitlines())
        self._say(f"tenantdags apply: container, schemas, tables, views and pools ({steps} steps)")

    def _start_airflow(self) -> None:
        self.airflow = Airflow(self.home, self.project, self.world.env())
        self.airflow.down()  # one of before would hold the connections and the code of before
        with self.console.status("starting Airflow: api-server, scheduler, dag-processor, triggerer"):
            self.airflow.up(self._say)

    def _repair_last_time(self, schedule: Schedule) -> None:
        """After an earlier demo: mend the window it broke and see the next generation published."""
        note = read_json(self.note)
        if not note:
            return
        cell = Cell(*BROKEN, date.fromisoformat(note["as_of_date"]))
        before = self.recount.visible(cell)
        repair_window(self.world.sqlserver, cell.tenant, cell.as_of_date)
        self.note.unlink()
        if cell not in schedule.cells:
            self._say(f"repaired {cell}, which an old demo broke")
            return
        self._say(f"repaired {cell}, which the last demo broke, and run it again")
        state = self._again(cell, note["run_id"])
        after, source = self.recount.visible(cell), self.recount.source(cell)
        self._claim(state == "success", f"{cell}: the repaired window's run succeeded (it is {state})")
        self._claim(after.generation == before.generation + 1, f"{cell}: the next generation is published ({after})")
        self._claim(after.rows == after.keys == source, f"{cell}: no row is doubled ({after}, source {source})")

    def _run_failed_again(self, schedule: Schedule) -> None:
        """A run that an earlier demo left failed, which may have been stopped half-way, gets another chance."""
        for cell, run in self._finished(list(schedule.cells)).items():
            if run["state"] == "failed":
                self._say(f"{cell} failed in an earlier demo; it runs again")
                self.api.clear_run(run["dag_id"], run["dag_run_id"])

    def _catch_up(self, schedule: Schedule) -> list[Run]:
        """Wait until the scheduler has run every due window, telling each run as it ends."""
        cells, told, last = schedule.cells, self._finished(list(schedule.cells)), time.monotonic()
        before = f" ({len(told)} of them ran in an earlier demo)" if told else ""
        self._say(f"the scheduler runs {len(cells)} windows of {len(schedule.dag_ids)} DAGs{before}")
        with self.console.status("runs are starting"):
            while len(told) < len(cells):
                for cell, run in self._finished([cell for cell in cells if cell not in told]).items():
                    told[cell], last = run, time.monotonic()
                    self._say(f"  {len(told):>2}/{len(cells)} {cell}: {run['state']} in {_seconds(run):.0f} s")
                if time.monotonic() - last > PATIENCE:
                    open_runs = ", ".join(str(cell) for cell in cells if cell not in told)
                    raise SandboxError(f"no run ended for {PATIENCE:.0f} s; not ended: {open_runs}")
                time.sleep(1)
        with self.console.status("recounting source, landing and tables"):
            return [self._facts(cell, told[cell]) for cell in cells]

    def _finished(self, cells: list[Cell]) -> dict[Cell, Json]:
        wanted = {(cell.tenant, cell.table, cell.bounds[0]): cell for cell in cells}
        ended = [run for run in self.api.runs() if run["state"] in FINISHED]
        keyed = {(*run["dag_id"].split("__"), datetime.fromisoformat(run["data_interval_start"])): run for run in ended}
        return {cell: keyed[key] for key, cell in wanted.items() if key in keyed}

    def _facts(self, cell: Cell, run: Json) -> Run:
        dag_id, run_id = run["dag_id"], run["dag_run_id"]
        gates = [self.api.xcom(dag_id, run_id, gate, "report") for gate in ("check_extract", "check_load")]
        summary = self.api.xcom(dag_id, run_id, "summarise", "summary") or {}
        manifest = self.api.xcom(dag_id, run_id, "extract", "manifest") or {}
        words = " ".join(_outcome(gate, manifest.get("load_id")) for gate in gates)
        return Run(
            cell, run_id, run["state"], _seconds(run), words, summary.get("line", "none"), self.recount.source(cell),
            manifest.get("rows"), self.recount.landed(cell), self.recount.visible(cell), self.recount.served(cell),
        )  # fmt: skip

    def _check(self, runs: list[Run]) -> None:
        """Every window is published once, with as many rows as the source says, each key once."""
        for run in runs:
            cell, rows = run.cell, (run.source, run.staged, run.landed, run.published.rows, run.served)
            self._claim(run.state == "success", f"{cell}: the run succeeded (it is {run.state}: {run.line})")
            self._claim(len(set(rows)) == 1, f"{cell}: source, staged, landed, published and served rows agree {rows}")
            self._claim(run.published.keys == run.published.rows > 0, f"{cell}: each key once ({run.published})")

    def _break(self, cell: Cell) -> None:
        """Break a published window at the source, run it again, and see it red with readers undisturbed."""
        before, served, rows = self.recount.visible(cell), self.recount.served(cell), self.recount.source(cell)
        run = self._finished([cell])[cell]
        break_window(self.world.sqlserver, cell.tenant, cell.as_of_date)
        write_private(self.note, json.dumps({"as_of_date": cell.as_of_date.isoformat(), "run_id": run["dag_run_id"]}))
        self._say(f"broke {cell} at the source: duplicate keys, a missing required field; and run it again")
        self._again(cell, run["dag_run_id"])
        red = self._facts(cell, self.api.run(run["dag_id"], run["dag_run_id"]))
        states = self.api.states(run["dag_id"], run["dag_run_id"])
        self._claim(red.source != rows, f"{cell}: the source is broken ({rows} rows became {red.source})")
        self._claim(red.state == "failed", f"{cell}: the broken window's run failed (it is {red.state})")
        self._claim(states["check_extract"] == "failed", f"{cell}: its gate check_extract is red ({states})")
        self._claim(states["publish"] == "upstream_failed", f"{cell}: nothing was published ({states['publish']})")
        self._claim((red.published, red.served) == (before, served), f"{cell}: readers see the version of before")
        self._claim(f"{cell} RED quality." in red.line, f"{cell}: the QA summary says why ({red.line!r})")
        self._show_red(red)

    def _again(self, cell: Cell, run_id: str) -> str:
        dag_id = f"{cell.tenant}__{cell.table}"
        self.api.clear_run(dag_id, run_id)
        with self.console.status(f"{dag_id} {run_id}"):
            return self.api.wait_for_run(dag_id, run_id, PATIENCE)

    def _show(self, runs: list[Run]) -> None:
        table = Table(title="What the scheduler ran", title_justify="left", box=box.SIMPLE_HEAD)
        for heading in (
            "tenant",
            "table",
            "as_of_date",
            "source",
            "staged",
            "landed",
            "published",
            "gates",
            "QA line",
            "s",
        ):
            number = heading in ("source", "staged", "landed", "published", "s")
            table.add_column(heading, justify="right" if number else "left", overflow="fold")
        for run in runs:
            counts = (run.source, run.staged, run.landed, run.published.rows)
            line = run.line.removeprefix(f"{run.cell} ").removesuffix(f" | run {run.run_id}")
            table.add_row(run.cell.tenant, run.cell.table, str(run.cell.as_of_date), *map(str, counts), run.gates,
                          line, f"{run.seconds:.0f}")  # fmt: skip
        self.console.print(table)
        self.console.print("source: asked by pymssql; landed: counted in the Parquet files; published: counted in the")
        self.console.print("Delta files of the append that the publish log names, without the reader views.")

    def _show_red(self, red: Run) -> None:
        seen = red.published
        self.console.print(f"\nThe broken window {red.cell}, run {red.run_id}: {red.state} in {red.seconds:.0f} s")
        self.console.print(f"  source   {red.source} rows, staged {red.staged}; gates {red.gates}")
        self.console.print(f"  readers  {seen.rows} rows, {seen.keys} keys: still generation {seen.generation}")
        self.console.print(f"  QA       {red.line}\n")

    def _end(self) -> int:
        unseen = [text for true, text in self.claims if not true]
        for text in unseen:
            self.console.print(f"[red]NOT SEEN[/red] {text}")
        total = time.monotonic() - self.started
        self.console.print(
            f"{len(self.claims) - len(unseen)} of {len(self.claims)} claims seen to be true, {total:.0f} s"
        )
        self.console.print(f"Airflow: {self.airflow.url}   login: {USER} / {self.airflow.password}")
        self.console.print("`make stop` ends Airflow and the sandbox; their data stays. `make clean` deletes it.")
        return 1 if unseen else 0

    def _claim(self, true: bool, text: str) -> None:
        self.claims.append((true, text))

    def _say(self, line: str) -> None:
        self.console.print(f"[{time.monotonic() - self.started:5.0f} s] {line}", markup=False)


def stop() -> int:
    """End everything that the demo started; data stays."""
    if HOME.exists():
        Airflow(HOME, ROOT, {}).down(print)
    World(DEFAULT_RUN).down(print)
    return 0


def _outcome(gate: Json | None, load_id: str | None) -> str:
    """`pass(12)`: the gate's worst outcome and how many rules it evaluated; `-` when it did not judge this load."""
    if not gate or gate["load_id"] != load_id:
        return "-"
    found = [result["outcome"] for result in gate["results"]]
    worst = next((each for each in ("error", "fail", "warn") if each in found), "pass" if found else "error")
    return f"{worst}({len(found)})"


def _seconds(run: Json) -> float:
    start, end = (datetime.fromisoformat(run[key]) for key in ("start_date", "end_date"))
    return (end - start).total_seconds()


def main() -> int:
    if sys.argv[1:] == ["stop"]:
        return stop()
    try:
        return Demo().tell()
    except SandboxError as error:
        print(f"demo: {error}\nWhat runs stays up for a look; `make stop` ends it.", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
