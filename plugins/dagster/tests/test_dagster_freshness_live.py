"""A day of a daily load, a load every four hours and a transform, with the sensors of a real daemon and real run workers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from breadth import in_the_matrix
from dagster import DagsterInstance, DagsterRunStatus
from dagster_runs import job, run
from dagster_server import LiveDagster, until
from starlake_core_dagster import definitions

pytestmark = [in_the_matrix, pytest.mark.live]

UTC = timezone.utc
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MIDNIGHT = datetime(2026, 3, 4, tzinfo=UTC)

PROGRAM = """\
#!/bin/sh
case "$*" in *transform*) echo "$*" >> "$SL_ROOT/commands" ;; esac
"""

PIPELINES = """\
import json

from starlake_core import Orchestration

DAILY, OFTEN = "0 0 * * *", "0 */4 * * *"
tables = [
    {{"data": {{"name": name, "typ": "table", "cron": cron}}}}
    for name, cron in (("shop.customers", DAILY), ("shop.orders", OFTEN))
]
lineage = json.dumps([{{"data": {{"name": "kpi.summary", "typ": "task"}}, "children": tables}}])
options = {{
    "SL_STARLAKE_PATH": "{program}",
    "sl_env_var": {{"SL_ROOT": "{root}"}},
    "sensor_interval": 2,
    "retries": 0,
    "retry_unsafe": "blind",
    "default_status": "running",
}}
with Orchestration(options=options, orchestrator="dagster", environment="shell") as orchestration:
    for name, table, cron in (("daily", "customers", DAILY), ("often", "orders", OFTEN)):
        with orchestration.sl_create_pipeline(name=name, cron=cron) as pipeline:
            pipeline.sl_load("load", "shop", table)
    with orchestration.sl_create_pipeline(name="kpi", dependencies=lineage) as pipeline:
        pipeline.add_lineage()
"""


@pytest.fixture
def dagster(tmp_path: Path) -> LiveDagster:
    root = tmp_path / "project"
    root.mkdir()
    program = root / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    file = root / "pipelines.py"
    file.write_text(PIPELINES.format(program=program, root=root))
    return LiveDagster(tmp_path / "dagster", [file], {})


class Live:
    """The loads run here, in the instance of the daemon; the transforms are its own business."""

    def __init__(self, instance: Any, dagster: LiveDagster) -> None:
        self.instance = instance
        self.dagster = dagster
        self.defs = definitions(dagster.files[0])
        self.root = dagster.files[0].parent

    def load(self, name: str, scheduled: datetime) -> None:
        """A load of the period that ends at a time."""
        begin = scheduled - (DAY if name == "daily" else 4 * HOUR)
        key = begin.strftime("%Y-%m-%dT%H:%M:%S%z")
        assert run(job(self.defs, name), self.instance, partition_key=key).success

    def ticks(self) -> list[Any]:
        """What the sensor found, the latest first."""
        for state in self.instance.all_instigator_state():
            if state.instigator_name == "kpi_sensor":
                return list(self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=5))
        return []

    def says(self, text: str) -> str:
        """Wait until the sensor says something, having begun to look after this call."""
        since = datetime.now(UTC).timestamp()

        def said() -> str:
            return next(
                (t.skip_reason or "" for t in self.ticks() if t.timestamp > since and text in (t.skip_reason or "")), ""
            )

        return str(until(said, f"the sensor says {text}", self.dagster.logs))

    def intervals(self) -> list[tuple[datetime, datetime]]:
        """The data intervals on the command lines."""
        file = self.root / "commands"
        lines = file.read_text().splitlines() if file.exists() else []
        found = []
        for line in lines:
            start, end = (re.findall(rf"sl_data_interval_{edge}='([^']*)'", line)[0] for edge in ("start", "end"))
            found.append((datetime.fromisoformat(start), datetime.fromisoformat(end)))
        return found


def test_a_day_gives_exactly_its_runs(dagster: LiveDagster) -> None:
    with DagsterInstance.from_config(str(dagster.home)) as instance:
        live = Live(instance, dagster)
        live.load("daily", MIDNIGHT)
        live.load("often", MIDNIGHT)
        with dagster.only_daemon():
            live.says("SKIP: nothing new")
            expected = [(MIDNIGHT - 4 * HOUR, MIDNIGHT)]
            assert live.intervals() == expected
            live.load("often", MIDNIGHT + 4 * HOUR)
            live.says("SKIP: nothing new")
            # What is loaded while a run is going is one run afterwards.
            going = instance.create_run_for_job(job(live.defs, "kpi"), status=DagsterRunStatus.STARTED)
            live.says(f"run {going.run_id} is STARTED")
            for hour in (8, 12, 16, 20):
                live.load("often", MIDNIGHT + hour * HOUR)
            instance.report_run_canceled(going)
            live.says("SKIP: nothing new")
            expected += [(MIDNIGHT, MIDNIGHT + 4 * HOUR), (MIDNIGHT + 4 * HOUR, MIDNIGHT + 20 * HOUR)]
            assert live.intervals() == expected
            live.load("often", MIDNIGHT + DAY)
            said = live.says("WAIT: ")
            assert "  starlake://shop/customers: missing, " in said
            assert "  starlake://shop/orders: present, " in said
            live.load("daily", MIDNIGHT + DAY)
            live.says("SKIP: nothing new")
            expected.append((MIDNIGHT + 20 * HOUR, MIDNIGHT + DAY))
            # A load is repeated at once: min_timedelta_between_runs.
            live.load("often", MIDNIGHT + 12 * HOUR)
            live.says("SKIP: data was loaded again")
        assert live.intervals() == expected
        ends = [found.status for found in instance.get_runs() if found.job_name == "kpi"]
        assert ends.count(DagsterRunStatus.SUCCESS) == 4
        assert len(ends) == 5
