"""The suite that every environment must pass."""

from __future__ import annotations

from .environment_arrival import ArrivalChecks
from .environment_build import BuildChecks
from .environment_elsewhere import ElsewhereChecks
from .environment_faults import FaultChecks
from .environment_runner import RunnerChecks

__all__ = ["EnvironmentSuite"]


class EnvironmentSuite(BuildChecks, RunnerChecks, ArrivalChecks, ElsewhereChecks, FaultChecks):
    """Inherit from this class, declare what the environment can do, and run pytest.

    :class:`~starlake_core.testing.environment_base.EnvironmentBase` says what you must define and what you can declare.
    Do not override checks, except to mark them with ``pytest.mark.xfail(reason=...)``.

    Example::

        pytest_plugins = ["starlake_core.testing.plugin"]

        class TestAcme(EnvironmentSuite):
            environment = "acme"
            levels = ("basic", "resumable")

            def environment_options(self, stand_in, root):
                return {"acme_program": str(stand_in.path)}
    """
