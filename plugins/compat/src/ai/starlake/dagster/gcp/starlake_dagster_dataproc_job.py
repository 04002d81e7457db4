"""The names of :mod:`ai.starlake.dagster.gcp`, under the module that the replaced package had them in."""

from typing import TYPE_CHECKING

from ai.starlake.dagster.gcp import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.dagster.gcp import __getattr__  # noqa: F401
