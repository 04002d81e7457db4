"""Starlake projects as pipelines: written once, run on any orchestrator, in any environment.

Everything that a pipeline file or a plugin needs is importable from here; ``starlake_core.runtime`` holds what runs jobs, and
``starlake_core.testing`` the conformance kit.
"""

from __future__ import annotations

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
    NothingFoundError,
    OptionsError,
    OutageError,
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
from .guards import guards_of, why_nothing
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
from .runs import described, new_run, selected, tear_down
from .schedule import (
    StarlakeDomain,
    StarlakeSchedule,
    StarlakeTable,
    data_interval,
    fire_times,
    next_fire,
    previous_fire,
)

# The names under which the documentation introduces the same concepts.
AbstractDependency = Node
AbstractOrchestration = Orchestration
AbstractPipeline = StarlakePipeline
AbstractTask = Task
AbstractTaskGroup = StarlakeTaskGroup
IStarlakeJob = StarlakeJob
StarlakeOptions = Options
TaskGroupContext = TaskGroup

__all__ = [
    "BOOL",
    "CRON",
    "CSV",
    "DATE",
    "DURATION",
    "ENV_MAP",
    "JSON_MAP",
    "STR",
    "TIMEZONE",
    "AbstractDependency",
    "AbstractOrchestration",
    "AbstractPipeline",
    "AbstractTask",
    "AbstractTaskGroup",
    "BindError",
    "Command",
    "CommandError",
    "ContractError",
    "CreateChildren",
    "CycleError",
    "DataInterval",
    "DatasetError",
    "DatasetTrigger",
    "DependenciesError",
    "DependencyType",
    "DuplicateIdError",
    "EdgeError",
    "GraphError",
    "IStarlakeJob",
    "Integer",
    "Job",
    "Kind",
    "Lifecycle",
    "Node",
    "NothingFoundError",
    "OneOf",
    "Option",
    "Options",
    "OptionsError",
    "Orchestration",
    "OrchestrationFactory",
    "OutageError",
    "Pipeline",
    "PipelineFileError",
    "PluginConflictError",
    "PluginContractError",
    "PluginError",
    "PluginLoadError",
    "PluginNotFoundError",
    "Preload",
    "Report",
    "Run",
    "RunError",
    "RunKey",
    "RunnerError",
    "ScheduleError",
    "StarlakeDataset",
    "StarlakeDependencies",
    "StarlakeDependency",
    "StarlakeDomain",
    "StarlakeError",
    "StarlakeExecutionEnvironment",
    "StarlakeJob",
    "StarlakeJobFactory",
    "StarlakeOptions",
    "StarlakeOrchestrator",
    "StarlakePipeline",
    "StarlakePreLoadStrategy",
    "StarlakeSchedule",
    "StarlakeSparkConfig",
    "StarlakeTable",
    "StarlakeTaskGroup",
    "Task",
    "TaskEvent",
    "TaskGroup",
    "TaskGroupContext",
    "TaskReport",
    "TaskState",
    "TriggerPolicy",
    "TriggerRule",
    "Wait",
    "data_interval",
    "described",
    "fire_times",
    "graph_json",
    "guards_of",
    "hookimpl",
    "new_run",
    "next_fire",
    "previous_fire",
    "sanitize_id",
    "selected",
    "tear_down",
    "why_nothing",
]
