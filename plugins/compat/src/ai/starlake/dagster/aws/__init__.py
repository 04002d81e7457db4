"""``ai.starlake.dagster.aws``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.dagster import StarlakeDagsterFargateJob
from starlake_core_compat.removed import hints_of

__all__ = ["StarlakeDagsterFargateJob"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
