"""A pipeline in Dagster's multiprocess executor: what holds in our threads holds in a process for each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagster import execute_job
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster_runs import instance_in, output_of, program, states

from starlake_core.testing import StandIn, Step

pytest_plugins = ["starlake_core.testing.plugin"]

FILE = """
from dagster import multiprocess_executor

processes = multiprocess_executor.configured({{"start_method": {{"forkserver": {{"preload_modules": ["starlake_core_dagster.loading"]}}}}}})
from starlake_core import Orchestration

options = {options!r}
with Orchestration(options, orchestrator="dagster", environment="shell", filename=__file__, namespace=globals()) as one:
    with one.sl_create_pipeline(name="p", cron="0 2 * * *", executor_def=processes) as p:
        p.sl_load("x", "g", "x") >> p.sl_transform("a", "mart.a")
"""


def in_processes(tmp_path: Path, stand_in: StandIn, instance: Any) -> Any:
    """A run of the pipeline with a process for each step."""
    file = tmp_path / "pipelines.py"
    options = {**program(stand_in), "retries": 0, "sl_env_var": {"SL_ROOT": str(tmp_path)}}
    file.write_text(FILE.format(options=options), encoding="utf-8")
    job = ReconstructableRepository.for_file(str(file), "defs", str(tmp_path)).get_reconstructable_job("p")
    with execute_job(job, instance) as result:
        return result


def test_a_run_without_a_partition_and_its_output(tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.script("load:g.x", Step(lines=("a line of x",)))
    stand_in.script("transform:mart.a", Step(lines=("a line of a",)))
    with instance_in(tmp_path / "home") as instance:
        result = in_processes(tmp_path, stand_in, instance)
        assert "a line of x" in output_of(instance, result, "x")
        assert "a line of a" in output_of(instance, result, "a")
    assert states(result) == {"x": "success", "a": "success"}
