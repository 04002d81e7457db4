"""The options of the environment ``shell``."""

from __future__ import annotations

from starlake_core import BOOL, CSV, STR, OptionGroup, option

__all__ = ["ShellOptions"]


class ShellOptions(OptionGroup):
    """Where the Starlake command line is, and what it gets."""

    starlake_path: str = option(
        STR, "starlake", name="SL_STARLAKE_PATH", doc="The executable: a name on the PATH, or a path."
    )
    sl_include_env_vars: tuple[str, ...] = option(
        CSV,
        ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_KEY_ID", "AWS_SECRET_KEY"),
        doc="Variables of the worker that the command gets besides PATH, HOME, JAVA_HOME, SL_* and the like; * for all.",
    )
    exclusive: str = option(
        STR,
        "auto",
        doc="A resource that commands use one at a time (not pre-loads and imports), by a name of your own; auto for the database that a command "
        "writes to, where it is a file with one writer (DuckDB, SQLite); none for no such resource.",
    )
    pre_load_not_ready_sentinel: bool = option(
        BOOL, True, doc="Let Starlake mark 'not ready' in a file; switch off for a Starlake older than 1.5.15."
    )
