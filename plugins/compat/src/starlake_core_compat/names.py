"""The words of the replaced package: its orchestrators and environments, including those without a plugin, and the kinds of tasks and datasets."""

from __future__ import annotations

import enum

__all__ = [
    "StarlakeDatasetType",
    "StarlakeExecutionEnvironment",
    "StarlakeExecutionMode",
    "StarlakeOrchestrator",
    "TaskType",
]


class _Word(str, enum.Enum):
    def __str__(self) -> str:
        return str(self.value)


class StarlakeOrchestrator(_Word):
    """The orchestrators that pipeline files name. One that is not installed is refused when an orchestration opens, with what to install."""

    AIRFLOW = "airflow"
    COMPOSER = "airflow"
    DAGSTER = "dagster"
    LOCAL = "local"
    SNOWFLAKE = "snowflake"
    STARLAKE = "starlake"


class StarlakeExecutionEnvironment(_Word):
    """The environments that pipeline files name. One that is not installed is refused when an orchestration opens, with what to install."""

    SHELL = "shell"
    CLOUD_RUN = "cloud_run"
    DATAPROC = "dataproc"
    FARGATE = "fargate"
    DUCKDB = "duckdb"
    SQL = "sql"


class StarlakeExecutionMode(_Word):
    """What to do with a pipeline."""

    DRY_RUN = "dry_run"
    RUN = "run"
    BACKFILL = "backfill"


class TaskType(_Word):
    """What a task is for."""

    START = "start"
    PRELOAD = "preload"
    IMPORT = "import"
    STAGE = "stage"
    LOAD = "load"
    TRANSFORM = "transform"
    EMPTY = "empty"
    END = "end"

    @classmethod
    def from_str(cls, value: str) -> TaskType | None:
        """The kind that a word names, in any case; None for another word."""
        return next((kind for kind in cls if kind.value == value.lower()), None)


class StarlakeDatasetType(_Word):
    """What produces a dataset."""

    LOAD = "load"
    TRANSFORM = "transform"
