"""When cron expressions fire on a wall clock, counted in seconds since the first day of the calendar."""

from __future__ import annotations

import functools
import itertools
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from ..model.schedule import read_cron

__all__ = ["CYCLES", "DAY", "UNITS", "Cron", "period_of", "period_start", "read"]

DAY = 86400
UNITS = ("day", "week", "month", "year")
"""The calendar periods, from the smallest."""
CYCLES = {
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *",
    "yearly": "0 0 1 1 *",
}
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIRST, _LAST, _MOST = 2024, 2028, 1000
"""The years, and the number of fires, that say what kind of schedule it is."""
_LONGEST_PAUSE = 12
"""Years in which every expression fires, if it ever does: from 29 February 1896 to that of 1904 it is eight."""


def period_of(day: int, unit: str) -> int:
    """Return the number of the calendar period of a day.

    Args:
        day: the ordinal of the day.
        unit: one of :data:`UNITS`.
    """
    if unit == "day":
        return day
    if unit == "week":
        return (day - 1) // 7
    found = date.fromordinal(day)
    return found.year if unit == "year" else found.year * 12 + found.month - 1


def period_start(period: int, unit: str) -> int:
    """Return the ordinal of the first day of a calendar period; see :func:`period_of`."""
    if unit == "day":
        return period
    if unit == "week":
        return period * 7 + 1
    return date(period, 1, 1).toordinal() if unit == "year" else date(period // 12, period % 12 + 1, 1).toordinal()


def _numbers(field: Sequence[int | str], every: range) -> list[int]:
    """The numbers of a field without words."""
    return list(every) if field == ["*"] else [int(value) for value in field]


class Cron:
    """A cron expression on a wall clock.

    Args:
        text: five fields or a macro, as :func:`starlake_core.model.schedule.read_cron` returns it.

    Attributes:
        text: the expression.
        times: the seconds of a day at which it fires, in order.
        unit: the largest calendar period in which it never fires twice; empty if it fires twice in a day.
        gap: the shortest time between two fires, in seconds.
        fires: whether it ever fires.
    """

    def __init__(self, text: str) -> None:
        from croniter import croniter

        self.text = text
        fields, weekdays = croniter.expand(_MACROS.get(text, text))
        minutes, hours = _numbers(fields[0], range(60)), _numbers(fields[1], range(24))
        self._days, self._months, self._weekdays = fields[2:]
        self._dated = " ".join(["0 0", *_MACROS.get(text, text).split()[2:]]) if weekdays else ""
        self.times: tuple[int, ...] = tuple(sorted({hour * 3600 + minute * 60 for hour in hours for minute in minutes}))
        self._years: dict[int, tuple[int, ...]] = {}
        walls = list(self._first_walls())
        self.fires = bool(walls)
        self.gap = min((b - a for a, b in itertools.pairwise(walls)), default=(_LAST - _FIRST + 1) * 365 * DAY)
        days = [wall // DAY for wall in walls]
        self.unit = next(
            (unit for unit in reversed(UNITS) if len({period_of(day, unit) for day in days}) == len(days)), ""
        )

    def _first_walls(self) -> Iterator[int]:
        count = 0
        for year in range(_FIRST, _LAST + 1):
            for day in self._days_of(year):
                for time in self.times:
                    yield day * DAY + time
                    count += 1
                    if count == _MOST:
                        return

    def _days_of(self, year: int) -> tuple[int, ...]:
        """The ordinals of the days of a year on which it fires."""
        # The calendar repeats every 400 years, and the library is at home in ours.
        alike = 2000 + year % 400
        if alike not in self._years:
            self._years[alike] = tuple(self._matching(alike))
        shift = date(year, 1, 1).toordinal() - date(alike, 1, 1).toordinal()
        found = self._years[alike]
        return found if not shift else tuple(day + shift for day in found)

    def _matching(self, year: int) -> Iterator[int]:
        if self._dated:
            yield from self._dated_days(year)
            return
        any_day, any_weekday = self._days == ["*"], self._weekdays == ["*"]
        months = set(range(1, 13)) if self._months == ["*"] else set(self._months)
        days, weekdays, last_too = set(self._days), set(self._weekdays), "l" in self._days
        moment, one = date(year, 1, 1), timedelta(days=1)
        while moment.year == year:
            if moment.month in months:
                on_day = moment.day in days or (last_too and (moment + one).day == 1)
                on_weekday = moment.isoweekday() % 7 in weekdays
                # As cron does it: two restrictions mean either of them.
                if ((on_day or any_day) and (on_weekday or any_weekday)) or (
                    not (any_day or any_weekday) and (on_day or on_weekday)
                ):
                    yield moment.toordinal()
            moment += one

    def _dated_days(self, year: int) -> Iterator[int]:
        """The days of expressions such as the second Monday, which fire rarely."""
        from datetime import datetime

        from croniter import CroniterBadDateError, croniter

        walls = croniter(self._dated, datetime(year - 1, 12, 31, 23, 59), ret_type=datetime)
        try:
            while (wall := walls.get_next(datetime)).year == year:
                yield wall.toordinal()
        except CroniterBadDateError:
            return

    def on(self, day: int) -> bool:
        """Whether it fires on a day."""
        days = self._days_of(date.fromordinal(day).year)
        place = bisect_left(days, day)
        return place < len(days) and days[place] == day

    def day_before(self, day: int) -> int | None:
        """The last day before a day on which it fires; None if there is none."""
        year = date.fromordinal(day).year
        for earlier in range(year, max(year - _LONGEST_PAUSE, 0), -1):
            days = self._days_of(earlier)
            place = bisect_left(days, day)
            if place:
                return days[place - 1]
        return None

    def before(self, wall: int) -> int | None:
        """The last wall-clock time before another at which it fires; None if there is none."""
        day, second = divmod(wall, DAY)
        place = bisect_left(self.times, second)
        if place and self.on(day):
            return day * DAY + self.times[place - 1]
        earlier = self.day_before(day)
        return None if earlier is None else earlier * DAY + self.times[-1]


@functools.lru_cache(maxsize=1024)
def read(text: str | None) -> Cron | None:
    """Return a cron expression with its kind; None for one that never fires, such as 30 February.

    Args:
        text: five fields, a macro, or None.

    Raises:
        ScheduleError: it cannot be read.
    """
    normal = read_cron(text)
    if normal is None:
        return None
    cron = Cron(normal)
    return cron if cron.fires else None
