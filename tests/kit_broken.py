"""Plugins that break one promise each. The names of their suites are what is broken."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import signal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import kit_addons
import kit_service_broken
from kit_reference import Engine, FakeSuite, ReferenceOrchestrator, ReferenceSuite, ServiceSuite

from starlake_core import (
    STR,
    Attempt,
    Command,
    CreateChildren,
    DataInterval,
    Fires,
    Integer,
    Job,
    OptionGroup,
    Options,
    OutageError,
    Pipeline,
    PluginContractError,
    Report,
    RunKey,
    RunnerError,
    RunRequest,
    StarlakeError,
    Task,
    TaskGroup,
    TaskKind,
    TaskReport,
    TaskState,
    fire_times,
    hookimpl,
    next_fire,
    option,
)
from starlake_core.runtime import (
    AttemptInfo,
    Outcome,
    ProcessRunner,
    Runner,
    Status,
    Verdict,
    execute,
    runner_for,
    start,
    tell_end,
    wait,
)
from starlake_core.testing import (
    EnvironmentSuite,
    FakeEnvironment,
    FakeService,
    NativeSettings,
    Record,
    ServiceFault,
    ServiceJob,
    StandIn,
    StandInEnvironment,
    describe_records,
)
from starlake_core.testing.fake import FakeRunner
from starlake_core.testing.graphs import tasks_before

# -- options


class _MoreOptions(OptionGroup):
    kit_cores: int = option(Integer(1), 2, doc="How many cores a job has.")


class _OldOptions(OptionGroup):
    kit_old: str = option(STR, "", doc="Not used any more.", effective=False)


class _IgnoresAnOption(FakeEnvironment):
    @hookimpl
    def sl_options(self) -> Sequence[type[OptionGroup]]:
        return [_MoreOptions]


class _UsesAnOptionOfNoEffect(FakeEnvironment):
    @hookimpl
    def sl_options(self) -> Sequence[type[OptionGroup]]:
        return [_OldOptions]

    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        made = super().sl_create_job(command, options)
        return replace(made, spec={**made.spec, "old": options[_OldOptions].kit_old})


class _NeverReadsAnOption(ReferenceOrchestrator):
    @hookimpl
    def sl_options(self) -> Sequence[type[OptionGroup]]:
        return [_MoreOptions]


# -- orchestrators that render wrongly


class _DropsEdge(ReferenceOrchestrator):
    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Record:
        made = super().sl_create_pipeline(pipeline, create_children)
        return replace(made, edges=made.edges[:-1])


class _DropsEdgeInGroup(ReferenceOrchestrator):
    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Record:
        made = super().sl_create_task_group(group, create_children)
        return replace(made, edges=made.edges[1:])


class _AddsEdge(ReferenceOrchestrator):
    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Record:
        made = super().sl_create_pipeline(pipeline, create_children)
        ids = [node.id for node in pipeline.children]
        return replace(made, edges=tuple(itertools.pairwise(ids)))


class _Flattens(ReferenceOrchestrator):
    """All tasks are children of the pipeline; their order is right."""

    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Record:
        befores = tasks_before(describe_records(super().sl_create_pipeline(pipeline, create_children)))
        edges = tuple((before, after) for after, found in befores.items() for before in found)
        return Record(pipeline, {path: object() for path in befores}, edges)


class _ForgetsChildren(ReferenceOrchestrator):
    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Record:
        return Record(group)


class _RepeatsChildren(ReferenceOrchestrator):
    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Record:
        create_children()
        return super().sl_create_pipeline(pipeline, create_children)


class _RepeatsChildrenQuietly(ReferenceOrchestrator):
    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Record:
        made = super().sl_create_task_group(group, create_children)
        with contextlib.suppress(PluginContractError):
            create_children()
        return made


class _LosesTask(ReferenceOrchestrator):
    @hookimpl
    def sl_create_task_group(self, group: TaskGroup, create_children: CreateChildren) -> Record:
        made = super().sl_create_task_group(group, create_children)
        lost = list(made.children)[-1]
        return Record(
            group,
            {node_id: child for node_id, child in made.children.items() if node_id != lost},
            tuple(edge for edge in made.edges if lost not in edge),
        )


class _MutatesOptions(ReferenceOrchestrator):
    @hookimpl
    def sl_create_pipeline(self, pipeline: Any, create_children: CreateChildren) -> Record:
        pipeline.options._values["sl_env_var"]["SL_SEEN"] = "1"
        return super().sl_create_pipeline(pipeline, create_children)


class _MutatesGraph(ReferenceOrchestrator):
    @hookimpl
    def sl_create_task(self, task: Task) -> Record:
        task.retries += 1
        return super().sl_create_task(task)


class _Impure(ReferenceOrchestrator):
    @hookimpl
    def sl_create_pipeline(self, pipeline: Pipeline, create_children: CreateChildren) -> Record:
        made = super().sl_create_pipeline(pipeline, create_children)
        return replace(made, children={**made.children, f"helper_{uuid.uuid4().hex}": Record(pipeline)})


# -- orchestrators that run wrongly


class _IgnoresGate(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        outcome = super().attempt(task, attempt)
        return Outcome(Verdict.SUCCEEDED) if outcome.verdict is Verdict.NOT_READY else outcome


class _CrashIsNotReady(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        outcome = super().attempt(task, attempt)
        return (
            Outcome(Verdict.NOT_READY) if task.kind is TaskKind.CHECK and outcome.verdict is Verdict.FAILED else outcome
        )


class _NotReadyIsFailure(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        outcome = super().attempt(task, attempt)
        return replace(outcome, verdict=Verdict.FAILED) if outcome.verdict is Verdict.NOT_READY else outcome


class _LostIsSuccess(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        outcome = super().attempt(task, attempt)
        return Outcome(Verdict.SUCCEEDED) if outcome.verdict is Verdict.LOST else outcome


class _SplitsArguments(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        job = task.job
        if job is not None:
            task.job = replace(job, arguments=tuple(" ".join(job.arguments).split(" ")))
        try:
            return super().attempt(task, attempt)
        finally:
            task.job = job


class _DropsVariables(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        job = task.job
        if job is not None:
            task.job = replace(job, env={})
        try:
            return super().attempt(task, attempt)
        finally:
            task.job = job


class _RunsTwice(Engine):
    def perform(self, task: Task) -> TaskReport:
        self.attempt(task, self.run.attempt(f"{task.path}.first", "1"))
        return super().perform(task)


class _TellsNoEnds(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        if task.job is None:
            return Outcome(Verdict.SUCCEEDED)
        job = task.job.bind(attempt)
        runner = runner_for(job, self.pipeline.orchestration.plugins)
        return wait(runner, start(job, runner, attempt.key), timeout=task.timeout)


class _TellsEndsTwice(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        outcome = super().attempt(task, attempt)
        if task.job is not None:
            job = task.job.bind(attempt)
            tell_end(job, runner_for(job, self.pipeline.orchestration.plugins), attempt.key, outcome)
        return outcome


class _LoadsBlindly(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        if task.job is None:
            return Outcome(Verdict.SUCCEEDED)
        job = task.job.bind(attempt)
        runner = runner_for(job, self.pipeline.orchestration.plugins)
        return wait(runner, runner.submit(job, attempt.key))


class _RunsTooEarly(Engine):
    def order(self) -> Mapping[str, list[str]]:
        return {name: [] for name in reversed(super().order())}


class _DoesNotWait(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        if task.job is not None:
            job = task.job.bind(attempt)
            start(job, runner_for(job, self.pipeline.orchestration.plugins), attempt.key)
        return Outcome(Verdict.SUCCEEDED)


class _EmitsSkipped(Engine):
    def datasets(self) -> tuple[str, ...]:
        return tuple(dataset.uri for task in self.tasks.values() for dataset in task.outlets)


class _SwallowsFailure(Engine):
    def state(self) -> str:
        return TaskState.DRY_RUN if self.request.dry_run else TaskState.SUCCEEDED


class _FailureIsSuccess(Engine):
    def failed(self, task: Task, outcome: Outcome, attempt: int) -> TaskReport:
        return TaskReport(task.path, TaskState.SUCCEEDED, "", 0, attempt)


class _EndsGreenWithoutWork(Engine):
    def nothing_done(self) -> bool:
        return False


class _SkipsWithoutReason(Engine):
    def decide(self, task: Task, effects: set[str], reason: str) -> TaskReport:
        report = super().decide(task, effects, reason)
        return replace(report, reason="") if report.state == TaskState.SKIPPED else report


class _OneAttemptKey(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        return super().attempt(task, replace(attempt, number="1"))


class _TaskKeyForEveryAttempt(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        return super().attempt(task, replace(attempt, task=f"{attempt.task}-{attempt.number}"))


class _OneKeyForEveryTask(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        return super().attempt(task, replace(attempt, task=task.id))


class _RetriesTooOften(Engine):
    def perform(self, task: Task) -> TaskReport:
        retries, task.retries = task.retries, task.retries + 1
        try:
            return super().perform(task)
        finally:
            task.retries = retries


class _NeverRetries(Engine):
    def perform(self, task: Task) -> TaskReport:
        retries, task.retries = task.retries, 0
        try:
            return super().perform(task)
        finally:
            task.retries = retries


class _OutagesAreFinal(Engine):
    def is_passing(self, error: Exception) -> bool:
        return False


class _ShortagesAreFinal(Engine):
    def is_passing(self, error: Exception) -> bool:
        return isinstance(error, OutageError)


class _RetriesFaults(Engine):
    def is_passing(self, error: Exception) -> bool:
        return not isinstance(error, RunnerError)


class _IgnoresFinal(Engine):
    def is_final(self, outcome: Outcome) -> bool:
        return False


class _RetriesRefusals(Engine):
    def is_passing(self, error: Exception) -> bool:
        return True


class _RetriesNotReady(Engine):
    def not_ready(self, task: Task, attempt: int) -> TaskReport:
        if attempt <= task.retries:
            self.attempt(task, self.run.attempt(task.path, "again"))
        return super().not_ready(task, attempt)


class _ForgetsTimeOut(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        if task.job is None:
            return Outcome(Verdict.SUCCEEDED)
        job = task.job.bind(attempt)
        return execute(job, runner_for(job, self.pipeline.orchestration.plugins), attempt.key)


class _ForgetsTearDown(Engine):
    def decide(self, task: Task, effects: set[str], reason: str) -> TaskReport:
        if "bad" in effects:
            return TaskReport(task.path, TaskState.UPSTREAM_FAILED, reason)
        return super().decide(task, effects, reason)


class _NeverWaits(Engine):
    def perform(self, task: Task) -> TaskReport:
        wait, task.wait = task.wait, None
        try:
            return super().perform(task)
        finally:
            task.wait = wait


class _WaitingInVainIsSkip(Engine):
    def not_ready(self, task: Task, attempt: int) -> TaskReport:
        return TaskReport(task.path, TaskState.SKIPPED, "not ready", attempts=attempt)


class _WrongInterval(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        end = attempt.run.interval.end.astimezone(timezone.utc)  # a day of 24 hours, whatever the clock does
        return super().attempt(
            task, replace(attempt, run=replace(attempt.run, interval=DataInterval(end - timedelta(days=1), end)))
        )


class _TellsSecret(Engine):
    def failed(self, task: Task, outcome: Outcome, attempt: int) -> TaskReport:
        assert task.job is not None
        return replace(super().failed(task, outcome, attempt), reason=f"failed with {dict(task.job.env)}")


class _MissingProgramIsSkip(Engine):
    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        try:
            return super().attempt(task, attempt)
        except StarlakeError:
            return Outcome(Verdict.NOT_READY)


class _IgnoresSelection(Engine):
    def __init__(self, pipeline: Any, request: RunRequest) -> None:
        super().__init__(pipeline, replace(request, select=(), exclude=()))


class _TellsAtTheEnd(Engine):
    """The listener hears of a failure after the whole run."""

    def go(self) -> Report:
        report = super().go()
        for task in report.tasks:
            super().tell(task)
        return report

    def tell(self, report: TaskReport) -> None:
        if report.state != TaskState.FAILED:
            super().tell(report)


class _NeverTells(Engine):
    def tell(self, report: TaskReport) -> None:
        pass


class _MixesReport(Engine):
    def go(self) -> Report:
        report = super().go()
        return replace(report, tasks=report.tasks[::-1])


class _DryRunRuns(Engine):
    def go(self) -> Report:
        for task in self.tasks.values():
            self.attempt(task, self.run.attempt(task.path, "1"))
        return super().go()


class _LosesReport(Engine):
    def go(self) -> Report:
        report = super().go()
        return replace(report, tasks=report.tasks[:-1])


class _GateOpensInDepth(Engine):
    def decide(self, task: Task, effects: set[str], reason: str) -> TaskReport:
        return super().decide(task, {"good"} if task.path.count(".") > 2 else effects, reason)


class _ForgetsRetryDelay(Engine):
    def perform(self, task: Task) -> TaskReport:
        delay, task.retry_delay = task.retry_delay, 0
        try:
            return super().perform(task)
        finally:
            task.retry_delay = delay


class _ForgetsPokeInterval(Engine):
    def perform(self, task: Task) -> TaskReport:
        wait = task.wait
        if wait is not None:
            task.wait = replace(wait, interval=0)
        try:
            return super().perform(task)
        finally:
            task.wait = wait


class _ChangesRun(Engine):
    def changed(self, attempt: Attempt) -> Attempt:
        raise NotImplementedError

    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        return super().attempt(task, self.changed(attempt))


class _ForgetsRootRun(_ChangesRun):
    def changed(self, attempt: Attempt) -> Attempt:
        return replace(attempt, run=replace(attempt.run, root_run_id=""))


class _ForgetsDeployment(_ChangesRun):
    def changed(self, attempt: Attempt) -> Attempt:
        return replace(attempt, run=replace(attempt.run, deployment=""))


class _ForgetsRunOptions(_ChangesRun):
    def changed(self, attempt: Attempt) -> Attempt:
        return replace(attempt, run=replace(attempt.run, options={}))


class _ForgetsRetryUnsafe(_ChangesRun):
    def changed(self, attempt: Attempt) -> Attempt:
        return replace(attempt, run=replace(attempt.run, retry_unsafe=""))


class _InstanceOfEachTask(_ChangesRun):
    def changed(self, attempt: Attempt) -> Attempt:
        return replace(attempt, run=replace(attempt.run, instance=attempt.task))


class _SaysItRepeats(_ChangesRun):
    def changed(self, attempt: Attempt) -> Attempt:
        return replace(attempt, generation=1)


class _IgnoresSkip(Engine):
    def __init__(self, pipeline: Any, request: RunRequest) -> None:
        super().__init__(pipeline, replace(request, skip=""))


class _ForgetsGroup(Engine):
    def __init__(self, pipeline: Any, request: RunRequest) -> None:
        super().__init__(pipeline, replace(request, group=""))


class _DropsLines(Engine):
    def hear(self, task: Task, line: str) -> None:
        pass


class _RepeatsLines(Engine):
    def hear(self, task: Task, line: str) -> None:
        super().hear(task, line)
        super().hear(task, line)


class _IgnoresInterrupt(Engine):
    def stop(self) -> None:
        pass


class _LeavesTheCluster(Engine):
    def tear_down(self, task: Task) -> TaskReport:
        return TaskReport(task.path, TaskState.CANCELLED, "stopped")


class _StartsTheHopeless(Engine):
    def hopeless(self) -> str:
        return ""


class _StartsAfterInterrupt(Engine):
    def decide(self, task: Task, effects: set[str], reason: str) -> TaskReport:
        stopped, self.stopped = self.stopped, False
        try:
            return super().decide(task, effects, reason)
        finally:
            self.stopped = self.stopped or stopped


class _InterruptIsGreen(Engine):
    def state(self) -> str:
        return TaskState.SUCCEEDED if self.stopped else super().state()


class _ResumesNothing(Engine):
    def take_up(self, earlier: Report) -> None:
        self.done = {report.id: report for report in earlier.tasks}


class _RunsWhatIsTriggered(ReferenceOrchestrator):
    @hookimpl
    def sl_run_pipeline(self, pipeline: Pipeline, request: RunRequest) -> Report:
        return super().sl_run_pipeline(pipeline, replace(request, triggered=False))


class _ResumesAnything(ReferenceOrchestrator):
    @hookimpl
    def sl_run_pipeline(self, pipeline: Pipeline, request: RunRequest) -> Report:
        return super().sl_run_pipeline(pipeline, replace(request, resume=False))


# -- orchestrators whose scheduler does something else


class _PublishesNothing(ReferenceOrchestrator):
    @hookimpl
    def sl_publish_pipelines(self, pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
        pass


class _PublishesTheLastOrchestration(ReferenceOrchestrator):
    @hookimpl
    def sl_publish_pipelines(self, pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
        namespace["jobs"] = {pipeline.id: pipeline.native for pipeline in pipelines}


class _ChangesSettings(ReferenceOrchestrator):
    changes: Mapping[str, Any] = {}

    def settings(self, native: Record) -> NativeSettings:
        return replace(super().settings(native), **self.changes)


class _SchedulesNothing(_ChangesSettings):
    changes: Mapping[str, Any] = {"cron": ""}


class _SchedulesInUtc(_ChangesSettings):
    changes: Mapping[str, Any] = {"zone": "UTC"}


class _StartsToday(_ChangesSettings):
    changes: Mapping[str, Any] = {"start_date": datetime(2026, 3, 30, tzinfo=timezone.utc)}


class _NeverCatchesUp(_ChangesSettings):
    changes: Mapping[str, Any] = {"catchup": False}


class _RunsManyAtOnce(_ChangesSettings):
    changes: Mapping[str, Any] = {"max_active_runs": 16}


class _DropsTags(_ChangesSettings):
    changes: Mapping[str, Any] = {"tags": ()}


class _DropsPools(_ChangesSettings):
    changes: Mapping[str, Any] = {"pools": {}}


class _DropsRetries(_ChangesSettings):
    changes: Mapping[str, Any] = {"retries": {}}


class _DropsRetryDelays(_ChangesSettings):
    changes: Mapping[str, Any] = {"retry_delays": {}}


class _DropsKeywords(_ChangesSettings):
    changes: Mapping[str, Any] = {"keywords": {}}


class _FiresBySunTime(ReferenceOrchestrator):
    """Its scheduler knows no change of the clock, and says nothing of that."""

    def next_fire(self, pipeline: Pipeline, after: datetime) -> datetime:
        assert pipeline.cron is not None
        return next_fire(pipeline.cron, after, timezone(timedelta(hours=1)))


class _TellsOfOtherFires(ReferenceOrchestrator):
    @hookimpl
    def sl_fires(self) -> Fires:
        return _fires_by_sun_time


def _fires_by_sun_time(cron: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    for moment in fire_times(cron, start, end, timezone(timedelta(hours=1))):
        if moment < end:
            yield moment


class _RunsForNow(ReferenceOrchestrator):
    def interval(self, native: Record, moment: datetime) -> DataInterval:
        return super().interval(native, datetime.now(timezone.utc))


class _RunsInUtc(ReferenceOrchestrator):
    def interval(self, native: Record, moment: datetime) -> DataInterval:
        end = super().interval(native, moment).end.astimezone(timezone.utc)
        return DataInterval(end - timedelta(days=1), end)


class _ChangesScheduledRun(ReferenceOrchestrator):
    def fire(self, native: Record, moment: datetime, run_id: str = "", generation: int = 0) -> Report:
        return self.seen(native, super().fire(native, moment, run_id, generation))

    def seen(self, native: Record, report: Report) -> Report:
        raise NotImplementedError


class _ScheduledFailureIsGreen(_ChangesScheduledRun):
    def seen(self, native: Record, report: Report) -> Report:
        return replace(report, state=TaskState.SUCCEEDED)


class _ScheduledFailureEmits(_ChangesScheduledRun):
    def seen(self, native: Record, report: Report) -> Report:
        pipeline = native.node
        assert isinstance(pipeline, Pipeline)
        return replace(report, datasets=tuple(dataset.uri for dataset in pipeline.outlets))


class _ScheduledRunEmitsNothing(_ChangesScheduledRun):
    def seen(self, native: Record, report: Report) -> Report:
        return replace(report, datasets=())


class _ScheduledRunIsRedWhenSkipped(_ChangesScheduledRun):
    def seen(self, native: Record, report: Report) -> Report:
        skipped = any(task.state == TaskState.SKIPPED for task in report.tasks)
        return replace(report, state=TaskState.FAILED) if skipped else report


class _NamesEveryRunAlike(ReferenceOrchestrator):
    def fire(self, native: Record, moment: datetime, run_id: str = "", generation: int = 0) -> Report:
        return super().fire(native, moment, run_id or "the-run", generation)


class _ForgetsTheRepetition(ReferenceOrchestrator):
    def fire(self, native: Record, moment: datetime, run_id: str = "", generation: int = 0) -> Report:
        return super().fire(native, moment, run_id, 0)


class _RepeatsNumbersAndWork(ReferenceOrchestrator):
    """The numbers of attempts begin again, and no generation tells them apart."""

    class FirstGeneration(Engine):
        def attempt(self, task: Task, attempt: Attempt) -> Outcome:
            return super().attempt(task, replace(attempt, generation=0))

    engine = FirstGeneration


class _NeverTriesAgain(ReferenceOrchestrator):
    def fire(self, native: Record, moment: datetime, run_id: str = "", generation: int = 0) -> Report:
        for task in native.node.tasks():  # type: ignore[attr-defined]
            task.retries = 0
        return super().fire(native, moment, run_id, generation)


class _Local:
    """The orchestrator ``local``, with a changed request."""

    name = "local"
    changes: Mapping[str, Any] = {}

    def __init__(self) -> None:
        from starlake_core_local import plugin

        for hook in ("sl_options", "sl_create_task", "sl_create_task_group", "sl_create_pipeline"):
            setattr(self, hook, getattr(plugin, hook))

    @hookimpl
    def sl_run_pipeline(self, pipeline: Pipeline, request: RunRequest) -> Report:
        from starlake_core_local import plugin

        return plugin.sl_run_pipeline(pipeline, replace(request, **self.changes))


class _RunsOneAtATime(_Local):
    changes: Mapping[str, Any] = {"parallelism": 1}


class _IgnoresParallelism(_Local):
    changes: Mapping[str, Any] = {"parallelism": 8}


class _IgnoresTriggered(_Local):
    changes: Mapping[str, Any] = {"triggered": False}


class _IgnoresDate(_Local):
    changes: Mapping[str, Any] = {"date": None}


# -- environments that make wrong jobs


class _SplitsJob(FakeEnvironment):
    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        job = super().sl_create_job(command, options)
        return replace(job, arguments=tuple(" ".join(command.vector).split()))


class _QuotesJob(FakeEnvironment):
    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        job = super().sl_create_job(command, options)
        return replace(job, arguments=tuple(shlex.quote(word) for word in command.vector))


class _WritesIntoOptions(FakeEnvironment):
    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        options._values["sl_env_var"]["SL_TASK"] = command.task_id
        return super().sl_create_job(command, options)


class _NewJobEveryTime(FakeEnvironment):
    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        job = super().sl_create_job(command, options)
        return replace(job, spec={**job.spec, "name": uuid.uuid4().hex})


class _CountsJobs(FakeEnvironment):
    made = 0

    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        self.made += 1
        job = super().sl_create_job(command, options)
        return replace(job, spec={**job.spec, "number": self.made})


class _NoJson(FakeEnvironment):
    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        job = super().sl_create_job(command, options)
        return replace(job, spec={**job.spec, "sizes": (1, 2)})


class _WrongName(FakeEnvironment):
    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        return replace(super().sl_create_job(command, options), environment="faked")


class _NoVariables(FakeEnvironment):
    @hookimpl
    def sl_create_job(self, command: Command, options: Options) -> Job:
        return replace(super().sl_create_job(command, options), env={})


# -- environments that run jobs wrongly


class _Runner(FakeRunner):
    """The right runner, to be broken."""

    def __init__(self, environment: FakeEnvironment) -> None:
        super().__init__(environment)
        self.environment = environment


class _CrashedCheckIsNotReady(_Runner):
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {handle: self.mistaken(handle, status) for handle, status in super().poll(handles).items()}

    def mistaken(self, handle: str, status: Status) -> Status:
        attempt = self.environment.attempts.get(handle)
        if attempt is None or not attempt.submission.job.check or status.outcome is None:
            return status
        failed = status.outcome.verdict is Verdict.FAILED
        return Status(Outcome(Verdict.NOT_READY, 1, "exit code 1")) if failed else status


class _NotReadyIsSuccess(_Runner):
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {
            handle: Status(Outcome(Verdict.SUCCEEDED, 0))
            if status.outcome is not None and status.outcome.verdict is Verdict.NOT_READY
            else status
            for handle, status in super().poll(handles).items()
        }


class _NotReadyIsCrash(_Runner):
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {
            handle: Status(Outcome(Verdict.FAILED, 1, "exit code 1"))
            if status.outcome is not None and status.outcome.verdict is Verdict.NOT_READY
            else status
            for handle, status in super().poll(handles).items()
        }


class _OneRunForEveryAttempt(_Runner):
    """The name of the run is made of the task alone, as a container name often is."""

    def submit(self, job: Job, key: RunKey) -> str:
        return super().submit(job, RunKey(key.task, "1"))


class _ForgetsTheInstance(_Runner):
    """``find`` tells what its attempts are called, and not of which run they are."""

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [replace(found, instance="") for found in super().find(job, task)]


class _ForgetsTheDigest(_Runner):
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [replace(found, digest="") for found in super().find(job, task)]


class _OlderAttemptIsItsOwn(_Runner):
    """``find`` gives every attempt out as the one that asks: whatever it is called, ``start`` takes it back."""

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [replace(found, attempt=number) for found in super().find(job, task) for number in ("1", "2")]


class _NewRunForTheSameKey(_Runner):
    def submit(self, job: Job, key: RunKey) -> str:
        return super().submit(job, RunKey(key.task, f"{key.attempt}-{uuid.uuid4().hex}"))


class _FindsNothing(_Runner):
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return ()


class _FindsOtherTasks(_Runner):
    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        keys = dict.fromkeys(submission.key.task for submission in self.environment.submissions)
        return [found for key in keys for found in FakeRunner.find(self, job, key)]


class _PollsOne(_Runner):
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return super().poll(handles[:1])


class _UnknownGoesOn(_Runner):
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {
            handle: status if handle in self.environment.attempts else Status()
            for handle, status in super().poll(handles).items()
        }


class _UnknownRaises(_Runner):
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        known = {handle: self.environment.attempts[handle] for handle in handles}
        return super().poll([*known])


class _CancelOverwrites(_Runner):
    def cancel(self, handle: str) -> None:
        attempt = self.environment.attempts[handle]
        attempt.ended = Outcome(Verdict.CANCELLED, None, "cancelled")


class _CancelledIsFailed(_Runner):
    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {
            handle: Status(replace(status.outcome, verdict=Verdict.FAILED, reason="terminated"))
            if status.outcome is not None and status.outcome.verdict is Verdict.CANCELLED
            else status
            for handle, status in super().poll(handles).items()
        }


class _CancelTwiceRaises(_Runner):
    def cancel(self, handle: str) -> None:
        if handle in self.environment.cancelled:
            raise RuntimeError("409 already cancelled")
        super().cancel(handle)


class _StoppingGoesOn(_Runner):
    """A cancelled attempt takes a few polls to end, and is reported as running until then."""

    def cancel(self, handle: str) -> None:
        attempt = self.environment.attempts.get(handle)
        if attempt is not None and attempt.end is None:
            attempt.end, attempt.polls = Outcome(Verdict.CANCELLED, None, "cancelled"), 3


class _FindsStoppingAsGoing(_StoppingGoesOn):
    """Its polls tell of what is being stopped; what it finds does not."""

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {
            handle: status if status.ended or not self.stopping(handle) else replace(status, stopping=True)
            for handle, status in super().poll(handles).items()
        }

    def stopping(self, handle: str) -> bool:
        attempt = self.environment.attempts.get(handle)
        return attempt is not None and attempt.end is not None


class _RefusesAll(_Runner):
    """One that it cannot be asked about spoils the answer for all."""

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        unknown = [handle for handle in handles if handle not in self.environment.attempts]
        if unknown:
            raise RunnerError(f"403 {unknown[0]}")
        return super().poll(handles)


class _RepeatsLogs(_Runner):
    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return super().logs(handle, None)


class _TellsSecrets(_Runner):
    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        about = self.environment.attempts[handle].submission.subject
        return self.environment._lines.get(about, ())[int(cursor or 0) :], "9"


class _ImportsSdk(EnvironmentSuite):
    """pluggy takes the part of an SDK that is imported while the pipeline is built."""

    environment = "shell"
    runs_any_program = False
    forbidden_imports = ("pluggy",)


class _ForbidsWhatIsNotInstalled(EnvironmentSuite):
    environment = "shell"
    runs_any_program = False
    forbidden_imports = ("an_sdk_that_is_not_installed",)


class _ClaimsToBeKeyed(EnvironmentSuite):
    levels = ("basic",)

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        class Keyed(StandInEnvironment):
            @hookimpl
            def sl_create_runner(self, job: Job) -> Runner:
                return ProcessRunner(lambda job: (job.spec["program"], *job.arguments), keyed=True)

        self.environment = Keyed(stand_in.path)
        return {}


class _OneProcessService(FakeService):
    def _signal(self, job: ServiceJob, number: signal.Signals) -> None:
        if job.exit_code is None and job.process is not None:
            os.kill(job.process.pid, number)


class _SignalsItsChildOnly(ServiceSuite):
    """The command of an attempt is stopped, and not what the command has started."""

    service_class = _OneProcessService


class _NeverStarts(EnvironmentSuite):
    """The suite of an author who has set up something wrong: another program runs, and fails."""

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        other = root.parent / "other"
        other.write_text("#!/bin/sh\necho cannot start\nexit 3\n")
        other.chmod(0o755)
        self.environment = StandInEnvironment(other)
        return {}


class _DisturbsNothing(ServiceSuite):
    def disturb(self, fault: ServiceFault | None) -> bool:
        return True


def suite(name: str) -> type:
    """The suite of a broken plugin.

    Args:
        name: of its class here, without the underscore.
    """
    if hasattr(kit_addons, name):
        return type(name, (kit_addons.LabelsSuite,), {"addon": getattr(kit_addons, name)()})
    if hasattr(kit_service_broken, name):
        return type(name, (ServiceSuite,), {"runner_class": f"kit_service_broken:{name}"})
    broken = globals()[f"_{name}"]
    if issubclass(broken, EnvironmentSuite):
        return broken
    if issubclass(broken, _Local):
        levels = ("basic", "parallel", "resumable", "triggered")
        return type(name, (ReferenceSuite,), {"orchestrator": broken(), "levels": levels, "nested_groups": False})
    if issubclass(broken, FakeEnvironment):
        return type(name, (FakeSuite,), {"fake": broken})
    if issubclass(broken, FakeRunner):

        class Broken(FakeEnvironment):
            @hookimpl
            def sl_create_runner(self, job: Job) -> Runner:
                return broken(self)

        return type(name, (FakeSuite,), {"fake": Broken})
    if issubclass(broken, Engine):
        broken = type("Broken", (ReferenceOrchestrator,), {"engine": broken})
    return type(name, (ReferenceSuite,), {"orchestrator": broken()})
