"""Says in Dagster's terms what the core asks of a user who decides about unsafe work."""

from __future__ import annotations

from starlake_core.runtime.guarded import MARK, word

from .context import UNSAFE

__all__ = ["advised"]


def advised(reason: str) -> str:
    """A reason, with how one does in Dagster what it asks for.

    Args:
        reason: why a step failed.
    """
    for which in ("doubtful", "blind"):
        if word(which) in reason:
            mark = (
                "; instead of marking a task, report a materialization of its asset, and launch what comes after it"
                if MARK in reason
                else ""
            )
            return f"{reason}. In Dagster, re-execute with the tag {UNSAFE}={which}{mark}"
    return reason
