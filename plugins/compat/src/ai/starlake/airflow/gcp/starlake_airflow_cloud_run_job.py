"""The names of :mod:`ai.starlake.airflow.gcp`, in the module where the replaced package had them."""

from typing import TYPE_CHECKING

from ai.starlake.airflow.gcp import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.airflow.gcp import __getattr__  # noqa: F401
