"""A landing zone in which racing writers all read a window's file before any of them writes it."""

from __future__ import annotations

from threading import Barrier
from typing import Any

from tenantdags.model.plan import TablePlan
from tenantdags.steps.landing import Landing
from tests.steps.lakehouse import Lakehouse


class Meeting(Landing):
    """Waits for the others before its first write; whoever lost goes on alone."""

    barrier: Barrier | None

    def swap_published(self, *args: Any) -> Any:
        if self.barrier:
            self.barrier.wait(timeout=60)
            self.barrier = None
        return super().swap_published(*args)


def meeting(lakehouse: Lakehouse, plan: TablePlan, barrier: Barrier) -> Meeting:
    found = Meeting(lakehouse.container(plan), lakehouse.landing(plan).abfss_root, "adls_landing", first_wait=0.05)
    found.barrier = barrier
    return found
