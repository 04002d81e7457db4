"""One Airflow home for the tests of a process, with a database that is made once and copied."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_KEPT = ("AIRFLOW__",)


def _make_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="starlake-airflow-"))
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(home / "dags"),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(home / "logs"),
        AIRFLOW__SCHEDULER__ENABLE_JOB_SCHEDULE="False",
        AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY="True",
    )
    (home / "dags").mkdir()
    return home


HOME = _make_home()
subprocess.run(
    [sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
