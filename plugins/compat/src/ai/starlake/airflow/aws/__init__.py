"""``ai.starlake.airflow.aws``, as documented."""

from typing import TYPE_CHECKING

from starlake_core_compat.airflow import StarlakeAirflowFargateJob
from starlake_core_compat.removed import hints_of

__all__ = ["StarlakeAirflowFargateJob"]

if not TYPE_CHECKING:
    __getattr__ = hints_of(__name__)
