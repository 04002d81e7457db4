"""A project for every test, and one database of Airflow for the runs of a process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from compat_runs import HOSTS, run
from starlake_core_project.bakery import write_bakery

_TEMPLATE = "STARLAKE_TEST_AIRFLOW_HOME"
"""A home that another test session of this project made; its database is copied."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the bakery, without its own pipeline files."""
    root = tmp_path / "bakery"
    write_bakery(root)
    shutil.rmtree(root / "dags")
    (root / "dags").mkdir()
    return root


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which an orchestrator finds a home of its own."""
    if "airflow" not in HOSTS:
        return {}
    folder = tmp_path_factory.mktemp("airflow")
    variables = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__SCHEDULER__ENABLE_JOB_SCHEDULE": "False",
        "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
    }
    template = Path(os.environ.get(_TEMPLATE, "")) / "airflow.db"
    if _TEMPLATE in os.environ and template.is_file():
        shutil.copy(template, folder)
    else:
        done = run("-m", "airflow", "db", "migrate", **variables)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return variables
