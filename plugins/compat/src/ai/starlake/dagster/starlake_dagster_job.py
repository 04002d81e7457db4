"""The names of :mod:`ai.starlake.dagster`, in the module where the replaced package had them."""

from typing import TYPE_CHECKING

from ai.starlake.dagster import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.dagster import __getattr__  # noqa: F401
