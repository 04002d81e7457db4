"""``ai.starlake.orchestration``, as documented."""

from starlake_core import (
    AbstractDependency,
    AbstractOrchestration,
    AbstractPipeline,
    AbstractTask,
    AbstractTaskGroup,
    DependencyType,
    OrchestrationFactory,
    StarlakeDependencies,
    StarlakeDependency,
    StarlakeDomain,
    StarlakeSchedule,
    StarlakeTable,
    TaskGroupContext,
)

__all__ = [
    "AbstractDependency",
    "AbstractOrchestration",
    "AbstractPipeline",
    "AbstractTask",
    "AbstractTaskGroup",
    "DependencyType",
    "OrchestrationFactory",
    "StarlakeDependencies",
    "StarlakeDependency",
    "StarlakeDomain",
    "StarlakeSchedule",
    "StarlakeTable",
    "TaskGroupContext",
]
