"""The names of :mod:`ai.starlake.gcp`, under the module that the replaced package had them in."""

from typing import TYPE_CHECKING

from ai.starlake.gcp import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.gcp import __getattr__  # noqa: F401
