"""The hooks of the environment ``duckdb``: the engine of this package, started as a process like the Starlake command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from starlake_core import Command, GeneralOptions, Job, OptionGroup, Options, RunKey, hookimpl
from starlake_core.processes.following import Followed
from starlake_core.processes.runner import local_folder, python_module, worker_environment
from starlake_core.runtime import ProcessRunner, Runner

from .options import DuckDBOptions


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [DuckDBOptions]


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    chosen = options[DuckDBOptions]
    spec = {"include_env": list(chosen.sl_include_env_vars), "engine": chosen.duckdb_engine}
    return Job("duckdb", command.vector, options[GeneralOptions].sl_env_var, spec)


def _environment(job: Job) -> dict[str, str]:
    """The environment of a process: what every command gets, and the variables that the files of the project mention."""
    from starlake_core_project import named_variables

    env = {**worker_environment(job.spec["include_env"]), **job.env}
    root = local_folder(env.get("SL_ROOT"))
    if root is None:
        return env
    others = os.environ.keys() - env.keys()
    named = named_variables(Path(root) / (env.get("SL_METADATA") or "metadata"), others)
    return {**env, **{name: os.environ[name] for name in sorted(named)}}


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    # The interpreter is the worker's own: the one that built the pipeline may be on another machine.
    return ProcessRunner(
        lambda job: (*python_module("starlake_core_duckdb"), *job.arguments),
        _environment,
        "The DuckDB engine needs the Python interpreter that runs this process",
        keyed=True,
        follow=_follow,
        rest=_rest,
    )


def _follow(
    key: RunKey, job: Job, sentinel: str | None, secrets: tuple[str, ...], on_end: Callable[[], None]
) -> Followed:
    """What follows an attempt: the warm engine has it if it is a load or a transform, and nobody wants it otherwise."""
    if job.spec.get("engine") != "warm" or job.arguments[:1] not in (("load",), ("transform",)):
        return Followed(key, job, sentinel, secrets, on_end)
    from .engine.following import Warm

    return Warm(key, job, sentinel, secrets, on_end)


def _rest() -> None:
    client = sys.modules.get(f"{__package__}.engine.client")
    if client is not None:
        client.rest()


@hookimpl
def sl_check_jobs(jobs: Sequence[Job]) -> Sequence[str]:
    from .faults import faults_of

    return faults_of([job for job in jobs if job.environment == "duckdb"], _environment)
