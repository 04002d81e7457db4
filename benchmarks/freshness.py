"""Measures a decision about 1 000 datasets with ten crons and 100 000 events, compared with grouping these events by
dataset and sorting them by date.

The ratio must not be above 5 if loads have the dates of their schedules, and ten times the events must not take more
than fifteen times as long. Figures are CPU seconds, the best of several rounds, in turns; crons are analysed once for
each process, before.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone

from starlake_core import DataInterval, StarlakeDataset
from starlake_core.freshness import Event, FreshnessPolicy, Previous, decide

CRONS = [
    "0 0 * * *",
    "0 2 * * *",
    "30 5 * * *",
    "0 * * * *",
    "*/15 * * * *",
    "0 6 * * 1-5",
    "0 0 * * 1",
    "0 0 1 * *",
    "0 0 1,15 * *",
    "0 0 L * *",
]
DAILY = ["0 0 * * *", "0 2 * * *", "30 5 * * *", *(f"{minute} 4 * * *" for minute in range(7))]
NOW = datetime(2026, 3, 5, 12, tzinfo=timezone.utc)
DATASETS, EVENTS, MOST_TIMES, MOST_GROWTH, ROUNDS = 1000, 100_000, 5.0, 15.0, 5


def events_of(policy: FreshnessPolicy, count: int, spread: bool) -> list[Event]:
    """Events of all datasets, an hour apart for each, in random order.

    Args:
        policy: the policy with the datasets.
        count: how many events.
        spread: whether no two have the same date.
    """
    each = count // len(policy.datasets)
    found = []
    for number, dataset in enumerate(policy.datasets):
        for place in range(each):
            date = NOW - timedelta(hours=each - place)
            if spread:
                date -= timedelta(seconds=3600 * number / len(policy.datasets))
            found.append(Event(dataset.uri, len(found) + 1, date, date, DataInterval(date - timedelta(hours=1), date)))
    random.Random(7).shuffle(found)
    return found


def plain(events: Sequence[Event]) -> int:
    """Group the events by dataset, and sort them by date."""
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(event.dataset, []).append(event)
    for group in groups.values():
        group.sort(key=lambda event: event.date)
    return len(groups)


def seconds(*works: Callable[[], object]) -> list[float]:
    """The best of several measurements of each work, in turns."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for place, work in enumerate(works):
            start = time.process_time()
            work()
            best[place] = min(best[place], time.process_time() - start)
    return best


def main() -> int:
    """Print a line for each case, and return 1 if a target is missed."""
    missed = 0
    for name, crons, wake, spread, first in (
        ("ten crons, first run", CRONS, "any", False, True),
        ("ten crons, a day after the last run", CRONS, "any", False, False),
        ("ten crons, all, one missing for ever", CRONS, "all", False, False),
        ("ten dailies, first run", DAILY, "any", False, True),
        ("ten crons, no two dates alike", CRONS, "any", True, True),
        ("ten dailies, no two dates alike", DAILY, "any", True, True),
        ("no cron at all, no two dates alike", [None], "any", True, True),
    ):
        datasets = tuple(StarlakeDataset(f"d{number:04}", crons[number % len(crons)]) for number in range(DATASETS))
        policy = FreshnessPolicy(datasets, wake)
        day = timedelta(days=1)
        previous = None if first else Previous(DataInterval(NOW - 2 * day, NOW - day), NOW - day, {})
        most, few = events_of(policy, EVENTS, spread), events_of(policy, EVENTS // 10, spread)
        if wake == "all":
            most, few = ([event for event in events if event.dataset != "d0000"] for events in (most, few))
        sorting, deciding, smaller = seconds(
            lambda most=most: plain(most),
            lambda policy=policy, most=most, previous=previous: decide(policy, most, previous, NOW),
            lambda policy=policy, few=few, previous=previous: decide(policy, few, previous, NOW),
        )
        times, growth = deciding / sorting, deciding / smaller
        good = (spread or times <= MOST_TIMES) and growth <= MOST_GROWTH
        missed += not good
        sys.stdout.write(
            f"{name:40} {deciding * 1000:6.0f} ms / {sorting * 1000:4.0f} ms = {times:4.2f} {'' if spread else f'(target {MOST_TIMES})':14}  "
            f"ten times the events: {growth:4.1f} (target {MOST_GROWTH})  {'ok' if good else 'MISSED'}\n"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
