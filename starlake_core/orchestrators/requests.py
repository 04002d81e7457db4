"""Requests for runs of a pipeline."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from fnmatch import fnmatchcase

from ..errors import BindError, NothingFoundError, StarlakeError
from ..model.graph import Pipeline, Task
from ..model.job import Job
from ..model.run import DataInterval, Report, Run, RunRequest, TaskReport, TaskState
from ..model.run_options import OPTIONS, read_sections
from ..model.schedule import aware_date, data_interval

__all__ = ["dry_run_report", "explain_hopeless", "is_selected", "matches", "request_run", "skipped_report", "tear_down"]


def request_run(
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
) -> RunRequest:
    """Create the request for a run of a pipeline, with the data interval from its schedule, and with the deployment
    ``pipeline.deployment_at()``.

    Args:
        pipeline: the pipeline.
        scheduled_date: the end of the data interval; now by default. If the schedule does not fire then, the last
            complete interval is used.
        run_id: the id of the run; generated if omitted.
        variables: see :class:`Run`; the value of ``sl_options`` is its ``options``, as JSON.
        retry_unsafe: see :class:`Run`.
        dry_run, select, exclude, parallelism, group, listener: see :class:`RunRequest`.

    Raises:
        NothingFoundError: a pattern matches no task.
        RunError: ``sl_options`` cannot be read.
    """
    now = datetime.now(timezone.utc).replace(microsecond=0)
    moment = aware_date(scheduled_date, pipeline.zone) if scheduled_date is not None else now
    interval: DataInterval = data_interval(_cron(pipeline), moment, pipeline.zone, pipeline.fires)
    known = list(pipeline.tasks())
    for pattern in (*select, *exclude):
        if not any(matches(task, pattern) for task in known):
            raise NothingFoundError(
                f"pattern '{pattern}' matches no task of pipeline {pipeline.id}; use the id or path of a task or a domain, with * "
                "and ? as wildcards. See the tasks with: starlake-orchestrate graph"
            )
    given = dict(variables or {})
    options = read_sections(given.pop(OPTIONS, None), f"the variable {OPTIONS}")
    run = Run(
        pipeline.id,
        run_id or f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        interval,
        pipeline.zone,
        deployment=pipeline.deployment_at(),
        variables=given,
        retry_unsafe=retry_unsafe,
        options=options,
    )
    return RunRequest(
        run,
        select=select,
        exclude=exclude,
        parallelism=parallelism,
        group=group,
        dry_run=dry_run,
        date=moment if scheduled_date is not None else None,
        listener=listener,
    )


def _cron(pipeline: Pipeline) -> str | None:
    return pipeline.cron or (pipeline.trigger.cron if pipeline.trigger else None)


def matches(task: Task, pattern: str) -> bool:
    """Return whether a pattern matches a task by its id, path, domain, ``domain.table`` or transform."""
    about = task.command
    names = [task.id, task.path, task.domain, about.transform if about else ""]
    if about is not None:
        names.extend(f"{about.domain}.{table}" for table in about.tables)
    return any(fnmatchcase(name, pattern) for name in names if name)


def is_selected(task: Task, request: RunRequest) -> bool:
    """Return whether a run includes a task."""
    if any(matches(task, pattern) for pattern in request.exclude):
        return False
    return not request.select or any(matches(task, pattern) for pattern in request.select)


def dry_run_report(pipeline: Pipeline, request: RunRequest) -> Report:
    """Return the report of a dry run: each task with the command that it would run, as a line for a shell if the
    environment has one.

    Args:
        pipeline: the rendered pipeline.
        request: the request for the run.

    Raises:
        BindError: a variable is not set.
    """
    from ..runtime import in_project, runner_for

    run, reports = request.run, []
    for task in pipeline.tasks():
        if not is_selected(task, request):
            reports.append(TaskReport(task.path, TaskState.EXCLUDED, "not selected"))
        elif task.job is None:
            reports.append(TaskReport(task.path, TaskState.DRY_RUN))
        else:
            job = in_project(task.job.bind(run.attempt(task.path)), pipeline.source)
            runner = runner_for(job, pipeline.plugins)
            reports.append(TaskReport(task.path, TaskState.DRY_RUN, runner.describe(job)))
    return Report(pipeline.id, run.run_id, TaskState.DRY_RUN, tuple(reports), interval=run.interval)


def explain_hopeless(pipeline: Pipeline, request: RunRequest, done: Collection[str] = ()) -> str:
    """Return why a run cannot succeed, however often its tasks are tried (``sl_check_jobs``); empty if nothing is known.

    An orchestrator asks before it starts anything, and then starts nothing.

    Args:
        pipeline: the rendered pipeline.
        request: the request for the run.
        done: the paths of tasks that an earlier run has done.
    """
    from ..runtime import in_project

    jobs: list[Job] = []
    for task in () if request.skip else pipeline.tasks():
        if task.job is not None and task.path not in done and is_selected(task, request):
            with suppress(BindError):  # its own attempt reports that
                jobs.append(in_project(task.job.bind(request.run.attempt(task.path)), pipeline.source))
    found = list(dict.fromkeys(pipeline.plugins.check_jobs(jobs)))
    if not found:
        return ""
    return f"nothing was started, because no attempt can succeed before the project is corrected: {'; '.join(found)}"


def skipped_report(pipeline: Pipeline, request: RunRequest) -> Report:
    """Return the report of a run with nothing to do.

    Args:
        pipeline: the pipeline.
        request: the request, with the reason in ``skip``.
    """
    tasks = tuple(TaskReport(task.path, TaskState.SKIPPED, request.skip) for task in pipeline.tasks())
    return Report(
        pipeline.id,
        request.run.run_id,
        TaskState.SUCCEEDED,
        tasks,
        reason=request.skip,
        interval=request.run.interval,
        group=request.group,
    )


def tear_down(pipeline: Pipeline, task: Task, run: Run) -> tuple[TaskState, str]:
    """Run a tear-down without its orchestrator, which has stopped because the user stopped the run.

    Args:
        pipeline: the rendered pipeline.
        task: the tear-down, which has a job.
        run: the stopped run.

    Returns:
        The final state, and the reason.
    """
    from ..runtime import execute, in_project, pausing, runner_for

    assert task.job is not None
    attempt = run.attempt(task.path)
    try:
        with pausing(None):  # what stopped the run does not stop this
            job = in_project(task.job.bind(attempt), pipeline.source)
            runner = runner_for(job, pipeline.plugins)
            outcome = execute(job, runner, attempt.key, timeout=task.timeout)
    except StarlakeError as error:
        return TaskState.FAILED, str(error)
    return (TaskState.SUCCEEDED, "") if outcome.succeeded else (TaskState.FAILED, outcome.reason)
