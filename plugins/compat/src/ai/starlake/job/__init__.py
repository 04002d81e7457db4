"""``ai.starlake.job``, as documented."""

from starlake_core import (
    IStarlakeJob,
    StarlakeExecutionEnvironment,
    StarlakeJobFactory,
    StarlakeOptions,
    StarlakeOrchestrator,
    StarlakePreLoadStrategy,
    StarlakeSparkConfig,
)

__all__ = [
    "IStarlakeJob",
    "StarlakeExecutionEnvironment",
    "StarlakeJobFactory",
    "StarlakeOptions",
    "StarlakeOrchestrator",
    "StarlakePreLoadStrategy",
    "StarlakeSparkConfig",
]
