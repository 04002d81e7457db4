"""A run that is killed at any moment and resumed leaves the same tables and files as one that was not disturbed.

The project loads a domain whose files are imported and one that waits for an acknowledgement file, both with APPEND, and transforms with APPEND.
Three moments by default, five in the matrix, all fifty with ``-m soak``; one in five with a process for each command instead of the warm engine.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from breadth import in_the_matrix
from engines import engines
from starlake_core_project.bakery import write_bakery

DATE = "2026-11-02T00:00:00+00:00"

PIPELINES = """
from starlake_core import Orchestration, StarlakeDependencies, StarlakeDependency

options = {"retry_delay": 1, "ack_wait_timeout": 2}

with Orchestration(options=options, environment="duckdb") as orchestration:
    with orchestration.sl_create_pipeline(name="load", cron="0 0 * * *") as pipeline:
        start, end = pipeline.start_task(), pipeline.end_task()
        for domain, tables, strategy in (
            ("starbake", ["customers", "orders", "products"], "imported"),
            ("market", ["prices"], "ack"),
        ):
            with pipeline.sl_create_task_group(domain) as group:
                check = pipeline.sl_pre_load(domain, tables, strategy)
                with pipeline.sl_create_task_group(f"load_{domain}") as loads:
                    for table in tables:
                        pipeline.sl_load(domain=domain, table=table)
                if strategy == "imported":
                    check >> pipeline.sl_import(domain=domain, tables=tables) >> loads
                else:
                    check >> loads
            start >> group >> end

    orders = StarlakeDependency("starbake.orders", "table", cron="0 0 * * *")
    sales = StarlakeDependency("kpi.product_sales", dependencies=[orders])
    value = StarlakeDependency("kpi.customer_value", dependencies=[orders])
    overview = StarlakeDependency("kpi.overview", dependencies=[sales, value])
    with orchestration.sl_create_pipeline(dependencies=StarlakeDependencies([sales, value, overview]), name="kpi") as pipeline:
        pipeline.add_lineage()
"""

PRICES = """
version: 1
table:
  name: "prices"
  pattern: "prices.*.csv"
  attributes:
    - {name: "flour", type: "int"}
    - {name: "butter", type: "int"}
  metadata: {format: "DSV", withHeader: true, separator: ";", writeStrategy: {type: "APPEND"}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def make_project(root: Path) -> Path:
    write_bakery(root)
    shutil.rmtree(root / "dags")
    market = root / "metadata" / "load" / "market"
    market.mkdir()
    (market / "_config.sl.yml").write_text('version: 1\nload:\n  name: "market"\n')
    (market / "prices.sl.yml").write_text(PRICES)
    stage = root / "datasets" / "stage" / "market"
    stage.mkdir(parents=True)
    (stage / "prices-1.csv").write_text("flour;butter\n1;2\n3;4\n")
    ack = root / "datasets" / "pending" / "market" / "2026-11-02.ack"
    ack.parent.mkdir(parents=True)
    ack.touch()
    (root / "pipelines.py").write_text(PIPELINES)
    return root


def command(verb: str, root: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SL_")}
    return subprocess.Popen(
        [sys.executable, "-m", "starlake_core", verb, str(root / "pipelines.py"), *arguments],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def state(root: Path) -> dict[str, object]:
    """Every table's rows, and the names of the files in every area."""
    script = (
        "import duckdb, json, sys\n"
        "db = duckdb.connect(sys.argv[1], read_only=True)\n"
        'query = "select table_schema, table_name from information_schema.tables "\n'
        "query += \"where table_schema not in ('starlake_core', 'audit') order by all\"\n"
        "names = db.execute(query).fetchall()\n"
        'print(json.dumps({f"{s}.{t}": sorted(map(str, db.execute(f\'select * from "{s}"."{t}"\').fetchall())) for s, t in names}))\n'
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(root / "datasets" / "duckdb.db")], text=True, capture_output=True, check=True
    )
    areas = {
        str(folder.relative_to(root)): sorted(file.name for file in folder.rglob("*") if file.is_file())
        for folder in sorted((root / "datasets").glob("*"))
        if folder.is_dir()
    }
    return {"tables": json.loads(found.stdout), "files": areas}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], float]:
    root = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    started = time.monotonic()
    code, output = finish(command("run", root, "--date", DATE))
    seconds = time.monotonic() - started
    assert code == 0, output
    return state(root), seconds


def test_the_undisturbed_run_does_all_of_it(undisturbed: tuple[dict[str, object], float]) -> None:
    tables = undisturbed[0]["tables"]
    assert isinstance(tables, dict)
    counts = {name.lower(): len(rows) for name, rows in tables.items()}
    assert counts["market.prices"] == 2
    assert counts["kpi.overview"] == 1
    assert counts["starbake.orders"] > 1000


def kill_and_resume(root: Path, random_: random.Random, seconds: float, kills: int) -> str:
    """Kill a run, and perhaps its resumption, then finish it; returns the story for a failure message."""
    story = []
    verb, arguments = "run", ["--date", DATE]
    for _ in range(kills):
        delay = random_.uniform(0.05, seconds)
        process = command(verb, root, *arguments)
        try:
            output, _ = process.communicate(timeout=delay)
            story.append(f"{verb} ended by itself before {delay:.2f} s with {process.returncode}:\n{output}")
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            story.append(f"{verb} killed after {delay:.2f} s:\n{output}")
        if (root / ".starlake-core" / "runs.db").exists():
            verb, arguments = "resume", []
    code, output = finish(command(verb, root, *arguments))
    story.append(f"{verb} ended with {code}:\n{output}")
    if code == 0 and "nothing to resume: every recorded" in output and verb == "resume":
        # Killed after the record was made and before the first run was in it.
        known = finish(command("runs", root))[1]
        if "no runs yet" in known:
            code, output = finish(command("run", root, "--date", DATE))
            story.append(f"run ended with {code}:\n{output}")
    assert code == 0, "\n".join(story)
    return "\n".join(story)


SEED = int(os.environ["STARLAKE_SOAK_SEED"])


def often(number: int) -> Any:
    return pytest.mark.soak if number >= 5 else in_the_matrix if number >= 3 else ()


@pytest.mark.faults
@pytest.mark.parametrize("number", [pytest.param(n, marks=often(n)) for n in range(50)])
def test_a_killed_run_is_resumed_to_the_same_end(
    number: int, project: Path, undisturbed: tuple[dict[str, object], float]
) -> None:
    expected, seconds = undisturbed
    random_ = random.Random(SEED * 1000 + number)
    if number % 5 == 1:
        pipelines = project / "pipelines.py"
        pipelines.write_text(pipelines.read_text().replace("options = {", 'options = {"duckdb_engine": "process", '))
    story = kill_and_resume(project, random_, seconds, kills=2 if number % 5 == 4 else 1)
    assert state(project) == expected, f"STARLAKE_SOAK_SEED={SEED}\n{story}"
    deadline = time.monotonic() + 30
    while engines(project):
        assert time.monotonic() < deadline, f"STARLAKE_SOAK_SEED={SEED}: an engine is left\n{story}"
        time.sleep(0.05)


def test_a_second_run_loads_nothing_twice_and_says_why(project: Path) -> None:
    assert finish(command("run", project, "--date", DATE))[0] == 0
    before = state(project)
    code, output = finish(command("run", project, "--date", DATE, "--option", "ack_wait_timeout=0"))
    assert code == 0, output
    assert "starbake has no incoming files" in output
    assert "market has no acknowledgement file" in output
    assert "nothing new was loaded since the last run" in output
    assert state(project) == before
