"""Which loads belong together, and up to where all of them have their data.

A candidate is a calendar period, by number, if the pipeline has such a unit, else an instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .clocks import Clock
from .crons import DAY, Cron, period_of, period_start
from .policy import SLOWER, FreshnessPolicy, Watched

__all__ = ["Candidate", "Look", "Periods"]

Candidate = float
"""The number of a calendar period, or an instant in seconds since 1970."""

_FULL_MINUTES = 3e8
"""Since 1979, all zones differ from UTC by full minutes."""
_Group = tuple[str, int]


@dataclass(frozen=True)
class Look:
    """A candidate, as the schedules see it.

    Attributes:
        end: up to where all have their data; None if no schedule ever fired.
        pace: the schedules that set the pace.
    """

    end: float | None
    pace: frozenset[_Group]


class Periods:
    """The candidates of one decision. It keeps what it computed.

    Args:
        policy: the policy of the pipeline.
        clocks: the clock of each dataset, by identity.
    """

    def __init__(self, policy: FreshnessPolicy, clocks: Mapping[str, Clock]) -> None:
        self.unit = policy.unit
        self.scheduled = policy.scheduled
        self._clocks = clocks
        self._cycle = policy.cycle_cron
        self._beyond = policy.beyond
        self._groups: dict[_Group, tuple[Cron, Clock]] = {}
        for item in policy.required:
            if item.schedule is not None:
                self._groups[self.group(item)] = (item.schedule, clocks[item.identity])
        self._looks: dict[Candidate, Look] = {}
        self._found: dict[tuple[int, float], Candidate] = {}
        self._fires: dict[tuple[str, int, Candidate], float | None] = {}

    def group(self, item: Watched) -> _Group:
        """The schedule of a dataset on its clock."""
        return (item.schedule.text if item.schedule is not None else "", id(self._clocks[item.identity]))

    def candidate(self, instant: float, clock: Clock) -> Candidate:
        """The candidate that an event of a dataset belongs to.

        Args:
            instant: the date of the event.
            clock: the clock of the dataset.
        """
        if not self.unit:
            return instant
        key = (id(clock), instant)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = period_of(clock.wall(instant) // DAY, self.unit)
        return found

    def limit(self, candidate: Candidate, clock: Clock) -> float:
        """When a candidate ends on a clock: excluded for a period, included for an instant."""
        return clock.instant(period_start(int(candidate) + 1, self.unit) * DAY) if self.unit else candidate

    def fire(self, candidate: Candidate, cron: Cron, clock: Clock) -> float | None:
        """The last fire of a schedule before a candidate ends; None if there is none."""
        candidate = self.alike(candidate)
        key = (cron.text, id(clock), candidate)
        if key not in self._fires:
            if self.unit and cron.unit:
                wall = cron.before(period_start(int(candidate) + 1, self.unit) * DAY)
                self._fires[key] = None if wall is None else clock.fired(cron, wall)
            else:
                self._fires[key] = clock.fire(cron, self.limit(candidate, clock), strictly=bool(self.unit))
        return self._fires[key]

    def alike(self, candidate: Candidate) -> Candidate:
        """A value that candidates share if all schedules see them alike: schedules fire on full minutes."""
        return candidate if self.unit or candidate < _FULL_MINUTES else candidate // 60 * 60

    def look(self, candidate: Candidate) -> Look:
        """What sets the pace of a candidate, and where it ends."""
        if not self.scheduled:
            return Look(candidate, frozenset())
        key = self.alike(candidate)
        found = self._looks.get(key)
        if found is None:
            found = self._looks[key] = self._look(key)
        return found

    def _look(self, candidate: Candidate) -> Look:
        fires = {
            group: fire
            for group, (cron, clock) in self._groups.items()
            if (fire := self.fire(candidate, cron, clock)) is not None and cron.unit == self.unit
        }
        if not fires:
            return Look(None, frozenset())
        if self.unit:
            periods = {group: self.candidate(fire, self._groups[group][1]) for group, fire in fires.items()}
            latest = max(periods.values())
            pace = [group for group in fires if periods[group] == latest]
        else:
            gaps = {group: self._groups[group][0].gap for group in fires}
            near = [group for group, fire in fires.items() if candidate - fire < gaps[group]]
            if not near:
                last = max(fires.values())
                near = [group for group, fire in fires.items() if last - fire < gaps[group]]
            least = min(gaps[group] for group in near)
            pace = [group for group in near if gaps[group] < SLOWER * least]
        return Look(min(fires[group] for group in pace), frozenset(pace))

    def before_pace(self, candidate: Candidate) -> float | None:
        """The earliest of the fires before those of the pace; None if there is none."""
        starts = []
        for group in self.look(candidate).pace:
            cron, clock = self._groups[group]
            fire = self.fire(candidate, cron, clock)
            earlier = None if fire is None else clock.fire(cron, fire, strictly=True)
            if earlier is not None:
                starts.append(earlier)
        return min(starts, default=None)

    def opening(self, candidate: Candidate, item: Watched) -> float:
        """The earliest date of an event that makes a dataset with a schedule present.

        Args:
            candidate: the candidate.
            item: the dataset.
        """
        cron, clock = item.schedule, self._clocks[item.identity]
        fire = None if cron is None else self.fire(candidate, cron, clock)
        if cron is None or fire is None:
            return float("-inf")
        if not cron.unit:
            return fire
        return clock.instant(period_start(period_of(clock.wall(fire) // DAY, cron.unit), cron.unit) * DAY)

    def grace(self, item: Watched) -> int:
        """The seconds by which older data of a dataset is good enough."""
        if self._cycle is None or not self._beyond or not item.freshness or item.schedule is None:
            return 0
        gap = item.cron.gap if item.cron is not None else 0
        return item.freshness if gap + item.freshness > self._cycle.gap else 0
