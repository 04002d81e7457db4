"""A first run of a broken project with all defaults: it ends at once, and not after the pause before another try."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster_runs import draw, instance_in, job, launch, program

from starlake_core import StarlakePipeline
from starlake_core.testing import StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]

DEFAULTS = {"retries": 1, "retry_delay": 300}


def build(pipeline: StarlakePipeline) -> None:
    pipeline.sl_transform("day", "kpi.day")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"metadata/application.sl.yml": "application: ["}, "is not valid YAML"),
        (
            {"metadata/application.sl.yml": "application: {}", "metadata/transform/kpi/day.py": "print()"},
            "the Python transform kpi.day is not supported",
        ),
    ],
)
def test_a_broken_project_is_not_tried_again(tmp_path: Path, files: dict[str, str], said: str) -> None:
    root = tmp_path / "project"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    with instance_in(tmp_path / "dagster") as instance:
        result = launch(job(draw(build, DEFAULTS, environment="duckdb", root=root)), instance)
    assert not result.success
    failures = [event for event in result.all_events if event.is_step_failure]
    assert said in str(failures[0].step_failure_data.error_display_string)
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


@pytest.mark.parametrize("code", [78, 126, 127])
def test_an_exit_code_that_says_so_is_the_end(tmp_path: Path, stand_in: StandIn, code: int) -> None:
    stand_in.script("transform:kpi.day", Step(exit_code=code), Step())
    pipeline = draw(build, {**DEFAULTS, **program(stand_in)}, environment="shell", root=tmp_path / "project")
    with instance_in(tmp_path / "dagster") as instance:
        result = launch(job(pipeline), instance)
    assert not result.success
    assert len(stand_in.calls()) == 1
