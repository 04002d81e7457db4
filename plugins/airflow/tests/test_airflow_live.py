"""A day on a real Airflow: scheduler, triggerer, workers, and on 3.x the API and the DAG processor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from live_airflow import LiveAirflow, until
from starlake_core_airflow.versions import AIRFLOW_3

EXAMPLE = Path(__file__).parents[3] / "examples" / "starbake"


def orchestrate(airflow: LiveAirflow, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "starlake_core", *map(str, arguments)],
        env={**airflow.environ, "NO_LIVE": "1"},
        text=True,
        capture_output=True,
        check=False,
    )


def rows(database: Path, table: str, columns: list[str]) -> list[list[str]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        cast = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
        return sorted(map(list, connection.execute(f"SELECT {cast} FROM {table}").fetchall()), key=str)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "starbake"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".starlake-core", "duckdb.db*", "stage", "archive"))
    return root


def test_a_day(tmp_path: Path, project: Path) -> None:
    airflow = LiveAirflow(
        tmp_path / "airflow",
        {"SL_ROOT": str(project), "SL_DATASET_TRIGGERING_STRATEGY": "all", "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"},
    )
    done = orchestrate(airflow, "deploy", project / "dags", "--orchestrator", "airflow")
    assert done.returncode == 0, done.stdout + done.stderr
    with airflow.running():
        until(lambda: airflow.knows("starbake_load_daily", "starbake_load_hourly", "starbake_kpi"), "the DAGs are parsed")
        done = orchestrate(
            airflow, "run", project / "dags" / "starbake_load.py", "--orchestrator", "airflow",
            "--option", f"airflow_api_base_url={airflow.url}",
        )  # fmt: skip
        print(done.stdout[-3000:], done.stderr[-3000:])
        assert done.returncode == 0, done.stdout + done.stderr + airflow.logs()
        until(lambda: airflow.query("SELECT 1 FROM dag_run WHERE dag_id='starbake_kpi' AND state='success'"), "assets start the transforms")
        expected = json.loads((project / "expected.json").read_text(encoding="utf-8"))
        for table, content in expected.items():
            assert rows(project / "datasets" / "duckdb.db", table, content["columns"]) == sorted(content["rows"], key=str)
