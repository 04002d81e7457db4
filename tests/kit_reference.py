"""Plugins that keep every promise, as plainly as it can be done; the broken ones of ``kit_broken`` differ from them in one thing each."""

from __future__ import annotations

import functools
import graphlib
import runpy
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import kit_service
import pytest

from starlake_core import (
    Attempt,
    Command,
    DataInterval,
    Pipeline,
    Preload,
    Report,
    Run,
    RunError,
    RunRequest,
    StarlakePipeline,
    Task,
    TaskEvent,
    TaskKind,
    TaskReport,
    TaskState,
    TriggerRule,
    explain_hopeless,
    hookimpl,
    is_selected,
    next_fire,
    request_run,
    skipped_report,
    tear_down,
)
from starlake_core.runtime import Outcome, Verdict, execute, may_pass, runner_for
from starlake_core.testing import (
    Does,
    EnvironmentSuite,
    FakeEnvironment,
    FakeService,
    NativeGraph,
    NativeRun,
    NativeSettings,
    OrchestratorSuite,
    Record,
    RecordingOrchestrator,
    ServiceFault,
    StandIn,
    describe_records,
    subject,
)
from starlake_core.testing.lab import SCHEDULED, SECRET_NAME, canonical

EFFECTS = {
    TaskState.SUCCEEDED: "good",
    TaskState.EXCLUDED: "good",
    TaskState.SKIPPED: "skipped",
    TaskState.FAILED: "bad",
    TaskState.UPSTREAM_FAILED: "bad",
}


class Engine:
    """Runs a pipeline, one task after the other."""

    def __init__(self, pipeline: StarlakePipeline, request: RunRequest) -> None:
        self.pipeline = pipeline
        self.request = request
        self.run = request.run
        self.tasks = {task.path: task for task in pipeline.tasks()}
        self.reports: dict[str, TaskReport] = {}
        self.effects: dict[str, set[str]] = {}
        self.reasons: dict[str, str] = {}
        self.closed: list[str] = []
        self.stopped = False

        self.done: dict[str, TaskReport] = {}
        self.tried: dict[str, int] = {}

        self.generation = 0

    def take_up(self, earlier: Report) -> None:
        """Go on with what an earlier run did not do."""
        self.done = {report.id: report for report in earlier.tasks if report.state == TaskState.SUCCEEDED}
        self.tried = {report.id: report.attempts for report in earlier.tasks}

    def stop(self) -> None:
        self.stopped = True

    def order(self) -> Mapping[str, list[str]]:
        """Every node, each after those before it, with those directly before it."""
        graph = describe_records(self.pipeline.native)
        befores: dict[str, list[str]] = {task.path: [] for task in graph.tasks}
        for before, after in graph.edges:
            befores.setdefault(before, [])
            befores.setdefault(after, []).append(before)
        return {name: befores[name] for name in graphlib.TopologicalSorter(befores).static_order()}

    def go(self) -> Report:
        if self.request.skip:
            return skipped_report(self.pipeline, self.request)
        hopeless = self.hopeless()
        if hopeless:
            raise RunError(hopeless)
        for name, befores in self.order().items():
            effects = set().union(*(self.effects[before] for before in befores)) or {"good"}
            reason = next((self.reasons[before] for before in befores if self.reasons[before]), "")
            if name in self.tasks:
                report = self.decide(self.tasks[name], effects, reason)
                self.reports[name] = report
                self.tell(report)
                effects, reason = {EFFECTS.get(report.state, "good")}, report.reason
            self.effects[name], self.reasons[name] = effects, reason
        return Report(
            self.pipeline.id,
            self.run.run_id,
            self.state(),
            tuple(self.reports.values()),
            self.datasets(),
            interval=self.run.interval,
            group=self.request.group,
        )

    def hopeless(self) -> str:
        """Why the run cannot succeed."""
        return explain_hopeless(self.pipeline, self.request)

    def tell(self, report: TaskReport) -> None:
        if self.request.listener is not None:
            self.request.listener(TaskEvent(report.id, report.state, report.attempts, report.reason))

    def state(self) -> str:
        if self.request.dry_run:
            return TaskState.DRY_RUN
        if self.stopped:
            return TaskState.CANCELLED
        return TaskState.FAILED if any("bad" in effects for effects in self.effects.values()) else TaskState.SUCCEEDED

    def datasets(self) -> tuple[str, ...]:
        return tuple(
            dataset.uri
            for path, task in self.tasks.items()
            if self.reports[path].state == TaskState.SUCCEEDED
            for dataset in task.outlets
        )

    def decide(self, task: Task, effects: set[str], reason: str) -> TaskReport:
        if self.request.dry_run:
            return TaskReport(task.path, TaskState.DRY_RUN)
        if task.path in self.done:
            return self.done[task.path]
        if self.stopped and task.kind is TaskKind.TEARDOWN and task.job is not None:
            return self.tear_down(task)
        if self.stopped:
            return TaskReport(task.path, TaskState.CANCELLED, "stopped")
        if not is_selected(task, self.request):
            return TaskReport(task.path, TaskState.EXCLUDED, "not selected")
        if task.trigger is not TriggerRule.ALL_DONE and "bad" in effects:
            return TaskReport(task.path, TaskState.UPSTREAM_FAILED, reason)
        if task.trigger is TriggerRule.ALL_SUCCESS and "skipped" in effects:
            return TaskReport(task.path, TaskState.SKIPPED, reason)
        if task.kind is TaskKind.END and self.nothing_done():
            return TaskReport(task.path, TaskState.SKIPPED, "; ".join(self.closed))
        return self.perform(task)

    def tear_down(self, task: Task) -> TaskReport:
        return TaskReport(task.path, *tear_down(self.pipeline, task, self.run))

    def nothing_done(self) -> bool:
        done = [path for path, report in self.reports.items() if report.state == TaskState.SUCCEEDED]
        return bool(self.closed) and not any(self.tasks[path].is_work for path in done)

    def perform(self, task: Task) -> TaskReport:
        attempt, poke, began = 1 + self.tried.get(task.path, 0), 0, time.monotonic()
        retries = task.retries + attempt - 1
        while True:
            try:
                outcome = self.attempt(
                    task, self.run.attempt(task.path, f"{attempt}.{poke}", generation=self.generation)
                )
            except Exception as error:
                if attempt > retries or not self.is_passing(error):
                    return TaskReport(task.path, TaskState.FAILED, str(error), attempts=attempt)
                attempt += 1
                self.pause(task.retry_delay)
                continue
            if outcome.verdict is Verdict.NOT_READY:
                if task.wait and time.monotonic() - began + task.wait.interval <= task.wait.timeout:
                    poke += 1
                    self.pause(task.wait.interval)
                    continue
                return self.not_ready(task, attempt)
            if outcome.verdict is Verdict.SUCCEEDED:
                return TaskReport(task.path, TaskState.SUCCEEDED, "", outcome.exit_code, attempt)
            if self.stopped:
                return TaskReport(task.path, TaskState.CANCELLED, "stopped", attempts=attempt)
            if attempt > retries or self.is_final(outcome):
                return self.failed(task, outcome, attempt)
            attempt += 1
            self.pause(task.retry_delay)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def is_passing(self, error: Exception) -> bool:
        return may_pass(error)

    def is_final(self, outcome: Outcome) -> bool:
        return outcome.final

    def not_ready(self, task: Task, attempt: int) -> TaskReport:
        reason = f"{task.domain} is not ready"
        if task.wait and not task.wait.soft_fail:
            return TaskReport(task.path, TaskState.FAILED, reason, attempts=attempt)
        self.closed.append(reason)
        return TaskReport(task.path, TaskState.SKIPPED, reason, attempts=attempt)

    def failed(self, task: Task, outcome: Outcome, attempt: int) -> TaskReport:
        return TaskReport(task.path, TaskState.FAILED, outcome.reason, outcome.exit_code, attempt)

    def attempt(self, task: Task, attempt: Attempt) -> Outcome:
        if task.job is None:
            return Outcome(Verdict.SUCCEEDED)
        job = task.job.bind(attempt)
        return execute(
            job,
            runner_for(job, self.pipeline.orchestration.plugins),
            attempt.key,
            timeout=task.timeout,
            on_line=lambda line: self.hear(task, line),
            stop=lambda: self.stopped,
        )

    def hear(self, task: Task, line: str) -> None:
        if self.request.listener is not None:
            self.request.listener(TaskEvent(task.path, TaskState.RUNNING, line=line))


class ReferenceOrchestrator(RecordingOrchestrator):
    """Records, and an engine that runs them."""

    name = "reference"
    engine: type[Engine] = Engine

    @hookimpl
    def sl_task_keywords(self) -> Sequence[str]:
        return ["priority"]

    @hookimpl
    def sl_publish_pipelines(self, pipelines: Sequence[Pipeline], namespace: dict[str, Any]) -> None:
        namespace.setdefault("jobs", {}).update({pipeline.id: pipeline.native for pipeline in pipelines})

    # -- its scheduler, which knows the native objects alone

    def settings(self, native: Record) -> NativeSettings:
        pipeline = native.node
        assert isinstance(pipeline, Pipeline)
        tasks = list(pipeline.tasks())
        return NativeSettings(
            pipeline.cron,
            pipeline.zone_name,
            pipeline.start_date,
            pipeline.catchup,
            pipeline.max_active_runs,
            pipeline.tags,
            {task.path: task.pool for task in tasks},
            {task.path: task.retries for task in tasks},
            {task.path: task.retry_delay for task in tasks},
            {task.path: task.native for task in tasks},
            functools.partial(self.next_fire, pipeline),
        )

    def next_fire(self, pipeline: Pipeline, after: datetime) -> datetime:
        assert pipeline.cron is not None
        return next_fire(pipeline.cron, after, pipeline.zone)

    def interval(self, native: Record, moment: datetime) -> DataInterval:
        assert isinstance(native.node, StarlakePipeline)
        return request_run(native.node, moment).run.interval

    def fire(self, native: Record, moment: datetime, run_id: str = "", generation: int = 0) -> Report:
        pipeline = native.node
        assert isinstance(pipeline, StarlakePipeline)
        run = Run(pipeline.id, run_id or f"scheduled-{moment:%Y%m%d}", self.interval(native, moment), pipeline.zone)
        engine = self.engine(pipeline, RunRequest(run))
        engine.generation = generation
        return engine.go()

    def __init__(self) -> None:
        self.reports: dict[str, Report] = {}

    @hookimpl
    def sl_run_pipeline(self, pipeline: Pipeline, request: RunRequest) -> Report:
        assert isinstance(pipeline, StarlakePipeline)
        if request.triggered:
            raise RunError("the reference does not start pipelines when datasets change; run them by hand")
        engine = self.engine(pipeline, request)
        if request.resume:
            if request.run.run_id not in self.reports:
                raise RunError(f"there is no run {request.run.run_id}; start one")
            engine.take_up(self.reports[request.run.run_id])
        before = signal.signal(signal.SIGINT, lambda *_: engine.stop())
        try:
            report = engine.go()
        finally:
            signal.signal(signal.SIGINT, before)
        if not request.dry_run:
            self.reports[request.run.run_id] = report
        return report


class ReferenceSuite(OrchestratorSuite):
    """The suite of the reference; an attempt that nobody stops is lost soon, for the sake of the broken engines."""

    orchestrator: Any = ReferenceOrchestrator()
    levels = ("basic", "resumable", "scheduled")
    wait_timeout = 2

    def describe(self, native: Record) -> NativeGraph:
        return describe_records(native)

    def published(self, file: Path) -> Iterable[str]:
        return [*runpy.run_path(str(file)).get("jobs", {})]

    def settings(self, pipeline: StarlakePipeline) -> NativeSettings:
        found: NativeSettings = self.orchestrator.settings(pipeline.native)
        return found

    def native_keyword(self) -> tuple[str, Any]:
        return "priority", 7

    def fire(self, pipeline: StarlakePipeline, moment: datetime) -> NativeRun:
        return self._seen(self.orchestrator.fire(pipeline.native, moment))

    def fire_again(self, pipeline: StarlakePipeline, run: NativeRun) -> NativeRun:
        return self._seen(self.orchestrator.fire(pipeline.native, SCHEDULED, run.run_id, 1))

    def _seen(self, report: Report) -> NativeRun:
        ends = {task.id: str(task.state) for task in report.tasks}
        return NativeRun(report.run_id, report.succeeded, ends, report.datasets)

    def native_node(self, task_id: str) -> object:
        return object()

    @pytest.fixture
    def fake(self) -> FakeEnvironment:
        environment = FakeEnvironment()
        environment.patience = 1.8
        return environment


class ServiceSuite(EnvironmentSuite):
    """An environment with a service keeps every promise of every level."""

    environment: Any = kit_service
    levels = ("basic", "resumable", "detached", "service")
    runner_class = "kit_service:ServiceRunner"
    service_class: type[FakeService] = FakeService

    @pytest.fixture(autouse=True)
    def _service(self, stand_in: StandIn) -> Iterator[None]:
        with self.service_class(stand_in.path) as self.service:
            yield

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        return {"service_url": self.service.url, "service_runner": self.runner_class}

    def disturb(self, fault: ServiceFault | None) -> bool:
        return self.service.disturb(fault)

    def fault_hits(self) -> int:
        return self.service.hits


ENDS: Mapping[Does, tuple[Verdict | Outcome | None, ...]] = {
    Does.FAILS: (Outcome(Verdict.FAILED, 3, "exit code 3"),),
    Does.EXITS_1: (Outcome(Verdict.FAILED, 1, "exit code 1"),),
    Does.EXITS_126: (Outcome(Verdict.FAILED, 126, "exit code 126"),),
    Does.EXITS_127: (Outcome(Verdict.FAILED, 127, "exit code 127"),),
    Does.FAILS_ONCE: (Verdict.FAILED, Verdict.SUCCEEDED),
    Does.GOES_ON: (None,),
    Does.NOT_READY: (Verdict.NOT_READY,),
    Does.CRASHES: (Verdict.FAILED,),
}


class FakeSuite(EnvironmentSuite):
    """The environment in memory keeps every promise too."""

    fake: type[FakeEnvironment] = FakeEnvironment
    levels = ("basic", "resumable")
    runs_any_program = False

    @pytest.fixture(autouse=True)
    def _fresh(self) -> None:
        self.environment = self.fake()

    def command(self, does: Does, stand_in: StandIn, root: Path) -> Command | Preload:
        made = canonical(does)
        about = subject((made if isinstance(made, Command) else made.command()).vector)
        self.environment.script(about, *ENDS.get(does, (Verdict.SUCCEEDED,)))
        if does is Does.WRITES:
            self.environment.says(about, "one", "two", "three")
        if does is Does.TELLS:
            self.environment.says(about, self.orchestration().options["sl_env_var"][SECRET_NAME])
        return made
