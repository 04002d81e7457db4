"""The helpers of ``ai.starlake.common`` for crons, dates and ids, built on those of the core."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from starlake_core import ScheduleError, data_interval, next_fire, previous_fire, sanitize_id
from starlake_core.model.schedule import read_cron

__all__ = [
    "StarlakeCronPeriod",
    "StarlakeParameters",
    "as_query_parameters",
    "cron_start_time",
    "get_cron_frequency",
    "is_valid_cron",
    "keep_ascii_only",
    "most_frequent_crons",
    "scheduled_dates_range",
    "sl_cron_start_end_dates",
    "sl_schedule",
    "sl_schedule_format",
    "sl_scheduled_dataset",
    "sl_scheduled_date",
    "sl_timestamp_format",
    "sort_crons_by_frequency",
]

sl_schedule_format = "%Y%m%dT%H%M"
sl_timestamp_format = "%Y-%m-%dT%H:%M:%S%z"

_NOT_ASCII = re.compile(r"[^\x00-\x7F]+")
# A Monday: the comparison of crons must not depend on the time of the day.
_FROM = datetime(2024, 1, 1, tzinfo=timezone.utc)


class StarlakeCronPeriod(str, enum.Enum):
    """A period over which crons are compared."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def from_str(cls, value: str) -> StarlakeCronPeriod:
        """The period of a word, in any case.

        Raises:
            ValueError: it is not a period.
        """
        return cls(value.lower())


class StarlakeParameters(str, enum.Enum):
    """Names of values that a run knows."""

    SCHEDULED_DATE_PARAMETER = "sl_scheduled_date"
    URI_PARAMETER = "sl_uri"
    SINK_PARAMETER = "sl_sink"
    CRON_PARAMETER = "sl_cron"
    FRESHNESS_PARAMETER = "sl_freshness"
    DATA_INTERVAL_START_PARAMETER = "sl_data_interval_start"
    DATA_INTERVAL_END_PARAMETER = "sl_data_interval_end"
    DRY_RUN_PARAMETER = "sl_dry_run"
    OPTIONS_PARAMETER = "sl_options"
    OPTIONS_MERGE_PARAMETER = "sl_options_merge"

    def __str__(self) -> str:
        return self.value


def keep_ascii_only(text: str) -> str:
    """The text, with each run of non-ASCII characters replaced by an underscore."""
    return _NOT_ASCII.sub("_", text)


def as_query_parameters(parameters: Mapping[str, object] | None = None) -> str:
    """``?name=value&...``, or nothing."""
    pairs = "&".join(f"{quote(str(name))}={quote(str(value))}" for name, value in (parameters or {}).items())
    return f"?{pairs}" if pairs else ""


def is_valid_cron(cron_expr: str) -> bool:
    """Whether a cron expression can be read."""
    try:
        return read_cron(cron_expr) is not None
    except (ScheduleError, AttributeError):
        return False


def _checked(cron: str) -> str:
    """Return a cron expression that can be read.

    Raises:
        ScheduleError: it cannot be read.
    """
    found = read_cron(cron)
    if found is None:
        raise ScheduleError(f"{cron!r} is not a valid cron expression; write five fields such as '0 2 * * *'")
    return found


def cron_start_time() -> datetime:
    """The current time, in UTC. Nothing that builds a pipeline may depend on it."""
    return datetime.now(timezone.utc)


def _moment(value: datetime | str | None) -> datetime:
    if value is None:
        return cron_start_time()
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value.replace("Z", "+00:00"))
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def get_cron_frequency(cron_expression: str) -> timedelta:
    """The time between the first two times of 2024 at which a schedule fires.

    Raises:
        ScheduleError: the expression cannot be read.
    """
    first = next_fire(_checked(cron_expression), _FROM)
    return next_fire(cron_expression, first) - first


def sort_crons_by_frequency(
    cron_expressions: Iterable[str], reference_time: datetime | None = None
) -> tuple[dict[int, list[str]], list[str]]:
    """Sort crons by how often they fire.

    Args:
        cron_expressions: the expressions.
        reference_time: crons of the same frequency are sorted by their next time after it, the latest first. The default is the first of
            January 2024, so that the order does not change from day to day.

    Returns:
        A mapping of seconds between two times to expressions, and all expressions, the most frequent first.

    Raises:
        ScheduleError: an expression cannot be read.
    """
    start = _FROM if reference_time is None else _moment(reference_time)
    groups: dict[int, list[str]] = {}
    for cron in sorted(set(cron_expressions)):
        groups.setdefault(int(get_cron_frequency(cron).total_seconds()), []).append(cron)
    for crons in groups.values():
        crons.sort(key=lambda cron: next_fire(cron, start), reverse=True)
    return groups, [cron for seconds in sorted(groups) for cron in groups[seconds]]


def most_frequent_crons(all_crons: Iterable[str]) -> list[str] | None:
    """The crons that fire most often; None without any.

    Raises:
        ScheduleError: an expression cannot be read.
    """
    groups, _ = sort_crons_by_frequency(all_crons)
    return groups[min(groups)] if groups else None


def scheduled_dates_range(cron: str, scheduled_date: datetime) -> tuple[datetime, datetime]:
    """The start and the end of the data interval of a time.

    Args:
        cron: the cron expression of the schedule.
        scheduled_date: the time.

    Raises:
        ScheduleError: the expression cannot be read.
    """
    interval = data_interval(_checked(cron), _moment(scheduled_date))
    return interval.start, interval.end


def sl_schedule(cron: str, start_time: datetime | str | None = None, format: str = sl_schedule_format) -> str:
    """The last time before a given time at which a schedule fired, as text.

    Args:
        cron: the cron expression of the schedule.
        start_time: the given time; now by default.
        format: the format of the text, for ``strftime``.

    Raises:
        ScheduleError: the expression cannot be read.
    """
    return previous_fire(_checked(cron), _moment(start_time)).strftime(format)


def sl_scheduled_date(cron: str | None, ts: datetime | str, previous: bool = False) -> datetime:
    """A time, or the last time before it at which a schedule fired.

    Args:
        cron: the cron expression of the schedule, or None.
        ts: the time.
        previous: whether to return the last time before it, if there is a schedule.

    Raises:
        ScheduleError: the expression cannot be read.
    """
    moment = _moment(ts)
    if cron is None:
        return moment
    return previous_fire(_checked(cron), moment) if previous else moment


def sl_scheduled_dataset(
    dataset: str,
    cron: str | None,
    ts: datetime | str,
    parameter_name: str = StarlakeParameters.SCHEDULED_DATE_PARAMETER.value,
    format: str = sl_timestamp_format,
    previous: bool = False,
) -> str:
    """The old name of a dataset with its scheduled date. Datasets no longer have a date in their names; their events carry it.

    Args:
        dataset: the name of the dataset.
        cron: the cron expression of the schedule, or None for the name alone.
        ts: a time.
        parameter_name: the name of the parameter with the date.
        format: the format of the date, for ``strftime``.
        previous: see :func:`sl_scheduled_date`.

    Raises:
        ScheduleError: the expression cannot be read.
    """
    name = sanitize_id(dataset).lower()
    if not cron:
        return name
    return name + as_query_parameters({parameter_name: sl_scheduled_date(cron, ts, previous).strftime(format)})


def sl_cron_start_end_dates(
    cron_expr: str, start_time: datetime | str | None = None, format: str = sl_timestamp_format
) -> str:
    """The data interval of a time as substitution variables.

    Args:
        cron_expr: the cron expression of the schedule.
        start_time: the time; now by default.
        format: the format of the dates, for ``strftime``.

    Raises:
        ScheduleError: the expression cannot be read.
    """
    interval = data_interval(_checked(cron_expr), _moment(start_time))
    start, end = interval.start.strftime(format), interval.end.strftime(format)
    return f"sl_data_interval_start='{start}',sl_data_interval_end='{end}'"
