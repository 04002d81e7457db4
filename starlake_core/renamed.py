"""Former names, which have been renamed or have moved to another distribution."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .errors import did_you_mean

__all__ = ["earlier_name"]

_NOW = {
    "starlake_core": {
        "described": "dry_run_report",
        "guards_of": "gates_before_work",
        "selected": "is_selected",
        "why_nothing": "explain_skip",
    },
    "starlake_core.runtime": {
        "Found": "AttemptInfo",
        "judged": "outcome_from_exit_code",
        "with_marker": "request_marker",
    },
    "starlake_core.plugins": {"Installed": "PluginInfo"},
    "starlake_core.options": {"Declared": "DeclaredOption"},
}
_PUBLIC = ("starlake_core", "starlake_core.runtime", "starlake_core.testing")
"""Where plugins import from."""
_ELSEWHERE = {
    **dict.fromkeys(
        (
            "AbstractDependency",
            "AbstractOrchestration",
            "AbstractPipeline",
            "AbstractTask",
            "AbstractTaskGroup",
            "OrchestrationFactory",
        ),
        "ai.starlake.orchestration",
    ),
    **dict.fromkeys(("IStarlakeJob", "StarlakeJobFactory"), "ai.starlake.job"),
}


def earlier_name(module: str, name: str) -> Any:
    """Return what a module has under a former name, for its ``__getattr__``.

    Args:
        module: the module.
        name: the missing name.

    Raises:
        ImportError: the name belongs to another public module, or to the package that keeps the documented API of
            ``starlake-orchestration``.
        AttributeError: it never existed.
    """
    now = _NOW.get(module, {}).get(name)
    if now is not None:
        warnings.warn(
            f"{module}.{name} was renamed to {module}.{now}; the former name will be removed in version 1.0",
            DeprecationWarning,
            stacklevel=3,
        )
        return getattr(sys.modules[module], now)
    if name in _ELSEWHERE:
        # Not an AttributeError, because "from ... import" would replace its message.
        raise ImportError(
            f"{name} is not in {module}; install starlake-core-compat, and use: from {_ELSEWHERE[name]} import {name}"
        )
    if name.startswith("_") or find_spec(f"{module}.{name}") is not None:  # a submodule that is not loaded yet
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    place = next((other for other in _PUBLIC if other != module and name in _names_of(other)), None)
    if place is not None:
        raise ImportError(f"{name} is not in {module}; use: from {place} import {name}")
    hint = did_you_mean(name, _names_of(module))
    raise AttributeError(f"module {module!r} has no attribute {name!r}{'.' if hint else ''}{hint}")


def _names_of(module: str) -> tuple[str, ...]:
    return tuple(import_module(module).__all__)
