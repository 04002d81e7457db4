"""The names of :mod:`ai.starlake.dagster`, under the module that the replaced package had them in."""

from typing import TYPE_CHECKING

from ai.starlake.dagster import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.dagster import __getattr__  # noqa: F401
