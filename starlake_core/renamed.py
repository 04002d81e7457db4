"""Former names, which have been renamed or have moved to another distribution."""

from __future__ import annotations

import sys
import warnings
from typing import Any

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
        ImportError: the name belongs to the package that keeps the documented API of ``starlake-orchestration``.
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
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
