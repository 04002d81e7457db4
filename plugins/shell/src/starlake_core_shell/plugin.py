"""The hooks of the environment ``shell``."""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core import Command, GeneralOptions, Job, OptionGroup, Options, hookimpl
from starlake_core.processes.runner import worker_environment
from starlake_core.runtime import ProcessRunner, Runner

from .options import ShellOptions

MISSING = (
    "Install the Starlake command line (see https://docs.starlake.ai) and put it on the PATH, or set SL_STARLAKE_PATH to its path. To try the "
    "pipeline without it: pip install starlake-core-duckdb, then --environment duckdb"
)


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [ShellOptions]


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    shell = options[ShellOptions]
    return Job(
        "shell",
        command.vector,
        options[GeneralOptions].sl_env_var,
        {
            "executable": shell.starlake_path,
            "include_env": list(shell.sl_include_env_vars),
            "sentinel": shell.pre_load_not_ready_sentinel,
        },
        exclusive=shell.exclusive if command.type.writes and shell.exclusive != "none" else "",
    )


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    return ProcessRunner(
        lambda job: (job.spec["executable"], *job.arguments),
        lambda job: {**worker_environment(job.spec["include_env"]), **job.env},
        MISSING,
    )
