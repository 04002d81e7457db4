"""Runs a pipeline in this process, with Dagster's own machinery."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timezone
from tempfile import TemporaryDirectory
from typing import Any

from dagster import DagsterEventType, DagsterInstance, ExecutorRequirement

from starlake_core import (
    DataInterval,
    Pipeline,
    Report,
    RunError,
    RunRequest,
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
from starlake_core.freshness import ByHand, Kind, Recorded
from starlake_core.model.run_options import overlay
from starlake_core.orchestrators.events import INTERVAL_END, INTERVAL_START
from starlake_core.plain_text import plain
from starlake_core.runtime import Verdict, rest_runners

from .context import PARTITION_FORMAT, RUN_ID
from .decisions import DECIDED, STARTED_BY, clock, judged, tags_of
from .executor import InProcess, run_in_process
from .observer import Observation, observing
from .options import DagsterOptions
from .pipeline import DagsterPipeline
from .teardown_sensor import TORN_DOWN
from .watching import PARTLY, RECORD, active_run, look

__all__ = ["read_recorded", "run_pipeline"]

STOPPED = "stopped by the user"
_MOST_OF_AN_ERROR = 600
_BAD = (TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.CANCELLED)


def run_pipeline(pipeline: Pipeline, request: RunRequest) -> Report:
    """Run a pipeline and wait for its end. Its events are stored in the instance of DAGSTER_HOME, if that is set.

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
        raise RunError("Dagster resumes its runs itself: re-execute the run from its failure in the user interface")
    native: DagsterPipeline = pipeline.native
    left_out = {path for path, task in native.flat.tasks.items() if not is_selected(task, request)}
    partly = {step for path, step in native.flat.merged.items() if path in left_out} & {
        step for path, step in native.flat.merged.items() if path not in left_out
    }
    if partly:
        raise RunError(
            f"the tables of {', '.join(sorted(partly))} are loaded in one step and cannot be selected one by one; to select them, run with "
            "--option load_domain_in_one_step=false"
        )
    here = InProcess(frozenset(native.step_key(path) for path in left_out))
    observation = Observation(request)
    token = None
    try:
        with _instance() as instance:
            request, tags = _decided(native, request, instance)
            if request.skip:
                return skipped_report(pipeline, request)
            hopeless = explain_hopeless(pipeline, request)
            if hopeless:
                raise RunError(hopeless)
            observation = Observation(request)
            here.tell = _teller(native, observation, here, left_out)
            here.tell("")
            token = observing.set(observation)
            parallelism = request.parallelism
            if parallelism is None and (left_out or not _has_own_executor(pipeline)):
                parallelism = pipeline.options[DagsterOptions].parallelism
            run_in_process(native.alone, instance, {**_tags(native, request), **tags}, parallelism, here)
    except KeyboardInterrupt:
        here.stopped = True
    finally:
        rest_runners()  # whatever its executor is
        if token is not None:
            observing.reset(token)
    report = _report(pipeline, observation, here, left_out)
    downs = [task.path for task in pipeline.tasks() if task.kind is TaskKind.TEARDOWN and task.job is not None]
    torn_down = bool(downs) and all(report.task(path).state == TaskState.SUCCEEDED for path in downs)
    if here.stopped and here.run_id and torn_down and os.environ.get("DAGSTER_HOME"):
        with _instance() as instance:  # the sensor has nothing to do for this run
            instance.add_run_tags(here.run_id, {TORN_DOWN: "true"})
    return report


def _teller(
    native: DagsterPipeline, observation: Observation, here: InProcess, left_out: Collection[str]
) -> Callable[[str], None]:
    """What tells the listener how the tasks of a step ended, if they ended by themselves. The report of the run tells the rest.

    Args:
        native: the pipeline.
        observation: the run.
        here: what has become of its steps.
        left_out: the paths of the tasks that are not selected.
    """
    steps: dict[str, list[str]] = {}
    for path in native.waits_for:
        if path not in left_out:
            steps.setdefault(native.step_key(path), []).append(path)

    def tell(step: str) -> None:
        for path in steps.get(step, ()):
            # What starts the pipeline has no step, and precedes all others.
            state, reason = _state(native, path, observation, here, ()) if step else (TaskState.SUCCEEDED, "")
            skipped_by_others = state == TaskState.SKIPPED and path not in observation.outcomes
            if _has_ended(native, path, observation, here, state) and not skipped_by_others:
                _tell(observation, _report_of(path, state, reason, observation))

    return tell


def _report_of(path: str, state: TaskState, reason: str, observation: Observation) -> TaskReport:
    outcome, _ = observation.outcomes.get(path, (None, ""))
    return TaskReport(
        path,
        state,
        reason,
        outcome.exit_code if outcome is not None else None,
        observation.attempts.get(path, 1 if state == TaskState.SUCCEEDED else 0),
        outcome.log if outcome is not None else "",
        observation.seconds.get(path, 0.0),
    )


def _tell(observation: Observation, report: TaskReport) -> None:
    observation.tell(TaskEvent(report.id, report.state, report.attempts, report.reason, log=report.log))


def _has_own_executor(pipeline: Pipeline) -> bool:
    """Whether the user set an executor that can run a job of this process: others load the job from its file in their own processes."""
    if pipeline.native_options.get("executor_def") is None:
        return False
    return ExecutorRequirement.RECONSTRUCTABLE_JOB not in pipeline.native.alone.executor_def.get_requirements({})


@contextmanager
def _instance() -> Iterator[Any]:
    """The instance of DAGSTER_HOME, or else a temporary one: in files, because threads cannot share one in memory."""
    if os.environ.get("DAGSTER_HOME"):
        with _instance_of_home() as instance:
            yield instance
        return
    with TemporaryDirectory(prefix="starlake-dagster-") as folder, DagsterInstance.local_temp(folder) as instance:
        yield instance


def _instance_of_home() -> Any:
    """The instance of DAGSTER_HOME.

    Raises:
        RunError: it cannot be opened: its folder or its dagster.yaml is wrong.
    """
    try:
        return DagsterInstance.get()
    except Exception as error:  # of Dagster, of YAML, of a storage
        said = plain(f"{error}".strip() or type(error).__name__)
        said = (
            said if len(said) <= _MOST_OF_AN_ERROR else f"{said[:_MOST_OF_AN_ERROR]} ..."
        )  # it may list everything that is allowed
        raise RunError(
            f"the instance of DAGSTER_HOME ({os.environ['DAGSTER_HOME']}) cannot be opened: {said}\nMend the folder or its dagster.yaml, or unset "
            "DAGSTER_HOME to run in a temporary instance"
        ) from error


def _decided(native: DagsterPipeline, request: RunRequest, instance: Any) -> tuple[RunRequest, dict[str, str]]:
    """The request of a pipeline that datasets start, with the interval and the variables that are decided, or with the reason why it must not
    run; and the tags of the run.

    Raises:
        RunError: run variables contradict each other, or another run would process the same data.
    """
    watch, run = native.facts.watch, request.run
    if watch is None:
        return request, {}
    asked = None
    if not request.triggered:
        given = run.interval.start.astimezone(timezone.utc) < run.interval.end.astimezone(timezone.utc)
        asked = ByHand(
            date=None if given else run.interval.end, interval=run.interval if given else None, variables=run.options
        )
    if request.triggered or request.date is None:
        other = active_run(instance, watch.job)
        if other is not None:
            why = f"run {other.run_id} of {watch.job} is active, and both would process the same data"
            if request.triggered:
                return replace(request, skip=f"waiting: {why}"), {}
            raise RunError(f"{why}. Run it when that one has ended, or for another date, with --date")
    decision = judged(instance, watch, native.own, asked, clock(), request.patient)
    if decision.kind is not Kind.RUN:
        # A run by hand keeps the interval of its request if nothing else is known.
        waits = "waiting" if decision.kind is Kind.WAIT else "nothing to do"
        return replace(request, skip=f"{waits}: {decision.why}") if request.triggered else request, {}
    if decision.error:
        raise RunError(decision.error)
    assert decision.interval is not None
    tags = tags_of(decision, "by hand", whole=not (request.select or request.exclude))
    # Not the variables: the observation passes them to the steps, and they may contain secrets.
    kept = {name: tags[name] for name in (STARTED_BY, DECIDED, RECORD) if name in tags}
    start, end = (moment.astimezone(run.zone) for moment in (decision.interval.start, decision.interval.end))
    variables = overlay(decision.variables, run.options)
    return replace(request, run=replace(run, interval=DataInterval(start, end), options=variables)), kept


def read_recorded(pipeline: Pipeline) -> Recorded | None:
    """What the instance of DAGSTER_HOME has recorded for a pipeline that datasets start; None without an instance.

    Args:
        pipeline: a rendered pipeline.
    """
    native: DagsterPipeline = pipeline.native
    if native.facts.watch is None or not os.environ.get("DAGSTER_HOME"):
        return None
    with _instance() as instance:
        seen = look(instance, native.facts.watch, native.own)
    problem = next((seen.unreadable[name] for name in sorted(seen.unreadable)), "")
    return Recorded(seen.events, seen.previous, problem)


def _tags(native: DagsterPipeline, request: RunRequest) -> dict[str, str]:
    run = request.run
    # Not the variables: the observation passes them to the steps, and they may contain secrets.
    tags = {
        INTERVAL_START: run.interval.start.isoformat(),
        INTERVAL_END: run.interval.end.isoformat(),
        RUN_ID: run.run_id,
        **({PARTLY: "true"} if request.select or request.exclude else {}),
    }
    if native.partitions is not None:
        # A run that is requested outside the schedule has no partition.
        key = run.interval.start.astimezone(run.zone).strftime(PARTITION_FORMAT)
        if native.partitions.has_partition_key(key):
            tags["dagster/partition"] = key
    return tags


def _report(pipeline: Pipeline, observation: Observation, here: InProcess, left_out: Collection[str]) -> Report:
    native: DagsterPipeline = pipeline.native
    run = observation.request.run
    reports: dict[str, TaskReport] = {}
    for path, waits_for in native.waits_for.items():
        task = native.flat.tasks[path]
        if path in left_out:
            report = TaskReport(path, TaskState.EXCLUDED, "not selected")
        else:
            befores = [reports[other] for other in waits_for]
            state, reason = _state(native, path, observation, here, befores)
            if here.stopped and not _has_ended(native, path, observation, here, state):
                state, reason = TaskState.CANCELLED, STOPPED
            if here.stopped and state in _BAD and task.kind is TaskKind.TEARDOWN and task.job is not None:
                state, reason = tear_down(pipeline, task, run)
            report = _report_of(path, state, reason, observation)
        reports[path] = report
        _tell(observation, report)
    tasks = tuple(reports[path] for path in native.flat.tasks)
    datasets = [
        dataset.uri
        for path, task in native.flat.tasks.items()
        for dataset in task.outlets
        if reports[path].state == TaskState.SUCCEEDED
    ]
    failed = any(report.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED) for report in tasks)
    ends = [reports[path] for path, task in native.flat.tasks.items() if task.kind is TaskKind.END]
    reason = next((end.reason for end in ends if end.state != TaskState.EXCLUDED), "")
    state = TaskState.SUCCEEDED
    if here.stopped:
        state, reason = TaskState.CANCELLED, STOPPED
    elif failed or here.failure:
        state, reason = TaskState.FAILED, "" if failed else here.failure
    return Report(
        pipeline.id,
        run.run_id,
        state,
        tasks,
        tuple(dict.fromkeys(datasets)),
        reason,
        interval=run.interval,
        group=observation.request.group,
    )


def _has_ended(native: DagsterPipeline, path: str, observation: Observation, here: InProcess, state: TaskState) -> bool:
    """Whether a task of a stopped run had ended by itself: its job was not cancelled, and no retry was pending."""
    outcome, _ = observation.outcomes.get(path, (None, ""))
    end = here.ends.get(native.step_key(path))
    if state == TaskState.FAILED:
        return outcome is not None and outcome.verdict is Verdict.FAILED
    if state == TaskState.SKIPPED:
        return end == DagsterEventType.STEP_SKIPPED.value or (
            outcome is not None and outcome.verdict is Verdict.NOT_READY
        )
    return state == TaskState.SUCCEEDED


def _state(
    native: DagsterPipeline, path: str, observation: Observation, here: InProcess, befores: Sequence[TaskReport]
) -> tuple[TaskState, str]:
    outcome, reason = observation.outcomes.get(path, (None, ""))
    key = native.step_key(path)
    if not key and (here.ends or observation.outcomes):  # the start of a pipeline has no step
        return TaskState.SUCCEEDED, ""
    end = here.ends.get(key)
    if outcome is not None and outcome.verdict is Verdict.NOT_READY:
        return TaskState.SKIPPED, reason
    if end == DagsterEventType.STEP_SUCCESS.value or (
        outcome is not None and outcome.succeeded and path in native.flat.merged
    ):
        return TaskState.SUCCEEDED, ""
    if end == DagsterEventType.STEP_FAILURE.value:
        return TaskState.FAILED, reason or "see the log of the step"
    bad = [before for before in befores if before.state in _BAD]
    causes = bad or [before for before in befores if before.state == TaskState.SKIPPED]
    cause = next((before.reason for before in causes if before.reason), "an upstream task did not run")
    return (TaskState.UPSTREAM_FAILED if bad else TaskState.SKIPPED), cause
