"""How often the watch looks: as each minute begins, and where windows fall due within one."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from tenantdags.dag import platform_dags, watch
from tenantdags.dag.platform_dags import WatchOperator
from tenantdags.dag.watch import next_look
from tenantdags.steps.watch import Look
from tests.dag.plans import utc

MINUTE = utc("2026-11-23T05:00:00")


def found(second: float, due: float | None) -> Look:
    """A look at that second, with a window due at another one of the same minute or later."""
    at = MINUTE + timedelta(seconds=second)
    next_due = None if due is None else MINUTE + timedelta(seconds=due)
    return Look(at=at, tables=1, waiting=0, overdue=0, next_due=next_due)


@pytest.mark.parametrize(
    ("at", "due", "again"),
    [
        (3, None, 60), (3, 3600, 60),  # nothing in this minute
        (3, 31, 31), (3, 4, 18),  # never two looks close together
        (3, 49, 49), (3, 50, 60), (40, 45, 60),  # the next minute's look comes soon enough
    ],
)  # fmt: skip
def test_it_looks_again_where_a_window_falls_due(at: float, due: float | None, again: float) -> None:
    assert (next_look(found(at, due)) - MINUTE).total_seconds() == again


def test_a_window_that_is_due_within_the_minute_does_not_wait_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looked = [3.0], list[float]()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # every caller names a zone
            return (MINUTE + timedelta(seconds=clock[0])).astimezone(tz)

    def look(root: Any) -> Look:
        looked.append(clock[0])
        return found(clock[0], next((due for due in (20, 22, 41, 130) if due > clock[0]), None))

    monkeypatch.setattr(platform_dags, "datetime", Clock)
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    monkeypatch.setattr(watch, "look_once", look)

    WatchOperator(root="nowhere", task_id="look").execute({})

    assert looked == [3.0, 20.0, 35.0]
