"""The example project on Dataproc, as people would run it: a cluster for each run, and the tables that DuckDB makes without any cloud."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from breadth import in_the_matrix
from emulators.dataproc import Dataproc
from starlake_core_project.bakery import expected_tables, write_bakery

from starlake_core import (
    Orchestration,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakePipeline,
    StarlakeSchedule,
)

TABLES = ["customers", "ingredients", "orders", "products"]
SERVERLESS = {"dataproc_serverless": True, "dataproc_cluster": None}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "starbake"
    write_bakery(root)
    return root


@pytest.fixture
def dataproc(project: Path, tmp_path: Path) -> Iterator[Dataproc]:
    # SL_ROOT is what the cluster knows, and the pipeline does not.
    program = (sys.executable, "-m", "starlake_core_duckdb")
    with Dataproc(program, {"SL_ROOT": str(project)}, tmp_path / "buckets") as serving:
        yield serving


def load_and_transform(options: dict[str, Any]) -> list[StarlakePipeline]:
    tables = {name: StarlakeDependency(f"starbake.{name}", "table") for name in TABLES}
    sales = StarlakeDependency("kpi.product_sales", dependencies=[tables["orders"], tables["products"]])
    value = StarlakeDependency("kpi.customer_value", dependencies=[tables["orders"], tables["customers"]])
    overview = StarlakeDependency("kpi.overview", dependencies=[sales, value])
    with Orchestration(
        options, orchestrator="local", environment="dataproc", filename="starbake.py", namespace={}
    ) as orchestration:
        schedule = StarlakeSchedule("daily", cron="0 0 * * *", domains=[StarlakeDomain("starbake", tables=TABLES)])
        with orchestration.sl_create_pipeline(schedule=schedule, name="starbake_load") as load:
            load.add_schedule()
        lineage = StarlakeDependencies([sales, value, overview])
        with orchestration.sl_create_pipeline(dependencies=lineage, name="starbake_kpi") as kpi:
            kpi.add_lineage()
    return [load, kpi]


def rows(project: Path, table: str, columns: list[str]) -> list[list[str]]:
    shown = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
    with duckdb.connect(str(project / "datasets" / "duckdb.db"), read_only=True) as connection:
        return sorted(map(list, connection.execute(f"SELECT {shown} FROM {table}").fetchall()), key=str)


# On an existing cluster as on one of their own, but for the cluster.
EXISTING = pytest.param({}, marks=in_the_matrix)


@pytest.mark.parametrize(
    "more", [{"dataproc_cluster": None}, EXISTING, SERVERLESS], ids=["ephemeral", "existing", "serverless"]
)
def test_the_tables_are_those_of_duckdb(
    dataproc: Dataproc, project: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    options = {
        **dataproc.options,
        "pre_load_strategy": "imported",
        "state_dir": str(tmp_path / "state"),
        "retries": 0,
        **more,
    }
    clusters = "dataproc_cluster" in more and "dataproc_serverless" not in more
    for pipeline in load_and_transform(options):
        report = pipeline.run()
        states = {task.id.rpartition(".")[2]: task.state for task in report.tasks}
        assert report.state == "success", report
        assert ({"create_cluster", "delete_cluster"} <= set(states)) is clusters
    assert dataproc.faults.calls["CreateCluster"] == (2 if clusters else 0)
    assert list(dataproc.clusters) == ["existing"]
    for table, content in expected_tables().items():
        assert rows(project, table, content["columns"]) == sorted(content["rows"], key=str), table
    # Nothing new has come: the gate of the domain closes, and the cluster goes all the same.
    report = load_and_transform(options)[0].run()
    skipped = [task.id for task in report.tasks if task.state == "skipped"]
    assert any("load" in task for task in skipped), report
    assert list(dataproc.clusters) == ["existing"]


@in_the_matrix  # the quick start of the README does the same
def test_the_command_line_runs_the_example(project: Path, tmp_path: Path) -> None:
    """What the README says: the emulator in one shell, ``starlake-orchestrate`` in another."""
    emulator = Path(__file__).resolve().parents[3] / "tests" / "emulators" / "dataproc.py"
    program = f"{sys.executable} -m starlake_core_duckdb"
    command = [sys.executable, str(emulator), "--program", program, "--env", f"SL_ROOT={project}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            line = serving.stdout.readline()
            while line.endswith("\\\n"):
                line = line.removesuffix("\\\n") + serving.stdout.readline()
            run = [
                sys.executable,
                "-m",
                "starlake_core",
                "run",
                str(project),
                "--option",
                "state_dir=state",
                *line.split(),
            ]
            done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=tmp_path)
        finally:
            serving.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "create_cluster" in done.stdout
    assert rows(project, "kpi.overview", ["products"])
