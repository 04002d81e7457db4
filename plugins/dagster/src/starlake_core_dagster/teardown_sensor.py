"""Tears down what a run set up and did not tear down itself.

The run was cancelled, its process died, or its executor stops at a failure. Or a user materialised a single table, which needs only what comes
before it, in Dagster's own job for assets or in a job of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    DependencyDefinition,
    GraphDefinition,
    NodeInvocation,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorResult,
    SkipReason,
)

from starlake_core import TaskKind

from .context import TEARS_DOWN
from .executor import thread_executor
from .options import DagsterOptions
from .outputs import RESULT
from .pipeline import DagsterPipeline

__all__ = ["TORN_DOWN", "tear_down_of"]

TORN_DOWN = "starlake/torn_down"
"""Tag of a run after which the user's process has torn down, without Dagster."""

_MOST_RUNS = 50
_OVERLAP = timedelta(seconds=5)
_DAY = timedelta(days=1)
_ENDED = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED, DagsterRunStatus.SUCCESS]
_WILL_RETRY = "dagster/will_retry"
_RETRY = "dagster/retry_number"


def tear_down_of(pipeline: DagsterPipeline) -> tuple[Any, Any] | None:
    """The job that tears down what a run of a pipeline left, and the sensor that starts it; None if nothing is set up.

    Args:
        pipeline: a rendered pipeline.
    """
    paths = [
        path for path, task in pipeline.flat.tasks.items() if task.kind is TaskKind.TEARDOWN and task.job is not None
    ]
    if not paths:
        return None
    names = pipeline.flat.names
    # One after the other, in the order of the pipeline.
    dependencies: dict[Any, dict[str, Any]] = {}
    before: str | None = None
    for path in paths:
        op = pipeline.ops[path]
        name = names[path]
        inputs = {next(iter(op.ins)): DependencyDefinition(before, RESULT)} if before is not None and op.ins else {}
        dependencies[NodeInvocation(op.name, alias=name)] = inputs
        before = name
    graph = GraphDefinition(
        name=f"{pipeline.name}_tear_down",
        node_defs=[pipeline.ops[path] for path in paths],
        dependencies=dependencies,
        description=f"Tears down what a run of {pipeline.pipeline.id} set up but could not tear down itself. To launch it by hand, set the tag "
        f"{TEARS_DOWN} to the id of that run.",
    )
    native = pipeline.pipeline.native_options
    # What a run needs where it runs (a service account, a queue) may be in its tags; that of the pipeline limits its runs, and this is none.
    job = graph.to_job(
        executor_def=thread_executor(1), run_tags=native.get("run_tags"), hooks=set(native.get("hooks") or ()) or None
    )
    setups = [path for path, task in pipeline.flat.tasks.items() if task.kind is TaskKind.SETUP]
    began = frozenset(pipeline.flat.step(path) for path in (setups or pipeline.flat.tasks))
    steps = frozenset(paths)

    def evaluate(context: Any) -> Any:
        return _evaluate(context, pipeline, began, steps)

    sensor = SensorDefinition(
        name=f"{pipeline.name}_tear_down_sensor",
        evaluation_fn=evaluate,
        job=job,
        minimum_interval_seconds=pipeline.pipeline.options[DagsterOptions].sensor_interval,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Tears down what runs of {pipeline.pipeline.id} left: failed and cancelled runs, and runs of single assets.",
    )
    return job, sensor


def _evaluate(context: Any, pipeline: DagsterPipeline, began: frozenset[str], steps: frozenset[str]) -> Any:
    instance = context.instance
    since = _since(context.cursor)
    # Its assets may be in any job, under keys that begin with its name; the steps of a pipeline without assets are in its own job only.
    wanted = RunsFilter(job_name=None if pipeline.keys else pipeline.name, statuses=_ENDED, updated_after=since)
    records = instance.get_run_records(wanted, limit=_MOST_RUNS, order_by="update_timestamp", ascending=True)
    runs = [record.dagster_run for record in records if TEARS_DOWN not in record.dagster_run.tags]
    requests = [
        RunRequest(run_key=f"tears down {run.run_id}", tags={TEARS_DOWN: run.run_id})
        for run in runs
        if _is_left(instance, run, pipeline.facts.steps, began, steps)
    ]
    cursor = json.dumps(max(since, _looked_until(records, since)).isoformat())
    if not requests:
        return SensorResult(skip_reason=SkipReason("no run left anything"), cursor=cursor)
    return SensorResult(run_requests=requests, cursor=cursor)


def _looked_until(records: Sequence[Any], since: datetime) -> datetime:
    """The time up to which all runs were checked."""
    if not records:
        return since - _OVERLAP
    last: datetime = records[-1].update_timestamp.astimezone(timezone.utc)
    # Two runs may end at the same time: those of the last seconds are checked again, and a run key is used only once.
    return last if len(records) == _MOST_RUNS else last - _OVERLAP


def _since(cursor: str | None) -> datetime:
    """The time from which runs are checked."""
    with suppress(TypeError, ValueError):
        found = datetime.fromisoformat(json.loads(cursor or "null"))
        # One that is far ahead, which a clock that was wrong left, would hide every run.
        if found.tzinfo is not None and found < datetime.now(timezone.utc) + _DAY:
            return found.astimezone(timezone.utc)
    return datetime.now(timezone.utc) - _DAY


def _is_left(instance: Any, run: Any, keys: Mapping[str, str], began: frozenset[str], steps: frozenset[str]) -> bool:
    """Whether a run started and did not tear down, and Dagster does not retry it by itself."""
    if run.tags.get(_WILL_RETRY) == "true":
        return False
    wanted = [key for key, path in keys.items() if path in began or path in steps]
    while run is not None:
        if TORN_DOWN in run.tags:
            return False
        status = {
            keys[stats.step_key]: str(getattr(stats.status, "value", ""))
            for stats in instance.get_run_step_stats(run.run_id, wanted)
        }
        if all(status.get(name) == "SUCCESS" for name in steps):
            return False
        if any(status.get(name, "SKIPPED") != "SKIPPED" for name in began):
            return True
        # An automatic retry may continue with what its parent set up.
        run = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id and _RETRY in run.tags else None
    return False
