"""The names of :mod:`ai.starlake.orchestration`, under the module that the replaced package had them in."""

from typing import TYPE_CHECKING

from ai.starlake.orchestration import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.orchestration import __getattr__  # noqa: F401
