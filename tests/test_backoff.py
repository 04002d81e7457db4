"""The pauses between the tries of a call."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlake_core.runtime import Backoff, pausing


@given(first=st.floats(0.001, 10), longest=st.floats(0.001, 100), tries=st.integers(1, 12))
def test_each_pause_is_up_to_twice_as_long_and_none_longer_than_the_longest(
    first: float, longest: float, tries: int
) -> None:
    backoff, most = Backoff(None, first, longest), min(first, longest)
    for _ in range(tries):
        seconds = backoff.next()
        assert seconds is not None
        assert most / 2 <= seconds <= most
        most = min(longest, 2 * most)


def test_a_service_that_asks_for_more_time_gets_it() -> None:
    assert Backoff(60, 0.1).next(7) == 7
    assert Backoff(5, 0.1).next(7) is None


def test_no_pause_ends_after_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    backoff, pauses = Backoff(10, 1.0), []
    while (seconds := backoff.next()) is not None:
        pauses.append(seconds)
        now += seconds
    assert 3 <= len(pauses) <= 5
    assert sum(pauses) < 10
    assert backoff.next() is None


def test_whoever_waits_can_end_it() -> None:
    with pausing(lambda: True):
        assert not Backoff(60, 5.0).wait()
    assert Backoff(60, 0.001).wait()
    assert not Backoff(0).wait()


def test_the_numbers_of_the_program_are_left_alone() -> None:
    """Who seeds the module ``random`` gets the same numbers, whatever is waited for in the background."""
    before = random.getstate()
    Backoff(None).next()
    assert random.getstate() == before
