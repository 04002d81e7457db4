"""What the author of an orchestrator declares, and how the checks build and run pipelines with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ..dsl.orchestration import Orchestration
from ..dsl.pipeline import StarlakePipeline
from ..model.graph import Task
from ..model.lineage import StarlakeDependencies, StarlakeDependency
from ..model.run import Report, RunRequest, TaskState
from ..orchestrators.requests import request_run
from .corpus import CRON, Graph
from .fake import FakeEnvironment, serving
from .graphs import NativeGraph
from .lab import SCHEDULED, with_env
from .native import NativeRun, NativeSettings
from .promises import BASIC, check_levels, level_of
from .stand_in import StandIn, StandInEnvironment
from .subjects import subject

__all__ = ["LEVELS", "NATIVE", "PARALLEL", "RESUMABLE", "TRIGGERED", "OrchestratorBase"]

PARALLEL, RESUMABLE, NATIVE, TRIGGERED = "parallel", "resumable", "scheduled", "triggered"
LEVELS = {
    BASIC: "the native graph, and runs with their order, values, gates, retries and time-outs",
    PARALLEL: "the caller decides how many tasks run at once",
    RESUMABLE: "a run that failed or was interrupted can be finished",
    TRIGGERED: "it starts pipelines when their datasets change",
    NATIVE: "it has a scheduler of its own, which `fire` calls",
}
"""The levels of an orchestrator, and what each means."""


class OrchestratorBase:
    """The part of :class:`OrchestratorSuite` that the author fills in.

    Attributes:
        orchestrator: the entry-point name or the plugin object.
        levels: what it can do; see :data:`LEVELS`.
        nested_groups: whether groups of the pipeline are native groups.
        runs_pipelines: whether ``sl_run_pipeline`` runs a pipeline and reports on it.
        runs_in_process: whether its tasks run in this process, so that an environment in memory can serve them.
        wait_interval: the least number of seconds between two attempts of a waiting check.
        wait_timeout: the number of seconds that is enough for three attempts.
        task_timeout: the least time-out of a task, in seconds.
        options_elsewhere: the options that only matter for what the kit does not do: deploying, a server elsewhere.
        check_seconds: the seconds that a check may take.
    """

    orchestrator: Any = None
    levels: tuple[str, ...] = (BASIC,)
    nested_groups = True
    runs_pipelines = True
    runs_in_process = True
    wait_interval = 0
    wait_timeout = 60
    task_timeout = 1
    options_elsewhere: tuple[str, ...] = ()
    check_seconds = 20.0

    root: Path

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check_levels(cls.__qualname__, cls.levels, LEVELS)

    def describe(self, native: Any) -> NativeGraph:
        """Describe the native object of a pipeline. Inspect the object itself, not the pipeline it was created from.

        Args:
            native: the result of ``sl_create_pipeline``.
        """
        raise NotImplementedError("describe(native) must return the NativeGraph of what sl_create_pipeline returned")

    def native_node(self, task_id: str) -> Any:
        """Return a native node that does nothing, as a user's factory would create it; None if the orchestrator has no native nodes.

        Args:
            task_id: the id of the node.
        """
        return None

    def published(self, file: Path) -> Iterable[str]:
        """Return the ids of the pipelines that the scheduler's loader finds in a pipeline file, in this process. For the
        level *scheduled*, as the following methods.

        Args:
            file: the file.
        """
        raise NotImplementedError("published(file) must return the ids of what the scheduler's loader finds")

    def settings(self, pipeline: StarlakePipeline) -> NativeSettings:
        """Return what the scheduler reads from the native object of a pipeline. Inspect ``pipeline.native`` alone.

        Args:
            pipeline: the rendered pipeline.
        """
        raise NotImplementedError("settings(pipeline) must return what the scheduler reads from pipeline.native")

    def native_keyword(self) -> tuple[str, Any] | None:
        """Return a keyword of the orchestrator for tasks, and a value of it; None if it has none."""
        return None

    def fire(self, pipeline: StarlakePipeline, moment: datetime) -> NativeRun:
        """Let the scheduler run a pipeline, as it does by itself, in this process.

        Args:
            pipeline: the rendered pipeline.
            moment: the date at which its schedule fires.
        """
        raise NotImplementedError("fire(pipeline, moment) must run the pipeline as the scheduler does")

    def fire_again(self, pipeline: StarlakePipeline, run: NativeRun) -> NativeRun | None:
        """Let a person repeat the tasks of a run on purpose; None if the orchestrator cannot do that.

        Args:
            pipeline: the rendered pipeline.
            run: the run, which has ended.
        """
        return None

    def orchestrator_options(self, root: Path) -> Mapping[str, Any]:
        """Return options that the orchestrator needs.

        Args:
            root: an empty folder for the test.
        """
        return {}

    def process_environment(self, stand_in: StandIn) -> tuple[Any, Mapping[str, Any]]:
        """Return the environment that runs the stand-in program, and its options.

        If tasks run in another process, name an installed environment: ``("shell", {"SL_STARLAKE_PATH":
            str(stand_in.path)})``.

        Args:
            stand_in: the program.
        """
        return StandInEnvironment(stand_in.path), {}

    # -- for the checks

    @pytest.fixture(autouse=True)
    def _level(self, request: pytest.FixtureRequest) -> None:
        wanted = level_of(request.function)
        if wanted not in self.levels:
            pytest.skip(f"levels: {wanted!r} is not declared")

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in os.environ if name.startswith("SL_")]:
            monkeypatch.delenv(name)
        self.root = tmp_path / "project"
        self.root.mkdir()

    def clean_up(self) -> None:
        """Stop what a check has started."""

    @pytest.fixture
    def fake(self) -> FakeEnvironment:
        """Return an environment in memory, for orchestrators that can use it."""
        self.needs_runs()
        if not self.runs_in_process:
            pytest.skip("runs_in_process = False: an environment in memory cannot serve its tasks")
        return FakeEnvironment()

    def needs_runs(self) -> None:
        """Skip the check if the orchestrator runs nothing by itself."""
        if not self.runs_pipelines:
            pytest.skip("runs_pipelines = False: it cannot run pipelines from here")

    def orchestration(self, environment: Any = None, *addons: Any, **options: Any) -> Orchestration:
        """Return an orchestration without retries, and with an empty folder as SL_ROOT."""
        given = {"retries": 0, "retry_delay": 0, **self.orchestrator_options(self.root), **options}
        return Orchestration(
            with_env(given, {"SL_ROOT": str(self.root)}),
            orchestrator=self.orchestrator,
            environment=environment if environment is not None else FakeEnvironment(),
            filename=str(self.root / "corpus.py"),
            namespace={},
            addons=addons,
        )

    def draw(self, graph: Graph, environment: Any = None, *addons: Any, **options: Any) -> StarlakePipeline:
        """Return the rendered pipeline of a canonical graph."""
        with self.orchestration(environment, *addons, **{**graph.options, **options}) as orchestration:
            return graph(orchestration)

    def draw_triggered(self, environment: Any = None) -> StarlakePipeline:
        """Return the rendered pipeline of a transform that a dataset starts."""
        orders = StarlakeDependency("sales.orders", "table", cron=CRON)
        nodes = StarlakeDependencies([StarlakeDependency("kpi.revenue", dependencies=[orders])])
        with (
            self.orchestration(environment) as orchestration,
            orchestration.sl_create_pipeline(name="kit_triggered", dependencies=nodes) as pipeline,
        ):
            pipeline.add_lineage()
        assert pipeline.trigger is not None, "the pipeline has no datasets that start it"
        return pipeline

    def run(self, pipeline: StarlakePipeline, request: RunRequest | None = None) -> Report:
        """Run a pipeline, and check what must hold for every report."""
        request = request or request_run(pipeline, SCHEDULED, run_id=f"run-of-{pipeline.id}")
        run = request.run
        with serving(pipeline.orchestration.plugins):
            report = pipeline.start_run(request)
        assert (report.pipeline_id, report.run_id) == (pipeline.id, run.run_id), (
            f"the report is about run {report.run_id!r} of pipeline {report.pipeline_id!r}, not about run {run.run_id!r} of "
            f"{pipeline.id!r}"
        )
        found, wanted = [task.id for task in report.tasks], [task.path for task in pipeline.tasks()]
        assert sorted(found) == sorted(wanted), (
            "the report does not name every task once, by its path: "
            f"missing {sorted(set(wanted) - set(found))}, unknown {sorted(set(found) - set(wanted))}, of {len(found)}"
        )
        for task in report.tasks:
            if task.state in (TaskState.SKIPPED, TaskState.FAILED):
                assert task.reason.strip(), f"task '{task.id}' is {task.state!r} without a reason"
        if any(task.state == TaskState.FAILED for task in report.tasks):
            assert not report.succeeded, f"a task failed, but the run is {report.state!r}"
        return report

    def subjects(self, pipeline: StarlakePipeline) -> dict[str, str]:
        """Return the subjects of all tasks with a job, by path."""
        return {task.path: subject_of(task) for task in pipeline.tasks() if task.job is not None}


def subject_of(task: Task) -> str:
    """Return the subject of a task's job."""
    assert task.job is not None
    return subject(task.job.arguments) or f"job:{task.job.spec.get('task', '')}"


def states(report: Report, ids: Iterable[str]) -> dict[str, str]:
    """Return the states of some tasks, by id."""
    return {task_id: report.task(task_id).state for task_id in ids}
