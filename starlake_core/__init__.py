"""Starlake projects as pipelines: written once, run on any orchestrator, in any environment.

Everything that a pipeline file or a plugin needs is importable from here; a name is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .command import Command, Preload, StarlakePreLoadStrategy, StarlakeSparkConfig
    from .dataset import DatasetTrigger, StarlakeDataset, sanitize_id
    from .dependencies import DependencyType, StarlakeDependencies, StarlakeDependency
    from .errors import (
        BindError,
        CommandError,
        ContractError,
        CycleError,
        DatasetError,
        DependenciesError,
        DuplicateIdError,
        EdgeError,
        GraphError,
        OptionsError,
        PipelineFileError,
        PluginConflictError,
        PluginContractError,
        PluginError,
        PluginLoadError,
        PluginNotFoundError,
        RunError,
        RunnerError,
        ScheduleError,
        StarlakeError,
    )
    from .factories import (
        OrchestrationFactory,
        StarlakeExecutionEnvironment,
        StarlakeJob,
        StarlakeJobFactory,
        StarlakeOrchestrator,
    )
    from .graph import Node, Pipeline, Task, TaskGroup, TriggerPolicy, TriggerRule, Wait, graph_json
    from .hookspecs import CreateChildren, Lifecycle, hookimpl
    from .job import Job
    from .options import (
        BOOL,
        CRON,
        CSV,
        DATE,
        DURATION,
        ENV_MAP,
        JSON_MAP,
        STR,
        TIMEZONE,
        Integer,
        Kind,
        OneOf,
        Option,
        Options,
    )
    from .orchestration import Orchestration
    from .pipeline import StarlakePipeline, StarlakeTaskGroup
    from .run import DataInterval, Report, Run, RunKey, TaskEvent, TaskReport, TaskState
    from .runs import new_run, selected
    from .schedule import (
        StarlakeDomain,
        StarlakeSchedule,
        StarlakeTable,
        data_interval,
        fire_times,
        next_fire,
        previous_fire,
    )

_MODULES = {
    "command": ["Command", "Preload", "StarlakePreLoadStrategy", "StarlakeSparkConfig"],
    "dataset": ["DatasetTrigger", "StarlakeDataset", "sanitize_id"],
    "dependencies": ["DependencyType", "StarlakeDependencies", "StarlakeDependency"],
    "errors": [
        "BindError", "CommandError", "ContractError", "CycleError", "DatasetError", "DependenciesError", "DuplicateIdError",
        "EdgeError", "GraphError", "OptionsError", "PipelineFileError", "PluginConflictError", "PluginContractError",
        "PluginError", "PluginLoadError", "PluginNotFoundError", "RunError", "RunnerError", "ScheduleError", "StarlakeError",
    ],
    "factories": [
        "OrchestrationFactory", "StarlakeExecutionEnvironment", "StarlakeJob", "StarlakeJobFactory", "StarlakeOrchestrator",
    ],
    "graph": ["Node", "Pipeline", "Task", "TaskGroup", "TriggerPolicy", "TriggerRule", "Wait", "graph_json"],
    "hookspecs": ["CreateChildren", "Lifecycle", "hookimpl"],
    "job": ["Job"],
    "options": [
        "BOOL", "CRON", "CSV", "DATE", "DURATION", "ENV_MAP", "JSON_MAP", "STR", "TIMEZONE", "Integer", "Kind", "OneOf",
        "Option", "Options",
    ],
    "orchestration": ["Orchestration"],
    "pipeline": ["StarlakePipeline", "StarlakeTaskGroup"],
    "run": ["DataInterval", "Report", "Run", "RunKey", "TaskEvent", "TaskReport", "TaskState"],
    "runs": ["new_run", "selected"],
    "schedule": [
        "StarlakeDomain", "StarlakeSchedule", "StarlakeTable", "data_interval", "fire_times", "next_fire", "previous_fire",
    ],
}  # fmt: skip

_WHERE = {name: (module, name) for module, names in _MODULES.items() for name in names}
# The names under which the documentation introduces the same concepts.
_WHERE |= {
    "AbstractDependency": ("graph", "Node"),
    "AbstractOrchestration": ("orchestration", "Orchestration"),
    "AbstractPipeline": ("pipeline", "StarlakePipeline"),
    "AbstractTask": ("graph", "Task"),
    "AbstractTaskGroup": ("pipeline", "StarlakeTaskGroup"),
    "IStarlakeJob": ("factories", "StarlakeJob"),
    "StarlakeOptions": ("options", "Options"),
    "TaskGroupContext": ("graph", "TaskGroup"),
}

__all__ = sorted(_WHERE)  # noqa: PLE0605 - the list is the table above


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module 'starlake_core' has no attribute '{name}'") from None
    value = getattr(importlib.import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
