"""``ai.starlake.airflow.bash``, as documented."""

from starlake_core_compat.airflow import StarlakeAirflowBashJob

__all__ = ["StarlakeAirflowBashJob"]
