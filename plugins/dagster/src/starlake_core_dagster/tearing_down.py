"""Tearing down what a run set up and could not tear down itself: it was cancelled, its process died, or its executor stops at a failure."""

from __future__ import annotations

import json
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

from .context import TEARS_DOWN
from .executor import thread_executor
from .rendering import DagsterPipeline
from .steps import RESULT

__all__ = ["tear_down_of"]

_MOST_RUNS = 50
_OVERLAP = timedelta(seconds=5)


def tear_down_of(pipeline: DagsterPipeline) -> tuple[Any, Any] | None:
    """The job that tears down what a run of a pipeline left, and the sensor that starts it; None where nothing is set up.

    Args:
        pipeline: rendered.
    """
    paths = [path for path, task in pipeline.flat.tasks.items() if task.teardown and task.job is not None]
    if not paths:
        return None
    names = pipeline.flat.names
    # One after the other, in the order of the pipeline.
    dependencies: dict[Any, dict[str, Any]] = {}
    before: str | None = None
    for path in paths:
        op = pipeline.ops[path]
        name = names[path]
        inputs = {next(iter(op.ins)): DependencyDefinition(before, RESULT)} if before is not None else {}
        dependencies[NodeInvocation(op.name, alias=name)] = inputs
        before = name
    graph = GraphDefinition(
        name=f"{pipeline.name}_tear_down",
        node_defs=[pipeline.ops[path] for path in paths],
        dependencies=dependencies,
        description=f"Tears down what a run of {pipeline.pipeline.id} set up, where that run could not.",
    )
    job = graph.to_job(executor_def=thread_executor(1))
    setups = [path for path, task in pipeline.flat.tasks.items() if task.setup]
    began = [pipeline.step_key(path) for path in (setups or pipeline.flat.tasks)]
    steps = [pipeline.step_key(path) for path in paths]

    def evaluate(context: Any) -> Any:
        return _evaluate(context, pipeline.name, began, steps)

    sensor = SensorDefinition(
        name=f"{pipeline.name}_tear_down_sensor",
        evaluation_fn=evaluate,
        job=job,
        minimum_interval_seconds=pipeline.pipeline.options["sensor_interval"],
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Tears down what failed and cancelled runs of {pipeline.pipeline.id} left.",
    )
    return job, sensor


def _evaluate(context: Any, job_name: str, began: list[str], steps: list[str]) -> Any:
    instance = context.instance
    now = datetime.now(timezone.utc)
    since = datetime.fromisoformat(json.loads(context.cursor)) if context.cursor else now - timedelta(days=1)
    wanted = RunsFilter(
        job_name=job_name, statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED], updated_after=since
    )
    records = instance.get_run_records(wanted, limit=_MOST_RUNS, order_by="update_timestamp", ascending=True)
    requests = [
        RunRequest(run_key=f"tears down {record.dagster_run.run_id}", tags={TEARS_DOWN: record.dagster_run.run_id})
        for record in records
        if _is_left(instance, record.dagster_run, began, steps)
    ]
    # Two runs may end at the same time: those of the last seconds are looked at again, and a run key is taken once.
    seen = max((record.update_timestamp for record in records), default=since)
    cursor = json.dumps(max(since, seen.astimezone(timezone.utc) - _OVERLAP).isoformat())
    if not requests:
        return SensorResult(skip_reason=SkipReason("no run left anything"), cursor=cursor)
    return SensorResult(run_requests=requests, cursor=cursor)


def _is_left(instance: Any, run: Any, began: list[str], steps: list[str]) -> bool:
    """Whether a run began and did not tear down, and Dagster does not try it again by itself."""
    if run.tags.get("dagster/will_retry") == "true":
        return False
    status = {stats.step_key: stats.status for stats in instance.get_run_step_stats(run.run_id, [*began, *steps])}
    done = all(str(getattr(status.get(key), "value", "")) == "SUCCESS" for key in steps)
    return any(key in status for key in began) and not done
