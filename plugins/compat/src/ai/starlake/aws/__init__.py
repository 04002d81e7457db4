"""``ai.starlake.aws``: nothing here is needed any more, because the options ``aws_*`` replace it."""

from typing import TYPE_CHECKING

from starlake_core_compat.removed import hints_of

__all__: list[str] = []

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
