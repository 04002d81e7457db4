"""The names of :mod:`ai.starlake.airflow.bash`, under the module that the replaced package had them in."""

from typing import TYPE_CHECKING

from ai.starlake.airflow.bash import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.airflow.bash import __getattr__  # noqa: F401
