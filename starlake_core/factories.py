"""The documented way in: enums of names, a job factory and an orchestration factory."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .caller import calling_module
from .orchestration import Orchestration

__all__ = [
    "OrchestrationFactory",
    "StarlakeExecutionEnvironment",
    "StarlakeJob",
    "StarlakeJobFactory",
    "StarlakeOrchestrator",
]


class StarlakeOrchestrator(str, enum.Enum):
    """The orchestrators of this project; any other is named by its entry point."""

    AIRFLOW = "airflow"
    COMPOSER = "airflow"
    DAGSTER = "dagster"
    LOCAL = "local"

    def __str__(self) -> str:
        return self.value


class StarlakeExecutionEnvironment(str, enum.Enum):
    """The environments of this project; any other is named by its entry point."""

    SHELL = "shell"
    CLOUD_RUN = "cloud_run"
    DATAPROC = "dataproc"
    FARGATE = "fargate"
    DUCKDB = "duckdb"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class StarlakeJob:
    """What :meth:`StarlakeJobFactory.create_job` was told; an orchestration is made from it.

    Attributes:
        filename: of the pipeline file, for the names of its pipelines.
        module_name: of the pipeline file.
        orchestrator, execution_environment: names, or None to decide when the file is loaded.
        options: explicit options.
        namespace: of the module of the pipeline file.
    """

    filename: str = ""
    module_name: str = ""
    orchestrator: Any = None
    execution_environment: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    namespace: dict[str, Any] = field(default_factory=dict, repr=False)

    def sl_orchestrator(self) -> Any:
        """The orchestrator, as it was given."""
        return self.orchestrator

    def sl_execution_environment(self) -> Any:
        """The environment, as it was given."""
        return self.execution_environment


class StarlakeJobFactory:
    """The documented factory of jobs. Plugins are found by their entry points; nothing is registered or scanned here."""

    @classmethod
    def create_job(
        cls,
        filename: str | None = None,
        module_name: str | None = None,
        orchestrator: Any = None,
        execution_environment: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> StarlakeJob:
        """Describe where and when commands run.

        Args:
            filename: of the pipeline file; that of the caller by default.
            module_name: of the pipeline file.
            orchestrator: a name or :class:`StarlakeOrchestrator`.
            execution_environment: a name or :class:`StarlakeExecutionEnvironment`.
            options: explicit options.
        """
        module = calling_module()
        file = str(module.get("__file__") or "")
        # The documented call passes only the last part of the path; the folder is where the module is.
        if filename is not None and os.path.basename(file) != os.path.basename(filename):
            file = filename
        return StarlakeJob(
            file,
            module_name or str(module.get("__name__", "")),
            orchestrator,
            execution_environment,
            dict(options or {}),
            module,
        )


class OrchestrationFactory:
    """The documented factory of orchestrations."""

    @classmethod
    def create_orchestration(cls, job: StarlakeJob) -> Orchestration:
        """Open an orchestration.

        Args:
            job: what :meth:`StarlakeJobFactory.create_job` returned.

        Raises:
            PluginError: a plugin cannot be used.
            OptionsError: with one line for every wrong option.
        """
        return Orchestration(
            job.options,
            orchestrator=job.orchestrator,
            environment=job.execution_environment,
            filename=job.filename,
            namespace=job.namespace,
        )
