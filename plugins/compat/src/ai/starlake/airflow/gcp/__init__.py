"""``ai.starlake.airflow.gcp``, as documented."""

from starlake_core_compat.airflow import StarlakeAirflowCloudRunJob, StarlakeAirflowDataprocJob

__all__ = ["StarlakeAirflowCloudRunJob", "StarlakeAirflowDataprocJob"]
