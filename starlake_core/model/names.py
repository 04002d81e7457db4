"""The names of the orchestrators and environments of this project."""

from __future__ import annotations

import enum

__all__ = ["StarlakeExecutionEnvironment", "StarlakeOrchestrator"]


class StarlakeOrchestrator(str, enum.Enum):
    """The orchestrators of this project. For any other, use the name of its entry point."""

    AIRFLOW = "airflow"
    COMPOSER = "airflow"
    DAGSTER = "dagster"
    LOCAL = "local"

    def __str__(self) -> str:
        return self.value


class StarlakeExecutionEnvironment(str, enum.Enum):
    """The environments of this project. For any other, use the name of its entry point."""

    SHELL = "shell"
    CLOUD_RUN = "cloud_run"
    DATAPROC = "dataproc"
    FARGATE = "fargate"
    DUCKDB = "duckdb"

    def __str__(self) -> str:
        return self.value
