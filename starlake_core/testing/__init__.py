"""The conformance kit, with which authors test their plugins.

In the test module, load its fixtures with ``pytest_plugins = ["starlake_core.testing.plugin"]``, inherit from a suite
and declare what the plugin can do. Importing this package does not import pytest; the suites do so on first use.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING

from ..contract import validate_arguments
from ..renamed import earlier_name

if TYPE_CHECKING:
    from .addon import AddonSuite
    from .areas import MOMENTS, TableModel, Warehouse
    from .corpus import CORPUS, Graph
    from .documentation import check_options_table
    from .environment import EnvironmentSuite
    from .fake import FakeEnvironment, Submission
    from .faults import ServiceFault
    from .graphs import NativeGraph, NativeTask, neutral_graph
    from .lab import Does
    from .native import NativeRun, NativeSettings
    from .orchestrator import OrchestratorSuite
    from .recording import Record, RecordingOrchestrator, Watcher, describe_records
    from .service import FakeService, ServiceJob
    from .stand_in import Call, StandIn, StandInEnvironment, Step
    from .subjects import subject

__all__ = [
    "CORPUS",
    "MOMENTS",
    "AddonSuite",
    "Call",
    "Does",
    "EnvironmentSuite",
    "FakeEnvironment",
    "FakeService",
    "Graph",
    "NativeGraph",
    "NativeRun",
    "NativeSettings",
    "NativeTask",
    "OrchestratorSuite",
    "Record",
    "RecordingOrchestrator",
    "ServiceFault",
    "ServiceJob",
    "StandIn",
    "StandInEnvironment",
    "Step",
    "Submission",
    "TableModel",
    "Warehouse",
    "Watcher",
    "check_options_table",
    "describe_records",
    "neutral_graph",
    "subject",
    "validate_arguments",
]

_HOME = {
    "AddonSuite": "addon",
    "CORPUS": "corpus",
    "MOMENTS": "areas",
    "Call": "stand_in",
    "Does": "lab",
    "EnvironmentSuite": "environment",
    "FakeEnvironment": "fake",
    "FakeService": "service",
    "Graph": "corpus",
    "NativeGraph": "graphs",
    "NativeRun": "native",
    "NativeSettings": "native",
    "NativeTask": "graphs",
    "OrchestratorSuite": "orchestrator",
    "Record": "recording",
    "RecordingOrchestrator": "recording",
    "ServiceFault": "faults",
    "ServiceJob": "service",
    "StandIn": "stand_in",
    "StandInEnvironment": "stand_in",
    "Step": "stand_in",
    "Submission": "fake",
    "TableModel": "areas",
    "Warehouse": "areas",
    "Watcher": "recording",
    "check_options_table": "documentation",
    "describe_records": "recording",
    "neutral_graph": "graphs",
    "subject": "subjects",
}

if "pytest" in sys.modules:  # a check that fails shows values, wherever the kit is installed
    sys.modules["pytest"].register_assert_rewrite(
        *({f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)} - {*sys.modules})
    )

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name):
        if name not in _HOME:
            return earlier_name(__name__, name)
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
