"""The environment ``shell`` is an environment like any other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlake_core.testing import EnvironmentSuite, StandIn

pytest_plugins = ["starlake_core.testing.plugin"]


class TestShell(EnvironmentSuite):
    environment = "shell"
    levels = ("basic",)  # a process of another worker is never its own
    forbidden_imports = ("click", "rich")

    def environment_options(self, stand_in: StandIn, root: Path) -> Mapping[str, Any]:
        return {"SL_STARLAKE_PATH": str(stand_in.path)}
