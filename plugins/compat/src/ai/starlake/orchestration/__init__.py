"""``ai.starlake.orchestration``, as documented."""

from starlake_core_compat.lineage import StarlakeDependencies, StarlakeDependency, TreeNodeMixin
from starlake_core_compat.orchestrations import (
    AbstractDependency,
    AbstractOrchestration,
    AbstractPipeline,
    AbstractTask,
    AbstractTaskGroup,
    OrchestrationFactory,
)

from starlake_core import DependencyType, StarlakeDomain, StarlakeSchedule, StarlakeTable, TaskGroup

StarlakeDependencyType = DependencyType
TaskGroupContext = TaskGroup

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
    "StarlakeDependencyType",
    "StarlakeDomain",
    "StarlakeSchedule",
    "StarlakeTable",
    "TaskGroupContext",
    "TreeNodeMixin",
]
