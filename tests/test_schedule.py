"""Schedules: the model, cron on the wall clock of a zone, and data intervals.

The oracle at the end knows nothing of croniter and never turns a wall clock into an instant: it walks through the
minutes of UTC, looks at
the clock on the wall, and applies the rule of Vixie cron: expressions with a star in the minute or hour follow the
clock hand, the others
happen once a day, and what the clock skips happens as if it had not been moved.
"""

from __future__ import annotations

import contextlib
import functools
from bisect import bisect_left, bisect_right
from datetime import date, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from starlake_core import (
    DataInterval,
    RunError,
    ScheduleError,
    StarlakeDomain,
    StarlakeSchedule,
    StarlakeTable,
    data_interval,
    fire_times,
    next_fire,
    previous_fire,
)
from starlake_core.model.schedule import aware_date, cron_frequency, read_cron, time_zone

UTC = timezone.utc
PARIS = ZoneInfo("Europe/Paris")
MINUTE = timedelta(minutes=1)

# -- dates at the ends of the calendar

EVERY_YEAR = st.datetimes(
    timezones=st.sampled_from([UTC, PARIS, ZoneInfo("America/Lima"), ZoneInfo("Pacific/Kiritimati")])
)


@given(
    EVERY_YEAR, st.sampled_from(["0 * * * *", "*/7 3 * * 1", "0 0 1 1 *", "0 0 29 2 *"]), st.sampled_from([UTC, PARIS])
)
@example(datetime.min.replace(tzinfo=UTC), "0 * * * *", PARIS)
@example(datetime.max.replace(tzinfo=PARIS), "0 * * * *", UTC)
@example(datetime(1000, 1, 1, tzinfo=PARIS), "0 0 29 2 *", PARIS)
@example(datetime(9998, 12, 31, 23, 59, tzinfo=UTC), "0 0 29 2 *", PARIS)
@example(datetime(1935, 3, 30, 23, tzinfo=PARIS), "0 * * * *", PARIS)
def test_a_date_of_any_year_has_an_interval_or_one_message(moment: datetime, cron: str, zone: tzinfo) -> None:
    """The years 1000 to 9998 are valid; others are refused in one sentence."""
    if not 1000 <= moment.year <= 9998:
        with pytest.raises(ScheduleError, match=r"is not a date in the years 1000 to 9998"):
            data_interval(cron, moment, zone)
        with pytest.raises(ScheduleError, match="1000 to 9998"):
            list(fire_times(cron, moment, moment, zone))
        for neighbour in (next_fire, previous_fire):
            with contextlib.suppress(ScheduleError):
                neighbour(cron, moment, zone)
        return
    interval = data_interval(cron, moment, zone)
    # In UTC: Python compares the wall clocks of two times in one zone, and the moment may be of an hour that was left out.
    assert interval.start.astimezone(UTC) < interval.end.astimezone(UTC) <= moment.astimezone(UTC)
    with contextlib.suppress(ScheduleError):  # there is no leap day after 9998
        assert moment.astimezone(UTC) < next_fire(cron, moment, zone).astimezone(UTC)


# -- the model


def test_names_are_final_names_unless_told_otherwise() -> None:
    domain = StarlakeDomain("d", tables=["a", StarlakeTable("b", "B")])
    assert (domain.name, domain.final_name) == ("d", "d")
    assert [(table.name, table.final_name) for table in domain.tables] == [("a", "a"), ("b", "B")]
    assert StarlakeDomain("d", "D").final_name == "D"


def test_the_model_takes_the_documented_positions_and_any_iterable() -> None:
    table = StarlakeTable("t", "T")
    domain = StarlakeDomain("d", "D", (table for _ in range(1)))
    schedule = StarlakeSchedule("s", "0 0 * * *", iter([domain]))
    assert (schedule.name, schedule.cron, schedule.domains) == ("s", "0 0 * * *", (domain,))
    assert schedule == StarlakeSchedule(name="s", cron="0 0 * * *", domains=[StarlakeDomain("d", "D", [table])])
    assert hash(schedule) == hash(StarlakeSchedule("s", "0 0 * * *", [domain]))


@pytest.mark.parametrize("cron", [None, "None", "", "  ", " None "])
def test_no_cron_is_written_in_several_ways(cron: str | None) -> None:
    assert StarlakeSchedule("s", cron).cron is None


def test_a_schedule_may_have_no_name() -> None:
    assert StarlakeSchedule().name == ""
    assert StarlakeSchedule(name=None).name == ""  # type: ignore[arg-type]


def test_the_model_cannot_be_changed() -> None:
    for thing, field in (
        (StarlakeTable("t"), "name"),
        (StarlakeDomain("d"), "tables"),
        (StarlakeSchedule("s"), "cron"),
    ):
        with pytest.raises(AttributeError):
            setattr(thing, field, "x")


def test_one_table_may_be_given_as_a_text() -> None:
    assert [table.name for table in StarlakeDomain("d", tables="orders").tables] == ["orders"]


# -- reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" 0   2 * * * ", "0 2 * * *"), ("@daily", "@daily"), ("0 0 * * sun", "0 0 * * sun"), ("0 0 L * *", "0 0 L * *")],
)
def test_a_cron_is_checked_and_tidied(text: str, expected: str) -> None:
    assert read_cron(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "daily",
        "0 0 * *",
        "0 0 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "@reboot",
        "H H * * *",
        "none",
    ],
)
def test_what_is_no_cron_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="cannot be read; write five fields"):
        StarlakeSchedule("s", text)


def test_a_random_cron_is_refused() -> None:
    with pytest.raises(ScheduleError):
        read_cron("R R * * *")


def test_a_range_of_one_value_is_that_value() -> None:
    assert next_fire(str(read_cron("5-5 * * * *")), datetime(2024, 1, 1, tzinfo=UTC)) == datetime(
        2024, 1, 1, 0, 5, tzinfo=UTC
    )
    assert cron_frequency(str(read_cron("5-5 0 * * *")), "day") == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "Europe", "CEST "])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ScheduleError, match="is not known; write a name such as UTC"):
        time_zone(name)


def test_a_zone_is_found() -> None:
    assert time_zone("utc") is UTC
    assert time_zone("Europe/Paris").utcoffset(datetime(2024, 7, 1)) == timedelta(hours=2)


def test_a_date_is_the_first_instant_of_its_day_in_the_zone() -> None:
    assert aware_date(date(2024, 7, 1), PARIS) == datetime(2024, 6, 30, 22, tzinfo=UTC)
    assert aware_date(datetime(2024, 7, 1, 12), PARIS) == datetime(2024, 7, 1, 10, tzinfo=UTC)
    aware = datetime(2024, 7, 1, tzinfo=UTC)
    assert aware_date(aware, PARIS) is aware


def test_an_expression_that_never_fires_says_so() -> None:
    with pytest.raises(ScheduleError, match="never fires after"):
        next_fire("0 0 30 2 *", datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(ScheduleError, match="never fires before"):
        previous_fire("0 0 30 2 *", datetime(2024, 1, 1, tzinfo=UTC))


# -- examples that a person can check


def paris(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS, fold=fold)


def same(left: datetime, right: datetime) -> bool:
    """Two datetimes of one zone compare by their wall clock, so instants are compared in UTC."""
    return left.astimezone(UTC) == right.astimezone(UTC)


def test_a_time_of_day_that_the_clock_skips_fires_after_the_gap() -> None:
    assert same(next_fire("30 2 * * *", paris("2024-03-31T00:00"), PARIS), paris("2024-03-31T03:30"))


def test_a_time_of_day_that_the_clock_shows_twice_fires_once() -> None:
    first = next_fire("30 2 * * *", paris("2024-10-27T00:00"), PARIS)
    assert same(first, paris("2024-10-27T02:30", fold=0))
    assert same(next_fire("30 2 * * *", first, PARIS), paris("2024-10-28T02:30"))


def test_an_hour_that_the_clock_shows_twice_fires_twice_for_an_hourly_schedule() -> None:
    found = list(
        fire_times(
            "0 * * * *", paris("2024-10-27T01:30").astimezone(UTC), paris("2024-10-27T03:30").astimezone(UTC), PARIS
        )
    )
    assert [moment.astimezone(UTC).hour for moment in found] == [0, 1, 2]


def test_the_answer_is_in_the_zone_of_the_schedule() -> None:
    found = next_fire("0 0 * * *", datetime(2024, 6, 30, 12, tzinfo=UTC), PARIS)
    assert found.isoformat() == "2024-07-01T00:00:00+02:00"


def test_the_moment_itself_is_no_answer() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert next_fire("0 0 * * *", moment) == moment + timedelta(days=1)
    assert previous_fire("0 0 * * *", moment) == moment - timedelta(days=1)


def test_fire_times_include_both_ends() -> None:
    first, last = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
    assert [moment.day for moment in fire_times("0 0 * * *", first, last)] == [1, 2, 3]
    assert [moment.day for moment in fire_times("0 0 * * *", first + MINUTE, last - MINUTE)] == [2]
    assert list(fire_times("0 0 * * *", last, first)) == []


def test_the_scheduled_date_is_the_end_of_the_interval() -> None:
    scheduled = paris("2024-07-02T00:00")
    assert data_interval("0 0 * * *", scheduled, PARIS) == DataInterval(paris("2024-07-01T00:00"), scheduled)


def test_a_manual_run_gets_the_last_complete_interval() -> None:
    found = data_interval("0 0 * * *", paris("2024-07-02T13:37:42.123456"), PARIS)
    assert found == DataInterval(paris("2024-07-01T00:00"), paris("2024-07-02T00:00"))


def test_without_a_cron_the_interval_is_empty() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert data_interval(None, moment) == DataInterval(moment, moment)


def test_the_interval_of_a_day_with_a_shift_has_23_or_25_hours() -> None:
    spring = data_interval("0 0 * * *", paris("2024-04-01T00:00"), PARIS)
    autumn = data_interval("0 0 * * *", paris("2024-10-28T00:00"), PARIS)
    assert spring.end.astimezone(UTC) - spring.start.astimezone(UTC) == timedelta(hours=23)
    assert autumn.end.astimezone(UTC) - autumn.start.astimezone(UTC) == timedelta(hours=25)


def test_an_interval_needs_zones_and_an_order() -> None:
    with pytest.raises(RunError, match="time zone"):
        DataInterval(datetime(2024, 1, 1), datetime(2024, 1, 2))
    with pytest.raises(RunError, match="cannot end"):
        DataInterval(datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))


NAIVE_COMPARISON = (
    "datetimes of one zone are compared and added to by their wall clock, which is wrong in the hour that comes twice"
)


def test_an_interval_may_end_in_the_second_of_two_equal_hours() -> None:
    DataInterval(paris("2024-10-27T02:30", fold=0), paris("2024-10-27T02:00", fold=1))


def test_an_interval_cannot_end_in_the_first_of_two_equal_hours() -> None:
    with pytest.raises(RunError):
        DataInterval(paris("2024-10-27T02:00", fold=1), paris("2024-10-27T02:30", fold=0))


def test_the_run_of_the_second_equal_hour_gets_its_own_interval() -> None:
    scheduled = next_fire("0 * * * *", paris("2024-10-27T02:00", fold=0), PARIS)
    assert same(scheduled, paris("2024-10-27T02:00", fold=1))
    found = data_interval("0 * * * *", scheduled, PARIS)
    assert same(found.end, scheduled)
    assert same(found.start, paris("2024-10-27T02:00", fold=0))


def test_fire_times_end_in_the_first_of_two_equal_hours() -> None:
    found = list(fire_times("0 * * * *", paris("2024-10-27T01:30"), paris("2024-10-27T02:30", fold=0), PARIS))
    assert [moment.astimezone(UTC).hour for moment in found] == [0]


def test_fire_times_begin_in_the_second_of_two_equal_hours() -> None:
    found = list(fire_times("0 * * * *", paris("2024-10-27T02:00", fold=1), paris("2024-10-27T03:30"), PARIS))
    assert [moment.astimezone(UTC).hour for moment in found] == [1, 2]


# -- frequency


@pytest.mark.parametrize(
    ("cron", "period", "times"),
    [
        ("0 * * * *", "day", 24),
        ("0 0 * * *", "week", 7),
        ("0 0 * * 1", "week", 1),
        ("0 0 1 * *", "month", 1),
        ("0 0 1 1 *", "year", 1),
        ("0 0 * * *", "year", 366),
    ],
)
def test_how_often_a_schedule_fires_in_a_period(cron: str, period: str, times: int) -> None:
    assert cron_frequency(cron, period) == pytest.approx(times, rel=0.05)


# -- the oracle


def numbers(field: str, low: int, high: int) -> frozenset[int]:
    """The values of one field: stars, steps, ranges and lists."""
    found: set[int] = set()
    for part in field.split(","):
        body, _, step = part.partition("/")
        first, _, last = body.partition("-")
        if body == "*":
            first, last = str(low), str(high)
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(found)


@functools.cache
def matcher(cron: str) -> tuple[frozenset[int], ...]:
    minute, hour, day, month, weekday = cron.split()
    return (
        numbers(minute, 0, 59),
        numbers(hour, 0, 23),
        numbers(day, 1, 31),
        numbers(month, 1, 12),
        frozenset(number % 7 for number in numbers(weekday, 0, 7)),
    )


def matches(cron: str, wall: datetime) -> bool:
    minutes, hours, days, months, weekdays = matcher(cron)
    if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
        return False
    by_day, by_weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
    _, _, day, _, weekday = cron.split()
    return (by_day or by_weekday) if "*" not in (day, weekday) else (by_day and by_weekday)


@functools.cache
def clock(zone: tzinfo, middle: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """Every minute of UTC around an instant, with what the clock on the wall shows then."""
    start = middle - timedelta(hours=60)
    minutes = (start + MINUTE * i for i in range(120 * 60))
    return tuple((minute, minute.astimezone(zone).replace(tzinfo=None, fold=0)) for minute in minutes)


@functools.cache
def fires(cron: str, zone: tzinfo, middle: datetime) -> tuple[datetime, ...]:
    """The instants in UTC at which an expression fires around another."""
    by_clock_hand = "*" in (cron.split()[0][0], cron.split()[1][0])
    found: set[datetime] = set()
    reached = datetime.min
    before: datetime | None = None
    for instant, wall in clock(zone, middle):
        if by_clock_hand:
            if matches(cron, wall):
                found.add(instant)
            continue
        if before is not None and wall > before + MINUTE:
            for i in range(1, (wall - before) // MINUTE):
                if matches(cron, before + MINUTE * i):
                    found.add(instant + MINUTE * (i - 1))
        if wall > reached and matches(cron, wall):
            found.add(instant)
        reached, before = max(reached, wall), wall
    return tuple(sorted(found))


SHIFTS = {
    "Europe/Paris": ["2024-03-31T01:00", "2024-10-27T01:00", "1976-03-28T00:00"],
    "America/New_York": ["2024-03-10T07:00", "2024-11-03T06:00"],
    "Australia/Lord_Howe": ["2024-04-06T15:00", "2024-10-05T15:30"],
    "America/Sao_Paulo": ["2018-11-04T03:00", "2018-02-18T02:00", "2008-10-19T03:00"],
    "Africa/Casablanca": ["2024-03-10T02:00", "2024-04-14T02:00"],
    "UTC": ["2024-02-29T00:00"],
}
PLACES = [
    (time_zone(name), datetime.fromisoformat(text).replace(tzinfo=UTC))
    for name, texts in SHIFTS.items()
    for text in texts
]


def times(high: int) -> st.SearchStrategy[str]:
    number = st.integers(0, high)
    return st.one_of(
        number.map(str),
        st.tuples(number, number).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.sets(number, min_size=2, max_size=3).map(lambda values: ",".join(map(str, sorted(values)))),
    )


# Hours are mostly small: that is when clocks are moved.
HOURS = st.one_of(st.integers(0, 4).map(str), times(23))
STARS = st.sampled_from(["*", "*/2", "*/3"])
DAYS = st.sampled_from([("*", "*"), ("*", "*"), ("*", "0"), ("*", "1-5"), ("*", "6,7"), ("27-31", "*"), ("1-7", "0")])
CRONS = st.one_of(
    st.tuples(times(59), HOURS, DAYS),
    st.tuples(times(59), STARS, DAYS),
    st.tuples(st.sampled_from(["*/15", "*/30", "*/7", "*"]), st.one_of(HOURS, STARS), DAYS),
).map(lambda parts: f"{parts[0]} {parts[1]} {parts[2][0]} * {parts[2][1]}")
# Mostly close to the shift, sometimes a day away.
OFFSETS = st.one_of(st.integers(-6 * 3600, 6 * 3600), st.integers(-36 * 3600, 36 * 3600)).map(
    lambda s: timedelta(seconds=s)
)


@given(st.sampled_from(PLACES), CRONS, OFFSETS)
@example(PLACES[1], "*/30 * * * *", timedelta(hours=-1))
@example(PLACES[0], "30 2,3 * * *", timedelta(hours=-2))
@example(PLACES[3], "0 2 * * *", timedelta(hours=-3))
@example(PLACES[7], "0 0 * * *", timedelta(hours=-1))
@example(PLACES[8], "30 23 * * *", timedelta(hours=-3))
def test_the_neighbours_of_an_instant_are_those_of_the_oracle(
    place: tuple[tzinfo, datetime], cron: str, offset: timedelta
) -> None:
    zone, middle = place
    moment = middle + offset
    expected = fires(cron, zone, middle)
    after, before = bisect_right(expected, moment), bisect_left(expected, moment)
    if after < len(expected):
        assert next_fire(cron, moment, zone).astimezone(UTC) == expected[after]
    if before > 0:
        assert previous_fire(cron, moment, zone).astimezone(UTC) == expected[before - 1]


@given(st.sampled_from(PLACES), CRONS, OFFSETS)
def test_next_and_previous_are_inverse(place: tuple[tzinfo, datetime], cron: str, offset: timedelta) -> None:
    zone, middle = place
    first = next_fire(cron, middle + offset, zone)
    second = next_fire(cron, first, zone)
    assert same(previous_fire(cron, second, zone), first)
    assert same(next_fire(cron, previous_fire(cron, first, zone), zone), first)


@given(st.sampled_from(PLACES), CRONS, OFFSETS)
def test_intervals_meet_and_end_at_their_scheduled_date(
    place: tuple[tzinfo, datetime], cron: str, offset: timedelta
) -> None:
    zone, middle = place
    expected = fires(cron, zone, middle)
    at = bisect_right(expected, middle + offset)
    for start, end in pairwise(expected[max(0, at - 3) : at + 3]):
        # In UTC, because of the bugs above: the instant in the zone of the schedule has tests of its own.
        found = previous_fire(cron, end + timedelta(microseconds=1), zone), previous_fire(cron, end, zone)
        assert [moment.astimezone(UTC) for moment in found] == [end, start]


@given(st.sampled_from(PLACES), CRONS, OFFSETS)
@example(PLACES[1], "0 * * * *", timedelta(0))
def test_the_interval_of_every_fire_is_that_of_the_oracle(
    place: tuple[tzinfo, datetime], cron: str, offset: timedelta
) -> None:
    zone, middle = place
    expected = fires(cron, zone, middle)
    at = bisect_right(expected, middle + offset)
    for start, end in pairwise(expected[max(0, at - 3) : at + 3]):
        found = data_interval(cron, end.astimezone(zone), zone)
        assert (found.start.astimezone(UTC), found.end.astimezone(UTC)) == (start, end)


@given(st.sampled_from(PLACES), CRONS)
def test_fire_times_are_those_of_the_oracle(place: tuple[tzinfo, datetime], cron: str) -> None:
    zone, middle = place
    first, last = middle - timedelta(hours=3), middle + timedelta(hours=3)
    expected = [moment for moment in fires(cron, zone, middle) if first <= moment <= last]
    assert [moment.astimezone(UTC) for moment in fire_times(cron, first, last, zone)] == expected


@functools.cache
def host_fires(cron: str, zone: tzinfo, middle: datetime) -> tuple[datetime, ...]:
    """The instants at which a host fires that takes the second of two equal times, and the end of a gap for a time in it."""
    found: dict[datetime, datetime] = {}
    before: datetime | None = None
    for instant, wall in clock(zone, middle):
        if before is not None and wall > before + MINUTE:
            skipped = (before + MINUTE * i for i in range(1, (wall - before) // MINUTE))
            found.update((one, instant) for one in skipped if matches(cron, one))
        if matches(cron, wall):
            found[wall] = instant
        before = wall
    return tuple(sorted(set(found.values())))


@settings(max_examples=20)
@given(st.sampled_from(PLACES), CRONS, OFFSETS)
@example(PLACES[0], "30 2,3 * * *", timedelta(hours=1))
@example(PLACES[1], "0 */2 * * *", timedelta(0))
def test_a_host_may_have_rules_of_its_own_around_a_change_of_the_clock(
    place: tuple[tzinfo, datetime], cron: str, offset: timedelta
) -> None:
    zone, middle = place
    expected = host_fires(cron, zone, middle)
    asked: list[str] = []

    def host(text: str, name: str, start: datetime, end: datetime) -> list[datetime]:
        asked.append(name)
        assert (text, start < end) == (cron, True)
        return [moment.astimezone(zone) for moment in expected if start <= moment < end]

    moment = middle + offset
    after, before = bisect_right(expected, moment), bisect_left(expected, moment)
    if after < len(expected):
        assert next_fire(cron, moment, zone, host).astimezone(UTC) == expected[after]
    if before > 0:
        assert previous_fire(cron, moment, zone, host).astimezone(UTC) == expected[before - 1]
    for start, end in pairwise(expected[max(0, after - 3) : after + 3]):
        found = data_interval(cron, end, zone, host)
        assert (found.start.astimezone(UTC), found.end.astimezone(UTC)) == (start, end)
    first, last = middle - timedelta(hours=3), middle + timedelta(hours=3)
    found = [one.astimezone(UTC) for one in fire_times(cron, first, last, zone, host)]
    assert found == [one for one in expected if first <= one <= last]
    assert set(asked) <= {str(zone)}


def test_a_host_is_asked_only_around_a_change_of_the_clock() -> None:
    def host(*_: object) -> list[datetime]:
        raise AssertionError("this is a calm week")

    june = datetime(2025, 6, 10, 12, tzinfo=UTC)
    assert data_interval("0 */2 * * *", june, PARIS, host) == data_interval("0 */2 * * *", june, PARIS)


class Foreign(datetime):
    """A time of another library, whose methods behave otherwise."""

    def replace(self, *args: object, **keywords: object) -> Foreign:
        raise DeprecationWarning("positional arguments")

    def astimezone(self, *args: object) -> Foreign:
        raise DeprecationWarning("use in_timezone")


def test_times_of_other_libraries_are_taken_as_the_standard_library_has_them() -> None:
    moment = Foreign(2026, 3, 29, 1, tzinfo=UTC)
    same = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert data_interval("0 * * * *", moment, PARIS) == data_interval("0 * * * *", same, PARIS)
    assert next_fire("0 * * * *", moment, PARIS) == next_fire("0 * * * *", same, PARIS)
    assert list(fire_times("0 * * * *", moment, moment, PARIS)) == [same]
    assert type(data_interval(None, moment).end) is datetime
    assert aware_date(Foreign(2026, 3, 29), PARIS) == datetime(2026, 3, 29, tzinfo=PARIS)
