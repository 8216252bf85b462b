"""When a part of the day is open, by a clock that shifts twice a year."""

from datetime import UTC, datetime, time

import pytest

from tenantdags.model.hours import Hours

NIGHT, NOON = Hours(time(22), time(5)), Hours(time(11), time(13))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (NIGHT, "2026-11-25T20:59", "2026-11-25T21:00"),  # in Berlin it is 21:59
        (NIGHT, "2026-11-25T21:00", None),
        (NIGHT, "2026-11-26T03:59", None),
        (NIGHT, "2026-11-26T04:00", "2026-11-26T21:00"),
        (NOON, "2026-11-25T09:00", "2026-11-25T10:00"),
        (NOON, "2026-11-25T10:00", None),
        (NOON, "2026-11-25T12:00", "2026-11-26T10:00"),
        (NIGHT, "2026-03-28T12:00", "2026-03-28T21:00"),  # the night that loses an hour
        (NIGHT, "2026-03-29T12:00", "2026-03-29T20:00"),
        (Hours(time(2, 30), time(4)), "2026-03-29T00:00", "2026-03-29T01:30"),  # 02:30 never comes: half past three
        (Hours(time(2, 30), time(4)), "2026-10-25T00:00", "2026-10-25T00:30"),  # it comes twice: the first
    ],
)
def test_it_is_open_or_says_when_it_opens(hours, now, opens):
    assert hours.opens(utc(now), "Europe/Berlin") == (utc(opens) if opens else None)


def test_it_reads_like_the_file():
    assert str(NIGHT) == "22:00-05:00"
