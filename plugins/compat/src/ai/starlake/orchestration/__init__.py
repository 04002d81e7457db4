"""``ai.starlake.orchestration``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.lineage import StarlakeDependencies, StarlakeDependency, TreeNodeMixin
from starlake_core_compat.orchestrations import (
    AbstractDependency,
    AbstractOrchestration,
    AbstractPipeline,
    AbstractTask,
    AbstractTaskGroup,
    OrchestrationFactory,
)
from starlake_core_compat.removed import hints_of
from starlake_core_compat.schedules import StarlakeDomain, StarlakeSchedule, StarlakeSchedules, StarlakeTable

from starlake_core import DependencyType, TaskGroup

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
    "StarlakeSchedules",
    "StarlakeTable",
    "TaskGroupContext",
    "TreeNodeMixin",
]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
