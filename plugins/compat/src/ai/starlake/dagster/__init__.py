"""``ai.starlake.dagster``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.dagster import (
    DagsterOrchestration,
    DagsterPipeline,
    DagsterTaskGroup,
    StarlakeDagsterJob,
)
from starlake_core_compat.removed import hints_of

__all__ = ["DagsterOrchestration", "DagsterPipeline", "DagsterTaskGroup", "StarlakeDagsterJob"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
