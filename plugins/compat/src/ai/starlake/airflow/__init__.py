"""``ai.starlake.airflow``, as documented."""

from starlake_core_compat.airflow import (
    DEFAULT_DAG_ARGS,
    DEFAULT_POOL,
    AirflowOrchestration,
    AirflowPipeline,
    AirflowTaskGroup,
    StarlakeAirflowJob,
    StarlakeAirflowOptions,
)

__all__ = [
    "DEFAULT_DAG_ARGS",
    "DEFAULT_POOL",
    "AirflowOrchestration",
    "AirflowPipeline",
    "AirflowTaskGroup",
    "StarlakeAirflowJob",
    "StarlakeAirflowOptions",
]
