"""The rules: run, wait or skip, and for which interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from ..model.run import DataInterval
from .clocks import Clocks
from .crons import DAY
from .history import earliest_start, is_ahead, own_interval, read_histories, sort_news
from .periods import Candidate, Periods
from .policy import FreshnessPolicy
from .presence import Presence, newest_complete
from .reasons import Explained, at, explain, moment
from .types import ByHand, Decision, Event, Kind, Previous, State
from .variables import merge_variables

__all__ = ["decide"]

_NAMED = 5
"""How many datasets a sentence names."""


def decide(
    policy: FreshnessPolicy,
    events: Iterable[Event],
    previous: Previous | None,
    now: datetime,
    by_hand: ByHand | None = None,
) -> Decision:
    """Decide whether a pipeline runs now, and for which interval. It reads no clock and keeps nothing, and the order of
    the events does not matter.

    Args:
        policy: what the pipeline asks of its datasets.
        events: all events that are known: at least those that no run has seen, and those since the fire before the end
            of the previous run, less the freshness.
        previous: what the last successful run left (``Decision.after``); None if there was none.
        now: an aware time.
        by_hand: set if somebody asks for the run.

    Returns:
        The decision. If it is a run without an error, the host records ``after`` when that run has succeeded. Nothing
        else is recorded, so it may ask as often as it likes.
    """
    return _Case(policy, events, previous, now, by_hand).decide()


class _Case:
    """One decision."""

    def __init__(
        self,
        policy: FreshnessPolicy,
        events: Iterable[Event],
        previous: Previous | None,
        now: datetime,
        by_hand: ByHand | None,
    ) -> None:
        self.policy, self.previous, self.by_hand = policy, previous, by_hand
        # In UTC: Python compares the wall clocks of two times in one zone, and an hour may come twice.
        self.now = now = now.astimezone(timezone.utc)
        self.clocks = Clocks(policy.zone, policy.fires)
        self.histories = read_histories(policy, self.clocks, events, previous, now)
        clocks = {identity: history.clock for identity, history in self.histories.items()}
        self.periods = Periods(policy, clocks)
        self.end = None if previous is None else previous.end.timestamp()
        self.news = sort_news(self.histories, self.periods, self.end)

    def decide(self) -> Decision:
        if self.by_hand is not None and self.by_hand.interval is not None:
            return self._asked(self.by_hand.interval)
        if self.by_hand is not None:
            return self._by_hand(self.by_hand)
        if not self.news.any:
            return self._other(Kind.SKIP, self._nothing_new())
        candidate = self._complete()
        if candidate is not None:
            return self._forward(candidate)
        if self.news.behind and self._wakes_replay():
            return self._delayed() or self._replay()
        return self._wait()

    def _nothing_new(self) -> str:
        start = self.policy.start
        if self.previous is None and start is not None:
            return f"nothing was loaded yet for a date after the start date {at(start, self.policy.zone)}"
        return "nothing new was loaded since the last run"

    # -- which candidate

    def _complete(self) -> Candidate | None:
        """The newest candidate that can run; None if there is none."""
        candidates = self.news.candidates
        if not candidates or (self.policy.needs_all and self._lacking()):
            return None
        if self.policy.check:
            return newest_complete(self.policy, self.histories, self.periods, candidates, self.now)
        return candidates[-1] if not self._lacking() else None

    def _lacking(self) -> list[str]:
        """The datasets that must bring something new and did not, as far as the triggering strategy asks for it."""
        if self.policy.needs_all:
            return [item.identity for item in self.policy.required if not self._is_new(item.identity)]
        if self.policy.condition is not None and not self.policy.check:
            return self.policy.condition.lacking(self._is_new)
        return []

    def _is_new(self, identity: str) -> bool:
        """Whether a dataset has an unseen or a forward event that is not behind."""
        history = self.histories[identity]
        return len(history.unseen) > len(history.behind) or any(
            is_ahead(history, self.periods, self.end, place) for place in range(len(history.known))
        )

    def _wakes_replay(self) -> bool:
        behind = {history.item.identity for history in self.news.behind}
        if self.policy.needs_all:
            return all(item.identity in behind for item in self.policy.required)
        condition = self.policy.condition
        return condition is None or not condition.lacking(behind.__contains__)

    # -- decisions

    def _forward(self, candidate: Candidate) -> Decision:
        explained = self._explain(candidate)
        end = self.periods.look(candidate).end
        start = None if end is None else self._start(candidate, explained, end)
        if end is None or start is None or start >= end:
            return self._other(
                Kind.SKIP, "the period that is complete ends before the first interval starts", explained
            )
        found = (earliest_start(history) for history in self.news.behind)
        earliest = min([start, *(earlier for earlier in found if earlier is not None)])
        interval = self._interval(earliest, end)
        why = f"all data up to {at(end, self.policy.zone)} is there"
        if self.by_hand is not None:
            why = "somebody asked for it"
        elif not self.policy.check:
            why = "something new was loaded, and freshness_check is off"
        if earliest < start:
            why += f"; data loaded again from {at(earliest, self.policy.zone)} on is processed too"
        return self._run(why, interval, earliest < start, explained)

    def _start(self, candidate: Candidate, explained: Explained, end: float) -> float | None:
        """Where a forward interval starts."""
        if self.end is not None:
            return self.end
        if self.policy.start is not None:
            return self.policy.start.timestamp()
        pace = self.periods.look(candidate).pace
        starts = [
            event.interval.start.timestamp()
            for item in self.policy.required
            if not self.periods.scheduled or (item.schedule is not None and self.periods.group(item) in pace)
            for event in explained.presence[item.identity].events
            if event.interval is not None
            and event.interval.start < event.interval.end
            and (self.periods.scheduled or event.stamp == candidate)
        ]
        if starts:
            return min(starts)
        before = self.periods.before_pace(candidate)
        if before is not None:
            return before
        clock = self.clocks.own
        start = clock.instant(clock.wall(end) // DAY * DAY)
        return start if start < end else clock.instant((clock.wall(end) // DAY - 1) * DAY)

    def _delayed(self) -> Decision | None:
        """The decision to leave a replay for later; None if it may start."""
        assert self.previous is not None  # nothing is behind a first run
        passed = self.now.timestamp() - self.previous.decided.timestamp()
        if passed >= self.policy.min_seconds:
            return None
        return self._other(
            Kind.SKIP,
            f"data was loaded again {passed:.0f} s after the last run; the next wake-up takes it, once "
            f"{self.policy.min_seconds} s (min_timedelta_between_runs) have passed",
        )

    def _replay(self) -> Decision:
        assert self.previous is not None
        assert self.end is not None
        again = self.previous.interval.start.timestamp(), self.end
        spans = []
        for history in self.news.behind:
            for place in history.behind:
                span = own_interval(history, history.known[place])
                if span is not None:
                    span = span[0], min(span[1], self.end)
                spans.append(span if span is not None and span[0] < span[1] else again)
        start, end = min(span[0] for span in spans), max(span[1] for span in spans)
        explained = self._explain(None)
        if start >= end:
            return self._other(Kind.SKIP, "data was loaded again, and no interval is known for it", explained)
        found = sorted(history.item.uri for history in self.news.behind)
        names = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
        return self._run(
            f"data was loaded again, or after its turn: {names}", self._interval(start, end), True, explained
        )

    def _wait(self) -> Decision:
        candidates = self.news.candidates or sorted(
            self.periods.candidate(history.stamps[place], history.clock)
            for history in self.histories.values()
            for place in history.unseen
        )
        explained = self._explain(candidates[-1])
        missing = [reason for reason in explained.reasons if reason.state is State.MISSING]
        if missing:
            why = "; ".join(f"{reason.dataset}: {reason.text}" for reason in missing[:_NAMED])
            if len(missing) > _NAMED:
                why += f"; and {len(missing) - _NAMED} more datasets"
            return self._other(Kind.WAIT, f"it waits for its data: {why}", explained)
        return self._other(Kind.WAIT, "what was loaded belongs to a period that has not ended yet", explained)

    def _asked(self, interval: DataInterval) -> Decision:
        """A run by hand for an interval."""
        start, end = interval.start.timestamp(), interval.end.timestamp()
        forward = self.end is None or start <= self.end < end
        seen = {} if self.previous is None else dict(self.previous.seen)
        for identity, history in self.histories.items():
            seen.setdefault(identity, history.passed)
            for place in sorted(history.unseen, key=lambda place: history.known[place].id):
                if self.end is None and history.stamps[place] <= start:
                    pass  # a first run says where the pipeline starts
                elif not start < history.stamps[place] <= end:
                    break  # what the run does not cover stays unseen, and so does what came after it
                seen[identity] = history.known[place].id
        kept = interval if forward or self.previous is None else self.previous.interval
        after = Previous(kept, self.now, seen, complete=True)
        return self._run("somebody asked for this interval", interval, not forward, self._explain(None), after)

    def _by_hand(self, by_hand: ByHand) -> Decision:
        if self.news.candidates:
            return self._forward(self.news.candidates[-1])
        if self.news.behind:
            return self._replay()
        zone = self.policy.zone
        candidate = self.periods.candidate((by_hand.date or self.now).timestamp(), self.clocks.own)
        if self.periods.scheduled:
            end = self.periods.look(candidate).end
            start = self.end if self.end is not None and end is not None and self.end < end else None
            forward = self.end is None or start is not None
            start = start if start is not None else self.periods.before_pace(candidate)
        else:
            start, end, forward = self.end, self.now.timestamp(), True
        if start is None or end is None or start >= end:
            error = (
                f"nothing says which interval a run by hand for {at(by_hand.date or self.now, zone)} has, because no "
                "dataset has a cron and there was no run before; ask for an interval"
            )
            return self._other(Kind.SKIP, error, error=error)
        explained = self._explain(candidate if self.periods.scheduled else None)
        return self._run(
            "somebody asked for it; nothing new was loaded", self._interval(start, end), not forward, explained
        )

    # -- parts of decisions

    def _interval(self, start: float, end: float) -> DataInterval:
        return DataInterval(moment(start), moment(end))

    def _explain(self, candidate: Candidate | None) -> Explained:
        waiting = len(self.news.candidates)
        return explain(self.histories, self.periods, candidate, waiting, self._missing, self.now, self.policy.zone)

    def _missing(self, presence: Mapping[str, Presence]) -> set[str]:
        """The datasets that a run waits for, by identity."""
        condition = self.policy.condition
        if condition is not None:
            found = condition.lacking(lambda name: presence[name].event is not None) if self.policy.check else []
            return {*found, *self._lacking()}
        absent = (item.identity for item in self.policy.required if presence[item.identity].event is None)
        return {*absent, *self._lacking()}

    def _run(
        self, why: str, interval: DataInterval, replay: bool, explained: Explained, after: Previous | None = None
    ) -> Decision:
        given = self.by_hand.variables if self.by_hand is not None else {}
        variables, policies, error = merge_variables(
            self.histories.values(), self.periods, self.end, interval.end.timestamp(), self.policy.merge, given
        )
        if after is None:
            moved = self.end is None or interval.end.timestamp() > self.end
            kept = interval if moved or self.previous is None else self.previous.interval
            before = {} if self.previous is None else self.previous.seen
            seen = {
                identity: max((event.id for event in history.known), default=-1)
                for identity, history in self.histories.items()
            }
            seen = {**before, **{name: max(last, before.get(name, last)) for name, last in seen.items()}}
            after = Previous(kept, self.now, seen, complete=True)
        return Decision(
            Kind.RUN,
            why,
            interval,
            replay,
            variables,
            policies,
            error,
            explained.reasons,
            None if error else after,
        )

    def _other(self, kind: Kind, why: str, explained: Explained | None = None, error: str = "") -> Decision:
        explained = explained or self._explain(None)
        return Decision(kind, why, error=error, reasons=explained.reasons)
