"""``ai.starlake.job``, as documented."""

from starlake_core_compat.datasets import StarlakeSparkConfig
from starlake_core_compat.jobs import IStarlakeJob, StarlakeJobFactory
from starlake_core_compat.values import StarlakeOptions

from starlake_core import StarlakeExecutionEnvironment, StarlakeOrchestrator, StarlakePreLoadStrategy

__all__ = [
    "IStarlakeJob",
    "StarlakeExecutionEnvironment",
    "StarlakeJobFactory",
    "StarlakeOptions",
    "StarlakeOrchestrator",
    "StarlakePreLoadStrategy",
    "StarlakeSparkConfig",
]
