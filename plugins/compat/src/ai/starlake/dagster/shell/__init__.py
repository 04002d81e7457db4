"""``ai.starlake.dagster.shell``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.dagster import StarlakeDagsterShellJob
from starlake_core_compat.removed import hints_of

__all__ = ["StarlakeDagsterShellJob"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
