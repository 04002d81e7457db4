"""What holds for every decision: in random worlds of datasets, loads, zones and hosts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starlake_core import DataInterval, StarlakeDataset
from starlake_core.freshness import ByHand, Decision, Event, FreshnessPolicy, Kind, Previous, decide, history_since
from starlake_core.freshness.clocks import Clocks
from starlake_core.freshness.history import read_histories, sort_news
from starlake_core.freshness.periods import Periods
from starlake_core.freshness.presence import find_presence, newest_complete
from starlake_core.model.schedule import fire_times, previous_fire, time_zone

CRONS = ["0 0 * * *", "0 2 * * *", "30 2 * * *", "0 * * * *", "0 */6 * * *", "0 6 * * 1-5", "0 0 * * 1", "0 0 * * 4"]
CRONS += ["0 0 1 * *", "0 0 L * *", "0 0 1,15 * *"]
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata"]
STARTS = [datetime(2026, month, day, tzinfo=timezone.utc) for month, day in ((3, 2), (3, 26), (10, 22), (12, 28))]
DAYS = 4
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class World:
    """A policy, and what happens: each event when it is published."""

    policy: FreshnessPolicy
    events: tuple[Event, ...]


@st.composite
def worlds(draw: st.DrawFn, only_crons: bool = False, faults: bool = True) -> World:
    """Datasets that are loaded on time, late, not at all, and again."""
    start = draw(st.sampled_from(STARTS))
    crons = draw(st.lists(st.sampled_from([*CRONS, *([] if only_crons else [None])]), min_size=1, max_size=3))
    zone = draw(st.sampled_from(ZONES))
    datasets = tuple(
        StarlakeDataset(f"d{number}", cron, freshness=0 if only_crons else draw(st.sampled_from([0, 3600, 90000])))
        for number, cron in enumerate(crons)
    )
    wake = (
        "any"
        if only_crons
        else draw(st.sampled_from(["any", "any", "all", *(["d0 & d1", "d0 | d1"] if len(crons) > 1 else [])]))
    )
    cycle = None if only_crons else draw(st.sampled_from([None, None, "daily", "hourly", "0 0 * * 1"]))
    policy = FreshnessPolicy(
        datasets,
        wake,
        time_zone(zone),
        cycle,
        optional=draw(st.booleans()) if cycle else False,
        beyond=draw(st.booleans()) if cycle else True,
        check=True if only_crons else draw(st.sampled_from([True, True, True, False])),
        min_seconds=draw(st.sampled_from([0, 900])),
    )
    loads: list[Event] = []
    for dataset in datasets:
        name = zone if only_crons else draw(st.sampled_from([zone, *ZONES]))
        place = time_zone(name)
        if dataset.cron is None:
            fires = [start + draw(st.integers(0, DAYS * 1440)) * MINUTE for _ in range(draw(st.integers(0, 4)))]
            loads += [Event(dataset.uri, 0, fire) for fire in fires]
            continue
        fires = list(fire_times(dataset.cron, start, start + DAYS * timedelta(days=1), place))
        for fire in fires:
            fate = draw(st.sampled_from(["good"] * 8 + ["late", "lost", "again"])) if faults else "good"
            if fate == "lost":
                continue
            interval = DataInterval(previous_fire(dataset.cron, fire, place), fire)
            delay = draw(st.integers(1, 20)) + (draw(st.integers(60, 2000)) if fate == "late" else 0)
            loads.append(Event(dataset.uri, 0, fire + delay * MINUTE, fire, interval, name))
            if fate == "again":
                loads.append(replace(loads[-1], published=fire + (delay + draw(st.integers(10, 900))) * MINUTE))
    loads.sort(key=lambda event: (event.published, event.dataset, event.date))
    return World(policy, tuple(replace(event, id=number) for number, event in enumerate(loads, 1)))


@dataclass(frozen=True)
class Step:
    """A decision of a host, and what it was asked."""

    known: tuple[Event, ...]
    previous: Previous | None
    now: datetime
    decision: Decision


def played(world: World) -> list[Step]:
    """A host that asks at every event, and runs what it is told to."""
    steps: list[Step] = []
    previous: Previous | None = None
    for count, event in enumerate(world.events, 1):
        known, now = world.events[:count], event.published
        steps.append(Step(known, previous, now, decide(world.policy, known, previous, now)))
        previous = steps[-1].decision.after or previous
    return steps


def forward(steps: list[Step]) -> list[Decision]:
    return [
        step.decision
        for step in steps
        if step.decision.after is not None and (step.previous is None or step.decision.after.end > step.previous.end)
    ]


@settings(max_examples=25)
@given(worlds())
def test_intervals_are_never_empty_and_tile_time(world: World) -> None:
    steps = played(world)
    for step in steps:
        found = step.decision
        assert (found.interval is not None) == (found.kind is Kind.RUN)
        assert (found.after is not None) == (found.kind is Kind.RUN)
        assert found.interval is None or found.interval.start < found.interval.end
        if found.interval is not None and step.previous is not None:
            end = step.previous.end
            assert found.replay == (found.interval.start < end)
            assert found.interval.start <= end
    runs = forward(steps)
    for one, two in pairwise(runs):
        assert one.interval is not None
        assert two.interval is not None
        assert two.interval.start <= one.interval.end < two.interval.end


@settings(max_examples=25)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_events_does_not_matter(world: World, random: object) -> None:
    for step in played(world)[-6:]:
        events = list(step.known)
        random.shuffle(events)  # type: ignore[attr-defined]
        assert decide(world.policy, events, step.previous, step.now) == step.decision


@settings(max_examples=25)
@given(worlds(), st.integers(0, 10_000), st.integers(1, 5000))
def test_a_further_event_never_turns_a_run_into_a_wait(world: World, place: int, earlier: int) -> None:
    for step in played(world)[-20:]:
        if step.decision.kind is not Kind.RUN or step.decision.replay or not world.events:
            continue
        dataset = world.policy.datasets[place % len(world.policy.datasets)]
        assert step.decision.interval is not None
        date = step.decision.interval.end - earlier * MINUTE
        further = Event(dataset.uri, 100_000, step.now, date)
        assert decide(world.policy, [*step.known, further], step.previous, step.now).kind is Kind.RUN


@settings(max_examples=20)
@given(worlds())
def test_a_host_may_forget_what_is_older_than_the_rules_say(world: World) -> None:
    for step in played(world)[-20:]:
        if step.previous is None:
            continue
        since, seen = history_since(world.policy, step.previous), step.previous.seen
        newest = {event.dataset: event.id for event in step.known}
        kept = [
            event
            for event in step.known
            if event.id > seen.get(event.dataset, 0)
            or ((limit := since[event.dataset]) is not None and event.date >= limit)
            or (limit is None and event.id == newest[event.dataset])
        ]
        found = decide(world.policy, kept, step.previous, step.now)
        shown = replace(step.decision, reasons=(), why="")
        assert replace(found, reasons=(), why="") == shown


@settings(max_examples=20)
@given(worlds())
def test_asking_twice_starts_nothing_twice(world: World) -> None:
    for step in played(world)[-20:]:
        after = step.decision.after
        if after is not None:
            assert (
                decide(world.policy, step.known, after, step.now).kind is not Kind.RUN or world.policy.min_seconds == 0
            )
            assert decide(world.policy, step.known, after, step.now + timedelta(days=1)).kind is not Kind.RUN


@settings(max_examples=25)
@given(worlds(only_crons=True))
def test_every_load_is_counted_by_a_run(world: World) -> None:
    """From where the first run started up to where the last one ended: the date of a load is in the interval of a run
    that was decided after it, unless the load still waits to be processed again."""
    steps = played(world)
    runs = [(step.now, step.decision.interval) for step in steps if step.decision.interval is not None]
    if not runs:
        return
    first, last = runs[0][1].start, max(interval.end for _, interval in runs)
    previous = steps[-1].decision.after or steps[-1].previous
    assert previous is not None
    for event in world.events:
        if first < event.date <= last and event.id <= previous.seen.get(event.dataset, 0):
            assert any(now >= event.published and one.start < event.date <= one.end for now, one in runs)


@settings(max_examples=25)
@given(worlds())
def test_the_newest_complete_candidate_is_the_one_of_the_definition(world: World) -> None:
    """The search counts ranges of candidates; the definition looks at each of them."""
    policy = world.policy
    for step in played(world)[-10:]:
        clocks = Clocks(policy.zone)
        histories = read_histories(policy, clocks, step.known, step.previous, step.now)
        periods = Periods(policy, {name: history.clock for name, history in histories.items()})
        end = None if step.previous is None else step.previous.end.timestamp()
        candidates = sort_news(histories, periods, end).candidates
        if not candidates:
            continue
        complete = []
        for candidate in candidates:
            there = {
                name: find_presence(history, periods, candidate, step.now).event is not None
                for name, history in histories.items()
            }
            if policy.condition is not None:
                holds = not policy.condition.lacking(there.__getitem__)
            else:
                holds = all(there[item.identity] for item in policy.required)
            complete += [candidate] if holds else []
        found = newest_complete(policy, histories, periods, candidates, step.now)
        assert found == (complete[-1] if complete else None)


@contextmanager
def local_zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of the process cannot be changed here")
@settings(max_examples=8)
@given(worlds())
def test_the_zone_of_the_machine_does_not_matter(world: World) -> None:
    with local_zone("Pacific/Auckland"):
        there = [step.decision for step in played(world)]
    with local_zone("America/Los_Angeles"):
        assert [step.decision for step in played(world)] == there


DATES = st.datetimes(
    datetime(1000, 1, 8), datetime(9998, 12, 20), timezones=st.sampled_from([time_zone(zone) for zone in ZONES])
)


@settings(max_examples=50)
@given(
    worlds(),
    st.lists(st.tuples(DATES, DATES, st.sampled_from(["", "Mars/Olympus", *ZONES])), max_size=4),
    DATES,
    st.booleans(),
)
def test_it_never_raises(
    world: World, dates: list[tuple[datetime, datetime, str]], now: datetime, by_hand: bool
) -> None:
    events = [Event("d0", number, one, two, None, zone) for number, (one, two, zone) in enumerate(dates)]
    previous = None
    for _ in range(2):
        found = decide(world.policy, [*events, *world.events], previous, now, ByHand() if by_hand else None)
        assert found.interval is None or found.interval.start < found.interval.end
        assert found.describe()
        assert found.to_json()
        previous = found.after or previous
