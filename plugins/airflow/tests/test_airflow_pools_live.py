"""A real scheduler: a pool that does not exist is a failure that says what to type, and one that exists keeps tasks apart."""

from __future__ import annotations

import itertools
import shlex
import shutil
from pathlib import Path

import pytest
from breadth import in_the_matrix
from live_airflow import LiveAirflow, until
from one_writer import OneWriter
from starlake_core_airflow.pools import creation

pytestmark = [pytest.mark.live, in_the_matrix]

POOL = "starlake_duckdb_shop_db"
DAGS = """\
# airflow dag
from starlake_core import Orchestration

for name in ("one", "two"):
    with Orchestration(environment="shell") as orchestration:
        with orchestration.sl_create_pipeline(name=name) as pipeline:
            loads = [pipeline.sl_load(domain="shop", table=table, retries=0) for table in ("orders", "customers")]
            pipeline.start_task() >> loads >> pipeline.end_task()
"""


@pytest.fixture
def place(tmp_path: Path) -> OneWriter:
    return OneWriter(tmp_path / "project")


def test_a_pool_that_is_missing_and_one_that_is_there(tmp_path: Path, place: OneWriter) -> None:
    airflow = LiveAirflow(
        tmp_path / "airflow",
        {"SL_ROOT": str(place.root), "SL_STARLAKE_PATH": str(place.program), "SL_ORCHESTRATOR": "airflow"},
    )
    file = tmp_path / "two.py"
    file.write_text(DAGS, encoding="utf-8")
    shutil.copy(file, airflow.dags)
    with airflow.running():
        until(lambda: airflow.knows("one", "two"), "the DAGs are parsed")
        airflow.trigger("one", "without")
        until(lambda: airflow.run_state("one", "without") == "failed", "the run does not wait for ever")
        notes = airflow.query("SELECT content FROM dag_run_note")
        assert creation(POOL) in notes[0][0]
        assert place.calls() == []

        airflow.airflow(*shlex.split(creation(POOL))[1:])
        for dag in ("one", "two"):
            airflow.trigger(dag, "with")
        for dag in ("one", "two"):
            until(lambda dag=dag: airflow.run_state(dag, "with") == "success", "the runs succeed")
    assert (len(place.calls()), place.lock_errors()) == (4, 0)
    # The lock of the machine would let them begin, and wait; the pool does not let them begin.
    times = airflow.query(
        f"SELECT start_date, end_date FROM task_instance WHERE run_id = 'with' AND pool = '{POOL}' ORDER BY start_date"
    )
    assert len(times) == 4
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times)), times
