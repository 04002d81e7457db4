"""When Airflow fires a schedule."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

__all__ = ["fires", "timetable_of"]


@functools.cache
def timetable_of(cron: str, zone: str) -> Any:
    """The timetable of a schedule, created once: it computes its own description, which takes longer than a small DAG.

    Args:
        cron: the cron expression.
        zone: the name of its time zone.
    """
    from airflow.timetables.trigger import CronTriggerTimetable

    return CronTriggerTimetable(cron, timezone=zone)


def fires(cron: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """When Airflow fires a schedule. Around a change of the clock, that is after a time that it skips, and at the second of two equal times.

    Args:
        cron: the cron expression.
        zone: the name of its time zone.
        start: the earliest time.
        end: the latest time, excluded.
    """
    import pendulum
    from airflow.timetables.base import TimeRestriction

    timetable, last = timetable_of(cron, zone), None
    # From some time before: the first fire of a timetable depends on whether the clock repeats the very time at which it begins.
    since = TimeRestriction(earliest=pendulum.instance(start - timedelta(hours=4)), latest=None, catchup=True)
    while True:
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=since)
        if info is None or info.run_after >= end:
            return
        if info.run_after >= start:
            yield datetime.fromtimestamp(info.run_after.timestamp(), end.tzinfo)
        last = info.data_interval
