"""Names of earlier days: those that have another name now, and those that live in another distribution."""

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
    """What a module has under an earlier name; for its ``__getattr__``.

    Args:
        module: where somebody looks.
        name: that is not there.

    Raises:
        ImportError: the name belongs to the package that keeps the documented API of ``starlake-orchestration``.
        AttributeError: it was never there.
    """
    now = _NOW.get(module, {}).get(name)
    if now is not None:
        warnings.warn(
            f"{module}.{name} is called {module}.{now} now; the earlier name goes with version 1.0",
            DeprecationWarning,
            stacklevel=3,
        )
        return getattr(sys.modules[module], now)
    if name in _ELSEWHERE:
        # Not an AttributeError, whose text "from ... import" would replace with its own.
        raise ImportError(
            f"{name} is no name of {module}: install starlake-core-compat and write: from {_ELSEWHERE[name]} import {name}"
        )
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
