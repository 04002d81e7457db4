"""``ai.starlake.aws``: nothing is needed from here any more, the options ``aws_*`` say it all."""

from typing import TYPE_CHECKING

from starlake_core_compat.removed import hints_of

__all__: list[str] = []

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
