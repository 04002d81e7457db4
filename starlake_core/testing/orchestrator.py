"""The suite that every orchestrator passes."""

from __future__ import annotations

from .orchestrator_gates import GateChecks
from .orchestrator_graphs import GraphChecks
from .orchestrator_processes import ProcessChecks
from .orchestrator_runs import RunChecks

__all__ = ["OrchestratorSuite"]


class OrchestratorSuite(GraphChecks, RunChecks, GateChecks, ProcessChecks):
    """Inherit, say what the orchestrator is and can do, and run pytest.

    What has to be given and what can be declared is in :class:`~starlake_core.testing.orchestrator_base.OrchestratorBase`. No check is
    overridden, except to mark it with ``pytest.mark.xfail(reason=...)``.

    Example::

        pytest_plugins = ["starlake_core.testing.plugin"]

        class TestAcme(OrchestratorSuite):
            orchestrator = "acme"
            nested_groups = False

            def describe(self, native):
                tasks = tuple(NativeTask(step.path) for step in native.steps)
                return NativeGraph(tasks, tuple(native.links))
    """
