"""The quick start of the README, to its end: the loads of the server have started the transforms."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from breadth import in_the_matrix
from live_airflow import LiveAirflow, until
from starlake_core_airflow.versions import AIRFLOW_3
from starlake_core_project.bakery import expected_tables

# The page installs the latest Airflow. test_airflow_live.py deploys the same files, and its loads start the transforms, too.
pytestmark = [pytest.mark.live, in_the_matrix]

README = Path(__file__).parents[1] / "README.md"
DAGS = ("starbake_kpi", "starbake_load_daily", "starbake_load_hourly")
OF_THE_QUICK_START = ("AIRFLOW_HOME", "AIRFLOW__CORE__LOAD_EXAMPLES")
OF_THE_OTHER_TEST = (
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION",
)


WANTED = {table: (len(content["rows"]),) for table, content in expected_tables(3).items() if table != "kpi.overview"}
SLOW = 900
"""Seconds after which nothing will come any more, on a machine that does much else."""


def quick_start() -> list[str]:
    found = re.search(r"<!-- quick start -->\n```bash\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def of(home: Path) -> list[int]:
    """The processes with a home of Airflow; some make sessions of their own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"AIRFLOW_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


@contextlib.contextmanager
def running(script: str, folder: Path, environ: dict[str, str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """While this block is open, a script goes on."""
    with (home / "quick-start.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-ec", script], cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)

        def gone() -> bool:
            left = of(home)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        until(gone, "all processes of Airflow are gone")
        process.wait()


def holds(bakery: Path) -> bool:
    """Whether every table has the rows of three days; ``kpi.overview`` gets some with every run."""
    with duckdb.connect(str(bakery / "datasets" / "duckdb.db"), read_only=True) as connection:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in WANTED}
    return counts == WANTED


@pytest.mark.timeout(2 * SLOW)
def test_it_ends_with_transforms_that_the_loads_have_started(tmp_path: Path) -> None:
    install, *lines = quick_start()
    assert install.startswith("pip install ")
    assert lines[-1] == "airflow standalone"
    # Ports and pauses that a user does not need, and nothing that the quick start says itself.
    busy_machine = {"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60", "SL_RETRIES": "5"}
    airflow = LiveAirflow(tmp_path / "airflow", busy_machine)
    left_out = {*OF_THE_QUICK_START, *OF_THE_OTHER_TEST}
    environ = {name: value for name, value in airflow.environ.items() if name not in left_out}
    environ["AIRFLOW__WEBSERVER__WEB_SERVER_PORT"] = str(airflow.port)
    kind = "asset_triggered" if AIRFLOW_3 else "dataset_triggered"
    started = f"SELECT 1 FROM dag_run WHERE dag_id = 'starbake_kpi' AND state = 'success' AND run_type = '{kind}'"
    busy = "SELECT 1 FROM dag_run WHERE state IN ('running', 'queued')"
    with running("\n".join(lines), tmp_path, environ, airflow.home) as process:

        def up() -> bool:
            assert process.poll() is None, airflow.logs()
            return airflow.is_up() and airflow.knows(*DAGS)

        until(up, "the server is there and has read the DAGs", SLOW)
        for dag_id in DAGS:  # as the switches of the user interface do
            airflow.airflow("dags", "unpause", dag_id)

        def ended() -> bool:
            """Whether the loads have started the transforms, these have seen all that was loaded, and nobody writes any more."""
            return bool(airflow.query(started)) and not airflow.query(busy) and holds(tmp_path / "starbake")

        try:
            until(ended, "the loads of the server start the transforms", SLOW)
        except AssertionError:
            raise AssertionError(
                airflow.logs() + str(airflow.query("SELECT dag_id, run_type, state FROM dag_run"))
            ) from None
