"""The options of the orchestrator ``local``."""

from __future__ import annotations

from starlake_core import STR, Integer, OptionGroup, option

__all__ = ["LocalOptions"]


class LocalOptions(OptionGroup):
    """How many tasks run at once, and where runs are remembered."""

    parallelism: int = option(Integer(1), 4, doc="Tasks at once.")
    state_dir: str | None = option(
        STR, doc="Folder for run records and logs; .starlake-core in the project by default."
    )
