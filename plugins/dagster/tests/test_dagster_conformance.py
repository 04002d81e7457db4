"""The orchestrator ``dagster`` is an orchestrator like any other."""

from __future__ import annotations

from typing import Any

from dagster import op
from starlake_core_dagster.pipeline import DagsterPipeline

from starlake_core.testing import NativeGraph, NativeTask, OrchestratorSuite

pytest_plugins = ["starlake_core.testing.plugin"]


class TestDagster(OrchestratorSuite):
    orchestrator = "dagster"
    nested_groups = False

    def describe(self, native: DagsterPipeline) -> NativeGraph:
        graph = native.alone.graph
        if native.keys:
            graph = graph.node_named(native.graph_name).definition
        paths = {name: path for path, name in native.flat.names.items()}
        edges = tuple(
            (paths[output.node_name], paths[node.name])
            for node in graph.nodes
            for outputs in list(graph.dependency_structure.input_to_upstream_outputs_for_node(node.name).values())
            for output in outputs
        )
        joins = set(native.flat.joins)
        tasks = tuple(NativeTask(paths[node.name]) for node in graph.nodes if paths[node.name] not in joins)
        return NativeGraph(tuple(sorted(tasks, key=lambda task: task.path)), tuple(sorted(edges)))

    def native_node(self, task_id: str) -> Any:
        @op(name=task_id)
        def nothing() -> None: ...

        return nothing
