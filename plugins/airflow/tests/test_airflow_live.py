"""A day on a real Airflow: scheduler, triggerer, workers, and on 3.x the API and the DAG processor."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from engines import engines
from live_airflow import LiveAirflow, orchestrate, shoot, until
from starlake_core_airflow.versions import AIRFLOW_3
from starlake_core_project.bakery import expected_tables, write_bakery

pytestmark = pytest.mark.live

IMAGES = Path(__file__).parents[1] / "images"

# The job is over when the file "go" is there; it tells its process first.
WAITING = """\
#!/bin/sh
echo $$ > "$SL_ROOT/pid"
while [ ! -e "$SL_ROOT/go" ]; do sleep 0.2; done
echo done
"""

SLOW = """\
# airflow dag
from starlake_core import Orchestration

for environment in ("detached", "shell"):
    with Orchestration(environment=environment) as orchestration:
        with orchestration.sl_create_pipeline(name=f"slow_{environment}") as pipeline:
            pipeline.start_task() >> pipeline.sl_transform("slow", "kpi.slow", retries=0) >> pipeline.end_task()
"""


def rows(database: Path, table: str, columns: list[str]) -> list[list[str]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        cast = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
        return sorted(map(list, connection.execute(f"SELECT {cast} FROM {table}").fetchall()), key=str)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


class Slow:
    """The pipelines whose only job waits for a file."""

    def __init__(self, airflow: LiveAirflow, root: Path) -> None:
        self.airflow = airflow
        self.root = root
        self.go = root / "go"

    def begin(self, environment: str, run_id: str, state: str) -> int:
        """Start a run, wait until its task is in a state, and return the process of the job."""
        for name in ("go", "pid"):
            (self.root / name).unlink(missing_ok=True)
        self.airflow.trigger(f"slow_{environment}", run_id)
        until(lambda: self.airflow.task_state(f"slow_{environment}", run_id, "slow") == state, f"{run_id} is {state}")
        if state == "deferred":
            seen = self._polls()
            until(lambda: self._polls() > seen + 1, "the triggerer polls")
        return int(until(lambda: (self.root / "pid").exists() and (self.root / "pid").read_text(), "the job runs"))

    def kill(self, environment: str, run_id: str) -> None:
        """Mark a run as failed until it is.

        A scheduler that is just looking at it writes down a success: the end is skipped, and SQLite locks no rows.
        """
        dag_id = f"slow_{environment}"
        until(
            lambda: self.airflow.run_state(dag_id, run_id) == "failed" or self.airflow.fail(dag_id, run_id),
            f"{run_id} is failed",
            logs=self.airflow.logs,
        )

    def _polls(self) -> int:
        return len((self.root / "attempts" / "polls").read_text().splitlines())

    def ends(self, environment: str, run_id: str, state: str) -> None:
        """Wait until a run is in a state."""
        until(
            lambda: self.airflow.run_state(f"slow_{environment}", run_id) == state,
            f"{run_id} is {state}",
            logs=self.airflow.logs,
        )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "starbake"
    write_bakery(root)
    (root / "datasets" / "incoming").rename(tmp_path / "tomorrow")
    (root / "attempts").mkdir()
    (root / "attempts" / "polls").touch()
    program = root / "waiting"
    program.write_text(WAITING)
    program.chmod(0o755)
    (root / "dags" / "slow.py").write_text(SLOW)
    return root


@pytest.fixture
def airflow(tmp_path: Path, project: Path) -> Iterator[LiveAirflow]:
    airflow = LiveAirflow(
        tmp_path / "airflow",
        {
            "SL_ROOT": str(project),
            "SL_STARLAKE_PATH": str(project / "waiting"),
            "SL_DETACHED_PROGRAM": str(project / "waiting"),
            "SL_DETACHED_FOLDER": str(project / "attempts"),
            "SL_DEFER_AFTER": "1",
            "SL_DEFERRABLE": "true",
            "SL_DATASET_TRIGGERING_STRATEGY": "all",
            "PYTHONPATH": str(Path(__file__).parent / "detached_environment"),
        },
    )
    orchestrate(airflow, "deploy", project / "dags")
    with airflow.running():
        yield airflow


def test_a_day(airflow: LiveAirflow, project: Path, tmp_path: Path) -> None:
    until(
        lambda: airflow.knows("starbake_load_daily", "starbake_kpi", "slow_detached", "slow_shell"),
        "the DAGs are parsed",
    )
    slow = Slow(airflow, project)

    # A job of a remote environment waits in the triggerer. A restart of the triggerer leaves it alone.
    pid = slow.begin("detached", "restarted", "deferred")
    airflow.parts.end("triggerer", signal.SIGTERM)
    assert alive(pid), "a restart of the triggerer cancelled the job"
    airflow.parts.begin("triggerer")
    slow.go.touch()
    slow.ends("detached", "restarted", "success")

    # A killed run cancels its job, wherever it waits.
    for environment, state in (("detached", "deferred"), ("shell", "running")):
        pid = slow.begin(environment, "killed", state)
        slow.kill(environment, "killed")
        until(lambda pid=pid: not alive(pid), f"the job of the {environment} run is cancelled")
        slow.kill(environment, "killed")

    # A cleared task stops its old attempt and starts another.
    pid = slow.begin("detached", "cleared", "deferred")
    (project / "pid").unlink()
    airflow.clear("slow_detached", "cleared", "slow")
    other = int(until(lambda: (project / "pid").exists() and (project / "pid").read_text(), "another attempt runs"))
    until(lambda: not alive(pid), "the old attempt is cancelled")
    assert alive(other), "the new attempt was cancelled with the old one"
    slow.go.touch()
    slow.ends("detached", "cleared", "success")

    # The loads run when their files are there, and their assets start the transforms.
    until(
        lambda: not airflow.query("SELECT 1 FROM dag_run WHERE state IN ('running', 'queued')"),
        "the scheduled runs ended",
    )
    assert not airflow.query("SELECT 1 FROM dag_run WHERE dag_id = 'starbake_kpi'"), "nothing was loaded so far"
    (tmp_path / "tomorrow").rename(project / "datasets" / "incoming")
    airflow.load(project / "dags" / "starbake_load.py", orchestrate)
    until(
        lambda: airflow.query("SELECT 1 FROM dag_run WHERE dag_id = 'starbake_kpi' AND state = 'success'"),
        "the assets start the transforms",
        logs=airflow.logs,
    )
    for table, content in expected_tables().items():
        found = rows(project / "datasets" / "duckdb.db", table, content["columns"])
        assert found == sorted(content["rows"], key=str), table
    until(lambda: not engines(project), "no engine outlives the tasks")
    if AIRFLOW_3 and shutil.which("chromium"):
        images = IMAGES if os.environ.get("STARLAKE_UPDATE_DOCS") else tmp_path
        shoot(airflow, f"/dags/starbake_load_daily/runs/{airflow.last_run('starbake_load_daily')}", images / "grid.png")
        asset = airflow.query("SELECT id FROM asset WHERE uri = 'starlake://kpi/product_sales'")[0][0]
        shoot(airflow, f"/assets/{asset}", images / "assets.png")
