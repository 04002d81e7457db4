"""A first run of a broken project with all defaults: it ends at once, and not after the pause before another try."""

from __future__ import annotations

from pathlib import Path

import pytest

from starlake_core import Orchestration, StarlakePipeline, TaskState

TABLE = "table: { name: t, pattern: 't.*.csv', attributes: [ { name: id, type: int } ], metadata: { writeStrategy: { type: %s } } }"
FAULTS = {
    "broken YAML": ("metadata/load/x/t.sl.yml", "table: [", "is not valid YAML"),
    "an unsupported feature": ("metadata/load/x/t.sl.yml", TABLE % "NEVER", "NEVER of x.t is not supported"),
    "no project": ("", "", "is not a Starlake project"),
}


def project(root: Path, fault: str) -> None:
    path, text, _ = FAULTS[fault]
    root.mkdir(exist_ok=True)
    if path:
        for name, content in {
            "metadata/application.sl.yml": "application: {}",
            "metadata/load/x/_config.sl.yml": "load: { name: x }",
            path: text,
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")


def drawn(root: Path, environment: str, **options: object) -> StarlakePipeline:
    given = {"sl_env_var": {"SL_ROOT": str(root)}, "state_dir": str(root / "state"), **options}
    with (
        Orchestration(
            given, orchestrator="local", environment=environment, filename="test.py", namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(name="test", cron="0 0 * * *") as pipeline,
    ):
        pipeline.sl_load(domain="x", table="t")
    return pipeline


@pytest.mark.parametrize("fault", ["broken YAML", "no project"])
def test_a_project_that_cannot_be_read_is_not_even_tried(tmp_path: Path, fault: str) -> None:
    project(tmp_path, fault)
    report = drawn(tmp_path, "duckdb").run()
    assert (report.state, {task.attempts for task in report.tasks}) == (TaskState.FAILED, {0})
    assert FAULTS[fault][2] in report.reason


def test_a_feature_that_is_not_supported_is_not_tried_again(tmp_path: Path) -> None:
    project(tmp_path, "an unsupported feature")
    report = drawn(tmp_path, "duckdb").run()
    (task,) = (task for task in report.tasks if task.state == TaskState.FAILED)
    assert (task.attempts, task.exit_code) == (1, 78)
    assert FAULTS["an unsupported feature"][2] in Path(task.log).read_text(encoding="utf-8")


def test_an_engine_that_is_not_installed_is_not_tried_again(tmp_path: Path) -> None:
    project(tmp_path, "an unsupported feature")
    (tmp_path / "duckdb.py").write_text("raise ModuleNotFoundError(\"No module named 'duckdb'\")", encoding="utf-8")
    options = {"sl_env_var": {"SL_ROOT": str(tmp_path), "PYTHONPATH": str(tmp_path)}}
    report = drawn(tmp_path, "duckdb", **options).run()
    (task,) = (task for task in report.tasks if task.state == TaskState.FAILED)
    assert (task.attempts, task.exit_code) == (1, 78)


def test_a_program_that_is_missing_is_not_tried_again(tmp_path: Path) -> None:
    report = drawn(tmp_path, "shell", SL_STARLAKE_PATH=str(tmp_path / "starlake")).run()
    (task,) = (task for task in report.tasks if task.state == TaskState.FAILED)
    assert task.attempts == 1
    assert "was not found" in task.reason


def test_a_launcher_that_does_not_find_java_is_not_tried_again(tmp_path: Path) -> None:
    launcher = tmp_path / "starlake"
    launcher.write_text('#!/bin/sh\nexec no-such-java "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    report = drawn(tmp_path, "shell", SL_STARLAKE_PATH=str(launcher)).run()
    (task,) = (task for task in report.tasks if task.state == TaskState.FAILED)
    assert (task.attempts, task.exit_code) == (1, 127)
