"""Pipelines for Starlake projects: write them once, and run them on any orchestrator and in any environment.

Import everything that a pipeline file or a plugin needs from here. ``starlake_core.runtime`` runs jobs, and
``starlake_core.testing`` is the conformance kit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dsl.groups import StarlakeTaskGroup
from .dsl.orchestration import Orchestration
from .dsl.pipeline import StarlakePipeline
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
    PluginFailedError,
    PluginLoadError,
    PluginNotFoundError,
    RunError,
    RunnerError,
    ScheduleError,
    StarlakeError,
    UnknownOptionError,
)
from .model.command import Command, Preload, StarlakePreLoadStrategy, StarlakeSparkConfig
from .model.dataset import DatasetTrigger, StarlakeDataset, sanitize_id
from .model.demo import Demo, DemoTables
from .model.details import Check, Column, TableDetails
from .model.facts import ProjectCheck, ProjectFacts
from .model.graph import Node, Pipeline, Task, TaskGroup
from .model.graph_json import graph_json
from .model.job import Job
from .model.kinds import TaskKind, TriggerPolicy, TriggerRule, Wait
from .model.lineage import DependencyType, StarlakeDependencies, StarlakeDependency
from .model.names import StarlakeExecutionEnvironment, StarlakeOrchestrator
from .model.page import LivePage, Page
from .model.run import Attempt, DataInterval, Report, Run, RunKey, RunRequest, TaskEvent, TaskReport, TaskState
from .model.schedule import (
    StarlakeDomain,
    StarlakeSchedule,
    StarlakeTable,
    data_interval,
    fire_times,
    next_fire,
    previous_fire,
)
from .model.worst_case import worst_case
from .options import (
    BOOL,
    CRON,
    CSV,
    DATE,
    DOCUMENT,
    DURATION,
    ENV_MAP,
    JSON_MAP,
    STR,
    TEXT_MAP,
    TIMEZONE,
    GeneralOptions,
    Integer,
    Kind,
    Limit,
    Matching,
    OneOf,
    Option,
    OptionGroup,
    Options,
    Seconds,
    check_limits,
    limits_table,
    merge_under,
    option,
)
from .orchestrators.requests import dry_run_report, is_selected, request_run, skipped_report, tear_down
from .orchestrators.skips import explain_skip, gates_before_work, skipped_end
from .plugins.hookspecs import CreateChildren, Lifecycle, hookimpl
from .renamed import earlier_name

__all__ = [
    "BOOL",
    "CRON",
    "CSV",
    "DATE",
    "DOCUMENT",
    "DURATION",
    "ENV_MAP",
    "JSON_MAP",
    "STR",
    "TEXT_MAP",
    "TIMEZONE",
    "Attempt",
    "BindError",
    "Check",
    "Column",
    "Command",
    "CommandError",
    "ContractError",
    "CreateChildren",
    "CycleError",
    "DataInterval",
    "DatasetError",
    "DatasetTrigger",
    "Demo",
    "DemoTables",
    "DependenciesError",
    "DependencyType",
    "DuplicateIdError",
    "EdgeError",
    "GeneralOptions",
    "GraphError",
    "Integer",
    "Job",
    "Kind",
    "Lifecycle",
    "Limit",
    "LivePage",
    "Matching",
    "Node",
    "NothingFoundError",
    "OneOf",
    "Option",
    "OptionGroup",
    "Options",
    "OptionsError",
    "Orchestration",
    "OutageError",
    "Page",
    "Pipeline",
    "PipelineFileError",
    "PluginConflictError",
    "PluginContractError",
    "PluginError",
    "PluginFailedError",
    "PluginLoadError",
    "PluginNotFoundError",
    "Preload",
    "ProjectCheck",
    "ProjectFacts",
    "Report",
    "Run",
    "RunError",
    "RunKey",
    "RunRequest",
    "RunnerError",
    "ScheduleError",
    "Seconds",
    "StarlakeDataset",
    "StarlakeDependencies",
    "StarlakeDependency",
    "StarlakeDomain",
    "StarlakeError",
    "StarlakeExecutionEnvironment",
    "StarlakeOrchestrator",
    "StarlakePipeline",
    "StarlakePreLoadStrategy",
    "StarlakeSchedule",
    "StarlakeSparkConfig",
    "StarlakeTable",
    "StarlakeTaskGroup",
    "TableDetails",
    "Task",
    "TaskEvent",
    "TaskGroup",
    "TaskKind",
    "TaskReport",
    "TaskState",
    "TriggerPolicy",
    "TriggerRule",
    "UnknownOptionError",
    "Wait",
    "check_limits",
    "data_interval",
    "dry_run_report",
    "explain_skip",
    "fire_times",
    "gates_before_work",
    "graph_json",
    "hookimpl",
    "is_selected",
    "limits_table",
    "merge_under",
    "next_fire",
    "option",
    "previous_fire",
    "request_run",
    "sanitize_id",
    "skipped_end",
    "skipped_report",
    "tear_down",
    "worst_case",
]

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name):
        return earlier_name(__name__, name)
