"""The README of the plugin says what is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from starlake_core.testing import RecordingOrchestrator

README = Path(__file__).parents[1] / "README.md"
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)]


def test_the_options_are_those_of_the_plugin() -> None:
    """STARLAKE_UPDATE_DOCS=1 writes the table anew."""
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", "options", "--environment", "cloud_run", "--format", "markdown"],
        env={name: value for name, value in os.environ.items() if not name.startswith("SL_")},
        text=True,
        capture_output=True,
        check=True,
    )
    header, line, *rows = [row for row in done.stdout.splitlines() if row.startswith("|")]
    table = "\n".join([header, line, *(row for row in rows if "| cloud_run |" in row)])
    text = README.read_text(encoding="utf-8")
    found = re.search(r"<!-- options -->\n(.*?)<!-- /options -->", text, re.DOTALL)
    assert found is not None
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        README.write_text(text[: found.start(1)] + table + "\n" + text[found.end(1) :], encoding="utf-8")
        return
    assert found[1].strip() == table


@pytest.mark.parametrize("block", BLOCKS, ids=["airflow", "dagster"])
def test_the_examples_draw_pipelines(block: str) -> None:
    recording = RecordingOrchestrator()
    made = block.replace('environment="cloud_run"', 'environment="cloud_run", orchestrator=recording')
    space: dict[str, Any] = {"recording": recording, "__file__": "example.py", "__name__": "example"}
    exec(compile(made, "example.py", "exec"), space)
    jobs = [task.job for task in space["pipeline"].tasks() if task.job is not None]
    assert jobs
    assert {job.environment for job in jobs} == {"cloud_run"}
