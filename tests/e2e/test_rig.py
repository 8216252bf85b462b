"""The running Airflow has the same windows to run, and none more while its tests last, at any hour of any day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tenantdags.model.window import day_window
from tests.e2e.rig import DAYS, SCHEDULED, newest_due

WAITS = {"30m": timedelta(minutes=30), "5h": timedelta(hours=5)}
JITTER, LASTS = timedelta(minutes=10), timedelta(minutes=30)  # the most of a gold tenant; the tests, with room to spare


@pytest.mark.parametrize("day", [(2026, 11, 26), (2026, 7, 1), (2026, 3, 29), (2026, 10, 25)])
def test_the_newest_due_day_stays_the_newest(day: tuple[int, int, int]) -> None:
    for minute in range(0, 24 * 60, 10):
        now = datetime(*day, tzinfo=UTC) + timedelta(minutes=minute)
        newest, settle = newest_due(now)

        ends = [day_window(newest + timedelta(days=later), "Europe/Berlin").end for later in (0, 1)]
        assert ends[0] + WAITS[settle] + JITTER + LASTS <= now < ends[1] + WAITS[settle] - LASTS
        yesterday = now.date() - timedelta(days=1)  # seeded, with the days before it
        assert yesterday - timedelta(days=DAYS - 1) <= newest - timedelta(days=SCHEDULED - 1) < newest <= yesterday
