"""``ai.starlake.dagster.gcp``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.dagster import StarlakeDagsterCloudRunJob, StarlakeDagsterDataprocJob
from starlake_core_compat.removed import hints_of

__all__ = ["StarlakeDagsterCloudRunJob", "StarlakeDagsterDataprocJob"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
