"""What starts runs: a schedule for a cron, a sensor for datasets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from dagster import (
    AssetKey,
    AssetRecordsFilter,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    SensorDefinition,
    SensorResult,
    SkipReason,
)

from starlake_core import DataInterval, RunError, StarlakeDataset
from starlake_core.logs import get_logger
from starlake_core.model.run_options import OPTIONS, POLICIES, Carried, merge
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START, read_carried, read_interval
from starlake_core.orchestrators.freshness import Event, decide
from starlake_core.short_names import short_hash

from .context import DONE, PARTITION_FORMAT, PARTLY, RUN_ID, TICK
from .keys import asset_key
from .options import DagsterOptions
from .pipeline import DagsterPipeline

__all__ = ["schedule_of", "sensor_of"]

logger = get_logger(__name__)

STARTED_BY = "starlake/started_by"

_MOST_EVENTS = 1000
_MOST_RUNS = 100
_ACTIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def schedule_of(pipeline: DagsterPipeline, job: Any) -> Any:
    """The schedule of a pipeline with a cron; None for other pipelines. A run has the last window that had ended when the schedule fired.

    Args:
        pipeline: a rendered pipeline.
        job: the job of the pipeline.
    """
    drawn, facts = pipeline.pipeline, pipeline.facts
    if drawn.cron is None:
        return None
    running = drawn.options[DagsterOptions].default_status == "running"

    def request(context: Any) -> Any:
        tick = context.scheduled_execution_time.astimezone(drawn.zone)
        window = facts.window(tick)
        start, end = drawn.start_date, drawn.end_date
        # In UTC: Python compares the wall clocks of two times in one zone.
        if window.start.astimezone(timezone.utc) < start:
            return SkipReason(f"no data interval is complete since {start.isoformat()} (start_date)")
        if end is not None and window.end.astimezone(timezone.utc) > end:
            return SkipReason(f"the schedule ended at {end.isoformat()} (end_date)")
        if pipeline.partitions is None:
            return RunRequest(run_key=tick.isoformat(), tags={TICK: tick.isoformat()})
        key = window.start.strftime(PARTITION_FORMAT)
        return RunRequest(run_key=key, partition_key=key)

    return ScheduleDefinition(
        name=f"{pipeline.name}_schedule",
        job=job,
        cron_schedule=drawn.cron,
        execution_timezone=drawn.zone_name,
        execution_fn=request,
        default_status=DefaultScheduleStatus.RUNNING if running else DefaultScheduleStatus.STOPPED,
    )


def sensor_of(pipeline: DagsterPipeline, job: Any) -> Any:
    """The sensor of a pipeline that datasets start; None for other pipelines.

    Args:
        pipeline: a rendered pipeline.
        job: the job of the pipeline.
    """
    drawn = pipeline.pipeline
    if drawn.trigger is None:
        return None
    prefix = drawn.options[DagsterOptions].asset_key_prefix
    datasets = {asset_key(dataset, prefix): dataset for dataset in drawn.trigger.datasets}
    running = drawn.options[DagsterOptions].default_status == "running"
    needs_all = drawn.trigger.policy == "all"

    def evaluate(context: Any) -> Any:
        return _evaluate(context, pipeline, datasets, needs_all)

    return SensorDefinition(
        name=f"{pipeline.name}_sensor",
        evaluation_fn=evaluate,
        job=job,
        minimum_interval_seconds=drawn.options[DagsterOptions].sensor_interval,
        default_status=DefaultSensorStatus.RUNNING if running else DefaultSensorStatus.STOPPED,
        description=f"Starts {drawn.id} when {'all' if needs_all else 'any'} of "
        f"{', '.join(key.to_user_string() for key in datasets)} {'were' if needs_all else 'was'} materialised.",
    )


def _evaluate(
    context: Any, pipeline: DagsterPipeline, datasets: Mapping[AssetKey, StarlakeDataset], needs_all: bool
) -> Any:
    """One evaluation: what has happened since the last run started?"""
    instance = context.instance
    known = _seen(context.cursor)
    found = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(list(datasets))}
    seen: dict[str, int] = {}
    fresh = []
    news = _News(instance, pipeline.name)
    for key in datasets:
        record = found[key].last_materialization_record if key in found else None
        last = record.storage_id if record is not None else 0
        # At the first evaluation, what was before the last event does not matter; and after a wipe, SQLite reuses ids.
        seen[key.to_string()] = known.get(key.to_string(), max(last - 1, 0)) if last else 0
        if last > seen[key.to_string()]:
            if news(record) or any(_since(instance, key, seen[key.to_string()], news)):
                fresh.append(key)
            else:
                seen[key.to_string()] = last

    def waits(reason: str) -> Any:
        return SensorResult(skip_reason=SkipReason(reason), cursor=json.dumps(seen, sort_keys=True))

    missing = [key.to_user_string() for key in datasets if key not in fresh]
    if not fresh or (needs_all and missing):
        return waits(f"waiting for {'' if needs_all or len(missing) == 1 else 'any of '}{', '.join(missing)}")
    most = pipeline.pipeline.max_active_runs
    active = instance.get_run_records(RunsFilter(job_name=pipeline.name, statuses=_ACTIVE), limit=most)
    if len(active) >= most:
        return waits(f"{len(active)} of at most {most} runs (max_active_runs) are still running; the events wait")
    events: list[Event] = []
    carried = [Carried(f"the option {POLICIES}", {}, pipeline.pipeline.policy.merge)]
    newest: dict[str, Any] = {}
    for key in fresh:
        for record in _since(instance, key, seen[key.to_string()], news):
            events.append(_event(datasets[key], record))
            carried.append(read_carried(datasets[key].uri, _metadata(record), superseded=True))
            newest[key.to_string()] = record
        if key.to_string() in newest:  # for each dataset, the last values count
            carried[-1] = replace(carried[-1], superseded=False)
    if not events:  # they were wiped just now
        return waits(f"waiting for {', '.join(key.to_user_string() for key in fresh)}")
    decision = decide(pipeline.pipeline.policy, events, datetime.now(timezone.utc))
    if not decision.start:
        return waits(decision.reason)
    run_key = short_hash(*(f"{record.storage_id}@{record.timestamp}" for record in newest.values()))
    sections, policies = merge(carried, f'Launch the runs one by one, each with its values in the tag "{OPTIONS}".')
    tags = {
        **{
            name: json.dumps(value, sort_keys=True)
            for name, value in ((OPTIONS, sections), (POLICIES, policies))
            if value
        },
        INTERVAL_START: decision.interval.start.isoformat(),
        INTERVAL_END: decision.interval.end.isoformat(),
        STARTED_BY: decision.reason,
    }
    after = {key: record.storage_id for key, record in newest.items()}
    cursor = json.dumps({**seen, **after}, sort_keys=True)
    return SensorResult(run_requests=[RunRequest(run_key=run_key, tags=tags)], cursor=cursor)


def _seen(cursor: str | None) -> dict[str, int]:
    """The storage id of the last event of each asset that counted; users can write anything into a cursor."""
    try:
        found = json.loads(cursor or "{}")
        return {str(key): int(value) for key, value in found.items()}
    except (AttributeError, TypeError, ValueError):
        logger.warning("the cursor %r cannot be read; the sensor starts over", cursor)
        return {}


def _since(instance: Any, key: AssetKey, after: int, news: Callable[[Any], bool]) -> Iterator[Any]:
    """The materialisations after a storage id that are news, in order."""
    page: str | None = None
    while True:
        found = instance.fetch_materializations(
            AssetRecordsFilter(asset_key=key, after_storage_id=after), limit=_MOST_EVENTS, cursor=page, ascending=True
        )
        yield from filter(news, found.records)
        if not found.has_more:
            return
        page = found.cursor


class _News:
    """Whether a materialisation is news for a job.

    It is not news if a run that continued after a failure reports what an earlier run had produced, or if a run of the job that the command line
    started has read it: one that started later, for an interval that contains that of the event. Only this class knows of such a run.

    Args:
        instance: the instance with the runs.
        job: the name of the job.
    """

    def __init__(self, instance: Any, job: str) -> None:
        self._instance = instance
        self._job = job
        self._read: list[tuple[float, DataInterval]] | None = None

    def __call__(self, record: Any) -> bool:
        if DONE in record.asset_materialization.metadata:
            return False
        interval = _interval(record)
        return interval is None or not any(
            begun >= record.timestamp and read.start <= interval.start and interval.end <= read.end
            for begun, read in self._by_hand()
        )

    def _by_hand(self) -> list[tuple[float, DataInterval]]:
        """When each successful whole run of the command line started, and its interval; the latest ones."""
        if self._read is None:
            found = self._instance.get_run_records(
                RunsFilter(job_name=self._job, statuses=[DagsterRunStatus.SUCCESS]), limit=_MOST_RUNS
            )
            self._read = []
            for record in found:
                tags = record.dagster_run.tags
                start, end = (_moment(tags.get(name)) for name in (INTERVAL_START, INTERVAL_END))
                if RUN_ID in tags and PARTLY not in tags and record.start_time and start and end and start <= end:
                    self._read.append((record.start_time, DataInterval(start, end)))
        return self._read


def _event(dataset: StarlakeDataset, record: Any) -> Event:
    return Event(dataset.uri, _interval(record), datetime.fromtimestamp(record.timestamp, timezone.utc))


def _interval(record: Any) -> DataInterval | None:
    """The data interval in a materialisation; anything else written there is ignored."""
    try:
        return read_interval(_metadata(record))
    except RunError:
        return None


def _metadata(record: Any) -> dict[str, Any]:
    """The metadata of a materialisation as plain values."""
    return {name: getattr(item, "value", item) for name, item in record.asset_materialization.metadata.items()}


def _moment(value: Any) -> datetime | None:
    """A date with an offset, from a string that anyone may have written."""
    try:
        date = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        return date.astimezone(timezone.utc) if date.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
