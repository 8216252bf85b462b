"""The demo's second half: what goes wrong at night, and what readers see meanwhile.

Three windows of three tenants are run again at the same time: one with bad rows, one with a new column at the source,
one with a renamed column. Then a published version is rolled back.
"""

import json

from sandbox.catchup import Schedule
from sandbox.recount import Visible
from sandbox.seed import break_window
from sandbox.seed_rows import company_of
from sandbox.services import write_private
from sandbox.sqlserver.client import SqlServer
from sandbox.stage import Run, Stage, dag_of

BROKEN = ("acme", "orders")
WIDENED = ("globex", "orders")
RENAMED = ("northwind", "orders")
TABLE = "dbo.Orders"
ADDED = "loyalty_points"
OLD, NEW = "currency", "currency_code"
REASON = "the new column is still being discussed"


class Trouble:
    """Each method is one thing that happens, with the claims that must be seen of it."""

    def __init__(self, stage: Stage, schedule: Schedule) -> None:
        self.stage = stage
        self.broken, self.widened, self.renamed = (
            max(cell for cell in schedule.cells if (cell.tenant, cell.table) == where)
            for where in (BROKEN, WIDENED, RENAMED)
        )

    def tell(self) -> None:
        cells = (self.broken, self.widened, self.renamed)
        before = {cell: self.stage.recount.visible(cell) for cell in cells}
        run_ids = {cell: str(run["dag_run_id"]) for cell, run in self.stage.finished(cells).items()}
        self._make_trouble(run_ids[self.broken])
        earlier = len(self.stage.world.oncall.messages())
        runs = self.stage.again(run_ids)
        self._see_red(runs[self.broken], before[self.broken])
        self.stage.page(f"PAGE {self.broken} quality.", earlier)
        self._see_warned(runs[self.widened], before[self.widened])
        self._see_stopped(runs[self.renamed], before[self.renamed])
        undo_drift(self.stage.world.sqlserver)
        self._roll_back(before[self.widened])

    def _make_trouble(self, broken_run: str) -> None:
        stage, sqlserver = self.stage, self.stage.world.sqlserver
        break_window(sqlserver, self.broken.tenant, self.broken.as_of_date)
        note = {"as_of_date": self.broken.as_of_date.isoformat(), "run_id": broken_run}
        write_private(stage.note, json.dumps(note))
        sqlserver.add_column(company_of(self.widened.tenant).database, TABLE, ADDED, "int")
        sqlserver.rename_column(company_of(self.renamed.tenant).database, TABLE, OLD, NEW)
        stage.say("trouble at three sources, and each window is run again:")
        stage.say(f"  {self.broken}: duplicate keys, a missing required field")
        stage.say(f"  {self.widened}: a new column {ADDED}")
        stage.say(f"  {self.renamed}: column {OLD} was renamed to {NEW}")

    def _see_red(self, run: Run, before: Visible) -> None:
        self._see_failed(run, before, "check_extract")
        self._claim(run, "RED quality." in run.line, f"the QA summary says why ({run.line!r})")

    def _see_stopped(self, run: Run, before: Visible) -> None:
        self._see_failed(run, before, "extract")
        self._claim(
            run, "DRIFT drift.breaking" in run.line and OLD in run.line, f"the QA summary says why ({run.line!r})"
        )

    def _see_failed(self, run: Run, before: Visible, task: str) -> None:
        states = self.stage.api.states(dag_of(run.cell), run.run_id)
        self._claim(run, run.state == "failed", f"the run failed (it is {run.state})")
        self._claim(run, states[task] == "failed", f"{task} stopped it ({states})")
        self._claim(run, states["publish"] == "upstream_failed", f"nothing was published ({states['publish']})")
        self._claim(run, run.published == before, f"readers see the version of before ({run.published}, {before})")
        self._claim(run, run.served == before.rows, f"the view shows the version of before ({run.served} rows)")
        self._show(run, f"still generation {run.published.generation}")

    def _see_warned(self, run: Run, before: Visible) -> None:
        warned = self.stage.recount.summaries(run.cell)[-1]["warnings"]
        self._claim(run, run.state == "success", f"a new column stops nothing (the run is {run.state})")
        self._claim(run, any(ADDED in line for line in warned), f"the QA summary tells the new column ({warned})")
        again = run.published.generation == before.generation + 1 and run.published.rows == before.rows
        self._claim(run, again, f"the next generation has the same rows ({run.published}, {before})")
        self._show(run, f"generation {run.published.generation}, without the new column")
        for line in warned:
            if ADDED in line:
                self.stage.console.print(f"  warned   {line}", markup=False)

    def _roll_back(self, before: Visible) -> None:
        """Back to the version of before; `--to` names it, as an earlier demo may have rolled back as well."""
        stage, cell = self.stage, self.widened
        words = ["rollback", cell.tenant, cell.table, str(cell.as_of_date), "--to", str(before.generation)]
        printed = stage.tenantdags(*words, "--reason", REASON, "--yes")
        after = stage.recount.visible(cell)
        right = after.generation == before.generation + 2 and (after.rows, after.keys) == (before.rows, before.keys)
        stage.claim(right, f"{cell}: rolled back, readers see the rows of generation {before.generation} ({after})")
        stage.console.print(f"\n$ tenantdags {' '.join(words)} --reason '{REASON}' --yes", markup=False)
        stage.console.print(printed, markup=False)

    def _claim(self, run: Run, true: bool, text: str) -> None:
        self.stage.claim(true, f"{run.cell}: {text}")

    def _show(self, run: Run, readers: str) -> None:
        console, seen = self.stage.console, run.published
        console.print(f"\n{run.cell}, run {run.run_id}: {run.state} in {run.seconds:.0f} s", markup=False)
        console.print(f"  source   {run.source} rows, staged {run.staged or '-'}; gates {run.gates}", markup=False)
        console.print(f"  readers  {seen.rows} rows, {seen.keys} keys: {readers}", markup=False)
        console.print(f"  QA       {run.line}", markup=False)


def undo_drift(sqlserver: SqlServer) -> None:
    """Put the source tables back into the shape their contracts know."""
    widened, renamed = (company_of(tenant).database for tenant, _ in (WIDENED, RENAMED))
    if ADDED in _columns(sqlserver, widened):
        sqlserver.drop_column(widened, TABLE, ADDED)
    if NEW in _columns(sqlserver, renamed):
        sqlserver.rename_column(renamed, TABLE, NEW, OLD)


def _columns(sqlserver: SqlServer, database: str) -> set[str]:
    return {str(column["name"]) for column in sqlserver.tables(database)[TABLE]}
