"""What files for Airflow import: options, default arguments, and the jobs and orchestration by their own names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlake_core.plugins import select

from .jobs import IStarlakeJob
from .module_globals import DEFAULT_DAG_ARGS
from .names import StarlakeExecutionEnvironment, StarlakeOrchestrator
from .orchestrations import AbstractOrchestration, AbstractPipeline, AbstractTaskGroup
from .values import StarlakeOptions

__all__ = [
    "DEFAULT_DAG_ARGS",
    "DEFAULT_POOL",
    "AirflowOrchestration",
    "AirflowPipeline",
    "AirflowTaskGroup",
    "StarlakeAirflowBashJob",
    "StarlakeAirflowCloudRunJob",
    "StarlakeAirflowDataprocJob",
    "StarlakeAirflowFargateJob",
    "StarlakeAirflowJob",
    "StarlakeAirflowOptions",
]

DEFAULT_POOL = "default_pool"

AirflowPipeline = AbstractPipeline
AirflowTaskGroup = AbstractTaskGroup


class StarlakeAirflowOptions(StarlakeOptions):
    """The documented way to read one value, including from Airflow Variables."""

    @classmethod
    def get_context_var(
        cls, var_name: str, default_value: Any = None, options: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """See :meth:`StarlakeOptions.get_context_var`. Variables are read last, because each read takes time whenever a file is parsed.

        ``default_dag_args`` is returned as JSON text, because generated files parse it, and pass a mapping as its default.

        Args:
            var_name: the name, the same in every place.
            default_value: the value if no other is set.
            options: the options of the file.
            **kwargs: values by name, used after the options.

        Raises:
            MissingEnvironmentVariable: there is no value, and no default.
        """
        found = super().get_context_var(var_name, default_value, options, **kwargs)
        if var_name == "default_dag_args" and isinstance(found, Mapping):
            return json.dumps(found, default=str)
        return found

    @classmethod
    def find(cls, var_name: str) -> Any:
        """The Airflow Variable with a name; None if there is none.

        Args:
            var_name: the name.
        """
        plugins = select("airflow")
        return plugins.find_options({"options_from_variables": [var_name]}).get(var_name)


class StarlakeAirflowJob(StarlakeAirflowOptions, IStarlakeJob):
    """A job of the orchestrator ``airflow``; see :class:`IStarlakeJob`."""

    orchestrator = StarlakeOrchestrator.AIRFLOW


class StarlakeAirflowBashJob(StarlakeAirflowJob):
    """Runs the ``starlake`` executable."""

    execution_environment = StarlakeExecutionEnvironment.SHELL


class StarlakeAirflowCloudRunJob(StarlakeAirflowJob):
    """Runs Cloud Run jobs."""

    execution_environment = StarlakeExecutionEnvironment.CLOUD_RUN


class StarlakeAirflowDataprocJob(StarlakeAirflowJob):
    """Runs Spark jobs on Dataproc."""

    execution_environment = StarlakeExecutionEnvironment.DATAPROC


class StarlakeAirflowFargateJob(StarlakeAirflowJob):
    """Runs tasks of ECS on Fargate."""

    execution_environment = StarlakeExecutionEnvironment.FARGATE


class AirflowOrchestration(AbstractOrchestration):
    """An orchestration of Airflow, to be extended."""

    @classmethod
    def sl_orchestrator(cls) -> Any:
        """Airflow."""
        return StarlakeOrchestrator.AIRFLOW
