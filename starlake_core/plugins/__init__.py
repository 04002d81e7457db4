"""Plugins: what they may implement, which are installed, and how the rest of the core calls them.

``registry`` knows what is installed and imports nothing; ``manager`` loads the plugins of one orchestration and is the only module that calls a
hook. Nothing here knows an orchestrator or an environment by more than its name.
"""

from __future__ import annotations

from .manager import Plugins, rescan, select
from .registry import ROLES, Installed, choose, find, installed

__all__ = ["ROLES", "Installed", "Plugins", "choose", "find", "installed", "rescan", "select"]
