"""The demo's missed deadline: a window whose run starts late, on a Databricks that is slow, and is published after all.

The last window of one table is held back from the catch-up by its `settle`. Later an edit of the tenant's file lets its
run start, and promises readers the window sooner than the load can end.
"""

import re
from datetime import UTC, datetime, timedelta

from sandbox.catchup import schedule_of
from sandbox.recount import Cell
from sandbox.services import SandboxError
from sandbox.stage import PATIENCE, Stage

TENANT, TABLE = "acme", "order_lines"
PROMISED = timedelta(seconds=45)  # from the edit to the deadline: the run has begun by then
HELD = 45.0  # seconds that the load takes longer


class Lateness:
    """One window that will be late."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        self.stage, self.cell, self.earlier = stage, cell, 0
        self.file = stage.project / "config" / "tenants" / f"{TENANT}.yaml"

    @classmethod
    def held_back(cls, stage: Stage, now: datetime) -> "Lateness | None":
        """Before Airflow starts; None when an earlier demo has published the last window that is due."""
        due = [cell for cell in schedule_of(stage.project, now).cells if (cell.tenant, cell.table) == (TENANT, TABLE)]
        if stage.recount.published(due[-1]):
            return None
        late = cls(stage, due[-1])
        late._promise(now + timedelta(hours=1), now + timedelta(hours=2))
        return late

    def begin(self) -> None:
        """From now on the run comes; nobody waits for it here."""
        now = datetime.now(UTC)
        self.earlier = len(self.stage.world.oncall.messages())
        self.stage.world.databricks.fault("slow_run", path=f"{TABLE}/v1/tenant_id={TENANT}/", seconds=HELD)
        self._promise(now, now + PROMISED)
        self.stage.say(
            f"{self.cell} was held back. Its run starts now, on a slow Databricks, and config/tenants/acme.yaml"
        )
        self.stage.say(f"  promises readers the window by {now + PROMISED:%H:%M:%S} UTC")

    def see(self) -> None:
        """The page that the deadline made, then that all is well."""
        page = self.stage.page(f"PAGE {self.cell} late, ", self.earlier, PATIENCE)
        self.stage.claim(
            "Readers see: nothing of this window yet" in page, f"{self.cell}: the page says what readers see"
        )
        self.stage.page(f"RECOVERED {self.cell}: published after ", self.earlier, PATIENCE)
        seen, source = self.stage.recount.visible(self.cell), self.stage.recount.source(self.cell)
        self.stage.claim(seen.rows == seen.keys == source > 0, f"{self.cell}: published after all ({seen})")
        pages = [text for text in self.stage.world.oncall.messages()[self.earlier :] if f"{self.cell} late" in text]
        self.stage.claim(len(pages) == 1, f"{self.cell}: told once that it is late ({len(pages)} times)")

    def _promise(self, start: datetime, due: datetime) -> None:
        """The table's run starts and is due at these instants, as seconds behind the window's end."""
        settle, within = (int((at - self.cell.bounds[1]).total_seconds()) for at in (start, due))
        said = f"    settle: {settle}s\n    jitter: 0s\n    sla: {{within: {within}s}}\n"
        pattern = rf"^(  {TABLE}:\n    contract: .*\n)(?:    (?:settle|jitter|sla): .*\n)*"
        text, count = re.subn(pattern, rf"\g<1>{said}", self.file.read_text(), flags=re.MULTILINE)
        if count != 1:
            raise SandboxError(f"{self.file.name}: expected {TABLE} once, found it {count} times")
        self.file.write_text(text)
