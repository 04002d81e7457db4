"""The suite that every environment passes."""

from __future__ import annotations

from .environment_build import BuildChecks
from .environment_runner import RunnerChecks

__all__ = ["EnvironmentSuite"]


class EnvironmentSuite(BuildChecks, RunnerChecks):
    """Inherit, say what the environment is and can do, and run pytest.

    What has to be given and what can be declared is in :class:`~starlake_core.testing.environment_base.EnvironmentBase`. No check is
    overridden, except to mark it with ``pytest.mark.xfail(reason=...)``.

    Example::

        pytest_plugins = ["starlake_core.testing.plugin"]

        class TestAcme(EnvironmentSuite):
            environment = "acme"
            remembers_attempts = False

            def environment_options(self, stand_in, root):
                return {"acme_program": str(stand_in.path)}
    """
