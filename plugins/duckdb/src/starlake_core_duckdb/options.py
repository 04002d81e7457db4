"""The options of the environment ``duckdb``."""

from __future__ import annotations

from starlake_core import CSV, OptionGroup, option

__all__ = ["DuckDBOptions"]


class DuckDBOptions(OptionGroup):
    """What the engine gets."""

    sl_include_env_vars: tuple[str, ...] = option(
        CSV,
        (),
        doc="More variables of the worker for the engine; * for all. It always gets SL_*, basic ones such as PATH and HOME, and those that the "
        "files of the project name.",
    )
