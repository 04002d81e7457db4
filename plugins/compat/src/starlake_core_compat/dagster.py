"""What files for Dagster import: the jobs and the orchestration by their own names."""

from __future__ import annotations

from typing import Any

from .jobs import IStarlakeJob
from .names import StarlakeExecutionEnvironment, StarlakeOrchestrator
from .orchestrations import AbstractOrchestration, AbstractPipeline, AbstractTaskGroup

__all__ = [
    "DagsterOrchestration",
    "DagsterPipeline",
    "DagsterTaskGroup",
    "StarlakeDagsterCloudRunJob",
    "StarlakeDagsterDataprocJob",
    "StarlakeDagsterFargateJob",
    "StarlakeDagsterJob",
    "StarlakeDagsterShellJob",
]

DagsterPipeline = AbstractPipeline
DagsterTaskGroup = AbstractTaskGroup


class StarlakeDagsterJob(IStarlakeJob):
    """A job of the orchestrator ``dagster``; see :class:`IStarlakeJob`."""

    orchestrator = StarlakeOrchestrator.DAGSTER


class StarlakeDagsterShellJob(StarlakeDagsterJob):
    """Runs the ``starlake`` executable."""

    execution_environment = StarlakeExecutionEnvironment.SHELL


class StarlakeDagsterCloudRunJob(StarlakeDagsterJob):
    """Runs Cloud Run jobs."""

    execution_environment = StarlakeExecutionEnvironment.CLOUD_RUN


class StarlakeDagsterDataprocJob(StarlakeDagsterJob):
    """Runs Spark jobs on Dataproc."""

    execution_environment = StarlakeExecutionEnvironment.DATAPROC


class StarlakeDagsterFargateJob(StarlakeDagsterJob):
    """Runs tasks of ECS on Fargate."""

    execution_environment = StarlakeExecutionEnvironment.FARGATE


class DagsterOrchestration(AbstractOrchestration):
    """An orchestration of Dagster, to be extended."""

    @classmethod
    def sl_orchestrator(cls) -> Any:
        """Dagster."""
        return StarlakeOrchestrator.DAGSTER
