"""A first run of a broken project with all defaults: it ends at once, and not after the pause before another try."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow_runs import draw, program, run_dag, state, tries

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
def test_a_broken_project_is_not_tried_again(
    tmp_path: Path,
    files: dict[str, str],
    said: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    run = run_dag(draw(tmp_path, build, DEFAULTS, environment="duckdb").native)
    assert (state(run), tries(run, "day")) == ("failed", 1)
    assert said in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("code", [78, 126, 127])
def test_an_exit_code_that_says_so_is_the_end(tmp_path: Path, stand_in: StandIn, code: int) -> None:
    stand_in.script("transform:kpi.day", Step(exit_code=code), Step())
    run = run_dag(draw(tmp_path, build, {**DEFAULTS, **program(stand_in)}).native)
    assert (state(run), tries(run, "day"), len(stand_in.calls())) == ("failed", 1, 1)
