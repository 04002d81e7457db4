"""What plugins may rely on: the public names, and the arguments of each hook.

``STARLAKE_UPDATE_DOCS=1 pytest tests/test_public_names.py`` writes ``public_names.json`` anew. The number after the dot
of ``HOOKS_VERSION`` grows with what is added, the one before it with what is removed.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from starlake_core.plugins.hookspecs import HOOKS_VERSION, HookSpecs

__all__ = ["MODULES", "recorded"]

MODULES = (
    "starlake_core",
    "starlake_core.runtime",
    "starlake_core.plugins",
    "starlake_core.freshness",
    "starlake_core.testing",
)


def recorded() -> dict[str, Any]:
    """What is public now."""
    hooks = {name: function for name, function in vars(HookSpecs).items() if name.startswith("sl_")}
    return {
        "hooks_version": HOOKS_VERSION,
        "hooks": {
            name: [key for key in inspect.signature(function).parameters if key != "self"]
            for name, function in sorted(hooks.items())
        },
        "names": {module: sorted(importlib.import_module(module).__all__) for module in MODULES},
    }
