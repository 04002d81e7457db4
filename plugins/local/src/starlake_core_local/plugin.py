"""The hooks of the orchestrator ``local``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path

from starlake_core import (
    CreateChildren,
    OptionGroup,
    Options,
    Pipeline,
    Report,
    RunError,
    RunRequest,
    Task,
    TaskGroup,
    TaskReport,
    TaskState,
    dry_run_report,
    explain_hopeless,
    hookimpl,
)
from starlake_core.freshness import Event, FreshnessPolicy, Recorded
from starlake_core.model.identity import instance_of
from starlake_core.plain_text import plain
from starlake_core.processes.supervisor import guard, is_locked, run_lock
from starlake_core.runtime import in_project, rest_runners
from starlake_core.short_names import file_name

from .folders import state_folder
from .options import LocalOptions
from .plan import Container, Plan, Step, flatten
from .scheduler import Scheduler
from .store import RunRecord, Store, now
from .triggering import Refusal, decided, emitted, given_rows, read_recorded, recalled

PATIENCE = 300.0
"""How long a run waits for the processes of an earlier one to end, in seconds."""


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [LocalOptions]


@hookimpl
def sl_create_task(task: Task) -> Step:
    return Step(task.path, task)


@hookimpl
def sl_create_task_group(group: TaskGroup, create_children: CreateChildren) -> Container:
    return Container(group, create_children())


@hookimpl
def sl_create_pipeline(pipeline: Pipeline, create_children: CreateChildren) -> Plan:
    return flatten(Container(pipeline, create_children()), pipeline)


def _lock(folder: Path, run_id: str) -> Path:
    return folder / "locks" / file_name(run_id, ".lock")


def _fingerprint(pipeline: Pipeline) -> str:
    plan: Plan = pipeline.native
    return plan.fingerprint


def _record(pipeline: Pipeline, request: RunRequest) -> RunRecord:
    return RunRecord(
        request.run.run_id,
        pipeline.id,
        _fingerprint(pipeline),
        TaskState.PLANNED,
        request.run.interval,
        request.select,
        request.exclude,
        request.group,
        now(),
    )


@hookimpl
def sl_plan_runs(pipelines: Sequence[Pipeline], requests: Sequence[RunRequest]) -> None:
    stores: dict[Path, list[RunRecord]] = {}
    for pipeline, request in zip(pipelines, requests, strict=True):
        folder = state_folder(pipeline.options, pipeline.source)
        stores.setdefault(folder, []).append(_record(pipeline, request))
    for folder, records in stores.items():
        with closing(Store(folder)) as store:
            store.plan(records)


@hookimpl
def sl_hold_runs(pipelines: Sequence[Pipeline], requests: Sequence[RunRequest], reason: str) -> None:
    stores: dict[Path, list[str]] = {}
    for pipeline, request in zip(pipelines, requests, strict=True):
        stores.setdefault(state_folder(pipeline.options, pipeline.source), []).append(request.run.run_id)
    for folder, run_ids in stores.items():
        with closing(Store(folder)) as store:
            store.hold(run_ids, plain(reason))


@hookimpl
def sl_run_pipeline(pipeline: Pipeline, request: RunRequest) -> Report:
    if request.dry_run:
        return dry_run_report(pipeline, request)
    options, run_id = pipeline.options, request.run.run_id
    folder = state_folder(options, pipeline.source)
    with closing(Store(folder)) as store:
        if request.resume and store.get(run_id) is None:
            raise RunError(
                f"there is no run '{run_id}' in {folder}; list the recorded runs with: starlake-orchestrate runs"
            )
        with _one_at_a_time(folder, pipeline), run_lock(_lock(folder, run_id), patience=PATIENCE) as waited:
            record = store.get(run_id)
            if record is not None:
                if waited and record.state == TaskState.SUCCEEDED:
                    return next(report for report in store.reports(None) if report.run_id == run_id)
                request = _taken_up(record, pipeline, request)
            undecided = record is None or not _has_begun(record)
            if request.resume:
                refused = not undecided and pipeline.trigger is not None and _never_started(store, record)
                undecided = undecided or refused
                # A run that was refused when it started is decided again.
                request = replace(request, triggered=True) if refused else recalled(store, request)
            if pipeline.trigger is not None and not request.skip and undecided:
                try:
                    request = decided(store, pipeline, request)
                except Refusal as error:
                    return _refused(store, pipeline, request, str(error))
            begun = _record(pipeline, request)
            run = replace(request.run, instance=instance_of((record or begun).started))
            guard.start()
            scheduler = Scheduler(
                pipeline.native,
                replace(request, run=run),
                pipeline.plugins,
                store,
                request.parallelism or options[LocalOptions].parallelism,
                lambda job: in_project(job, pipeline.source),
            )
            recorded = store.tasks(run_id)
            with scheduler.signals():
                store.begin(begun)
                done = {path for path, row in recorded.items() if row.state in (TaskState.SUCCEEDED, TaskState.SKIPPED)}
                faults = explain_hopeless(pipeline, replace(request, run=run), done)
                try:
                    state, reason = (TaskState.FAILED, faults) if faults else scheduler.execute(recorded)
                finally:
                    rest_runners()  # who started the run may open the database now
                report = Report(
                    pipeline.id,
                    run_id,
                    state,
                    scheduler.reports(),
                    scheduler.datasets(),
                    reason,
                    interval=run.interval,
                    group=request.group,
                )
                store.end(run_id, state, reason, emitted(pipeline, replace(request, run=run), report))
            return report


def _refused(store: Store, pipeline: Pipeline, request: RunRequest, reason: str) -> Report:
    """Record that a run failed before anything started, and return its report."""
    run = request.run
    store.begin(_record(pipeline, request))
    tasks = tuple(TaskReport(task.path, TaskState.WAITING) for task in pipeline.tasks())
    store.end(run.run_id, TaskState.FAILED, reason, [])
    return Report(
        pipeline.id, run.run_id, TaskState.FAILED, tasks, (), reason, interval=run.interval, group=request.group
    )


def _never_started(store: Store, record: RunRecord | None) -> bool:
    """Whether a run failed before anything was decided or started."""
    if record is None or record.state != TaskState.FAILED:
        return False
    return not store.variables_of(record.run_id) and not store.tasks(record.run_id)


def _has_begun(record: RunRecord) -> bool:
    return record.state != TaskState.PLANNED


def _one_at_a_time(folder: Path, pipeline: Pipeline) -> AbstractContextManager[object]:
    """While a pipeline that datasets start runs, nothing is decided about another run of it."""
    if pipeline.trigger is None:
        return nullcontext()
    return run_lock(_lock(folder, f"pipeline {pipeline.id}"), patience=PATIENCE)


@hookimpl
def sl_read_recorded(pipeline: Pipeline) -> Recorded:
    policy = FreshnessPolicy.of(pipeline)
    folder = state_folder(pipeline.options, pipeline.source)
    if not (folder / "runs.db").exists():
        return Recorded(())
    with closing(Store(folder)) as store:
        return read_recorded(store, pipeline, policy)


@hookimpl
def sl_record_events(pipeline: Pipeline, events: Sequence[Event], group: str) -> bool:
    with closing(Store(state_folder(pipeline.options, pipeline.source))) as store:
        store.add_events(given_rows(events, group))
    return True


def _taken_up(record: RunRecord, pipeline: Pipeline, request: RunRequest) -> RunRequest:
    run_id = request.run.run_id
    planned = record.state == TaskState.PLANNED
    if not request.resume and not planned:
        raise RunError(
            f"run '{run_id}' of pipeline {record.pipeline_id} already exists. To finish it, type: "
            f"starlake-orchestrate resume --run {run_id}"
        )
    if record.pipeline_id != pipeline.id:
        raise RunError(f"run '{run_id}' belongs to pipeline {record.pipeline_id}, not to {pipeline.id}")
    if record.state == TaskState.SUCCEEDED:
        raise RunError(f"run '{run_id}' of pipeline {pipeline.id} succeeded; there is nothing to resume")
    if record.fingerprint != _fingerprint(pipeline):
        raise RunError(
            f"pipeline {pipeline.id} has changed since run '{run_id}' started: its tasks or options are different. "
            "Resume with the same file and the same --option values. Or start a new run, and forget this one with: "
            f"starlake-orchestrate runs {pipeline.source or 'PATHS'} --forget {run_id}"
        )
    # A run that has not started takes its interval from what its upstream pipelines have produced since.
    interval = request.run.interval if planned else record.interval
    run = replace(request.run, interval=interval)
    return replace(request, run=run, select=record.select, exclude=record.exclude, group=record.group)


@hookimpl
def sl_list_runs(options: Options, folder: Path, limit: int | None) -> Sequence[Report]:
    state = state_folder(options, folder)
    if not (state / "runs.db").exists():
        return []
    with closing(Store(state)) as store:
        reports = [
            _interrupted(report)
            if report.state == TaskState.RUNNING and not is_locked(_lock(state, report.run_id))
            else report
            for report in store.reports(limit)
        ]
    killed = {report.group: report.pipeline_id for report in reports if report.state == TaskState.INTERRUPTED}
    return [
        replace(report, reason=f"not started, because {killed[report.group]} was interrupted")
        if report.state == TaskState.PLANNED and not report.reason and report.group and report.group in killed
        else report
        for report in reports
    ]


@hookimpl
def sl_forget_run(options: Options, folder: Path, run_id: str) -> bool:
    state = state_folder(options, folder)
    if not (state / "runs.db").exists():
        return False
    with closing(Store(state)) as store:
        if is_locked(_lock(state, run_id)):
            raise RunError(f"run '{run_id}' is still running; stop it first")
        return store.forget(run_id)


def _interrupted(report: Report) -> Report:
    """The report of a run whose process is gone: its running tasks are interrupted."""
    tasks = (
        replace(task, state=TaskState.INTERRUPTED) if task.state == TaskState.RUNNING else task for task in report.tasks
    )
    return replace(report, state=TaskState.INTERRUPTED, tasks=tuple(tasks))
