"""``ai.starlake.dagster.gcp``, as documented."""

from starlake_core_compat.dagster import StarlakeDagsterCloudRunJob, StarlakeDagsterDataprocJob

__all__ = ["StarlakeDagsterCloudRunJob", "StarlakeDagsterDataprocJob"]
