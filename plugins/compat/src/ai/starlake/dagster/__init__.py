"""``ai.starlake.dagster``, as documented."""

from starlake_core_compat.dagster import (
    DagsterOrchestration,
    DagsterPipeline,
    DagsterTaskGroup,
    StarlakeDagsterJob,
)

__all__ = ["DagsterOrchestration", "DagsterPipeline", "DagsterTaskGroup", "StarlakeDagsterJob"]
