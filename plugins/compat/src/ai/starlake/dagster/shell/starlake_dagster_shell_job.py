"""The names of :mod:`ai.starlake.dagster.shell`, in the module where the replaced package had them."""

from typing import TYPE_CHECKING

from ai.starlake.dagster.shell import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.dagster.shell import __getattr__  # noqa: F401
