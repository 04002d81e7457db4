"""The orchestrator ``dagster`` is an orchestrator like any other."""

from __future__ import annotations

from typing import Any

from dagster import op
from dagster._core.execution.api import create_execution_plan
from starlake_core_dagster.pipeline import DagsterPipeline

from starlake_core.testing import NativeGraph, NativeTask, OrchestratorSuite

pytest_plugins = ["starlake_core.testing.plugin"]


class TestDagster(OrchestratorSuite):
    orchestrator = "dagster"
    nested_groups = False

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

    def native_node(self, task_id: str) -> Any:
        @op(name=task_id)
        def nothing() -> None: ...

        return nothing
