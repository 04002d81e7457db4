"""``ai.starlake.job``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.datasets import StarlakeSparkConfig
from starlake_core_compat.jobs import IStarlakeJob, StarlakeJobFactory
from starlake_core_compat.names import (
    StarlakeExecutionEnvironment,
    StarlakeExecutionMode,
    StarlakeOrchestrator,
    TaskType,
)
from starlake_core_compat.removed import hints_of
from starlake_core_compat.values import StarlakeOptions

from starlake_core import StarlakePreLoadStrategy

__all__ = [
    "IStarlakeJob",
    "StarlakeExecutionEnvironment",
    "StarlakeExecutionMode",
    "StarlakeJobFactory",
    "StarlakeOptions",
    "StarlakeOrchestrator",
    "StarlakePreLoadStrategy",
    "StarlakeSparkConfig",
    "TaskType",
]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
