"""Schedules of domains and tables, and the arithmetic of cron expressions and data intervals."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import TypeVar

from ..errors import ScheduleError
from .run import DataInterval

__all__ = [
    "Fires",
    "StarlakeDomain",
    "StarlakeSchedule",
    "StarlakeTable",
    "aware_date",
    "cron_frequency",
    "data_interval",
    "fire_times",
    "in_range",
    "next_fire",
    "previous_fire",
    "read_cron",
    "read_moment",
    "time_zone",
]

Fires = Callable[[str, str, datetime, datetime], Iterable[datetime]]
"""When an orchestrator fires a schedule: takes a cron expression, the name of its time zone, a start and an end, and returns
the times from the start up to before the end, aware and in order."""

# No zone shifts its clock by more than this at once, except islands that crossed the date line.
_LARGEST_SHIFT = timedelta(hours=3)
# croniter picks random values for R and H in each process, and reads a range of one value as the whole field.
_RANDOM = re.compile(r"(?<![A-Z])[RH](?![A-Z])", re.IGNORECASE)
_ONE_VALUE = re.compile(r"(?<![0-9])([0-9]+)-\1(?![0-9/])")


@dataclass(frozen=True)
class StarlakeTable:
    """A table of a domain.

    Attributes:
        name: the logical name, as used on the command line.
        final_name: the name in the warehouse, as used in datasets; the logical name by default.
    """

    name: str
    final_name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "final_name", self.final_name or self.name)


@dataclass(frozen=True)
class StarlakeDomain:
    """A domain and those of its tables that are loaded.

    Attributes:
        name: the logical name, as used on the command line.
        final_name: the name in the warehouse, as used in datasets; the logical name by default.
        tables: tables, or logical names of tables.
    """

    name: str
    final_name: str = ""
    tables: tuple[StarlakeTable, ...] = ()

    # Written out, so that tables can be names and any iterable, in the documented order of arguments.
    def __init__(self, name: str, final_name: str = "", tables: Iterable[StarlakeTable | str] = ()) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "final_name", final_name or name)
        tables = [tables] if isinstance(tables, str) else tables
        if isinstance(tables, (set, frozenset)):
            # A set has no order, and the pipeline must not depend on hashes.
            tables = sorted(tables, key=lambda table: table if isinstance(table, str) else table.name)
        made = (table if isinstance(table, StarlakeTable) else StarlakeTable(table) for table in tables)
        object.__setattr__(self, "tables", tuple(made))


@dataclass(frozen=True)
class StarlakeSchedule:
    """Domains that are loaded together.

    Attributes:
        name: the name of the schedule, which is part of the name of its pipeline; may be empty.
        cron: five fields, or None to run on demand. The string ``None`` means None, because generated files contain it.
        domains: the domains to load.

    Raises:
        ScheduleError: the cron expression cannot be read.
    """

    name: str = ""
    cron: str | None = None
    domains: tuple[StarlakeDomain, ...] = ()

    def __init__(self, name: str = "", cron: str | None = None, domains: Iterable[StarlakeDomain] = ()) -> None:
        object.__setattr__(self, "name", name or "")
        object.__setattr__(self, "cron", read_cron(cron))
        object.__setattr__(self, "domains", tuple(domains))


@functools.lru_cache(maxsize=1024)
def read_cron(cron: str | None) -> str | None:
    """Check and normalise a cron expression.

    Args:
        cron: five fields, a macro such as ``@daily``, None, or the string ``None``.

    Returns:
        The expression with single spaces, or None.

    Raises:
        ScheduleError: it cannot be read.
    """
    if cron is None or cron.strip() in ("", "None"):
        return None
    text = _ONE_VALUE.sub(r"\1", " ".join(cron.split()))
    from croniter import croniter

    fields = text.split(" ")
    if not (text.startswith("@") or len(fields) == 5) or _RANDOM.search(text) or not croniter.is_valid(text):
        raise ScheduleError(
            f"cron expression {cron!r} cannot be read; write five fields (minute hour day month weekday) such as "
            "'0 2 * * *', or None"
        )
    return text


@functools.lru_cache(maxsize=64)
def time_zone(name: str) -> tzinfo:
    """Return the time zone with an IANA name.

    Raises:
        ScheduleError: no such zone is known on this machine.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name.upper() == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(
            f"time zone {name!r} is not known; write a name such as UTC or Europe/Paris (where the machine has no time "
            "zone data: pip install tzdata)"
        ) from None


_Date = TypeVar("_Date", date, datetime)

FIRST_YEAR, LAST_YEAR = 1000, 9998
"""The years that a date may have. They have four digits everywhere, and leave room for the previous and the next
interval."""


def read_moment(text: str) -> datetime:
    """Read a date, with or without a time. It may end with ``Z``, which ``datetime.fromisoformat`` of Python 3.10 does not
    know.

    Args:
        text: the date, as ``datetime.isoformat`` writes it, or with ``Z`` instead of ``+00:00``.

    Raises:
        ValueError: it is something else.
    """
    return datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)


def in_range(value: _Date) -> _Date:
    """Return the date, if schedules and intervals can be computed around it.

    Args:
        value: a date, with a time or without.

    Raises:
        ScheduleError: its year is not from 1000 to 9998.
    """
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ScheduleError(
            f"{value.isoformat()} is not a date in the years {FIRST_YEAR} to {LAST_YEAR}; use one of those"
        )
    return value


def aware_date(value: date | datetime, zone: tzinfo) -> datetime:
    """Return a date as the first instant of that day in a zone. A date with a time gets the zone if it has none."""
    moment = _plain(value) if isinstance(value, datetime) else datetime.combine(value, time.min)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _plain(moment: datetime) -> datetime:
    """Return a time of a subclass (Pendulum, pandas) as a time of the standard library, whose methods are known."""
    if type(moment) is datetime:
        return moment
    parts = moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond
    return datetime(*parts, tzinfo=moment.tzinfo, fold=moment.fold)


def _walls(cron: str, start: datetime, forward: bool) -> Iterator[datetime]:
    """Yield the wall-clock times that match an expression, from a start on; none for February 30."""
    from croniter import CroniterBadDateError, croniter

    walls = croniter(read_cron(cron) or cron, start, ret_type=datetime)
    try:
        while True:
            yield walls.get_next(datetime) if forward else walls.get_prev(datetime)
    except (CroniterBadDateError, OverflowError, ValueError):
        return  # it never fires, or the calendar ends: the expression itself is valid


def _repeats_within_the_day(cron: str) -> bool:
    """Return whether an expression repeats within the day (``*/15 * * * *``) rather than at a time of day (``30 2 * *
    *``).

    When the clock shifts, the first kind follows real time; the second kind fires once a day. This is the rule of Vixie
    cron.
    """
    fields = cron.split(" ")
    return (len(fields) == 5 and (fields[0].startswith("*") or fields[1].startswith("*"))) or cron == "@hourly"


def _instants(wall: datetime, zone: tzinfo, repeats: bool) -> list[datetime]:
    """Return the instants (in UTC) at which a wall-clock time of a zone fires: none, one or two."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    late = wall.replace(tzinfo=zone, fold=1).astimezone(timezone.utc)
    if early == late:
        return [early]
    if early < late:
        return [early, late] if repeats else [early]
    # The clock skips this time. A time of day still fires, shifted by the gap.
    return [] if repeats else [early]


def _neighbour(cron: str, moment: datetime, zone: tzinfo, forward: bool) -> datetime:
    try:
        return _found_neighbour(cron, moment, zone, forward)
    except OverflowError:
        raise ScheduleError(
            f"{moment.isoformat()} is too close to the end of the calendar for a schedule; use a date in the years {FIRST_YEAR} to {LAST_YEAR}"
        ) from None


def _found_neighbour(cron: str, moment: datetime, zone: tzinfo, forward: bool) -> datetime:
    moment = _plain(moment).astimezone(timezone.utc)
    local = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    day = timedelta(days=1)
    steady = zone.utcoffset(local - day) == zone.utcoffset(local + day)
    repeats = _repeats_within_the_day(cron)
    start = local if steady else local - _LARGEST_SHIFT if forward else local + _LARGEST_SHIFT
    best: datetime | None = None
    for wall in _walls(cron, start, forward):
        for instant in _instants(wall, zone, repeats):
            if (instant > moment if forward else instant < moment) and (
                best is None or (instant < best if forward else instant > best)
            ):
                best = instant
        if best is None:
            continue
        # Around a shift of the clock, a later wall-clock time may be the earlier instant.
        seen = best.astimezone(zone).replace(tzinfo=None, fold=0)
        near_shift = zone.utcoffset(seen - day) != zone.utcoffset(seen + day)
        if not near_shift or abs(wall - seen) > _LARGEST_SHIFT:
            return best.astimezone(zone)
    raise ScheduleError(f"cron expression {cron!r} never fires {'after' if forward else 'before'} {moment.isoformat()}")


def _is_steady(moment: datetime, zone: tzinfo) -> bool:
    """Return whether the clock of a zone does not change within a day of an instant."""
    day = timedelta(days=1)
    moment = moment.astimezone(timezone.utc)
    return (moment - day).astimezone(zone).utcoffset() == (moment + day).astimezone(zone).utcoffset()


@functools.lru_cache(maxsize=64)
def _host_day(fires: Fires, cron: str, zone: str, day: date) -> tuple[datetime, ...]:
    """Return the times (in UTC) at which a host fires on a day of UTC."""
    start = datetime.combine(day, time.min, timezone.utc)
    # In UTC: Python compares the wall clocks of two times in one zone.
    return tuple(fire.astimezone(timezone.utc) for fire in fires(cron, zone, start, start + timedelta(days=1)))


def _host_fires(fires: Fires, cron: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the times (in UTC) from the start up to before the end at which a host fires."""
    for day in range(start.toordinal(), end.toordinal() + 1):
        yield from (fire for fire in _host_day(fires, cron, zone, date.fromordinal(day)) if start <= fire < end)


def _host_neighbour(cron: str, moment: datetime, zone: tzinfo, forward: bool, fires: Fires) -> datetime:
    """Return the neighbour as a host fires that has rules of its own around a change of the clock."""
    moment = _plain(moment).astimezone(timezone.utc)
    while True:
        best = _neighbour(cron, moment, zone, forward)
        if _is_steady(best, zone) and _is_steady(moment, zone):
            return best
        near = best.astimezone(timezone.utc)
        start, end = (moment, near + _LARGEST_SHIFT) if forward else (near - _LARGEST_SHIFT, moment)
        found = [fire for fire in _host_fires(fires, cron, str(zone), start, end) if fire > moment or not forward]
        if found:
            return found[0 if forward else -1].astimezone(zone)
        moment = end if forward else start


def next_fire(cron: str, after: datetime, zone: tzinfo = timezone.utc, fires: Fires | None = None) -> datetime:
    """Return the first time after an instant at which a schedule fires.

    Args:
        cron: five fields, in the wall-clock time of the zone.
        after: an aware time, which is itself excluded.
        zone: the zone of the schedule.
        fires: when the orchestrator fires around a change of the clock (``Pipeline.fires``); None for the rules below.

    Returns:
        An aware time in the zone. In an hour that the clock shows twice, expressions that repeat within the day fire
        twice, and others once. A time of day that the clock skips fires after the gap.
    """
    if fires is None:
        return _neighbour(cron, after, zone, forward=True)
    return _host_neighbour(cron, after, zone, True, fires)


def previous_fire(cron: str, before: datetime, zone: tzinfo = timezone.utc, fires: Fires | None = None) -> datetime:
    """Return the last time before an instant at which a schedule fires; see :func:`next_fire`."""
    if fires is None:
        return _neighbour(cron, before, zone, forward=False)
    return _host_neighbour(cron, before, zone, False, fires)


def fire_times(
    cron: str, start: datetime, end: datetime, zone: tzinfo = timezone.utc, fires: Fires | None = None
) -> Iterator[datetime]:
    """Yield the times at which a schedule fires, from ``start`` to ``end``, both included; see :func:`next_fire`.

    Raises:
        ScheduleError: a year is not from 1000 to 9998.
    """
    for limit in (start, end):
        in_range(limit)
    start, end = _plain(start), _plain(end)
    # In UTC, because Python compares and shifts times of one zone by the wall clock, and an hour may occur twice.
    last = end.astimezone(timezone.utc)
    moment = next_fire(cron, start.astimezone(timezone.utc) - timedelta(microseconds=1), zone, fires)
    while moment.astimezone(timezone.utc) <= last:
        yield moment
        moment = next_fire(cron, moment, zone, fires)


def data_interval(
    cron: str | None, scheduled: datetime, zone: tzinfo = timezone.utc, fires: Fires | None = None
) -> DataInterval:
    """Return the data interval that ends at a scheduled date.

    Args:
        cron: the cron expression; if it is None, the interval is empty.
        scheduled: an aware time. If the schedule does not fire then (a manual run), the result is the last complete
            interval.
        zone: the zone of the schedule.
        fires: see :func:`next_fire`.

    Raises:
        ScheduleError: the year is not from 1000 to 9998, or the schedule never fires before this time.
    """
    in_range(scheduled)
    scheduled = _plain(scheduled)
    if cron is None:
        return DataInterval(scheduled, scheduled)
    end = previous_fire(cron, scheduled.astimezone(timezone.utc) + timedelta(microseconds=1), zone, fires)
    return DataInterval(previous_fire(cron, end, zone, fires), end)


_COUNTED = 500


@functools.lru_cache(maxsize=256)
def cron_frequency(cron: str, period: str = "week") -> float:
    """Return how often a schedule fires in a period, as an average over its first five hundred times or ten years.

    Args:
        cron: the cron expression.
        period: ``day``, ``week``, ``month`` or ``year``.
    """
    days = {"day": 1, "week": 7, "month": 365.25 / 12, "year": 365.25}[period]
    start = datetime(2024, 1, 1)
    last = start + timedelta(days=3653)
    count = 0
    for wall in _walls(cron, start, forward=True):
        if wall > last:
            break
        count += 1
        if count == _COUNTED:
            last = wall
            break
    return count * days / ((last - start).total_seconds() / 86400)
