"""Runs a pipeline: in this process with Airflow's own test run, or on a server through its API."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from starlake_core import (
    Pipeline,
    Report,
    RunError,
    RunRequest,
    Task,
    TaskEvent,
    TaskKind,
    TaskReport,
    TaskState,
    dry_run_report,
    explain_hopeless,
    is_selected,
    skipped_report,
    tear_down,
)
from starlake_core.freshness import Recorded
from starlake_core.logs import get_logger
from starlake_core.processes.supervisor import interrupts
from starlake_core.runtime import rest_runners

from .context import current_run
from .observer import STOPPED, Observation, observing
from .options import AirflowOptions
from .versions import in_test_run

__all__ = ["backfill", "read_server", "run_pipeline"]

logger = get_logger(__name__)

_STATES: Mapping[str, TaskState] = {
    "success": TaskState.SUCCEEDED,
    "skipped": TaskState.SKIPPED,
    "failed": TaskState.FAILED,
    "upstream_failed": TaskState.UPSTREAM_FAILED,
    "up_for_retry": TaskState.RETRYING,
    "up_for_reschedule": TaskState.POKING,
    "running": TaskState.RUNNING,
    "deferred": TaskState.RUNNING,
    "queued": TaskState.QUEUED,
    "scheduled": TaskState.QUEUED,
}


def _api(pipeline: Pipeline) -> Any:
    options = pipeline.options[AirflowOptions]
    if not options.airflow_api_base_url:
        return None
    from .rest import Api

    return Api.connect(
        options.airflow_api_base_url,
        options.airflow_username,
        options.airflow_password,
        options.airflow_token,
    )


def run_pipeline(pipeline: Pipeline, request: RunRequest) -> Report:
    """Run a pipeline and wait for its end.

    Args:
        pipeline: a rendered pipeline.
        request: what to run.

    Raises:
        RunError: it cannot run from here.
    """
    if request.dry_run:
        return dry_run_report(pipeline, request)
    if request.skip:
        return skipped_report(pipeline, request)
    if request.resume:
        raise RunError(
            "Airflow resumes its runs itself: clear the failed tasks in its user interface, or with: airflow tasks clear"
        )
    api = _api(pipeline)
    if api is not None:
        from . import rest

        return rest.run(api, pipeline, request)
    hopeless = explain_hopeless(pipeline, request)
    if hopeless:
        raise RunError(hopeless)
    return _run_here(pipeline, request)


def backfill(pipeline: Pipeline, requests: Sequence[RunRequest]) -> Iterable[Report] | None:
    """Run several intervals with Airflow's own backfill, if the options name a server that has one.

    Args:
        pipeline: a rendered pipeline.
        requests: the runs, in the order of their dates.

    Returns:
        The reports as the runs end, or None: run them one after the other.
    """
    api = _api(pipeline)
    if api is None:
        return None
    from . import rest

    reports: Iterable[Report] | None = rest.backfill(api, pipeline, requests)
    return reports


def read_server(pipeline: Pipeline) -> Recorded | None:
    """What the server that the options name has recorded for a pipeline that datasets start; None if they name none.

    Args:
        pipeline: a rendered pipeline.

    Raises:
        RunError: the server cannot be read.
    """
    api = _api(pipeline)
    if api is None:
        return None
    from .rest_events import read_recorded

    return read_recorded(api, pipeline)


@contextmanager
def _left_out(dag: Any, excluded: Iterable[str]) -> Iterator[None]:
    """While this block is active, tasks that are not selected emit nothing: Airflow would emit for every successful task."""
    outlets = {task_id: dag.task_dict[task_id].outlets for task_id in excluded if task_id in dag.task_dict}
    for task_id in outlets:
        dag.task_dict[task_id].outlets = []
    try:
        yield
    finally:
        for task_id, kept in outlets.items():
            dag.task_dict[task_id].outlets = kept


@contextmanager
def _hearing(observation: Observation) -> Iterator[None]:
    """While this block is active, an interrupt stops the run wherever it arrives.

    Between the operators, Airflow takes it for the failure of a task, and begins the next one.
    """

    def heard(before: Callable[..., Any]) -> Callable[..., None]:
        def handle(*arguments: Any) -> None:
            try:
                before(*arguments)
            except KeyboardInterrupt:
                observation.stopped = True
                raise

        return handle

    with ExitStack() as stack:
        here = threading.current_thread() is threading.main_thread()
        for number in interrupts() if here else ():
            before = signal.getsignal(number)
            if callable(before):
                stack.callback(signal.signal, number, before)
                signal.signal(number, heard(before))
        yield


def _run_here(pipeline: Pipeline, request: RunRequest) -> Report:
    if request.triggered:
        raise RunError(
            "in this process nobody knows which datasets have changed, so it cannot be decided whether the run starts. Set "
            "airflow_api_base_url, so that a server decides it"
        )
    run, dag = request.run, pipeline.native
    left_out = {task.path for task in pipeline.tasks() if not is_selected(task, request)}
    excluded = frozenset(left_out)
    observation = Observation(request, pipeline.plugins, pipeline.source, excluded)
    token = current_run.set(run)
    try:
        with observing(observation), _hearing(observation), _left_out(dag, excluded):
            dag_run = in_test_run(dag)
            instances = {ti.task_id: ti for ti in dag_run.get_task_instances()}
    except KeyboardInterrupt:
        observation.stopped = True
    finally:
        current_run.reset(token)
        rest_runners()  # who started the run may open the database now
    if observation.stopped:
        return _stopped(pipeline, observation)
    reports = _reports(pipeline, observation, instances, left_out)
    for report in reports:
        observation.tell(TaskEvent(report.id, report.state, report.attempts, report.reason, log=report.log))
    datasets = [
        dataset.uri
        for task, report in zip(pipeline.tasks(), reports, strict=True)
        for dataset in task.outlets
        if report.state == TaskState.SUCCEEDED
    ]
    failed = any(report.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED) for report in reports)
    state = TaskState.SUCCEEDED if str(dag_run.state) == "success" and not failed else TaskState.FAILED
    ends = [
        report.reason
        for task, report in zip(pipeline.tasks(), reports, strict=True)
        if task.kind is TaskKind.END and report.reason
    ]
    return Report(
        pipeline.id,
        run.run_id,
        state,
        tuple(reports),
        tuple(dict.fromkeys(datasets)),
        ends[0] if ends and state == TaskState.SUCCEEDED else "",
        interval=run.interval,
        group=request.group,
    )


def _stopped(pipeline: Pipeline, observation: Observation) -> Report:
    """The report of a run that the user stopped; what was set up is torn down first."""
    run, reports = observation.request.run, []
    for task in pipeline.tasks():
        if task.path in observation.excluded:
            reports.append(TaskReport(task.path, TaskState.EXCLUDED, "not selected"))
            continue
        outcome, reason = observation.outcomes.get(task.path, (None, ""))
        done = task.path in observation.succeeded or (outcome is not None and outcome.succeeded)
        state = TaskState.SUCCEEDED if done else TaskState.CANCELLED
        if task.kind is TaskKind.TEARDOWN and task.job is not None and outcome is None:
            state, reason = tear_down(pipeline, task, run)
        report = TaskReport(task.path, state, "" if state == TaskState.SUCCEEDED else reason or STOPPED)
        observation.tell(TaskEvent(report.id, report.state, reason=report.reason))
        reports.append(report)
    return Report(pipeline.id, run.run_id, TaskState.CANCELLED, tuple(reports), (), STOPPED, interval=run.interval)


def _reports(
    pipeline: Pipeline,
    observation: Observation,
    instances: Mapping[str, Any],
    left_out: set[str],
) -> list[TaskReport]:
    reports: list[TaskReport] = []
    befores = _befores(pipeline)
    by_id: dict[str, TaskReport] = {}
    for task in pipeline.tasks():
        if task.path in left_out:
            report = TaskReport(task.path, TaskState.EXCLUDED, "not selected")
        else:
            report = _report(task, observation, instances.get(task.path), [by_id[p] for p in befores[task.path]])
        by_id[task.path] = report
        reports.append(report)
    return reports


def _report(task: Task, observation: Observation, instance: Any, befores: Sequence[TaskReport]) -> TaskReport:
    outcome, reason = observation.outcomes.get(task.path, (None, ""))
    state = _state(instance)
    if state == TaskState.SUCCEEDED:
        reason = ""
    elif not reason:
        causes = [before.reason for before in befores if before.state != TaskState.SUCCEEDED and before.reason]
        reason = causes[0] if causes else "see the log of the task"
    return TaskReport(
        task.path,
        state,
        reason,
        outcome.exit_code if outcome is not None else None,
        instance.try_number if instance is not None else 0,
        outcome.log if outcome is not None else "",
        float(instance.duration or 0.0) if instance is not None else 0.0,
    )


def _state(instance: Any) -> TaskState:
    if instance is None:
        return TaskState.WAITING
    return _STATES.get(str(getattr(instance.state, "value", instance.state)), TaskState.WAITING)


def _befores(pipeline: Pipeline) -> dict[str, list[str]]:
    """Maps the path of each task to the paths of the tasks directly before it."""
    dag = pipeline.native
    return {
        task.path: sorted(dag.task_dict[task.path].upstream_task_ids) if task.path in dag.task_dict else []
        for task in pipeline.tasks()
    }
