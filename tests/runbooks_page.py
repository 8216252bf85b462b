"""docs/runbooks/README.md: the index of all runbooks, from the list of kinds and the contracts."""

from datetime import timedelta
from pathlib import Path

from tenantdags.model.taxonomy import KINDS, Kind, Retry, severity

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/runbooks/README.md"
MINUTES = timedelta(minutes=1)
INTRODUCTION = """\
# Runbooks

One page per kind of failure, and one per table. A kind is the same word in the exception, the QA summary, the alert,
the metric's label `kind` and Airflow's UI; `quality.<rule>` is any rule of a contract, with the one page and label
`quality`.

Every page says what readers see, what to look at first, what is safe to do, and whom to wake. For all holds:

- Readers see the last published version of a window until a run has passed both gates. Nothing needs a hasty fix.
- `tenantdags explain acme orders 2026-11-21` tells what happened to a window and what readers see of it.
- **Clear** a task with everything behind it by `tenantdags retry acme orders 2026-11-21 --from extract` (then `--yes`),
  or in Airflow's UI (the task, *Clear*, *Downstream*). Clearing `extract` takes a fresh load. It doubles nothing,
  however often it is done. Without `--from`, `retry` picks the task by the kind.
- Ids in the commands (`acme`, `orders`, `2026-11-21`) are examples: the page you got has yours.

Waits and tries are those of a tier with three retries; the tier's `retries` is the limit for all kinds. Waits are in
units of Airflow's `default_task_retry_delay`, here its default of 5 minutes. How loud a kind is, the tier caps by
`loudest` ([tenant-file.md](../tenant-file.md)); [alerts.md](../alerts.md) says who is told.

This page is written from the code (`python -m tests.regenerate`); a test keeps it complete.
"""


def page() -> str:
    """The whole page."""
    kinds = [_row(kind) for kind in KINDS]
    head = ["| kind | means | tried again | event | tier may page | tier up to ticket |", "|---|---|---|---|---|---|"]
    tables = sorted({path.name.partition(".")[0] for path in (ROOT / "include/contracts").glob("*.odcs.yaml")})
    listed = [f"- [{table}]({table}.md)" for table in tables]
    return "\n".join([INTRODUCTION, "## Kinds", "", *head, *kinds, "", "## Tables", "", *listed]) + "\n"


def _row(kind: Kind) -> str:
    cells = (
        f"[`{kind.word}`]({kind.word}.md)", kind.meaning, _tries(kind.retry), f"`{kind.event}`",
        severity(kind.word, "page"), severity(kind.word, "ticket"),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _tries(retry: Retry | None) -> str:
    if retry is None:
        return "no"
    waits = [f"{retry.wait(n, 5 * MINUTES) / MINUTES:g}" for n in range(1, retry.most(3) + 1)]
    return f"after {', '.join(waits)} min"
