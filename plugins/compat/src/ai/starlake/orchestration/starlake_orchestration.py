"""The names of :mod:`ai.starlake.orchestration`, in the module where the replaced package had them."""

from typing import TYPE_CHECKING

from ai.starlake.orchestration import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.orchestration import __getattr__  # noqa: F401
