"""How long we wait before trying again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ami.worker.retrying import RetryPolicy, parse_retry_after


def test_waits_double_up_to_the_longest_and_never_fall_below_half() -> None:
    policy = RetryPolicy(first_delay=1.0, max_delay=8.0)
    for attempt, longest in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (5000, 8.0)]:
        waits = [policy.delay(attempt, None) for _ in range(50)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1, "no jitter: all workers would come back at once"


def test_server_decides_how_long_but_not_for_hours() -> None:
    policy = RetryPolicy(max_retry_after=60.0)
    assert 5 <= policy.delay(1, 5.0) <= 6
    assert 60 <= policy.delay(1, 86_400.0) <= 72


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("0", 0.0), (None, None), ("", None), ("soon", None)]
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    seconds = parse_retry_after(header)
    assert seconds is not None
    assert 25 < seconds <= 30
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
