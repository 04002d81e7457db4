"""The orchestrator ``airflow`` is an orchestrator like any other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import events, last_event, next_run, run_again, run_dag, state, states
from starlake_core_airflow.versions import EmptyOperator, dag_bag

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


class TestAirflow(OrchestratorSuite):
    orchestrator = "airflow"
    levels = ("basic", "scheduled")
    options_elsewhere = ("dags_folder", "airflow_username", "airflow_password", "airflow_token")

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

    def published(self, file: Path) -> Iterable[str]:
        return [str(dag_id) for dag_id in dag_bag(dag_folder=str(file)).dags]

    def settings(self, pipeline: StarlakePipeline) -> NativeSettings:
        dag = pipeline.native
        return NativeSettings(
            cron=dag.timetable.summary,
            zone=dag.timezone.name,
            start_date=dag.start_date,
            catchup=dag.catchup,
            max_active_runs=dag.max_active_runs,
            tags=tuple(dag.tags),
            pools={task.task_id: task.pool for task in dag.tasks},
            retries={task.task_id: task.retries for task in dag.tasks},
            retry_delays={task.task_id: task.retry_delay.total_seconds() for task in dag.tasks},
            keywords={task.task_id: {"priority_weight": task.priority_weight} for task in dag.tasks},
            next_fire=lambda after: next_run(dag, after),
        )

    def test_a_listener_that_breaks_changes_nothing(
        self, fake: FakeEnvironment, caplog: pytest.LogCaptureFixture
    ) -> None:
        def listen(event: TaskEvent) -> None:
            raise BrokenPipeError

        assert self.draw(CORPUS["diamond"], fake).run(listener=listen).succeeded
        assert caplog.text.count("progress is no longer shown: BrokenPipeError") == 1

    def native_keyword(self) -> tuple[str, Any]:
        return "priority_weight", 7

    def fire(self, pipeline: StarlakePipeline, moment: datetime) -> NativeRun:
        (self.root / "corpus.py").write_text("# a file that 2.11 keeps the text of\n", encoding="utf-8")
        before = last_event()
        self.run_of_airflow = run_dag(pipeline.native, moment)
        run = self.run_of_airflow
        return NativeRun(run.run_id, state(run) == "success", states(run), tuple(events(run, before)))

    def fire_again(self, pipeline: StarlakePipeline, run: NativeRun) -> NativeRun:
        again = run_again(pipeline.native, self.run_of_airflow)
        return NativeRun(again.run_id, state(again) == "success", states(again))

    def native_node(self, task_id: str) -> Any:
        return EmptyOperator(task_id=task_id)
