"""The README of the plugin says what is true."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from cloud_run_lab import create
from quick_starts import ROOT, follow, quick_start
from starlake_core_cloud_run.limits import LIMITS

from starlake_core import limits_table
from starlake_core.testing import RecordingOrchestrator, check_options_table

README = Path(__file__).parents[1] / "README.md"
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)]


def test_the_options_are_those_of_the_plugin() -> None:
    check_options_table(README, "environment", "cloud_run")


def test_the_limits_are_those_that_are_checked() -> None:
    place = re.compile(r"<!-- limits -->\n(.*?)<!-- /limits -->", re.DOTALL)
    text, table = README.read_text("utf-8"), limits_table(LIMITS) + "\n"
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        README.write_text(place.sub(lambda _: f"<!-- limits -->\n{table}<!-- /limits -->", text), "utf-8")
        return
    found = place.search(text)
    assert found is not None
    assert found[1] == table, "STARLAKE_UPDATE_DOCS=1 writes them anew"


TEXT = README.read_text("utf-8")
DOCUMENTS = re.findall(r"^\| [^|]+ \| `(\{.*?\})`", TEXT, re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_of_overrides_are_taken(document: str) -> None:
    place = {"cloud_run_project_id": "p", "cloud_run_job_region": "europe-west1", "cloud_run_job_name": "starlake"}
    assert create({**place, "cloud_run_container": "main", "cloud_run_overrides": document}).spec["overrides"]


@pytest.mark.parametrize("block", BLOCKS, ids=["airflow", "dagster"])
def test_the_examples_draw_pipelines(block: str) -> None:
    recording = RecordingOrchestrator()
    made = block.replace('environment="cloud_run"', 'environment="cloud_run", orchestrator=recording')
    space: dict[str, Any] = {"recording": recording, "__file__": "example.py", "__name__": "example"}
    exec(compile(made, "example.py", "exec"), space)
    jobs = [task.job for task in space["pipeline"].tasks() if task.job is not None]
    assert jobs
    assert {job.environment for job in jobs} == {"cloud_run"}


def test_the_quick_start_works(tmp_path: Path) -> None:
    said = follow(README, tmp_path)
    assert "starbake_kpi: success" in said
    assert "kpi.overview" in said


def test_the_how_to_has_the_same_quick_start() -> None:
    page = ROOT / "docs" / "how-to" / "cloud.md"
    assert [line.partition("   #")[0] for line in quick_start(page)] == quick_start(README)
