"""The example project on Fargate: the emulator's containers run the DuckDB engine, and the tables are those of duckdb directly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from breadth import in_the_matrix
from emulators.ecs import BUCKET, CREDENTIALS, Ecs
from starlake_core_project.bakery import expected_tables, write_bakery


def orchestrate(project: Path, home: Path, options: dict[str, object]) -> subprocess.CompletedProcess[str]:
    given = [
        word
        for name, value in options.items()
        for word in ("--option", f"{name}={','.join(value) if isinstance(value, list) else value}")
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SL_", "AWS_"))}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "starlake_core",
            "run",
            str(project),
            "--orchestrator",
            "local",
            "--environment",
            "fargate",
            *given,
        ],
        env={**env, **CREDENTIALS, "HOME": str(home), "COLUMNS": "200"},
        cwd=home,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


# What a check without a marker means is tested by itself; here it takes two whole runs.
WITHOUT = pytest.param("", marks=in_the_matrix, id="without markers")


@pytest.mark.parametrize("sentinel", [WITHOUT, pytest.param(f"s3://{BUCKET}/not-ready", id="with markers in S3")])
def test_the_example_has_the_same_tables(tmp_path: Path, sentinel: str) -> None:
    import duckdb

    project = tmp_path / "starbake"
    write_bakery(project)
    # As in a real task definition: the pipeline does not know where the project is.
    with Ecs((sys.executable, "-m", "starlake_core_duckdb"), {"SL_ROOT": str(project)}) as ecs:
        options = {**ecs.options, "fargate_async_poke_interval": 0.1}
        if sentinel:
            options["pre_load_not_ready_sentinel_path"] = sentinel
        first = orchestrate(project, tmp_path, options)
        assert first.returncode == 0, first.stdout
        ran = [container.arguments[0] for container in ecs.containers.all]
        assert sorted(set(ran)) == ["load", "preload", "stage", "transform"]
        assert all(
            ("--notReadySentinel" in one.arguments) == bool(sentinel)
            for one in ecs.containers.all
            if one.arguments[0] == "preload"
        )
        assert all(container.env["SL_RUN_KEY"] for container in ecs.containers.all)
        database = duckdb.connect(str(project / "datasets" / "duckdb.db"), read_only=True)
        with database:
            for table, content in expected_tables().items():
                columns = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in content["columns"])
                found = database.execute(f"SELECT {columns} FROM {table}").fetchall()
                assert sorted(map(list, found), key=str) == sorted(content["rows"], key=str), table
        # The files are gone, so the next run finds nothing to load.
        before = len(ecs.containers.all)
        second = orchestrate(project, tmp_path, options)
        assert second.returncode == 0, second.stdout
        assert "skipped: starbake has no incoming files" in second.stdout
        assert not {"stage", "load"} & {container.arguments[0] for container in ecs.containers.all[before:]}
        assert list(ecs.buckets.glob(f"{BUCKET}/not-ready/starbake/*.notready")) != [] or not sentinel
