"""What starts runs: a schedule for a cron, a sensor for datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

from starlake_core import DataInterval, StarlakeDataset
from starlake_core.freshness import Event, decide
from starlake_core.run import short_hash

from .context import INTERVAL_END, INTERVAL_START, TICK
from .keys import asset_key
from .rendering import PARTITION_FORMAT, DagsterPipeline

__all__ = ["schedule_of", "sensor_of"]

STARTED_BY = "starlake/started_by"

_MOST_EVENTS = 1000
_LONGEST_KEY = 200
_ACTIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def schedule_of(pipeline: DagsterPipeline, job: Any) -> Any:
    """The schedule of a pipeline with a cron, None for another one. A run has the window that ended last when the schedule fires.

    Args:
        pipeline: rendered.
        job: of the pipeline.
    """
    drawn, facts = pipeline.pipeline, pipeline.facts
    if drawn.cron is None:
        return None
    running = drawn.options["default_status"] == "running"

    def request(context: Any) -> Any:
        tick = context.scheduled_execution_time
        window = facts.window(tick)
        start, end = drawn.start_date, drawn.end_date
        if start is not None and window.start.timestamp() < start.timestamp():
            return SkipReason(f"no data interval is complete since {start.isoformat()} (start_date)")
        if end is not None and window.end.timestamp() > end.timestamp():
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
    """The sensor of a pipeline that datasets start, None for another one.

    Args:
        pipeline: rendered.
        job: of the pipeline.
    """
    drawn = pipeline.pipeline
    if drawn.trigger is None:
        return None
    prefix = drawn.options["asset_key_prefix"]
    datasets = {asset_key(dataset, prefix): dataset for dataset in drawn.trigger.datasets}
    running = drawn.options["default_status"] == "running"
    needs_all = drawn.trigger.policy == "all"

    def evaluate(context: Any) -> Any:
        return _evaluate(context, pipeline, datasets, needs_all)

    return SensorDefinition(
        name=f"{pipeline.name}_sensor",
        evaluation_fn=evaluate,
        job=job,
        minimum_interval_seconds=drawn.options["sensor_interval"],
        default_status=DefaultSensorStatus.RUNNING if running else DefaultSensorStatus.STOPPED,
        description=f"Starts {drawn.id} when {'all' if needs_all else 'any'} of "
        f"{', '.join(key.to_user_string() for key in datasets)} {'were' if needs_all else 'was'} materialised.",
    )


def _evaluate(
    context: Any, pipeline: DagsterPipeline, datasets: Mapping[AssetKey, StarlakeDataset], needs_all: bool
) -> Any:
    """One tick: what happened since the run that was started last?"""
    instance = context.instance
    seen: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
    last = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(list(datasets))}
    fresh = []
    for key in datasets:
        record = last[key].last_materialization_record if key in last else None
        if record is not None and record.storage_id > seen.get(key.to_string(), 0):
            fresh.append((key, record))
    missing = [key.to_user_string() for key in datasets if key not in {found for found, _ in fresh}]
    if not fresh or (needs_all and missing):
        return SkipReason(f"waits for {', '.join(missing)}")
    most = pipeline.pipeline.max_active_runs
    active = instance.get_run_records(RunsFilter(job_name=pipeline.name, statuses=_ACTIVE), limit=most)
    if len(active) >= most:
        return SkipReason(f"{len(active)} of at most {most} runs (max_active_runs) have not ended; the events wait")
    events: list[Event] = []
    ids = []
    for key, record in fresh:
        records = _since(instance, key, seen.get(key.to_string())) or [record]
        events.extend(_event(datasets[key], found) for found in records)
        seen[key.to_string()] = max(found.storage_id for found in (*records, record))
        ids.append(seen[key.to_string()])
    decision = decide(pipeline.pipeline.policy, events, datetime.now(timezone.utc))
    if not decision.start:
        return SkipReason(decision.reason)
    run_key = "-".join(map(str, ids))
    tags = {
        INTERVAL_START: decision.interval.start.isoformat(),
        INTERVAL_END: decision.interval.end.isoformat(),
        STARTED_BY: decision.reason,
    }
    request = RunRequest(run_key=run_key if len(run_key) <= _LONGEST_KEY else short_hash(run_key), tags=tags)
    return SensorResult(run_requests=[request], cursor=json.dumps(seen, sort_keys=True))


def _since(instance: Any, key: AssetKey, cursor: int | None) -> Sequence[Any]:
    """The materialisations after a cursor; without one nobody asks for what was before the last."""
    if cursor is None:
        return []
    found = instance.fetch_materializations(
        AssetRecordsFilter(asset_key=key, after_storage_id=cursor), limit=_MOST_EVENTS, ascending=True
    )
    records: Sequence[Any] = found.records
    return records


def _event(dataset: StarlakeDataset, record: Any) -> Event:
    moment = datetime.fromtimestamp(record.timestamp, timezone.utc)
    metadata = record.asset_materialization.metadata
    start, end = (_date(metadata.get(name)) for name in (INTERVAL_START, INTERVAL_END))
    interval = DataInterval(start, end) if start is not None and end is not None else None
    return Event(dataset.uri, interval, moment)


def _date(value: Any) -> datetime | None:
    """A date of the metadata; what others wrote there is no concern of ours."""
    try:
        date = datetime.fromisoformat(str(value.value).replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return None
    return date if date.tzinfo is not None else None
