"""``ai.starlake.airflow``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.airflow import (
    DEFAULT_DAG_ARGS,
    DEFAULT_POOL,
    AirflowOrchestration,
    AirflowPipeline,
    AirflowTaskGroup,
    StarlakeAirflowJob,
    StarlakeAirflowOptions,
)
from starlake_core_compat.removed import hints_of

__all__ = [
    "DEFAULT_DAG_ARGS",
    "DEFAULT_POOL",
    "AirflowOrchestration",
    "AirflowPipeline",
    "AirflowTaskGroup",
    "StarlakeAirflowJob",
    "StarlakeAirflowOptions",
]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
