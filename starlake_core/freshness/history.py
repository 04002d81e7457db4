"""The events of one decision: which exist, which no run has seen, and which are ahead of or behind the previous run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from .clocks import Clock, Clocks
from .periods import Candidate, Periods
from .policy import FreshnessPolicy, Watched
from .types import Event, Previous

__all__ = ["History", "News", "earliest_start", "is_ahead", "newest", "own_interval", "read_histories", "sort_news"]


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
    """

    item: Watched
    clock: Clock
    known: list[Event] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    future: list[Event] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    later: list[int] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """The greatest id of an event that counts as seen, before those that do not; -1 for none."""
        new = {self.known[place].id for place in self.unseen}
        first = min(new, default=None)
        old = (event.id for event in self.known if event.id not in new)
        return max((one for one in old if first is None or one < first), default=-1)


@dataclass
class News:
    """What no run has seen.

    Attributes:
        candidates: the candidates ahead of the previous run, in order.
        any: whether there is anything.
        behind: the datasets with events behind the previous run.
    """

    candidates: list[Candidate]
    any: bool
    behind: list[History]


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
    by_uri: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_uri[event.dataset].append(event)
    histories = {item.identity: History(item, clocks.own) for item in policy.watched}
    for uri, found in by_uri.items():
        history = histories.get(uri.casefold())
        if history is not None:
            history.known += found
    start = policy.start
    seen = {} if previous is None else previous.seen
    for identity, history in histories.items():
        found = history.known
        history.known = [event for event in found if event.date <= now and event.published <= now]
        if len(history.known) < len(found):
            history.future = [event for event in found if event.date > now or event.published > now]
        if start is not None and previous is None:
            history.known = [event for event in history.known if event.date > start]
        history.stamps = [event.stamp for event in history.known]
        last, after = seen.get(identity, -1), start
        if identity not in seen and previous is not None and previous.complete:  # the dataset was added since
            after = previous.end if start is None else max(start, previous.end)
        history.unseen = [
            place
            for place, event in enumerate(history.known)
            if (event.id > last if last >= 0 else after is None or event.date > after)
        ]
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


_BY_DATE = attrgetter("stamp", "id")
_AHEAD, _LATER, _BEHIND = range(3)


class _Verdicts(dict[float, int]):
    """By date, whether an unseen event is ahead, counts later, or is behind; for the datasets of one schedule.

    Attributes:
        candidates: the latest candidate ahead, of those that all schedules see alike.
    """

    def __init__(self, history: History, periods: Periods, end: float | None) -> None:
        super().__init__()
        item = history.item
        self.candidates: dict[Candidate, Candidate] = {}
        self._clock, self._periods, self._end = history.clock, periods, end
        self._always_later = item.by_cycle
        self._group = periods.group(item) if item.cron is not None and item.required else None

    def __missing__(self, stamp: float) -> int:
        periods, end = self._periods, self._end
        candidate = periods.candidate(stamp, self._clock)
        look = periods.look(candidate)
        if end is None or (look.end is not None and look.end > end):
            key = periods.alike(candidate) if periods.scheduled else 0
            self.candidates[key] = max(candidate, self.candidates.get(key, candidate))
            found = _AHEAD
        elif stamp > end and (self._always_later or (self._group is not None and self._group not in look.pace)):
            found = _LATER
        else:
            found = _BEHIND
        self[stamp] = found
        return found


def sort_news(histories: dict[str, History], periods: Periods, end: float | None) -> News:
    """Tell which unseen events are ahead of the previous run, which count later, and which are behind.

    Of candidates that all schedules see alike, only the latest is kept: whatever is present at the others is present
    there.

    Args:
        histories: the events, by dataset.
        periods: the candidates.
        end: the end of the previous run, in seconds since 1970; None for a first run.
    """
    behind: list[History] = []
    by_kind: dict[tuple[object, bool, bool], _Verdicts] = {}
    for history in histories.values():
        item = history.item
        key = (periods.group(item), item.cron is not None, item.required)
        verdicts = by_kind.get(key)
        if verdicts is None:
            verdicts = by_kind[key] = _Verdicts(history, periods, end)
        stamps = history.stamps
        kinds = [verdicts[stamps[place]] for place in history.unseen]
        if _LATER in kinds:
            history.later = [place for place, kind in zip(history.unseen, kinds, strict=True) if kind == _LATER]
        if _BEHIND in kinds:
            history.behind = [place for place, kind in zip(history.unseen, kinds, strict=True) if kind == _BEHIND]
            behind.append(history)
    latest: dict[Candidate, Candidate] = {}
    for verdicts in by_kind.values():
        for alike, candidate in verdicts.candidates.items():
            latest[alike] = max(candidate, latest.get(alike, candidate))
    return News(sorted(latest.values()), any(history.unseen for history in histories.values()), behind)


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


def newest(events: Iterable[Event]) -> Event | None:
    """The event with the latest date, and of several the one that came last; None if there is none."""
    return max(events, key=_BY_DATE, default=None)


def earliest_start(history: History) -> float | None:
    """The earliest start of the data that the events behind brought; None if it is not known of any. See
    :func:`own_interval`."""
    events = [history.known[place] for place in history.behind]
    starts = [
        event.interval.start
        for event in events
        if event.interval is not None and event.interval.start < event.interval.end
    ]
    found = [min(starts).timestamp()] if starts else []
    if len(starts) < len(events):
        found += [span[0] for event in events if (span := own_interval(history, event)) is not None]
    return min(found, default=None)


def own_interval(history: History, event: Event) -> tuple[float, float] | None:
    """The data that an event brought: its interval, else from the fire of its own schedule before its date up to it.

    Args:
        history: the events of the dataset.
        event: one of them.

    Returns:
        The start and the end, in seconds since 1970; None if there is neither.
    """
    interval = event.interval
    if interval is not None and interval.start < interval.end:
        return interval.start.timestamp(), interval.end.timestamp()
    cron = history.item.cron
    if cron is None:
        return None
    end = event.stamp
    fire = history.clock.fire(cron, end, strictly=True)
    return None if fire is None else (fire, end)
