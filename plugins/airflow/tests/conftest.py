"""One Airflow home for the tests of a process, with a database that is made once and copied."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from airflow_parts import PRISTINE, logs_of_all

_TEMPLATE = "STARLAKE_TEST_AIRFLOW_HOME"
"""The home of the process that started the workers of pytest-xdist; they copy its database."""

# Of Airflow and of what it is made of, on the versions that are named; nothing that code of this project causes.
_IGNORED = (
    "'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated",  # 3.1, 3.2: its API in this process
    "The anyio.abc.BlockingPortal alias is deprecated",  # 3.1, 3.2: its API in this process
    "Using `httpx` with `starlette.testclient` is deprecated",  # 3.2, 3.3: its API in this process
    "The ``noload`` loader strategy is deprecated",  # 3.2: its API in this process
    "Multiple rows returned with uselist=False",  # 3.3: a DAG of one id that is registered again and again
    "The `airflow.operators.branch.BaseBranchOperator` attribute is deprecated",  # 3.1: its provider of standard operators
)


def _make_home() -> Path:
    template = os.environ.get(_TEMPLATE)
    home = Path(tempfile.mkdtemp(prefix="starlake-airflow-"))
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(home / "dags"),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(home / "logs"),
        AIRFLOW__SCHEDULER__ENABLE_JOB_SCHEDULE="False",
        AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY="True",
        # No executor takes part, so that a task may come back at once.
        AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="-2",
    )
    (home / "dags").mkdir()
    if template is not None:
        for file in Path(template).iterdir():
            if file.is_file():
                shutil.copy(file, home)
        return home
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    shutil.copy(home / "airflow.db", home / PRISTINE)
    os.environ[_TEMPLATE] = str(home)
    return home


HAS_AIRFLOW = importlib.util.find_spec("airflow") is not None
HOME = _make_home() if HAS_AIRFLOW else Path()


def pytest_configure(config: pytest.Config) -> None:
    for message in _IGNORED:
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


def pytest_unconfigure() -> None:
    if not HAS_AIRFLOW:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    if os.environ.get(_TEMPLATE) == str(HOME):
        del os.environ[_TEMPLATE]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails beside a live Airflow shows what that has written."""
    report = yield
    if report.failed and (written := logs_of_all()):
        report.sections.append(("what Airflow wrote", written))
    return report
