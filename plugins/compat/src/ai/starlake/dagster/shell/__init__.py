"""``ai.starlake.dagster.shell``, as documented."""

from starlake_core_compat.dagster import StarlakeDagsterShellJob

__all__ = ["StarlakeDagsterShellJob"]
