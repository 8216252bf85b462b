"""Waits in the triggerer for a Databricks run, and says so instead of failing when Databricks will not be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger
from airflow.triggers.base import TriggerEvent


class LoadTrigger(DatabricksExecutionTrigger):
    """The provider's trigger lets an HTTP 403 while polling fail the task and forgets the run, which goes on."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, arguments = super().serialize()
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            async for event in super().run():  # type: ignore[no-untyped-call]  # the provider types no trigger
                yield event
        except AirflowException as error:
            yield TriggerEvent({"run_id": self.run_id, "unanswered": str(error)})  # type: ignore[no-untyped-call]  # the same
