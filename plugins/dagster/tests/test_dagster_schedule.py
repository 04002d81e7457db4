"""Schedules and partitions: what fires when, and which dates a run gets, over changes of the clock too."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import DagsterRun, DefaultScheduleStatus, TimeWindowPartitionsDefinition, __version__
from dagster._utils.schedules import schedule_execution_time_iterator
from dagster_runs import draw, instance_in, job, launch, materializations, repository, resolved, run, tick_of_schedule
from hypothesis import given, settings
from hypothesis import strategies as st
from starlake_core_dagster import definitions
from starlake_core_dagster.context import attempt_of

from starlake_core import DataInterval, StarlakePipeline, data_interval
from starlake_core.model.schedule import fire_times
from starlake_core.testing import FakeEnvironment

UTC = timezone.utc
DAY = timedelta(days=1)
PARIS = {"timezone": "Europe/Paris"}
OLD = tuple(map(int, __version__.split(".")[:2])) < (1, 11)


def drawn(options: dict[str, Any] | None = None, cron: str = "0 0 * * *", **keywords: Any) -> StarlakePipeline:
    return draw(lambda p: p.sl_load("load", "sales", "orders"), options, cron=cron, **keywords)


def utc(interval: DataInterval) -> tuple[datetime, datetime]:
    return interval.start.astimezone(UTC), interval.end.astimezone(UTC)


def interval_of(pipeline: StarlakePipeline, tags: dict[str, str]) -> DataInterval:
    """The data interval of a run with some tags, without a step of it being run."""
    step = SimpleNamespace(run=DagsterRun("p", tags=tags), instance=None, retry_number=0, op_config=None)
    return attempt_of(step, pipeline.native.facts, "load").run.interval


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
CRONS = [
    "0 0 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "0 * * * *",
    "*/15 * * * *",
    "0 2 * * 0",
    "0 */2 * * *",
    "20 2,3 * * *",
    "0 0 1 * *",
]
# A shift of half an hour: Dagster's hours are no full ones for the next half year.
DIFFERENT = {("Australia/Lord_Howe", 4, "0 * * * *"), ("Australia/Lord_Howe", 10, "0 * * * *")}


def changes(different: Collection[tuple[str, int, str]]) -> list[Any]:
    known = pytest.mark.xfail(strict=True, reason="Dagster goes wrong when the clock is changed by half an hour")
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
    fires = [moment.astimezone(UTC) for moment in fire_times(cron, start, end, pipeline.zone, pipeline.fires)]
    assert ticks(pipeline, start, end) == fires
    assert intervals(pipeline, fires) == [
        utc(data_interval(cron, moment, pipeline.zone, pipeline.fires)) for moment in fires
    ]


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


# -- one interval, whoever asks

ZONES = ["Europe/Paris", "America/New_York", "UTC", "Australia/Lord_Howe", "Asia/Kolkata"]
CALM = ["0 0 * * *", "0 12 * * *", "45 */4 * * *", "*/15 * * * *", "0 6 * * 1-5", "0 0 1 * *", "20 4 8-14 * 1"]
MOMENTS = st.datetimes(datetime(2024, 4, 1), datetime(2025, 12, 31), timezones=st.just(UTC))
PIPELINES: dict[tuple[str, str], StarlakePipeline] = {}


@settings(deadline=None, max_examples=60)
@given(zone=st.sampled_from(ZONES), cron=st.sampled_from(CALM), moment=MOMENTS)
def test_a_tick_asks_for_the_partition_that_ends_there(zone: str, cron: str, moment: datetime) -> None:
    if (zone, cron) not in PIPELINES:
        PIPELINES[zone, cron] = drawn({"timezone": zone}, cron)
    pipeline = PIPELINES[zone, cron]
    tick = next(fire_times(cron, moment, moment + timedelta(days=70), pipeline.zone))
    expected = data_interval(cron, tick, pipeline.zone)
    (request,) = tick_of_schedule(pipeline, tick).run_requests
    window = pipeline.native.partitions.time_window_for_partition_key(request.partition_key)
    assert (window.start.timestamp(), window.end.timestamp()) == (expected.start.timestamp(), tick.timestamp())
    assert request.run_key == request.partition_key
    assert utc(interval_of(pipeline, request.tags)) == utc(expected)
    # What a step formats is in the zone of the schedule, also where Dagster brings types of its own.
    assert interval_of(pipeline, request.tags).end.isoformat() == tick.isoformat()


CHANGES_OF_2026 = {
    "Europe/Paris": (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)),
    "America/St_Johns": (datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 5, tzinfo=UTC), datetime(2026, 10, 4, tzinfo=UTC)),
    "Asia/Kolkata": (datetime(2026, 3, 29, tzinfo=UTC),),
}


@pytest.mark.parametrize("cron", ["0 2 * * *", "30 2 * * *", "*/30 * * * *", "@daily", "0 0 31 * *", "0 0 * * 7"])
def test_over_each_change_of_the_clock_nothing_is_lost_and_nothing_is_twice(cron: str) -> None:
    """Whatever the offset: each window ends when the schedule fires, and begins where the one before it ended."""
    for zone, changes in CHANGES_OF_2026.items():
        pipeline = drawn({"timezone": zone, "start_date": "2025-01-01"}, cron)
        around = DAY if "/" in cron else 70 * DAY
        for change in changes:
            fired = ticks(pipeline, change - around, change + around)
            windows = [utc(pipeline.native.facts.window(moment)) for moment in fired]
            assert [end for _, end in windows] == fired
            assert [start for start, _ in windows[1:]] == fired[:-1]
            assert len(fired) > 2
            assert pipeline.native.partitions is not None


def recorded(environment: FakeEnvironment) -> list[str]:
    """The two ends of the data interval, in the command of every transform that was started."""
    found = []
    for submission in environment.submissions:
        words = list(submission.job.arguments)
        text = words[words.index("--options") + 1]
        found.append("/".join(pair.partition("=")[2].strip("'") for pair in text.split(",")[-2:]))
    return found


def transforming(options: dict[str, Any], cron: str | None) -> tuple[StarlakePipeline, FakeEnvironment]:
    environment = FakeEnvironment()
    return draw(lambda p: p.sl_transform("kpi", "kpi.x"), options, environment=environment, cron=cron), environment


DAY_OF_CHANGE = "2025-10-26T00:00:00+02:00/2025-10-27T00:00:00+01:00"


@pytest.mark.parametrize("partitions", [True, False])
def test_a_scheduled_run_a_backfill_and_a_manual_launch_see_the_same_dates(tmp_path: Path, partitions: bool) -> None:
    pipeline, environment = transforming({**PARIS, "partitions": partitions}, "0 0 * * *")
    defs = definitions(pipeline)
    (request,) = tick_of_schedule(defs, datetime(2025, 10, 26, 23, tzinfo=UTC)).run_requests
    with instance_in(tmp_path) as instance:
        if partitions:
            run(job(defs), instance, partition_key=request.partition_key, tags=request.tags)
            run(job(defs), instance, partition_key=request.partition_key, tags={"dagster/backfill": "abcdefgh"})
            run(job(defs), instance, partition_key="2025-10-26T00:00:00+0200")
        else:
            assert request.partition_key is None
            assert request.tags["starlake/scheduled_date"] == "2025-10-27T00:00:00+01:00" == request.run_key
            run(job(defs), instance, tags=request.tags)
    assert set(recorded(environment)) == {DAY_OF_CHANGE}


def test_a_backfill_in_a_single_run_spans_its_partitions(tmp_path: Path) -> None:
    pipeline, environment = transforming(PARIS, "0 0 * * *")
    tags = {
        "dagster/asset_partition_range_start": "2025-10-25T00:00:00+0200",
        "dagster/asset_partition_range_end": "2025-10-27T00:00:00+0100",
    }
    with instance_in(tmp_path) as instance:
        assert run(job(pipeline), instance, tags=tags).success
        keys = [record.partition_key for record in materializations(instance, "kpi", "x")]
    assert recorded(environment) == ["2025-10-25T00:00:00+02:00/2025-10-28T00:00:00+01:00"]
    assert sorted(keys) == ["2025-10-25T00:00:00+0200", "2025-10-26T00:00:00+0200", "2025-10-27T00:00:00+0100"]


@pytest.mark.parametrize(
    "partitions",
    [
        pytest.param(
            True, marks=pytest.mark.xfail(OLD, strict=True, reason="Dagster 1.10 wants a partition for such an asset")
        ),
        False,
    ],
)
@pytest.mark.parametrize("cron", ["0 6 * * 1-5", None])
def test_a_run_without_a_partition_gets_the_last_complete_interval(
    tmp_path: Path, partitions: bool, cron: str | None
) -> None:
    if cron is None and partitions:
        pytest.skip("without a schedule there are no partitions")
    pipeline, environment = transforming({**PARIS, "partitions": partitions}, cron)
    with instance_in(tmp_path) as instance:
        first = launch(job(pipeline), instance)
        assert first.success
        parent = first.dagster_run
        again = launch(job(pipeline), instance, again=parent).dagster_run
        launch(job(pipeline), instance, again=again)
        created = instance.get_run_record_by_id(parent.run_id).create_timestamp
    expected = data_interval(cron, created.astimezone(UTC).replace(microsecond=0), ZoneInfo("Europe/Paris"))
    start, end = (date.astimezone(ZoneInfo("Europe/Paris")) for date in (expected.start, expected.end))
    if cron is None:  # no command gets an empty interval: it covers the day so far
        start = end.replace(hour=0, minute=0, second=0)
    assert recorded(environment) == [f"{start.isoformat()}/{end.isoformat()}"] * 3


def test_a_re_execution_much_later_has_the_interval_of_the_first_run() -> None:
    pipeline = drawn({**PARIS, "partitions": False}, "0 0 * * *")
    later = datetime(2025, 11, 27, tzinfo=UTC)
    created = {"root": datetime(2025, 10, 27, 15, 4, 5, 678, tzinfo=UTC), "late": later, "last": later}
    records = {name: SimpleNamespace(create_timestamp=moment) for name, moment in created.items()}
    instance = SimpleNamespace(get_run_record_by_id=records.get, get_run_by_id=lambda run_id: None)

    def interval(run_id: str) -> tuple[datetime, datetime]:
        run = DagsterRun("p", run_id=run_id, root_run_id="root", parent_run_id="root")
        step = SimpleNamespace(run=run, instance=instance, retry_number=0, op_config=None)
        return utc(attempt_of(step, pipeline.native.facts, "load").run.interval)

    first = (datetime(2025, 10, 25, 22, tzinfo=UTC), datetime(2025, 10, 26, 23, tzinfo=UTC))
    assert interval("late") == first
    # Dagster lets people delete runs: then the date of the run itself is what is left, but a run that has begun keeps its interval.
    del records["root"]
    assert interval("last")[1] == datetime(2025, 11, 26, 23, tzinfo=UTC)
    assert interval("late") == first


# -- from when, until when


@pytest.mark.parametrize("partitions", [True, False])
def test_both_ends_of_a_schedule_are_in_its_zone(partitions: bool) -> None:
    given = {**PARIS, "start_date": "2025-10-25", "end_date": "2025-10-28", "partitions": partitions}
    pipeline = drawn(given, "0 0 * * *")
    asked, said = [], []
    for moment in ticks(pipeline, datetime(2025, 10, 23, tzinfo=UTC), datetime(2025, 10, 30, tzinfo=UTC)):
        answer = tick_of_schedule(pipeline, moment)
        asked += [interval_of(pipeline, request.tags).end.isoformat() for request in answer.run_requests]
        said += [answer.skip_message] if answer.skip_message else []
    assert asked == ["2025-10-26T00:00:00+02:00", "2025-10-27T00:00:00+01:00", "2025-10-28T00:00:00+01:00"]
    assert said == [
        *["no data interval is complete since 2025-10-25T00:00:00+02:00 (start_date)"] * 2,
        *["the schedule ended at 2025-10-28T00:00:00+01:00 (end_date)"] * 2,
    ]
    if partitions:
        assert pipeline.native.partitions.get_partition_keys() == [
            "2025-10-25T00:00:00+0200",
            "2025-10-26T00:00:00+0200",
            "2025-10-27T00:00:00+0100",
        ]
    else:
        assert pipeline.native.partitions is None


def test_no_interval_is_complete_before_the_first_one_has_ended() -> None:
    pipeline = drawn({"start_date": "2025-01-15"}, "0 0 1 * *")
    answers = [tick_of_schedule(pipeline, datetime(2025, month, 1, tzinfo=UTC)) for month in (2, 3)]
    assert [[r.partition_key for r in answer.run_requests] for answer in answers] == [[], ["2025-02-01T00:00:00+0000"]]


def test_a_schedule_is_on_unless_somebody_says_otherwise() -> None:
    for options, status in [
        ({}, DefaultScheduleStatus.RUNNING),
        ({"default_status": "running"}, DefaultScheduleStatus.RUNNING),
        ({"default_status": "stopped"}, DefaultScheduleStatus.STOPPED),
        ({"default_status": "stopped", "partitions": False}, DefaultScheduleStatus.STOPPED),
    ]:
        schedule = resolved(definitions(drawn({**PARIS, **options})), "schedule", "p_schedule")
        assert schedule.default_status == status
        assert schedule.execution_timezone == "Europe/Paris"
        assert schedule.cron_schedule == "0 0 * * *"
    assert repository(definitions(draw(lambda p: p.sl_transform("kpi", "kpi.x")))).schedule_defs == []


def test_the_partitions_are_never_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(*anything: Any, **keywords: Any) -> Any:
        raise AssertionError("a hundred thousand partitions were listed")

    pipeline, environment = transforming({"start_date": "2020-01-01"}, "*/15 * * * *")
    monkeypatch.setattr(TimeWindowPartitionsDefinition, "get_partition_keys", listed)
    (request,) = tick_of_schedule(pipeline, datetime(2025, 10, 26, 1, 15, tzinfo=UTC)).run_requests
    with instance_in(tmp_path) as instance:
        assert run(job(pipeline), instance, tags=request.tags).success
    assert recorded(environment) == ["2025-10-26T01:00:00+00:00/2025-10-26T01:15:00+00:00"]
