"""What Airflow finds through the entry point ``airflow.plugins``. Every Airflow process loads it, so it imports only what it needs."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from . import listener

__all__ = ["StarlakePlugin"]


class StarlakePlugin(AirflowPlugin):
    """A listener of the scheduler."""

    name = "starlake"
    listeners = [listener]  # noqa: RUF012 - Airflow does not declare it as a ClassVar
