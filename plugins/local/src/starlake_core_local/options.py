"""The options of the orchestrator ``local``."""

from __future__ import annotations

from starlake_core import STR, Integer, OptionGroup, option

__all__ = ["LocalOptions"]


class LocalOptions(OptionGroup):
    """How many tasks run at once, and where runs are recorded."""

    parallelism: int = option(Integer(1), 4, doc="How many tasks run at once.")
    state_dir: str | None = option(
        STR, doc="The folder for run records and logs. The default is .starlake-core in the project."
    )
