"""The hooks of the environment ``shell``."""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core import BOOL, CSV, STR, Command, Job, Option, Options, hookimpl
from starlake_core.runtime import ProcessRunner, Runner
from starlake_core.runtime.process import worker_environment

MISSING = (
    "Install the Starlake command line (see https://docs.starlake.ai) and put it on the PATH, or set SL_STARLAKE_PATH to it. To try the "
    "pipeline without it: pip install starlake-core-duckdb, and --environment duckdb"
)


@hookimpl
def sl_options() -> Sequence[Option]:
    return [
        Option("SL_STARLAKE_PATH", STR, "starlake", doc="The executable: a name on the PATH, or a path."),
        Option(
            "sl_include_env_vars",
            CSV,
            ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_KEY_ID", "AWS_SECRET_KEY"),
            doc="Variables of the worker that the command gets besides PATH, HOME, JAVA_HOME, SL_* and the like; * for all.",
        ),
        Option(
            "pre_load_not_ready_sentinel",
            BOOL,
            True,
            doc="Let Starlake mark 'not ready' in a file; switch off for a Starlake older than 1.5.15.",
        ),
    ]


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    return Job(
        "shell",
        command.vector,
        options["sl_env_var"],
        {
            "executable": options["SL_STARLAKE_PATH"],
            "include_env": list(options["sl_include_env_vars"]),
            "sentinel": options["pre_load_not_ready_sentinel"],
        },
    )


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    return ProcessRunner(
        lambda job: (job.spec["executable"], *job.arguments),
        lambda job: {**worker_environment(job.spec["include_env"]), **job.env},
        MISSING,
    )
