"""The options of the environment ``duckdb``."""

from __future__ import annotations

from starlake_core import CSV, OneOf, OptionGroup, option

__all__ = ["DuckDBOptions"]


_ENGINE = OneOf("warm", "process")


class DuckDBOptions(OptionGroup):
    """What the engine gets."""

    sl_include_env_vars: tuple[str, ...] = option(
        CSV,
        (),
        doc="More variables of the worker for the engine; * for all. It always gets SL_*, basic ones such as PATH and HOME, and those that the "
        "files of the project name.",
    )
    duckdb_engine: str = option(
        _ENGINE,
        "warm",
        doc="What carries out loads and transforms: warm (one engine for all commands on a database, which starts when it is needed and ends "
        "when nobody uses it) or process (a process for each command, which shares nothing with others).",
    )
