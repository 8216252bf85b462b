"""The platform's own DAGs: which there are, and that the one that deletes does nothing unasked."""

from __future__ import annotations

from tenantdags.dag.platform_dags import PRUNE, WATCH, platform_dags
from tenantdags.model.backfill import BULK
from tests.repository import ROOT


def test_the_prune_waits_to_be_unpaused_and_the_watch_does_not():
    dags = platform_dags(ROOT)

    assert {name: dag.is_paused_upon_creation for name, dag in dags.items()} == {WATCH: False, PRUNE: True, BULK: False}
    assert [task.task_id for task in dags[PRUNE].tasks] == ["prune"]
    assert dags[PRUNE].catchup is False
