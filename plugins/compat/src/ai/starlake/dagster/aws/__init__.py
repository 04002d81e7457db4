"""``ai.starlake.dagster.aws``, as documented."""

from starlake_core_compat.dagster import StarlakeDagsterFargateJob

__all__ = ["StarlakeDagsterFargateJob"]
