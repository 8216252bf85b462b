"""Waiting for a run in the triggerer: its end is told, and so is that nobody could look."""

import asyncio

import pytest

from tenantdags.dag.trigger import LoadTrigger


def first_event(**changes):
    async def wait():
        return await anext(LoadTrigger(run_id=7, databricks_conn_id="databricks_default", **changes).run())

    return asyncio.run(wait()).payload


@pytest.mark.parametrize(("status", "said"), [(403, "Status Code: 403"), (503, "failed 1 times")])
def test_a_refused_look_is_an_event_and_not_a_dead_trigger(workspace, status, said):
    server = workspace(status)

    event = first_event(retry_limit=1)

    assert event["run_id"] == 7
    assert said in event["unanswered"]
    assert [path.partition("?")[0] for _, path in server.asked] == ["/api/2.2/jobs/runs/get"]


def test_a_workspace_that_is_gone_is_an_event_too(connect):
    connect("databricks_default", conn_type="databricks", host="127.0.0.1", port=9, schema="http", password="dapi")

    assert first_event(retry_limit=1)["run_id"] == 7
