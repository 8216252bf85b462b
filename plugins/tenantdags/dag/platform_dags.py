"""The platform's own DAGs, beside those of the tenants: the watchdog, the weekly prune, loads of a table's history."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, get_parsing_context
from airflow.sdk.exceptions import AirflowFailException

from tenantdags.model.backfill import BULK

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tenantdags.steps.watch import Look

WATCH = "tenantdags_watch"
PRUNE = "tenantdags_prune"
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)  # any day of the past: nothing is caught up
_FIRST_OF_ALL = 10_000  # above every tier: a full house must not keep the watch from seeing that it is full


def platform_dags(root: Path | str) -> dict[str, DAG]:
    """By id. `root` is the project: the folder that holds config/ and include/."""
    wanted = get_parsing_context().dag_id  # of a worker that starts a task: it builds that one alone
    makers = {WATCH: watch_dag, PRUNE: prune_dag, BULK: _bulk_dag}
    return {dag_id: make(Path(root)) for dag_id, make in makers.items() if wanted in (None, dag_id)}


def _bulk_dag(root: Path) -> DAG:
    from tenantdags.dag.bulk import bulk_dag  # imports what a look of the watchdog does not need

    return bulk_dag(root)


def watch_dag(root: Path) -> DAG:
    with DAG(
        dag_id=WATCH,
        schedule="* * * * *",
        start_date=_BEGIN,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={"owner": "tenantdags", "retries": 0, "priority_weight": _FIRST_OF_ALL, "weight_rule": "absolute"},
        description="Tells on-call of windows that are not published when they are due.",
        doc_md=_WATCH_DOC,
        tags={"tenantdags"},
        auto_register=False,
    ) as dag:
        WatchOperator(root=str(root), task_id="look", execution_timeout=timedelta(minutes=10))
    return dag


def prune_dag(root: Path) -> DAG:
    """Paused until somebody wants it: what it removes does not come back."""
    with DAG(
        dag_id=PRUNE,
        schedule="0 4 * * 0",
        start_date=_BEGIN,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=True,
        default_args={"owner": "tenantdags", "retries": 1},
        description="Removes appends and loads that no reader has seen for seven days.",
        doc_md=_PRUNE_DOC,
        tags={"tenantdags"},
        auto_register=False,
    ) as dag:
        PruneOperator(root=str(root), task_id="prune", execution_timeout=timedelta(hours=6))
    return dag


class PruneOperator(BaseOperator):
    """`tenantdags prune --yes` for every table; what it removed stands in the log."""

    template_fields: Sequence[str] = ()

    def __init__(self, *, root: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = root

    def execute(self, context: Context) -> None:
        from tenantdags.dag import world
        from tenantdags.model.errors import ConfigError
        from tenantdags.model.project import load_project
        from tenantdags.steps.prune import LEAST, prune_tables

        try:
            plans = load_project(Path(self.root)).plans
        except ConfigError as error:
            raise AirflowFailException(str(error)) from None
        totals = prune_tables(
            plans,
            lambda plan: (world.landing(plan, "prune"), world.statements(plan, "prune")),
            LEAST,
            partial(datetime.now, UTC),
            self.log.info,
            dry_run=False,
        )
        self.log.info("removed %s", totals)
        if totals.failed:
            raise AirflowFailException(f"{totals.failed} tables could not be looked at; their errors stand above.")


class WatchOperator(BaseOperator):
    """The looks of one minute: one, and more where windows fall due in it, or their pages would wait for the next.

    What they found stands in the log; that windows are overdue does not fail the task.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, root: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = root

    def execute(self, context: Context) -> None:
        from tenantdags.dag.watch import MOST, next_look

        found = self._look()
        minute = found.at.replace(second=0, microsecond=0)
        for _ in range(MOST - 1):
            again = next_look(found)
            if again >= minute + timedelta(minutes=1):
                return
            time.sleep(max(0.0, (again - datetime.now(UTC)).total_seconds()))
            found = self._look()

    def _look(self) -> Look:
        from tenantdags.dag.watch import look_once
        from tenantdags.model.errors import TenantDagsError
        from tenantdags.steps.watch_text import look_lines

        try:
            found = look_once(Path(self.root))
        except TenantDagsError as error:
            raise AirflowFailException(str(error)) from None
        for line in look_lines(found):
            self.log.info(line)
        return found


_WATCH_DOC = """\
Every minute: which windows must be published by now and are not, and why.

- The same from outside, while Airflow is down: `tenantdags watch --once`.
- Whether it still looks: `tenantdags watch --heartbeat-age`.
- What to do with a page: `docs/on-call.md`.
"""

_PRUNE_DOC = """\
Every Sunday, once it is unpaused: `tenantdags prune --yes` for all tables. `tenantdags prune` tells beforehand what it
would remove; never anything that readers see, or saw within the last seven days.
"""
