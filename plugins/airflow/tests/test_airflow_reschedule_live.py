"""Gates that wait, on a whole Airflow: none of them fails because it came back before the scheduler knew that it had left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from live_airflow import LiveAirflow, orchestrate, until

pytestmark = [pytest.mark.soak, pytest.mark.live]

RUNS = 20
GATES = """
# airflow dag
from starlake_core import Orchestration

options = {{
    "pre_load_strategy": "imported", "pre_load_sensor": True, "pre_load_poke_interval": {poke}, "pre_load_timeout": 32,
    "pre_load_sensor_soft_fail": True, "retries": 0, "max_active_runs": 4,
}}
with Orchestration(options, environment="shell", orchestrator="airflow") as orchestration:
    with orchestration.sl_create_pipeline(name="gates_{poke}") as pipeline:
        start, end = pipeline.start_task("start"), pipeline.end_task("end")
        for name in ("a", "b", "c", "d"):
            start >> pipeline.sl_pre_load(name, ["t"], "imported", task_id=f"wait_{{name}}") >> end
"""
NEVER = '#!/bin/sh\nfor word in "$@"; do if [ "$previous" = --notReadySentinel ]; then : > "$word"; fi; previous=$word; done\n'


@pytest.mark.parametrize("poke", [10, 2])
def test_never_ready_is_skipped_and_green(
    poke: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    root = tmp_path / "project"
    (root / "dags").mkdir(parents=True)
    (root / "dags" / "gates.py").write_text(GATES.format(poke=poke))
    program = root / "starlake"
    program.write_text(NEVER)
    program.chmod(0o755)
    airflow = LiveAirflow(tmp_path / "airflow", {"SL_ROOT": str(root), "SL_STARLAKE_PATH": str(program)})
    orchestrate(airflow, "deploy", root / "dags")
    with airflow.running():
        until(lambda: airflow.knows(f"gates_{poke}"), "the DAG is parsed")
        for number in range(RUNS):
            airflow.trigger(f"gates_{poke}", f"run-{number}")
        until(
            lambda: airflow.query("SELECT count(*) FROM dag_run WHERE state IN ('success', 'failed')")[0][0] == RUNS,
            "all runs end",
            900.0,
        )
        runs = airflow.query("SELECT state, count(*) FROM dag_run GROUP BY state")
        gates = airflow.query("SELECT state, count(*) FROM task_instance WHERE task_id LIKE '%wait_%' GROUP BY state")
    record_property("summary", f"gates that are never ready, poke {poke}: runs {dict(runs)}, gates {dict(gates)}")
    assert dict(runs) == {"success": RUNS}
    assert dict(gates) == {"skipped": 4 * RUNS}
