"""Queues the deadline's callback for the triggerer, as the scheduler does when a deadline passes: kwargs on stdin.

The argument is how many times it passes.
"""

from __future__ import annotations

import json
import sys

from airflow.models.callback import TriggererCallback
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.utils.session import create_session

arguments = json.load(sys.stdin)
context = arguments.pop("context")  # which the scheduler adds when the deadline passes
for _ in range(int(sys.argv[1])):
    with create_session() as session:
        callback = TriggererCallback(AsyncCallback("tenantdags.dag.alerts.on_sla_miss", kwargs=arguments))
        callback.data = {**callback.data, "kwargs": {**callback.data["kwargs"], "context": context}}
        session.add(callback)
        callback.queue(session=session)
