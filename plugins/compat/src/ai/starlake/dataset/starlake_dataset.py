"""The names of :mod:`ai.starlake.dataset`, in the module where the replaced package had them."""

from typing import TYPE_CHECKING

from ai.starlake.dataset import *  # noqa: F403

if not TYPE_CHECKING:
    from ai.starlake.dataset import __getattr__  # noqa: F401
