"""Plugins: their hooks, which of them are installed, and how the core calls them.

``hookspecs`` declares the hooks. ``runner`` is the base class of what an environment does at run time, and ``pausing``
lets it wait. ``registry`` finds installed plugins without importing them, ``files`` those in a folder, and ``doubts``
entry points that nothing reads. ``manager`` loads those of one orchestration, and only it calls hooks. ``checking`` says
what is wrong with a plugin, ``blame`` which one raised an error, and ``tracing`` which one answered. ``render`` and
``project_facts`` ask orchestrators and readers of projects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..renamed import earlier_name
from .manager import Plugins, rescan, select
from .registry import ROLES, PluginInfo, check_name, choose, find, installed

__all__ = ["ROLES", "PluginInfo", "Plugins", "check_name", "choose", "find", "installed", "rescan", "select"]

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name):
        return earlier_name(__name__, name)
