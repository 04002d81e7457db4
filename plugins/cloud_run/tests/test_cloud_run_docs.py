"""The README of the plugin says what is true."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from quick_starts import ROOT, follow

from starlake_core.testing import RecordingOrchestrator, check_options_table

README = Path(__file__).parents[1] / "README.md"
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)]


def test_the_options_are_those_of_the_plugin() -> None:
    check_options_table(README, "environment", "cloud_run")


@pytest.mark.parametrize("block", BLOCKS, ids=["airflow", "dagster"])
def test_the_examples_draw_pipelines(block: str) -> None:
    recording = RecordingOrchestrator()
    made = block.replace('environment="cloud_run"', 'environment="cloud_run", orchestrator=recording')
    space: dict[str, Any] = {"recording": recording, "__file__": "example.py", "__name__": "example"}
    exec(compile(made, "example.py", "exec"), space)
    jobs = [task.job for task in space["pipeline"].tasks() if task.job is not None]
    assert jobs
    assert {job.environment for job in jobs} == {"cloud_run"}


@pytest.mark.parametrize("page", [README, ROOT / "README.md"], ids=["plugin", "project"])
def test_the_quick_start_works(page: Path, tmp_path: Path) -> None:
    said = follow(page, tmp_path)
    assert "starbake_kpi: success" in said
    assert "kpi.overview" in said
