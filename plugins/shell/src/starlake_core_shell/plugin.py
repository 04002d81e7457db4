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

# They write to no database.
_READ_ONLY = ("preload", "stage")


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
            "exclusive",
            STR,
            "auto",
            doc="A resource that commands use one at a time (not preload and stage), by a name of your own; auto for the database that a command "
            "writes to, where it is a file with one writer (DuckDB, SQLite); none for no such resource.",
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
        exclusive="" if command.name in _READ_ONLY or options["exclusive"] == "none" else options["exclusive"],
    )


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    return ProcessRunner(
        lambda job: (job.spec["executable"], *job.arguments),
        lambda job: {**worker_environment(job.spec["include_env"]), **job.env},
        MISSING,
    )
