"""The orchestrator ``dagster`` is an orchestrator like any other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from dagster import op
from dagster._core.definitions.reconstruct import repository_def_from_target_def
from dagster._core.execution.api import create_execution_plan
from dagster._core.workspace.autodiscovery import loadable_targets_from_python_file
from dagster._utils.schedules import schedule_execution_time_iterator
from dagster_runs import instance_in, job, launch, resolved, states, tick_of_schedule
from starlake_core_dagster import definitions
from starlake_core_dagster.keys import asset_key
from starlake_core_dagster.pipeline import DagsterPipeline

from starlake_core import StarlakePipeline, TaskEvent
from starlake_core.testing import (
    CORPUS,
    FakeEnvironment,
    NativeGraph,
    NativeRun,
    NativeSettings,
    NativeTask,
    OrchestratorSuite,
)

pytest_plugins = ["starlake_core.testing.plugin"]


class TestDagster(OrchestratorSuite):
    orchestrator = "dagster"
    levels = ("basic", "parallel", "triggered", "scheduled")
    nested_groups = False
    options_elsewhere = ("workspace",)

    def describe(self, native: DagsterPipeline) -> NativeGraph:
        plan = create_execution_plan(native.alone)
        paths = {step.key: native.facts.steps.get(step.key, step.key) for step in plan.steps}
        edges = [
            (paths[before], paths[key])
            for key, befores in plan.get_executable_step_deps().items()
            for before in befores
        ]
        # A task that only marks the start is the start of the run.
        starts = [path for path in native.flat.tasks if not native.step_key(path)]
        edges += [(path, after) for after, found in native.flat.befores.items() for path in starts if path in found]
        tasks = [NativeTask(path) for path in (*starts, *paths.values()) if path in native.flat.tasks]
        return NativeGraph(tuple(sorted(tasks, key=lambda task: task.path)), tuple(sorted(edges)))

    def published(self, file: Path) -> Iterable[str]:
        (target,) = loadable_targets_from_python_file(str(file))
        return [made.name for made in repository_def_from_target_def(target.target_definition).get_all_jobs()]

    def settings(self, pipeline: StarlakePipeline) -> NativeSettings:
        native: DagsterPipeline = pipeline.native
        schedule = resolved(definitions(pipeline), "schedule", f"{pipeline.id}_schedule")
        plan = create_execution_plan(native.alone)
        keys = native.facts.steps
        ops = {
            keys[step.key]: native.alone.get_op(step.node_handle).definition for step in plan.steps if step.key in keys
        }
        policies = {path: found.retry_policy for path, found in ops.items() if found.retry_policy is not None}
        return NativeSettings(
            cron=schedule.cron_schedule,
            zone=schedule.execution_timezone,
            pools={path: found.pool for path, found in ops.items()},
            retries={path: policy.max_retries for path, policy in policies.items()},
            retry_delays={path: policy.delay for path, policy in policies.items()},
            keywords={
                path: {"op_tags": {name: found.tags.get(name) for name in ("team",)}} for path, found in ops.items()
            },
            next_fire=lambda after: next(
                schedule_execution_time_iterator(
                    after.timestamp() + 1, schedule.cron_schedule, schedule.execution_timezone
                )
            ),
        )

    def test_a_listener_that_breaks_changes_nothing(
        self, fake: FakeEnvironment, caplog: pytest.LogCaptureFixture
    ) -> None:
        def listen(event: TaskEvent) -> None:
            raise BrokenPipeError

        assert self.draw(CORPUS["diamond"], fake).run(listener=listen).succeeded
        assert caplog.text.count("progress is no longer shown: BrokenPipeError") == 1

    def native_keyword(self) -> tuple[str, Any]:
        return "op_tags", {"team": "kit"}

    def fire(self, pipeline: StarlakePipeline, moment: datetime) -> NativeRun:
        defs = definitions(pipeline)
        with instance_in(self.root / "dagster") as instance:
            tick = tick_of_schedule(defs, moment, instance, f"{pipeline.id}_schedule")
            (request,) = tick.run_requests
            result = launch(job(defs, pipeline.id), instance, request.tags)
            produced = {
                event.asset_key for event in result.all_events if event.event_type_value == "ASSET_MATERIALIZATION"
            }
        datasets = tuple(dataset.uri for dataset in pipeline.outlets if asset_key(dataset) in produced)
        return NativeRun(result.run_id, result.success, states(result), datasets)

    def fire_again(self, pipeline: StarlakePipeline, run: NativeRun) -> NativeRun:
        with instance_in(self.root / "dagster") as instance:
            again = instance.get_run_by_id(run.run_id)
            result = launch(job(definitions(pipeline), pipeline.id), instance, again=again)
        return NativeRun(result.run_id, result.success, states(result))

    def native_node(self, task_id: str) -> Any:
        @op(name=task_id)
        def nothing() -> None: ...

        return nothing
