"""The names of :mod:`ai.starlake.job`, in the module where the replaced package had them."""

from typing import TYPE_CHECKING

from ai.starlake.job import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.job import __getattr__  # noqa: F401
