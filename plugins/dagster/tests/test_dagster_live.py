"""A day on a real Dagster: webserver, daemon, code servers and run workers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from breadth import in_the_matrix
from dagster import DagsterInstance
from dagster import __version__ as version
from dagster_server import LiveDagster, alive, begin_of, shoot, until
from engines import engines
from starlake_core_project.bakery import expected_tables, write_bakery

pytestmark = pytest.mark.live

IMAGES = Path(__file__).parents[1] / "images"
RECENT = tuple(map(int, version.split(".")[:2])) >= (1, 13)
"""Whether this is the user interface that the picture of the documentation shows."""
LINEAGE = {
    "kpi/product_sales": ["starbake/orders", "starbake/products"],
    "kpi/customer_value": ["starbake/customers", "starbake/orders"],
    "kpi/overview": ["kpi/customer_value", "kpi/product_sales"],
}

# One job tells its process and takes long, one fails until the file "mended" is there, one at its first attempt, two if they run at once, and one
# tells how it was called.
PROGRAM = """\
#!/bin/sh
case "$*" in
*odd.slow*) echo $$ > "$SL_ROOT/pid" && exec sleep 600 ;;
*odd.broken*) test -e "$SL_ROOT/mended" ;;
*odd.narrow*) mkdir "$SL_ROOT/narrow" && sleep 1 && rmdir "$SL_ROOT/narrow" ;;
*odd.flaky*) test -e "$SL_ROOT/flaked" || ! touch "$SL_ROOT/flaked" ;;
*odd.nightly*) echo "$*" >> "$SL_ROOT/nights" ;;
esac
"""

ODD = """\
# Jobs that take long, fail, or have a partition for every night.
from starlake_core import Orchestration

with Orchestration(options={"start_date": "2024-01-01"}, environment="shell") as orchestration:
    with orchestration.sl_create_pipeline(name="slow") as pipeline:
        pipeline.start_task() >> pipeline.sl_transform("slow", "odd.slow", retries=0) >> pipeline.end_task()
    with orchestration.sl_create_pipeline(name="half") as pipeline:
        halves = [pipeline.sl_transform(name, f"odd.{name}", retries=0) for name in ("sound", "broken")]
        pipeline.start_task() >> halves >> pipeline.end_task()
    with orchestration.sl_create_pipeline(name="nightly", cron="0 0 * * *") as pipeline:
        pipeline.start_task() >> pipeline.sl_transform("nightly", "odd.nightly", retries=0) >> pipeline.end_task()
"""

PROCESSES = """\
# A process for each step: two steps share a pool, one is tried again, and one follows them all.
from dagster import multiprocess_executor
from starlake_core import Orchestration

with Orchestration(environment="shell") as orchestration:
    with orchestration.sl_create_pipeline(name="processes", executor_def=multiprocess_executor) as pipeline:
        narrow = [pipeline.sl_transform(name, f"odd.{name}", pool="narrow", retries=0) for name in ("narrow_1", "narrow_2")]
        flaky = pipeline.sl_transform("flaky", "odd.flaky", retries=1, retry_delay=1)
        [*narrow, flaky] >> pipeline.end_task()
"""

MINUTELY = """\
# A job for every minute, and one that waits for it.
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency

with Orchestration(options={"start_date": "TODAY"}, environment="shell") as orchestration:
    with orchestration.sl_create_pipeline(name="minutely", cron="* * * * *") as pipeline:
        pipeline.start_task() >> pipeline.sl_transform("nightly", "odd.nightly", retries=0) >> pipeline.end_task()
    lineage = StarlakeDependencies([StarlakeDependency("odd.follower", dependencies=[StarlakeDependency("odd.nightly", "table")])])
    with orchestration.sl_create_pipeline(name="follower", dependencies=lineage) as pipeline:
        pipeline.start_task() >> pipeline.sl_transform("follower", "odd.follower", retries=0) >> pipeline.end_task()
"""

TOGETHER = """\
from starlake_core_dagster import definitions

defs = definitions("dags")
"""


def rows(database: Path, table: str, columns: list[str]) -> list[list[str]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        cast = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
        return sorted(map(list, connection.execute(f"SELECT {cast} FROM {table}").fetchall()), key=str)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "starbake"
    write_bakery(root)
    program = root / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (root / "odd.py").write_text(ODD)
    return root


@pytest.fixture
def dagster(tmp_path: Path, project: Path) -> LiveDagster:
    yesterday = datetime.now(ZoneInfo("Europe/Paris")).date() - timedelta(days=1)
    return LiveDagster(
        tmp_path / "dagster",
        [project / "dags" / "starbake_load.py", project / "dags" / "starbake_kpi.py", project / "odd.py"],
        {
            "SL_STARLAKE_PATH": str(project / "program"),
            "SL_SENSOR_INTERVAL": "5",
            "SL_DATASET_TRIGGERING_STRATEGY": "all",
            "SL_START_DATE": yesterday.isoformat(),
        },
    )


@pytest.fixture
def server(dagster: LiveDagster) -> Iterator[LiveDagster]:
    with dagster.running():
        yield dagster


def test_a_day(server: LiveDagster, project: Path, tmp_path: Path) -> None:
    jobs = server.jobs()
    server.stop_schedules()
    last = {name: server.last_partitions(jobs[name])[-1] for name in ("starbake_load_daily", "starbake_load_hourly")}
    loads = {name: server.launch(jobs[name], {"dagster/partition": key}) for name, key in last.items()}
    slow = server.launch(jobs["slow"])
    half = server.launch(jobs["half"])
    nights = server.last_partitions(jobs["nightly"])
    backfill = server.backfill(jobs["nightly"], nights)

    # A stopped run stops its job.
    told = project / "pid"
    pid = int(until(lambda: told.exists() and told.read_text(), "the slow job runs", server.logs))
    assert alive(pid)
    server.stop(slow)
    until(lambda: not alive(pid), "the process of the stopped run is gone")
    assert server.ends(slow, "CANCELED").steps["slow"] == "FAILURE"

    # What failed, and what waited for it, is done again; nothing else is.
    steps = server.ends(half, "FAILURE").steps
    assert (steps["sound"], steps["broken"]) == ("SUCCESS", "FAILURE")
    (project / "mended").touch()
    again = server.again(half)

    # The loads of both schedules start the transforms, which are defined in another file.
    for name, run_id in loads.items():
        assert set(server.ends(run_id, "SUCCESS").steps.values()) == {"SUCCESS"}, name
    kpi = until(lambda: server.runs("starbake_kpi"), "the sensor fires", server.logs)
    found = server.ends(kpi[-1], "SUCCESS")
    assert found.tags["dagster/sensor_name"] == "starbake_kpi_sensor"
    assert set(found.steps.values()) == {"SUCCESS"}
    assert server.ends(again, "SUCCESS").steps == {"broken": "SUCCESS", "end": "SUCCESS"}

    # Every table is an asset that knows what it is made from.
    assets = server.assets()
    for name, before in LINEAGE.items():
        assert assets[name]["from"] == before
        assert assets[name]["isMaterializable"], name
    for name in ("customers", "ingredients", "products", "orders"):
        assert assets[f"starbake/{name}"]["from"] == []
        assert assets[f"starbake/{name}"]["isPartitioned"], name

    # The materialisations tell the data interval and the command.
    (orders,) = server.materializations("starbake/orders")
    assert (orders.run_id, orders.partition) == (loads["starbake_load_hourly"], last["starbake_load_hourly"])
    begin, end = (datetime.fromisoformat(orders.metadata[f"sl_data_interval_{edge}"]) for edge in ("start", "end"))
    assert begin == begin_of(orders.partition)
    assert end - begin == timedelta(hours=1)
    assert orders.metadata["command"].startswith("starlake load ")
    assert orders.metadata["command"].endswith("--domains starbake --tables orders")
    (customers,) = server.materializations("starbake/customers")
    assert customers.partition == last["starbake_load_daily"]
    (sales,) = server.materializations("kpi/product_sales")
    assert sales.metadata["sl_data_interval_start"] == customers.metadata["sl_data_interval_start"]
    assert sales.metadata["sl_data_interval_end"] == orders.metadata["sl_data_interval_end"]
    assert "--name kpi.product_sales" in sales.metadata["command"]

    for table, content in expected_tables().items():
        stored = rows(project / "datasets" / "duckdb.db", table, content["columns"])
        assert stored == sorted(content["rows"], key=str), table

    # One table by itself: it gets a row with every run.
    alone = server.launch(jobs["starbake_kpi.py:__ASSET_JOB"], assets=["kpi/overview"])
    assert server.ends(alone, "SUCCESS").steps == {"kpi_overview": "SUCCESS"}
    assert [made.run_id for made in server.materializations("kpi/overview")] == [alone, found.run_id]
    assert len(rows(project / "datasets" / "duckdb.db", "kpi.overview", ["interval_end"])) == 2

    # A backfill has a run for every partition, each with its own data interval.
    until(lambda: server.backfill_status(backfill) == "COMPLETED_SUCCESS", "the backfill ends", server.logs)
    ran = [server.run(run_id).tags["dagster/partition"] for run_id in server.runs("nightly")]
    assert sorted(ran) == nights
    until(lambda: not engines(project), "no engine outlives the runs", server.logs)
    said = (project / "nights").read_text()
    for night in nights:
        assert f"sl_data_interval_start='{begin_of(night).isoformat()}'" in said

    if shutil.which("chromium"):
        images = IMAGES if RECENT and os.environ.get("STARLAKE_UPDATE_DOCS") else tmp_path
        shoot(server, "kpi", ("starbake", "kpi"), images / "lineage.png")


@in_the_matrix
def test_processes_with_a_pool_and_a_retry(project: Path, tmp_path: Path) -> None:
    """Dagster's own executor keeps the pool and the retries of tasks, by the job, by *Materialize* and in a loaded-again code location."""
    file = project / "processes.py"
    file.write_text(PROCESSES)
    server = LiveDagster(tmp_path / "dagster", [file], {"SL_STARLAKE_PATH": str(project / "program")})
    with DagsterInstance.from_config(str(server.home)) as instance:
        instance.event_log_storage.set_concurrency_slots("narrow", 1)
    with server.running():
        run = server.launch(server.jobs()["processes"])
        assert set(server.ends(run, "SUCCESS").steps.values()) == {"SUCCESS"}
        assert server.log(run).count("StepRestart") + server.log(run).count("Started re-execution") == 1
        # Without a job, the steps run in our threads; the pool is the same.
        server.reload()
        tables = ["odd/narrow_1", "odd/narrow_2"]
        run = server.launch(server.jobs()["processes.py:__ASSET_JOB"], assets=tables)
        assert server.ends(run, "SUCCESS").steps == {"narrow_1": "SUCCESS", "narrow_2": "SUCCESS"}


@in_the_matrix
def test_a_schedule_fires(project: Path, tmp_path: Path) -> None:
    """The daemon runs the minute that is over, with its interval, and the transform that waits for it follows."""
    today = datetime.now(timezone.utc).date()
    file = project / "minutely.py"
    file.write_text(MINUTELY.replace("TODAY", today.isoformat()))
    places = {"SL_STARLAKE_PATH": str(project / "program"), "SL_SENSOR_INTERVAL": "5"}
    server = LiveDagster(tmp_path / "dagster", [file], places)
    with server.running():
        ran = [until(lambda: server.runs("minutely"), "the schedule fires", server.logs)[-1]]
        found = server.ends(ran[0], "SUCCESS")
        begin = begin_of(found.tags["dagster/partition"])
        assert begin.second == 0
        assert f"sl_data_interval_start='{begin.isoformat()}'" in (project / "nights").read_text()
        follower = until(lambda: server.runs("follower"), "the sensor starts what waits", server.logs)[-1]
        assert server.ends(follower, "SUCCESS").steps["follower"] == "SUCCESS"
        server.stop_schedules()


def test_it_loads_as_files_and_as_a_folder(dagster: LiveDagster, project: Path) -> None:
    (project / "together.py").write_text(TOGETHER)
    for files in (
        [project / "dags" / "starbake_load.py", project / "dags" / "starbake_kpi.py"],
        [project / "together.py"],
    ):
        said = dagster.validate(*files, folder=project)
        assert all(f"Validation successful for code location {file.name}" in said for file in files), said
