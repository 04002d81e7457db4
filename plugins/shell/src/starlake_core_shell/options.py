"""The options of the environment ``shell``."""

from __future__ import annotations

from starlake_core import BOOL, CSV, STR, OptionGroup, option

__all__ = ["ShellOptions"]


class ShellOptions(OptionGroup):
    """Where the Starlake command line is, and what it receives."""

    starlake_path: str = option(
        STR, "starlake", name="SL_STARLAKE_PATH", doc="The executable: a name on the PATH, or a path."
    )
    sl_include_env_vars: tuple[str, ...] = option(
        CSV,
        ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_KEY_ID", "AWS_SECRET_KEY"),
        doc="Environment variables of the worker to pass on, in addition to PATH, HOME, JAVA_HOME, SL_* and others that "
        "every command receives; * for all.",
    )
    exclusive: str = option(
        STR,
        "auto",
        doc="A resource that only one command may use at a time (pre-loads and imports excepted), by a name of your choice. auto: the database that "
        "the command writes to, if it is a file with one writer (DuckDB, SQLite). none: no such resource.",
    )
    pre_load_not_ready_sentinel: bool = option(
        BOOL,
        True,
        doc="Let Starlake report 'not ready' with a marker file; turn it off for Starlake older than 1.5.15.",
    )
