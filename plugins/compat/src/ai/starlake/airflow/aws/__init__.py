"""``ai.starlake.airflow.aws``, as documented."""

from starlake_core_compat.airflow import StarlakeAirflowFargateJob

__all__ = ["StarlakeAirflowFargateJob"]
