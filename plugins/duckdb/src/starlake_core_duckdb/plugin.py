"""The hooks of the environment ``duckdb``: the engine of this package, started as a process like the Starlake command line."""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core import Command, GeneralOptions, Job, OptionGroup, Options, hookimpl
from starlake_core.processes.runner import python_module, worker_environment
from starlake_core.runtime import ProcessRunner, Runner

from .options import DuckDBOptions


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [DuckDBOptions]


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    spec = {"include_env": list(options[DuckDBOptions].sl_include_env_vars)}
    return Job("duckdb", command.vector, options[GeneralOptions].sl_env_var, spec)


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    # The interpreter is the worker's own: the one that built the pipeline may be on another machine.
    return ProcessRunner(
        lambda job: (*python_module("starlake_core_duckdb"), *job.arguments),
        lambda job: {**worker_environment(job.spec["include_env"]), **job.env},
        "The DuckDB engine needs the Python interpreter that runs this process",
        keyed=True,
    )
