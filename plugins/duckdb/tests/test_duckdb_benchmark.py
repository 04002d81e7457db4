"""The benchmark of the warm engine runs, with a few transforms; what it measures is another matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[3] / "benchmarks" / "engine.py"
DBT = os.environ.get("STARLAKE_DBT")
pytestmark = pytest.mark.skipif(not DBT, reason="STARLAKE_DBT names no environment for dbt; tox -e engine makes one")


def measured(*arguments: str) -> str:
    """What the benchmark prints. A target that is missed with so few transforms is no failure."""
    command = [sys.executable, str(ENGINE), "--count", "24", "--pairs", "1", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), result.stderr
    assert not result.stderr
    return result.stdout


def test_against_dbt() -> None:
    assert DBT
    if not (Path(DBT) / "bin" / "dbt").exists():
        pytest.skip("dbt-core and dbt-duckdb cannot be installed here")
    assert "warm / dbt, CPU" in measured("--dbt", DBT)


def test_in_dagster() -> None:
    pytest.importorskip(
        "starlake_core_dagster", reason="starlake-core-dagster is not installed here", exc_type=ImportError
    )
    assert "transforms / steps that do nothing, in Dagster, CPU" in measured("--dagster", sys.executable)


def test_against_processes_and_more_transforms() -> None:
    printed = measured("--process", "--linear")
    assert "warm / process, CPU" in printed
    assert "5 x as many, CPU" in printed
    assert "skipped: dbt is not there" in printed
