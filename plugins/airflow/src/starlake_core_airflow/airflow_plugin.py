"""What Airflow finds through the entry point ``airflow.plugins``. It is in every process of Airflow, so it imports nothing but what it needs."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from . import listener

__all__ = ["StarlakePlugin"]


class StarlakePlugin(AirflowPlugin):
    """A listener of the scheduler."""

    name = "starlake"
    listeners = [listener]  # noqa: RUF012 - Airflow declares it so, and not as a ClassVar
