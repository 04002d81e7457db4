"""The orchestrator ``airflow`` is an orchestrator like any other."""

from __future__ import annotations

from typing import Any

from starlake_core_airflow.versions import EmptyOperator

from starlake_core.testing import NativeGraph, NativeTask, OrchestratorSuite

pytest_plugins = ["starlake_core.testing.plugin"]


class TestAirflow(OrchestratorSuite):
    orchestrator = "airflow"

    def describe(self, native: Any) -> NativeGraph:
        tasks = []
        for task in native.tasks:
            groups = []
            group = task.task_group
            while group is not None and group.group_id:
                groups.append(group.label)
                group = group.parent_group
            tasks.append(NativeTask(task.task_id, tuple(reversed(groups))))
        edges = tuple((task.task_id, after) for task in native.tasks for after in sorted(task.downstream_task_ids))
        return NativeGraph(tuple(tasks), edges)

    def native_node(self, task_id: str) -> Any:
        return EmptyOperator(task_id=task_id)
