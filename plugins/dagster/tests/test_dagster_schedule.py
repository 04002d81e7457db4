"""Schedules and partitions: what fires when, and which dates a run gets, over changes of the clock too."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterRun, __version__
from dagster._utils.schedules import schedule_execution_time_iterator
from dagster_runs import draw, tick_of_schedule
from starlake_core_dagster import definitions
from starlake_core_dagster.context import run_of

from starlake_core import DataInterval, StarlakePipeline, data_interval
from starlake_core.schedule import fire_times

pytest_plugins = ["starlake_core.testing.plugin"]

UTC = timezone.utc
PARIS = {"timezone": "Europe/Paris"}
OLD = tuple(map(int, __version__.split(".")[:2])) < (1, 11)


def drawn(options: dict[str, Any] | None = None, cron: str = "0 0 * * *", **keywords: Any) -> StarlakePipeline:
    return draw(lambda p: p.sl_load("load", "sales", "orders"), options, cron=cron, **keywords)


def utc(interval: DataInterval) -> tuple[datetime, datetime]:
    return interval.start.astimezone(UTC), interval.end.astimezone(UTC)


def interval_of(pipeline: StarlakePipeline, tags: dict[str, str]) -> DataInterval:
    """The data interval of a run with some tags, without a step of it being run."""
    step = SimpleNamespace(run=DagsterRun("p", tags=tags), instance=None, retry_number=0)
    return run_of(step, pipeline.native.facts, "load").interval


def ticks(pipeline: StarlakePipeline, start: datetime, end: datetime) -> list[datetime]:
    """When Dagster's daemon fires the schedule."""
    found = []
    for moment in schedule_execution_time_iterator(start.timestamp(), pipeline.cron, pipeline.zone_name):
        if moment.timestamp() > end.timestamp():
            return found
        found.append(datetime.fromtimestamp(moment.timestamp(), UTC))
    return found


def intervals(pipeline: StarlakePipeline, moments: list[datetime]) -> list[tuple[datetime, datetime]]:
    """The data intervals of the runs that a schedule asks for, one for every time that it fires."""
    found, defs = [], definitions(pipeline)
    for moment in moments:
        (request,) = tick_of_schedule(defs, moment).run_requests
        found.append(utc(interval_of(pipeline, request.tags)))
    return found


# -- changes of the clock

CLOCKS = [
    ("Europe/Paris", datetime(2025, 3, 29, tzinfo=UTC)),
    ("Europe/Paris", datetime(2025, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2025, 3, 8, tzinfo=UTC)),
    ("America/New_York", datetime(2025, 11, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 4, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 10, 3, tzinfo=UTC)),
    ("UTC", datetime(2025, 3, 29, tzinfo=UTC)),
]
CRONS = ["0 0 * * *", "30 2 * * *", "30 1 * * *", "0 * * * *", "*/15 * * * *", "0 2 * * 0", "0 6 * * 1-5", "0 0 1 * *"]
# A time of day that the clock skips: Dagster fires at the end of the gap. One that comes twice: at the second.
# A shift of half an hour: its hours are no full ones for the next half year.
DIFFERENT = {
    ("Europe/Paris", 3, "30 2 * * *"),
    ("Europe/Paris", 10, "30 2 * * *"),
    ("Europe/Paris", 10, "0 2 * * 0"),
    ("America/New_York", 3, "30 2 * * *"),
    ("America/New_York", 11, "30 1 * * *"),
    ("Australia/Lord_Howe", 4, "30 1 * * *"),
    ("Australia/Lord_Howe", 4, "0 * * * *"),
    ("Australia/Lord_Howe", 10, "0 * * * *"),
}


def changes(different: Collection[tuple[str, int, str]]) -> list[Any]:
    known = pytest.mark.xfail(strict=True, reason="Dagster fires at another instant when the clock is changed")
    return [
        pytest.param(
            zone,
            start,
            cron,
            id=f"{zone} {start:%m} {cron}",
            marks=[known] if (zone, start.month, cron) in different else [],
        )
        for zone, start in CLOCKS
        for cron in CRONS
    ]


def after(start: datetime, cron: str) -> datetime:
    return start + timedelta(days=40 if cron == "0 0 1 * *" else 2 if "*/" in cron else 3)


@pytest.mark.parametrize(("zone", "start", "cron"), changes(DIFFERENT))
def test_a_scheduled_run_has_the_interval_of_the_core(zone: str, start: datetime, cron: str) -> None:
    pipeline = drawn({"timezone": zone}, cron)
    end = after(start, cron)
    fires = [moment.astimezone(UTC) for moment in fire_times(cron, start, end, pipeline.zone)]
    assert ticks(pipeline, start, end) == fires
    assert intervals(pipeline, fires) == [utc(data_interval(cron, moment, pipeline.zone)) for moment in fires]


@pytest.mark.parametrize("partitions", [True, False])
@pytest.mark.parametrize(("zone", "start", "cron"), changes([]))
def test_no_data_is_left_out_or_taken_twice_when_the_clock_changes(
    zone: str, start: datetime, cron: str, partitions: bool
) -> None:
    pipeline = drawn({"timezone": zone, "partitions": partitions}, cron)
    moments = ticks(pipeline, start, after(start, cron))
    found = intervals(pipeline, moments)
    assert len(found) == len(moments)
    for before, now in pairwise(found):
        assert before[1] == now[0]
    for moment, (_, end) in zip(moments, found, strict=True):
        assert end <= moment
