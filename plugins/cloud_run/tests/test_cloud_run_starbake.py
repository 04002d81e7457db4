"""The example project on Cloud Run: its executions run the DuckDB engine, and give the tables that the engine gives by itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from breadth import in_the_matrix
from command_line import orchestrate
from emulators.cloud_run import CloudRun
from starlake_core_project.bakery import expected_tables, write_bakery

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    root = tmp_path / "starbake"
    write_bakery(root)
    return root


@pytest.fixture
def emulator(example: Path, buckets: Path) -> Iterator[CloudRun]:
    # The project is what the image and the Cloud Run job say: a pipeline need not know where it is.
    program = (sys.executable, "-m", "starlake_core_duckdb")
    with CloudRun(program, {"SL_ROOT": str(example)}, buckets) as running:
        yield running


def test_the_example_gives_the_tables_of_the_engine(example: Path, emulator: CloudRun) -> None:
    options = {**emulator.options, "pre_load_not_ready_sentinel_path": "gs://bucket/not-ready"}
    words = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    run = ("run", example, "--environment", "cloud_run", *words)
    first = orchestrate(*run)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count(": success (") == 3
    # Two gates, two imports, four loads, three transforms.
    assert len(emulator.containers.all) == len(emulator.executions()) == 11
    assert {container.exit_code for container in emulator.containers.all} == {0}
    check_tables(example)
    second = orchestrate(*run)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "skipped: starbake has no incoming files (check_starbake_incoming_files)" in second.stdout
    assert "without a marker" not in second.stdout + second.stderr
    assert len(emulator.executions()) == 13
    check_tables(example)


def check_tables(example: Path) -> None:
    with duckdb.connect(str(example / "datasets" / "duckdb.db"), read_only=True) as connection:
        for table, content in expected_tables().items():
            columns = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in content["columns"])
            found = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
            assert sorted(map(list, found), key=str) == sorted(content["rows"], key=str), table


def test_a_failure_shows_the_end_of_the_output_and_the_console(example: Path, emulator: CloudRun) -> None:
    (example / "metadata" / "transform" / "kpi" / "overview.sql").write_text("SELECT * FROM no.such_table")
    words = [word for name, value in emulator.options.items() for word in ("--option", f"{name}={value}")]
    select = ("--select", "kpi_overview")
    done = orchestrate("run", example, *select, "--environment", "cloud_run", "--option", "retries=0", *words)
    assert done.returncode == 1
    assert "kpi_overview failed: exit code 1" in done.stdout
    assert "such_table" in done.stdout
    assert "https://console.cloud.google.com/run/jobs/executions/details/europe-west1/starlake-" in done.stdout


@in_the_matrix  # the quick start of the README does the same
def test_the_emulator_is_a_program_that_says_how_to_use_it(example: Path) -> None:
    script = ROOT / "tests" / "emulators" / "cloud_run.py"
    program = f"{sys.executable} -m starlake_core_duckdb"
    with subprocess.Popen(
        [sys.executable, str(script), "--program", program, "--env", f"SL_ROOT={example}"],
        text=True,
        stdout=subprocess.PIPE,
    ) as emulator:
        try:
            assert emulator.stdout is not None
            words = emulator.stdout.readline().split()
            done = orchestrate("run", example / "dags" / "starbake_load.py", "--select", "*customers", *words)
        finally:
            emulator.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "load_starbake_customers success" in done.stdout
