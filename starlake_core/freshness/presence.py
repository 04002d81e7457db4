"""Finds the newest candidate at which all data is there, in time that grows with the number of events."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .history import History, newest
from .periods import Candidate, Periods
from .policy import FreshnessPolicy
from .types import Event

__all__ = ["Presence", "find_presence", "newest_complete"]

_Ranges = list[tuple[int, int]]


@dataclass(frozen=True)
class Presence:
    """Whether the data of a dataset is there at a candidate.

    Attributes:
        event: the event that brought it; None if it is missing.
        stale: whether older data is good enough.
        events: all events that brought it.
    """

    event: Event | None
    stale: bool = False
    events: tuple[Event, ...] = ()


def find_presence(history: History, periods: Periods, candidate: Candidate, now: datetime) -> Presence:
    """Look for the data of a dataset at a candidate.

    Args:
        history: the events of the dataset.
        periods: the candidates.
        candidate: the candidate.
        now: the time of the decision.
    """
    item = history.item
    if item.schedule is None:
        found = _without_schedule(history, now)
        return Presence(newest(found), events=tuple(found))
    limit, opening, grace = (
        periods.limit(candidate, history.clock),
        periods.opening(candidate, item),
        periods.grace(item),
    )
    found = [event for event in history.known if opening <= event.stamp <= limit]
    if periods.unit:
        found = [event for event in found if event.stamp < limit]
    if found:
        return Presence(newest(found), events=tuple(found))
    if grace:
        found = [event for event in history.known if opening - grace <= event.stamp < opening]
    return Presence(newest(found), stale=True, events=tuple(found))


def _without_schedule(history: History, now: datetime) -> list[Event]:
    """The events of a dataset without a schedule that count: unseen ones, and those not too old."""
    unseen = set(history.unseen)
    limit = now.timestamp() - history.item.freshness if history.item.freshness else None
    return [
        event
        for place, event in enumerate(history.known)
        if place in unseen or limit is None or event.published.timestamp() >= limit
    ]


def newest_complete(
    policy: FreshnessPolicy,
    histories: Mapping[str, History],
    periods: Periods,
    candidates: Sequence[Candidate],
    now: datetime,
) -> Candidate | None:
    """Return the newest candidate at which everything that is required is there; None if there is none.

    Args:
        policy: the policy of the pipeline.
        histories: the events, by dataset.
        periods: the candidates.
        candidates: those to look at, in order.
        now: the time of the decision.
    """
    finder = _Finder(periods, candidates, now)
    ranges = {item.identity: finder.ranges(histories[item.identity]) for item in policy.required}
    if policy.condition is not None:
        masks = {name: sum((1 << (last + 1)) - (1 << first) for first, last in found) for name, found in ranges.items()}
        mask = policy.condition.value(masks.__getitem__)
        return candidates[mask.bit_length() - 1] if mask else None
    changes = [0] * (len(candidates) + 1)
    for found in ranges.values():
        for first, last in found:
            changes[first] += 1
            changes[last + 1] -= 1
    best, count = None, 0
    for candidate, change in zip(candidates, changes, strict=False):
        count += change
        if count == len(ranges):
            best = candidate
    return best


class _Spans(dict[float, tuple[int, int]]):
    """By the date of an event, the first and the last place of the candidates at which it makes a dataset present."""

    def __init__(self, openings: list[float], limits: list[float], first: Callable[[list[float], float], int]) -> None:
        super().__init__()
        self._openings, self._limits, self._first = openings, limits, first

    def __missing__(self, stamp: float) -> tuple[int, int]:
        found = self[stamp] = self._first(self._limits, stamp), bisect_right(self._openings, stamp) - 1
        return found


class _Finder:
    """Finds at which candidates a dataset is present: an event is in the window of neighbouring ones, because windows
    move on with their candidates."""

    def __init__(self, periods: Periods, candidates: Sequence[Candidate], now: datetime) -> None:
        self._periods = periods
        self._candidates = candidates
        self._now = now
        self._by_kind: dict[tuple[object, int], _Spans] = {}

    def ranges(self, history: History) -> _Ranges:
        """The first and the last place of each row of candidates at which the dataset is present, without overlaps."""
        if history.item.schedule is None:
            return [(0, len(self._candidates) - 1)] if _without_schedule(history, self._now) else []
        spans = self._spans(history)
        merged: _Ranges = []
        for first, last in sorted({spans[stamp] for stamp in history.stamps}):
            if first > last:
                continue
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return merged

    def _spans(self, history: History) -> _Spans:
        periods, item = self._periods, history.item
        grace = periods.grace(item)
        key = (periods.group(item), grace)
        found = self._by_kind.get(key)
        if found is None:
            openings = [periods.opening(candidate, item) - grace for candidate in self._candidates]
            limits = [periods.limit(candidate, history.clock) for candidate in self._candidates]
            found = self._by_kind[key] = _Spans(openings, limits, bisect_right if periods.unit else bisect_left)
        return found
