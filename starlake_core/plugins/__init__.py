"""Plugins: what they may implement, which are installed, and how the rest of the core calls them.

``hookspecs`` are the hooks and ``runner`` is the base class of what an environment does, which waits with ``pausing``. ``registry`` knows what is
installed and imports nothing; ``manager`` loads the plugins of one orchestration and is the only module that calls a hook; ``render`` and
``project_facts`` ask orchestrators and readers of projects. Nothing here knows an orchestrator or an environment by more than its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..renamed import earlier_name
from .manager import Plugins, rescan, select
from .registry import ROLES, PluginInfo, choose, find, installed

__all__ = ["ROLES", "PluginInfo", "Plugins", "choose", "find", "installed", "rescan", "select"]

if not TYPE_CHECKING:  # a type checker would take every name to be there

    def __getattr__(name):
        return earlier_name(__name__, name)
