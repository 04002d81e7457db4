"""The suite that every orchestrator must pass."""

from __future__ import annotations

from .orchestrator_gates import GateChecks
from .orchestrator_graphs import GraphChecks
from .orchestrator_native import NativeChecks
from .orchestrator_processes import ProcessChecks
from .orchestrator_requests import RequestChecks
from .orchestrator_runs import RunChecks

__all__ = ["OrchestratorSuite"]


class OrchestratorSuite(GraphChecks, RunChecks, GateChecks, ProcessChecks, RequestChecks, NativeChecks):
    """Inherit from this class, declare what the orchestrator can do, and run pytest.

    :class:`~starlake_core.testing.orchestrator_base.OrchestratorBase` says what you must define and what you can
    declare. Do not override checks, except to mark them with ``pytest.mark.xfail(reason=...)``.

    Example::

        pytest_plugins = ["starlake_core.testing.plugin"]

        class TestAcme(OrchestratorSuite):
            orchestrator = "acme"
            nested_groups = False

            def describe(self, native):
                tasks = tuple(NativeTask(step.path) for step in native.steps)
                return NativeGraph(tasks, tuple(native.links))
    """
