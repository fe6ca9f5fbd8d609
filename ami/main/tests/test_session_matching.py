"""Which new sessions go on as which old ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.main.session_matching import Span, match
from ami.main.tests.factories import NIGHT


def span(start: int, end: int, key: int = 0) -> Span:
    """From one hour to another."""
    return Span(NIGHT + timedelta(hours=start), NIGHT + timedelta(hours=end), key)


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        ([span(0, 5)], [span(0, 5, 7)], {0: 7}),
        ([span(0, 5)], [], {}),
        ([span(0, 5)], [span(6, 7, 7)], {}),
        ([span(0, 5)], [span(5, 7, 7)], {0: 7}),  # they touch
        ([span(0, 9)], [span(0, 2, 7), span(4, 9, 8)], {0: 8}),  # two became one: the longer stays
        ([span(0, 8)], [span(0, 2, 7), span(4, 6, 8)], {0: 7}),  # as long: the earlier stays
        ([span(0, 2), span(4, 9)], [span(0, 9, 7)], {1: 7}),  # one became two
        ([span(0, 1), span(2, 3)], [span(0, 3, 7), span(3, 4, 8)], {0: 7, 1: 8}),
        ([span(1, 1)], [span(1, 1, 7)], {0: 7}),  # a single capture
    ],
)
def test_a_session_goes_on_as_the_one_that_it_overlaps_longest(
    found: list[Span], known: list[Span], expected: dict[int, int]
) -> None:
    assert match(found, known) == expected


bounds = st.lists(st.integers(0, 60), min_size=2, max_size=24, unique=True).map(sorted)


def spans(numbers: list[int], first_key: int = 0) -> list[Span]:
    """Spans that do not touch each other."""
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    return [
        span(start, end, first_key + place if first_key else 0) for place, (start, end) in enumerate(pairs)
    ]


@given(found=bounds.map(spans), known=bounds.map(lambda numbers: spans(numbers, 1)))
def test_nothing_is_matched_twice_and_whatever_overlaps_only_free_ones_is_matched(
    found: list[Span], known: list[Span]
) -> None:
    matched = match(found, known)
    assert len(set(matched.values())) == len(matched)
    by_key = {old.key: old for old in known}

    def overlap(new: Span, old: Span) -> bool:
        return new.start <= old.end and old.start <= new.end

    assert all(overlap(found[place], by_key[key]) for place, key in matched.items())
    free = [place for place in range(len(found)) if place not in matched]
    unused = [old for old in known if old.key not in set(matched.values())]
    assert not any(overlap(found[place], old) for place in free for old in unused)
