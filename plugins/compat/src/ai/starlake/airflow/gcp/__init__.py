"""``ai.starlake.airflow.gcp``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.airflow import StarlakeAirflowCloudRunJob, StarlakeAirflowDataprocJob
from starlake_core_compat.removed import hints_of

__all__ = ["StarlakeAirflowCloudRunJob", "StarlakeAirflowDataprocJob"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
