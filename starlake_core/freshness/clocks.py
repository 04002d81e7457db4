"""Wall clocks of time zones, and when schedules fire on them. Instants are seconds since 1970."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta, timezone, tzinfo

from ..errors import ScheduleError
from ..model.schedule import Fires, time_zone
from .crons import DAY, Cron

__all__ = ["Clock", "Clocks"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EPOCH_WALL = datetime(1970, 1, 1).toordinal() * DAY
_LARGEST_SHIFT = 3 * 3600


class Clock:
    """The wall clock of a zone. It keeps what it computed, so use one for each decision.

    Args:
        zone: the time zone.
        fires: when the host fires a schedule, asked for days on which the clock changes; None for the rules of :meth:`fire`.
    """

    def __init__(self, zone: tzinfo, fires: Fires | None = None) -> None:
        self.zone = zone
        self._name = getattr(zone, "key", "")
        self._fires = fires if self._name else None
        self._fixed = isinstance(zone, timezone)
        self._offset = int(zone.utcoffset(None).total_seconds()) if isinstance(zone, timezone) else 0
        self._walls: dict[float, int] = {}
        self._instants: dict[int, float] = {}
        self._ticks: dict[tuple[str, int], list[float]] = {}
        self._changes: dict[int, bool] = {}

    def wall(self, instant: float) -> int:
        """The wall-clock time of an instant, in whole seconds."""
        if self._fixed:
            return int(instant // 1) + _EPOCH_WALL + self._offset
        found = self._walls.get(instant)
        if found is None:
            local = (_EPOCH + timedelta(seconds=instant)).astimezone(self.zone)
            found = local.toordinal() * DAY + local.hour * 3600 + local.minute * 60 + local.second
            self._walls[instant] = found
        return found

    def instant(self, wall: int) -> float:
        """The instant of a wall-clock time: the first if it comes twice, moved on if it is skipped."""
        if self._fixed:
            return float(wall - _EPOCH_WALL - self._offset)
        found = self._instants.get(wall)
        if found is None:
            found = self._instants[wall] = self._at(wall, 0)
        return found

    def _at(self, wall: int, fold: int) -> float:
        day, second = divmod(wall, DAY)
        local = datetime.fromordinal(day) + timedelta(seconds=second)
        return local.replace(tzinfo=self.zone, fold=fold).timestamp()

    def fire(self, cron: Cron, until: float, strictly: bool = False) -> float | None:
        """The last instant up to another at which a schedule fires; None if there is none.

        A schedule that fires at most once a day fires once at each wall-clock time. Any other fires at every instant
        whose wall clock matches. On a day on which the clock changes, the host may have other rules.

        Args:
            cron: the schedule.
            until: the latest instant.
            strictly: whether the instant itself is excluded.
        """
        return self._fire_of_day(cron, until, strictly) if cron.unit else self._tick(cron, until, strictly)

    def _fire_of_day(self, cron: Cron, until: float, strictly: bool) -> float | None:
        wall = cron.before(self.wall(until) + 1 + (0 if self._fixed else _LARGEST_SHIFT))
        while wall is not None:
            instant = self.fired(cron, wall)
            if instant < until or (instant == until and not strictly):
                return instant
            wall = cron.before(wall)
        return None

    def fired(self, cron: Cron, wall: int) -> float:
        """The instant at which a schedule that fires at most once a day fires.

        Args:
            cron: the schedule.
            wall: one of its wall-clock times.
        """
        day = wall // DAY
        ticks = self._ticks_of(cron, day) if self._fires is not None and self._is_changed(day) else []
        return ticks[0] if ticks else self.instant(wall)

    def _tick(self, cron: Cron, until: float, strictly: bool) -> float | None:
        find = bisect_left if strictly else bisect_right
        today = self.wall(until) // DAY
        day: int | None = today + (0 if self._fixed else 1)
        while day is not None:
            ticks = self._ticks_of(cron, day)
            place = find(ticks, until)
            if place:
                return ticks[place - 1]
            day = today if day > today else cron.day_before(day)
        return None

    def _ticks_of(self, cron: Cron, day: int) -> list[float]:
        found = self._ticks.get((cron.text, day))
        if found is None:
            found = self._ticks[cron.text, day] = self._ticks_on(cron, day) if cron.on(day) else []
        return found

    def _ticks_on(self, cron: Cron, day: int) -> list[float]:
        first, last = self._bounds(day)
        if not self._is_changed(day):
            return [first + time for time in cron.times]
        if self._fires is not None:
            start, end = (_EPOCH + timedelta(seconds=instant) for instant in (first, last))
            return [moment.timestamp() for moment in self._fires(cron.text, self._name, start, end)]
        walls = [day * DAY + time for time in cron.times]
        both = {self._at(wall, fold) for wall in walls for fold in (0, 1)}
        wanted = set(walls)
        return sorted(instant for instant in both if self.wall(instant) in wanted)

    def _bounds(self, day: int) -> tuple[float, float]:
        """The first instant of a day, and that of the next one."""
        return self.instant(day * DAY), self.instant((day + 1) * DAY)

    def _is_changed(self, day: int) -> bool:
        """Whether the clock changes on a day."""
        if self._fixed:
            return False
        found = self._changes.get(day)
        if found is None:
            first, last = self._bounds(day)
            found = self._changes[day] = last - first != DAY
        return found


class Clocks:
    """The clocks of the zones of one decision.

    Args:
        zone: the zone of the pipeline.
        fires: see :class:`Clock`.
    """

    def __init__(self, zone: tzinfo, fires: Fires | None = None) -> None:
        self.own = Clock(zone, fires)
        self._fires = fires
        self._by_name: dict[str, Clock | None] = {}

    def named(self, name: str) -> Clock | None:
        """The clock of a zone with this name; None if it is not known on this machine."""
        if name not in self._by_name:
            try:
                self._by_name[name] = Clock(time_zone(name), self._fires)
            except ScheduleError:
                self._by_name[name] = None
        return self._by_name[name]
