"""A day of a real scheduler: two loads that happen every hour and every day, and a transform that waits for both."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest
from breadth import in_the_matrix
from live_airflow import LiveAirflow, shoot, until
from starlake_core_airflow.versions import AIRFLOW_3

pytestmark = [in_the_matrix, pytest.mark.live, pytest.mark.skipif(not AIRFLOW_3, reason="it uses the API of 3.x")]

PROGRAM = """\
#!/bin/sh
echo "$@" >> "$SL_ROOT/calls"
"""

DAGS = """\
# airflow dag
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency

hourly = StarlakeDependency("sales.orders", "table", cron="0 * * * *")
daily = StarlakeDependency("sales.rates", "table", cron="0 0 * * *")
lineage = StarlakeDependencies([StarlakeDependency("kpi.revenue", dependencies=[hourly, daily])])

with Orchestration(environment="shell") as orchestration:
    # They have no schedule of their own, because the test says when they run.
    for table in ("orders", "rates"):
        with orchestration.sl_create_pipeline(name=f"load_{table}") as pipeline:
            pipeline.sl_load(domain="sales", table=table)
    with orchestration.sl_create_pipeline(name="revenue", dependencies=lineage) as pipeline:
        pipeline.add_lineage()
"""

IMAGES = Path(__file__).parent.parent / "images"
DAY = datetime(2026, 3, 5, tzinfo=timezone.utc)


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[LiveAirflow]:
    program = tmp_path / "starlake"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    airflow = LiveAirflow(
        tmp_path / "airflow",
        {
            "SL_ROOT": str(tmp_path),
            "SL_STARLAKE_PATH": str(program),
            "SL_ORCHESTRATOR": "airflow",
            "SL_RETRIES": "0",
        },
    )
    (airflow.dags / "day.py").write_text(DAGS, encoding="utf-8")
    with airflow.running():
        until(lambda: airflow.knows("load_orders", "load_rates", "revenue"), "the DAGs are parsed")
        yield airflow


def test_a_transform_runs_when_both_loads_of_a_period_are_there(airflow: LiveAirflow, tmp_path: Path) -> None:
    def runs() -> list[tuple[str, str]]:
        """State and note of every run of the transform."""
        return airflow.query(
            "SELECT state, coalesce(content, '') FROM dag_run LEFT JOIN dag_run_note ON dag_run_id = id WHERE dag_id = ? "
            "ORDER BY id",
            "revenue",
        )

    # What is loaded, for which hour of the day, and what the transform then does.
    table = [
        ("rates", 0, 24, "WAIT: it waits for its data: starlake://sales/orders"),
        ("orders", 0, 1, ""),
        ("orders", 1, 1, ""),
        ("orders", 24, 1, "WAIT: it waits for its data: starlake://sales/rates"),
        ("rates", 24, 24, ""),
    ]
    for number, (name, hour, hours, _) in enumerate(table, 1):
        end = DAY + timedelta(hours=hour)
        conf = {
            "sl_data_interval_start": (end - timedelta(hours=hours)).isoformat(),
            "sl_data_interval_end": end.isoformat(),
        }
        run = {"dag_run_id": f"{name}-{hour}", "logical_date": None, "conf": conf}
        airflow.call("POST", f"/api/v2/dags/load_{name}/dagRuns", run)
        until(
            lambda number=number: len(runs()) == number and runs()[-1][0] in ("success", "failed"),
            f"{name} of {hour}:00 starts the transform" + airflow.logs(),
        )
    found = runs()
    assert [state for state, _ in found] == ["success"] * len(table), airflow.logs()
    for (name, hour, _, note), (_, shown) in zip(table, found, strict=True):
        assert shown.startswith(note), (name, hour, shown)
        assert bool(shown) == bool(note)

    lines = (tmp_path / "calls").read_text().splitlines()
    assert sum(line.startswith("load ") for line in lines) == len(table)
    transforms = [line for line in lines if line.startswith("transform ")]
    spans = [re.findall(r"sl_data_interval_(?:start|end)='([^']*)'", line) for line in transforms]
    hours = [(datetime.fromisoformat(start) - DAY, datetime.fromisoformat(end) - DAY) for start, end in spans]
    assert [(start.total_seconds() / 3600, end.total_seconds() / 3600) for start, end in hours] == [
        (-1, 0),
        (0, 1),
        (1, 24),
    ]
    if os.environ.get("STARLAKE_UPDATE_DOCS") and shutil.which("chromium"):
        waiting = airflow.query("SELECT run_id FROM dag_run WHERE dag_id = 'revenue' ORDER BY id LIMIT 3, 1")[0][0]
        shoot(airflow, f"/dags/revenue/runs/{quote(waiting)}", IMAGES / "waits.png")
