"""`make demo`: the whole job on a real Airflow against the sandbox, and an independent look at what came of it."""

import sys
import time
from datetime import UTC, date, datetime, timedelta

from rich import box
from rich.table import Table

from sandbox.airflow_home import USER, Airflow
from sandbox.catchup import Schedule, first_windows, schedule_of
from sandbox.lateness import Lateness
from sandbox.project import POLL_SECONDS, copy_project
from sandbox.recount import Cell
from sandbox.seed import repair_window, seed
from sandbox.services import ROOT, SandboxError, read_json
from sandbox.stage import HOME, PATIENCE, Run, Stage, seconds
from sandbox.trouble import BROKEN, Trouble, undo_drift
from sandbox.world import DEFAULT_RUN, World

HEADINGS = ("tenant", "table", "as_of_date", "source", "staged", "landed", "published", "gates", "QA line", "s")


class Demo(Stage):
    """The story, chapter by chapter."""

    def tell(self) -> int:
        """The whole story; 0 when every claim was seen to be true."""
        self._start_world()
        now = datetime.now(UTC)
        self._make_project(now)
        self._apply()
        late = Lateness.held_back(self, now)
        schedule = schedule_of(self.project, now)
        self._start_airflow()
        self.api.wait_for_dags(schedule.dag_ids)
        self._repair_last_time(schedule)
        self._run_failed_again(schedule)
        runs = self._catch_up(schedule)
        self._check(runs)
        self._show(runs)
        if late:
            late.begin()
        Trouble(self, schedule).tell()
        if late:
            late.see()
        return self._end()

    def _start_world(self) -> None:
        self.say("starting SQL Server, ADLS and Databricks stand-ins on loopback")
        self.world.up(self.say)
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        seed(self.world.sqlserver, yesterday)
        undo_drift(self.world.sqlserver)  # of a demo that was cut short
        self.say(f"seeded three tenants with the days up to {yesterday}")

    def _make_project(self, now: datetime) -> None:
        first = first_windows(ROOT, self.project, now)
        copy_project(self.project, self.run_dir / "staging", first)
        self.say(f"project copied to {self.project.relative_to(ROOT)}, with three settings for one machine:")
        self.say(
            f"  staging beside it; Databricks asked every {POLL_SECONDS} s; first_window moved to the last due days:"
        )
        self.say("  " + ", ".join(f"{tenant} {day}" for tenant, day in first.items()))

    def _apply(self) -> None:
        self.airflow = Airflow(self.home, self.project, self.world.env())
        self.airflow.down()  # one of before would hold the connections and the code of before
        self.airflow.prepare()  # apply makes pools in its database
        steps = len(self.tenantdags("apply").splitlines())
        self.say(f"tenantdags apply: container, schemas, tables, views and pools ({steps} steps)")

    def _start_airflow(self) -> None:
        with self.console.status("starting Airflow: api-server, scheduler, dag-processor, triggerer"):
            self.airflow.up(self.say)

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
            self.say(f"repaired {cell}, which an old demo broke")
            return
        self.say(f"repaired {cell}, which the last demo broke, and run it again")
        mended = self.again({cell: note["run_id"]})[cell]
        after, source = mended.published, mended.source
        self.claim(mended.state == "success", f"{cell}: the repaired window's run succeeded (it is {mended.state})")
        self.claim(after.generation == before.generation + 1, f"{cell}: the next generation is published ({after})")
        self.claim(after.rows == after.keys == source, f"{cell}: no row is doubled ({after}, source {source})")

    def _run_failed_again(self, schedule: Schedule) -> None:
        """A run that an earlier demo left failed, which may have been stopped half-way, gets another chance."""
        for cell, run in self.finished(list(schedule.cells)).items():
            if run["state"] == "failed":
                self.say(f"{cell} failed in an earlier demo; it runs again")
                self.api.clear_run(run["dag_id"], run["dag_run_id"])

    def _catch_up(self, schedule: Schedule) -> list[Run]:
        """Wait until the scheduler has run every due window, telling each run as it ends."""
        cells, told, last = schedule.cells, self.finished(list(schedule.cells)), time.monotonic()
        before = f" ({len(told)} of them ran in an earlier demo)" if told else ""
        self.say(f"the scheduler runs {len(cells)} windows of {len(schedule.dag_ids)} DAGs{before}")
        with self.console.status("runs are starting"):
            while len(told) < len(cells):
                for cell, run in self.finished([cell for cell in cells if cell not in told]).items():
                    told[cell], last = run, time.monotonic()
                    self.say(f"  {len(told):>2}/{len(cells)} {cell}: {run['state']} in {seconds(run):.0f} s")
                if time.monotonic() - last > PATIENCE:
                    open_runs = ", ".join(str(cell) for cell in cells if cell not in told)
                    raise SandboxError(f"no run ended for {PATIENCE:.0f} s; not ended: {open_runs}")
                time.sleep(1)
        with self.console.status("recounting source, landing and tables"):
            return [self.facts(cell, told[cell]) for cell in cells]

    def _check(self, runs: list[Run]) -> None:
        """Every window is published once, with as many rows as the source says, each key once."""
        for run in runs:
            cell, rows = run.cell, (run.source, run.staged, run.landed, run.published.rows, run.served)
            self.claim(run.state == "success", f"{cell}: the run succeeded (it is {run.state}: {run.line})")
            self.claim(len(set(rows)) == 1, f"{cell}: source, staged, landed, published and served rows agree {rows}")
            self.claim(run.published.keys == run.published.rows > 0, f"{cell}: each key once ({run.published})")

    def _show(self, runs: list[Run]) -> None:
        table = Table(title="What the scheduler ran", title_justify="left", box=box.SIMPLE_HEAD)
        for heading in HEADINGS:
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


def stop() -> int:
    """End everything that the demo started; data stays."""
    if HOME.exists():
        Airflow(HOME, ROOT, {}).down(print)
    World(DEFAULT_RUN).down(print)
    return 0


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
