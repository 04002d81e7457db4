"""Making the run of a pipeline, from what a person asks for."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .errors import NothingFoundError, StarlakeError
from .graph import Pipeline, Task
from .run import DataInterval, Report, Run, TaskReport, TaskState
from .schedule import aware_date, data_interval

if TYPE_CHECKING:
    from .pipeline import StarlakePipeline

__all__ = ["described", "fits", "new_run", "selected", "tear_down"]


def new_run(
    pipeline: Pipeline,
    scheduled_date: datetime | None = None,
    *,
    run_id: str | None = None,
    dry_run: bool = False,
    variables: Mapping[str, str] | None = None,
    select: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    parallelism: int | None = None,
    group: str = "",
    retry_unsafe: str = "",
    listener: Callable[..., None] | None = None,
) -> Run:
    """Make a run of a pipeline with the data interval that its schedule gives.

    Args:
        pipeline: what to run.
        scheduled_date: end of the data interval; now by default. Where the schedule does not fire then, the last complete
            interval is taken.
        run_id: made up by default.
        dry_run, variables, select, exclude, parallelism, group, retry_unsafe, listener: see :class:`Run`.

    Raises:
        NothingFoundError: a pattern fits no task.
    """
    now = datetime.now(timezone.utc).replace(microsecond=0)
    moment = aware_date(scheduled_date, pipeline.zone) if scheduled_date is not None else now
    interval: DataInterval = data_interval(_cron(pipeline), moment, pipeline.zone)
    known = list(pipeline.tasks())
    for pattern in (*select, *exclude):
        if not any(fits(task, pattern) for task in known):
            raise NothingFoundError(
                f"pattern '{pattern}' fits no task of pipeline {pipeline.id}; it takes the id or path of a task or a domain, with * "
                "and ? as wildcards. See the tasks with: starlake-orchestrate graph"
            )
    return Run(
        pipeline.id,
        run_id or f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        interval,
        pipeline.zone,
        deployment=pipeline.deployment_at(),
        dry_run=dry_run,
        variables=dict(variables or {}),
        select=select,
        exclude=exclude,
        parallelism=parallelism,
        group=group,
        retry_unsafe=retry_unsafe,
        listener=listener,
    )


def _cron(pipeline: Pipeline) -> str | None:
    return pipeline.cron or (pipeline.trigger.cron if pipeline.trigger else None)


def fits(task: Task, pattern: str) -> bool:
    """Whether a pattern names a task: by its id or path, its domain, ``domain.table`` or transform."""
    about = task.command
    names = [task.id, task.path, task.domain, about.transform if about else ""]
    if about is not None:
        names.extend(f"{about.domain}.{table}" for table in about.tables)
    return any(fnmatchcase(name, pattern) for name in names if name)


def selected(task: Task, run: Run) -> bool:
    """Whether a run includes a task."""
    if any(fits(task, pattern) for pattern in run.exclude):
        return False
    return not run.select or any(fits(task, pattern) for pattern in run.select)


def described(pipeline: StarlakePipeline, run: Run) -> Report:
    """The report of a dry run: every task with the command that it would run, as a line for a shell where the environment has one.

    Args:
        pipeline: rendered.
        run: what is known of the run.

    Raises:
        BindError: a variable is not set.
    """
    from .runtime import in_project, runner_for

    reports = []
    for task in pipeline.tasks():
        if not selected(task, run):
            reports.append(TaskReport(task.path, TaskState.EXCLUDED, "not selected"))
        elif task.job is None:
            reports.append(TaskReport(task.path, TaskState.DRY_RUN))
        else:
            job = in_project(task.job.bind(run.for_attempt(task.path, "1")), pipeline.source)
            runner = runner_for(job, pipeline.orchestration.plugins)
            reports.append(TaskReport(task.path, TaskState.DRY_RUN, runner.describe(job)))
    return Report(pipeline.id, run.run_id, TaskState.DRY_RUN, tuple(reports), interval=run.interval)


def tear_down(pipeline: StarlakePipeline, task: Task, run: Run) -> tuple[TaskState, str]:
    """Run a tear-down past its orchestrator, which has stopped because the user stopped the run.

    Args:
        pipeline: rendered.
        task: the tear-down; it has a job.
        run: that was stopped.

    Returns:
        The state in which it ended, and why.
    """
    from .runtime import execute, in_project, runner_for

    assert task.job is not None
    attempt = run.for_attempt(task.path, "1")
    try:
        job = in_project(task.job.bind(attempt), pipeline.source)
        runner = runner_for(job, pipeline.orchestration.plugins)
        outcome = execute(job, runner, attempt.key, timeout=task.timeout)
    except StarlakeError as error:
        return TaskState.FAILED, str(error)
    return (TaskState.SUCCEEDED, "") if outcome.succeeded else (TaskState.FAILED, outcome.reason)
