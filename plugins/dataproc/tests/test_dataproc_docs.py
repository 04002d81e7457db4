"""The README of the plugin says what is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from quick_starts import follow
from starlake_core_dataproc.limits import LIMITS
from starlake_core_dataproc.runner import _ROLES

from starlake_core import limits_table
from starlake_core.testing import check_options_table

README = Path(__file__).parents[1] / "README.md"


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "starlake_core", *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith(("SL_", "GCP_"))},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_options_are_those_of_the_plugin() -> None:
    check_options_table(README, "environment", "dataproc")


def test_the_limits_are_those_of_the_plugin() -> None:
    text = README.read_text(encoding="utf-8")
    before, start, rest = text.partition("<!-- limits -->\n")
    table, end, after = rest.partition("<!-- /limits -->")
    if os.environ.get("STARLAKE_UPDATE_DOCS"):
        README.write_text(f"{before}{start}{limits_table(LIMITS)}\n{end}{after}", encoding="utf-8")
        return
    assert table.strip() == limits_table(LIMITS), "STARLAKE_UPDATE_DOCS=1 writes the table anew"


def test_the_example_is_a_pipeline_file(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "bakery.py"
    file.write_text(block, encoding="utf-8")
    drawn = run("graph", str(file), "--orchestrator", "local")
    for task in ("create_cluster", "delete_cluster", "kpi_overview", "starbake_load"):
        assert task in drawn, drawn


@pytest.mark.parametrize("role", sorted({role.split()[0] for role in _ROLES.values()}))
def test_roles_of_messages_are_listed(role: str) -> None:
    assert f"`{role}`" in README.read_text(encoding="utf-8")


def test_the_quick_start_works(tmp_path: Path) -> None:
    said = follow(README, tmp_path)
    assert "starbake_kpi: success" in said
    assert "kpi.overview" in said
