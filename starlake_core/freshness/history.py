"""The events of one decision: which exist, which no run has seen, and which are ahead of or behind the previous run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ..model.run import DataInterval
from .clocks import Clock, Clocks
from .periods import Candidate, Periods
from .policy import FreshnessPolicy, Watched
from .types import Event, Previous

__all__ = ["History", "News", "is_ahead", "own_interval", "read_histories", "sort_news"]


@dataclass
class History:
    """The events of one dataset.

    Attributes:
        item: the dataset.
        clock: its clock.
        known: its events that exist.
        stamps: their dates, in seconds since 1970.
        future: its events that do not exist yet, because of their dates.
        unseen: the places in ``known`` of those that no run has seen.
        behind: the places of the unseen ones that are behind the previous run.
        later: the places of the unseen ones that the next run counts.
        ahead: the candidates of the unseen ones that are ahead of the previous run.
    """

    item: Watched
    clock: Clock
    known: list[Event] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    future: list[Event] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    later: list[int] = field(default_factory=list)
    ahead: set[Candidate] = field(default_factory=set)


@dataclass
class News:
    """What no run has seen.

    Attributes:
        candidates: the candidates ahead of the previous run, in order.
        any: whether there is anything.
        behind: the events behind the previous run, with their histories.
    """

    candidates: list[Candidate]
    any: bool
    behind: list[tuple[History, Event]]


def read_histories(
    policy: FreshnessPolicy, clocks: Clocks, events: Iterable[Event], previous: Previous | None, now: datetime
) -> dict[str, History]:
    """Sort the events by dataset, without those of other datasets.

    Args:
        policy: the policy of the pipeline.
        clocks: the clocks of the decision.
        events: all events that are known, in any order.
        previous: what the runs before left.
        now: the time of the decision.

    Returns:
        The history of each dataset, by identity.
    """
    by_uri: dict[str, list[Event]] = {}
    for event in events:
        found = by_uri.get(event.dataset)
        if found is None:
            found = by_uri[event.dataset] = []
        found.append(event)
    histories = {item.identity: History(item, clocks.own) for item in policy.watched}
    start = policy.start if previous is None else None
    for uri, found in by_uri.items():
        history = histories.get(uri.casefold())
        if history is None:
            continue
        for event in found:
            if event.published > now or event.date > now:
                history.future.append(event)
            elif start is None or event.date > start:
                history.known.append(event)
    seen = {} if previous is None else previous.seen
    for identity, history in histories.items():
        history.stamps = [event.date.timestamp() for event in history.known]
        last = seen.get(identity)
        history.unseen = [place for place, event in enumerate(history.known) if last is None or event.id > last]
        if history.item.cron is not None:
            history.clock = _clock(history.known, clocks)
    return histories


def _clock(events: list[Event], clocks: Clocks) -> Clock:
    """The clock of the newest event that carries a zone known on this machine; that of the pipeline without one."""
    best, found = None, clocks.own
    for event in events:
        if event.zone and (best is None or event.id > best):
            clock = clocks.named(event.zone)
            if clock is not None:
                best, found = event.id, clock
    return found


def sort_news(histories: dict[str, History], periods: Periods, end: float | None) -> News:
    """Tell which unseen events are ahead of the previous run, which count later, and which are behind.

    Args:
        histories: the events, by dataset.
        periods: the candidates.
        end: the end of the previous run, in seconds since 1970; None for a first run.
    """
    behind: list[tuple[History, Event]] = []
    for history in histories.values():
        item = history.item
        paced = item.cron is not None and item.required
        for place in history.unseen:
            stamp = history.stamps[place]
            candidate = periods.candidate(stamp, history.clock)
            look = periods.look(candidate)
            if end is None or (look.end is not None and look.end > end):
                history.ahead.add(candidate)
            elif stamp > end and (item.by_cycle or (paced and periods.group(item) not in look.pace)):
                history.later.append(place)
            else:
                history.behind.append(place)
        behind += [(history, history.known[place]) for place in history.behind]
    return News(
        sorted(set().union(*(history.ahead for history in histories.values()))),
        any(history.unseen for history in histories.values()),
        behind,
    )


def is_ahead(history: History, periods: Periods, end: float | None, place: int, until: float | None = None) -> bool:
    """Whether an event is ahead of the previous run, and its candidate ends in time.

    Args:
        history: the events of the dataset.
        periods: the candidates.
        end: the end of the previous run; None for a first run.
        place: the place of the event.
        until: the latest end of its candidate; None for no limit.
    """
    look = periods.look(periods.candidate(history.stamps[place], history.clock))
    if look.end is None:
        return end is None
    return (end is None or look.end > end) and (until is None or look.end <= until)


def own_interval(history: History, event: Event) -> tuple[float, float] | None:
    """The data that an event brought: its interval, else from the fire of its own schedule before its date up to it.

    Args:
        history: the events of the dataset.
        event: one of them.

    Returns:
        The start and the end, in seconds since 1970; None if there is neither.
    """
    interval: DataInterval | None = event.interval
    if interval is not None:
        start, end = interval.start.timestamp(), interval.end.timestamp()
        if start < end:
            return start, end
    cron = history.item.cron
    if cron is None:
        return None
    end = event.date.timestamp()
    fire = history.clock.fire(cron, end, strictly=True)
    return None if fire is None else (fire, end)
