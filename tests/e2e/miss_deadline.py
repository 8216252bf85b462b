"""Queues the deadline's callback for the triggerer, as the scheduler does when a deadline passes: kwargs on stdin."""

from __future__ import annotations

import json
import sys

from airflow.models.callback import TriggererCallback
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.utils.session import create_session

with create_session() as session:
    callback = TriggererCallback(AsyncCallback("tenantdags.dag.alerts.on_sla_miss", kwargs=json.load(sys.stdin)))
    session.add(callback)
    callback.queue(session=session)
