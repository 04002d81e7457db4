"""What starts runs: a schedule for a cron, a sensor for datasets."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import timedelta, timezone
from typing import Any

from dagster import (
    AssetKey,
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

from starlake_core.freshness import Kind, decide
from starlake_core.masking import mask_text

from .context import PARTITION_FORMAT, TICK
from .decisions import DECIDED, REFUSED, clock, decision_key, tags_of
from .options import DagsterOptions
from .pipeline import DagsterPipeline
from .watching import RECORD, Memory, Watch, active_run, look

__all__ = ["schedule_of", "sensor_of"]

_MOST_LINES = 100
_WILL_RETRY = "dagster/will_retry"
_RETRIED_AS = "dagster/auto_retry_run_id"
_SOON = timedelta(hours=1)
"""How long to wait until Dagster repeats a run that failed. It never does if the run was not started by its daemon, or if its job is gone."""


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
    drawn, watch = pipeline.pipeline, pipeline.facts.watch
    if watch is None:
        return None
    running = drawn.options[DagsterOptions].default_status == "running"
    memory = Memory()

    def evaluate(context: Any) -> Any:
        return _evaluate(context, watch, pipeline.facts.own, memory)

    names = ", ".join(key.to_user_string() for key in watch.datasets)
    return SensorDefinition(
        name=f"{pipeline.name}_sensor",
        evaluation_fn=evaluate,
        job=job,
        minimum_interval_seconds=drawn.options[DagsterOptions].sensor_interval,
        default_status=DefaultSensorStatus.RUNNING if running else DefaultSensorStatus.STOPPED,
        description=f"Starts {drawn.id} when the data of {names} is complete. Each evaluation says what it waits for.",
    )


def _evaluate(context: Any, watch: Watch, own: Collection[AssetKey], memory: Memory) -> Any:
    """One evaluation: it decides, and requests at most one run. Waiting changes nothing, so nothing is lost."""
    instance = context.instance
    busy = _busy(instance, watch.job)
    if busy:
        return SensorResult(skip_reason=SkipReason(busy), cursor=context.cursor)
    # In this order: a run that ends now is either still active, or has left its record.
    seen = look(instance, watch, own, context.cursor, memory)
    cursor = context.cursor if seen.previous is None else json.dumps(seen.previous.to_json(), sort_keys=True)
    decision = decide(watch.policy, seen.events, seen.previous, clock())

    def waits(reason: str) -> Any:
        return SensorResult(skip_reason=SkipReason(reason), cursor=cursor)

    if decision.kind is not Kind.RUN:
        return waits(_shortened(decision.describe()))
    key = decision_key(decision, seen.events, seen.previous)
    tried = instance.get_run_records(RunsFilter(job_name=watch.job, tags={DECIDED: key}), limit=1)
    if tried:
        run = tried[0].dagster_run
        return waits(
            f"run {run.run_id} for the same data ended with {run.status.value}; execute it again, or a new run starts when something new is "
            f"loaded\n{_shortened(decision.describe())}"
        )
    tags = tags_of(decision, key)
    error = decision.error or next((seen.unreadable[name] for name in sorted(seen.unreadable)), "")
    if error:  # a run that fails is seen; an evaluation that fails is not
        tags = {**tags, REFUSED: mask_text(error)}
        tags.pop(RECORD, None)
    context.log.info(decision.describe())
    return SensorResult(run_requests=[RunRequest(run_key=key, tags=tags)], cursor=cursor)


def _busy(instance: Any, job: str) -> str:
    """Why no run can start now, because there is one at a time; empty if one can."""
    run = active_run(instance, job)
    if run is not None:
        return f"run {run.run_id} is {run.status.value}; what is loaded meanwhile is looked at when it has ended"
    lately = RunsFilter(job_name=job, statuses=[DagsterRunStatus.FAILURE], updated_after=clock() - _SOON)
    failed = instance.get_run_records(lately, limit=1)
    if (
        failed
        and failed[0].dagster_run.tags.get(_WILL_RETRY) == "true"
        and _RETRIED_AS not in failed[0].dagster_run.tags
    ):
        return f"run {failed[0].dagster_run.run_id} failed, and Dagster starts it again"
    return ""


def _shortened(text: str) -> str:
    lines = text.splitlines()
    left = len(lines) - _MOST_LINES
    return text if left <= 0 else "\n".join([*lines[:_MOST_LINES], f"  and {left} more"])
