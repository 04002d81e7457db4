"""The orchestrator ``local`` is an orchestrator like any other."""

from __future__ import annotations

from typing import Any

from starlake_core_local.plan import Plan

from starlake_core.testing import NativeGraph, NativeTask, OrchestratorSuite

pytest_plugins = ["starlake_core.testing.plugin"]


class TestLocal(OrchestratorSuite):
    orchestrator = "local"
    levels = ("basic", "parallel", "resumable", "triggered")
    nested_groups = False  # a plan is one flat list of steps

    def describe(self, native: Plan) -> NativeGraph:
        # The entry and the exit of a group have no path: their place in the list names them.
        names = {id(step): step.path or f"helper {number}" for number, step in enumerate(native.steps)}
        edges = ((names[id(step)], names[id(after)]) for step in native.steps for after in step.downstream)
        return NativeGraph(tuple(NativeTask(step.path) for step in native.tasks), tuple(edges))

    def native_node(self, task_id: str) -> Any:
        return lambda run: None
